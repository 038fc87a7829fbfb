//! The names in a certificate, and what they say of its holder.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;
use crate::identity::check_name;
use crate::{Expect, NameError, PeerIdentity, Rights, Role};

/// The domain of all names that mean something here. `.internal` is reserved for private use, so no public authority
/// signs a name in it.
pub const DOMAIN: &str = "colony.internal";

/// The label every host's certificate carries beside its own name.
const ANY: &str = "any";

/// What a dialer verifies in the certificate of the host it dials.
pub(crate) fn server_name(expect: &Expect) -> Result<ServerName<'static>, NameError> {
    let label = match expect {
        Expect::AnyHost => ANY,
        Expect::Host(name) => {
            check_name(name)?;
            name
        }
    };
    let name = ServerName::try_from(format!("{label}.host.{DOMAIN}"));
    Ok(name.expect("a checked label makes a DNS name"))
}

/// The names in the certificate of a host.
pub(super) fn host_names(name: &str, addresses: &[String]) -> Result<Vec<String>, TlsError> {
    check_name(name)?;
    let mut names = vec![format!("{ANY}.host.{DOMAIN}"), format!("{name}.host.{DOMAIN}")];
    for address in addresses {
        check_address(address)?;
        if !names.contains(address) {
            names.push(address.clone());
        }
    }
    Ok(names)
}

/// The names in the certificate of a client.
pub(super) fn client_names(name: &str, rights: Rights) -> Result<Vec<String>, TlsError> {
    check_name(name)?;
    let mut names = vec![format!("{name}.client.{DOMAIN}")];
    let rights = [("read", rights.read), ("write", rights.write), ("admin", rights.admin)];
    names.extend(rights.iter().filter(|(_, has)| *has).map(|(right, _)| format!("{right}.right.{DOMAIN}")));
    Ok(names)
}

/// An address in a certificate is for people; it must not say anything under our own domain.
fn check_address(address: &str) -> Result<(), TlsError> {
    let refused = || TlsError::Address { address: address.to_owned() };
    if address.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    let lower = address.to_ascii_lowercase();
    if lower.trim_end_matches('.').ends_with(DOMAIN) || lower.contains('*') {
        return Err(refused());
    }
    match ServerName::try_from(address) {
        Ok(ServerName::DnsName(_)) => Ok(()),
        _ => Err(refused()),
    }
}

/// Who the holder of a certificate is. The caller has verified the chain; this only reads.
///
/// # Errors
///
/// In words, why the certificate names no single host or client.
pub(crate) fn read_identity(certificate: &CertificateDer<'_>) -> Result<PeerIdentity, String> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let alternative = parsed
        .subject_alternative_name()
        .map_err(|error| format!("the certificate's names cannot be read: {error}"))?
        .ok_or("the certificate has no names")?;

    let mut holder: Option<(Role, &str)> = None;
    let mut rights = Rights::NONE;
    for name in &alternative.value.general_names {
        let GeneralName::DNSName(name) = name else { continue };
        let Some((label, kind)) = ours(name) else { continue };
        let role = match kind {
            "host" if label == ANY => continue,
            "host" => Role::Host,
            "client" => Role::Client,
            "right" => {
                grant(&mut rights, label)?;
                continue;
            }
            _ => return Err(format!("the certificate has the name `{name}`, of no known kind")),
        };
        check_name(label).map_err(|error| error.to_string())?;
        if holder.replace((role, label)).is_some() {
            return Err("the certificate names more than one holder".into());
        }
    }
    match holder {
        Some((Role::Host, name)) => Ok(PeerIdentity::host(name)),
        Some((Role::Client, name)) => Ok(PeerIdentity::client(name, rights)),
        None => Err("the certificate names neither a host nor a client".into()),
    }
}

/// The label and the kind of a name under our domain: `h1` and `host` of `h1.host.colony.internal`.
fn ours(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(DOMAIN)?.strip_suffix('.')?.split_once('.')
}

fn grant(rights: &mut Rights, right: &str) -> Result<(), String> {
    match right {
        "read" => rights.read = true,
        "write" => rights.write = true,
        "admin" => rights.admin = true,
        _ => return Err(format!("the certificate grants the unknown right `{right}`")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_host_cannot_pose_as_a_name_of_ours() {
        for bad in ["shop.client.colony.internal", "COLONY.internal", "h2.host.colony.internal.", "*.a", "", "a b"] {
            assert!(host_names("h1", &[bad.to_owned()]).is_err(), "{bad}");
        }
        for good in ["127.0.0.1", "::1", "h1.example", "localhost"] {
            assert!(host_names("h1", &[good.to_owned()]).is_ok(), "{good}");
        }
    }
}
