//! `lucid-image`: the command line of the image builder. Progress and errors go to standard error, results to standard
//! output.

mod cli;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use lucid_error::causes;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(text) => write(&mut io::stdout(), &text),
        Err(error) => {
            let said = format!("lucid-image: {error}\n");
            let text = causes(&error).fold(said, |text, cause| format!("{text}  because: {cause}\n"));
            write(&mut io::stderr(), &text);
            ExitCode::FAILURE
        }
    }
}

/// Writes a text. Whoever closed the other end does not want it.
fn write(to: &mut impl io::Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
