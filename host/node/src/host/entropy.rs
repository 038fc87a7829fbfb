//! Random numbers for identities.

use super::HostError;

pub(super) fn u64() -> Result<u64, HostError> {
    getrandom::u64().map_err(|error| HostError::Entropy(error.to_string()))
}

pub(super) fn u128() -> Result<u128, HostError> {
    Ok(u128::from(u64()?) << 64 | u128::from(u64()?))
}
