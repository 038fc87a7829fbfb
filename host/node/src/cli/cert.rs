//! `colony cert`: the certificates of a cluster.

use std::path::Path;

use colony_link::Rights;
use colony_link::tls::{Authority, Issued, Validity};
use serde_json::json;

use super::args::{CertCommand, Right};
use super::failure::Failure;
use super::output::Output;

pub(super) fn run(command: CertCommand, output: Output) -> Result<(), Failure> {
    let issued = match command {
        CertCommand::Ca { dir } => {
            let authority = Authority::create(&dir).map_err(Failure::Issue)?;
            Issued { cert: authority.dir().join("ca.pem"), key: authority.dir().join("ca.key") }
        }
        CertCommand::Host { dir, name, address, days } => {
            open(&dir)?.issue_host(&name, &address, Validity::days(days)).map_err(Failure::Issue)?
        }
        CertCommand::Client { dir, name, rights, days } => {
            open(&dir)?.issue_client(&name, granted(&rights), Validity::days(days)).map_err(Failure::Issue)?
        }
    };
    output.answer(
        || json!({ "cert": issued.cert, "key": issued.key }),
        || format!("wrote {} and {}\n", issued.cert.display(), issued.key.display()),
    )
}

fn open(dir: &Path) -> Result<Authority, Failure> {
    Authority::open(dir).map_err(Failure::Issue)
}

fn granted(rights: &[Right]) -> Rights {
    Rights {
        read: rights.contains(&Right::Read),
        write: rights.contains(&Right::Write),
        admin: rights.contains(&Right::Admin),
    }
}
