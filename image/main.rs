//! `lucid-image`: the command line of the image builder. Progress and errors go to standard error, results to standard
//! output.

mod cli;

use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(text) => write(&mut io::stdout(), &text),
        Err(error) => {
            let mut text = format!("lucid-image: {error}\n");
            let mut source = error.source();
            while let Some(cause) = source {
                text += &format!("  because: {cause}\n");
                source = cause.source();
            }
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
