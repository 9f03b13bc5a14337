//! `lucid`: the appliance's one binary.
//!
//! Reads the command line and hands over: to [`run`] for the appliance itself, to [`command`] for everything else.

/// musl's own has one lock for all, and maps each buffer of a recording anew.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod activation;
mod agent;
mod backup;
mod certificate;
mod cli;
mod command;
mod config;
mod failure;
mod front;
mod payments;
mod ready;
mod rescue;
mod run;
mod table;
mod wire;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use command::{offline, remote, terminal};
use failure::Failure;

fn main() -> ExitCode {
    // As process 1 there is no command line of ours to parse, and no runtime that its systemd should inherit.
    let arguments: Vec<_> = std::env::args_os().collect();
    if lucid_init::is_called(&arguments) {
        let failure = Failure::other("start the appliance's system", lucid_init::main(&arguments));
        lucid_client::Console::line(&terminal::Terminal, &failure.render());
        return ExitCode::FAILURE;
    }
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
        Command::Run(args) if args.plane == cli::Plane::Payments => payments::run(),
        Command::Run(args) => run::run(&args),
        Command::Dev(args) => run::dev(&args),
        Command::Agent(args) => agent::run(&args),
        Command::Rescue(args) => rescue::run(&args),
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
