//! `lucid-probe`: runs in the guest, from the bench's own disk, and answers on a serial port. Never part of an image.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use lucid_hw_tests::probe::{PORT, serve, speak};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => serve::port(PORT).and_then(|port| serve::serve(&port)),
        ["connect", path] => serve::connect(path),
        ["speak"] => speak::listener(),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "usage: lucid-probe [connect SOCKET | speak]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if even this fails.
            let _ = writeln!(io::stderr(), "lucid-probe: {error}");
            ExitCode::FAILURE
        }
    }
}
