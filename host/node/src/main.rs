//! The program `colony`.

use std::process::ExitCode;

fn main() -> ExitCode {
    colony_node::cli::main()
}
