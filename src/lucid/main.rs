//! `lucid`: the appliance's one binary.
//!
//! Reads the command line and hands over: to [`run`] for the appliance itself, to [`command`] for everything else.

mod backup;
mod certificate;
mod cli;
mod command;
mod config;
mod failure;
mod front;
mod run;
mod table;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use command::{offline, remote, terminal};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The only provider there is; a second installation is the only way to fail, and this is the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            lucid_client::Console::line(&terminal::Terminal, &failure.render());
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Dev(args) => run::dev(&args),
        Command::Services => {
            terminal::print(&table::render())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(config) => offline::config(&config),
        Command::Verify(args) => offline::verify_export(&args),
        Command::Recover(args) => offline::recover(&args),
        Command::Restore(args) if args.backup.is_some() => backup::restore(&args),
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime =
                runtime.map_err(|source| Failure::Io { attempted: "start the runtime".to_owned(), source })?;
            runtime.block_on(remote::run(command))
        }
    }
}
