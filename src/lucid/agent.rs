//! `lucid agent`: the privileged process, from its command line to its log.
//!
//! Must never read the settings: a file that the supervisor may write must not steer what root does.

use std::process::ExitCode;

use lucid_agent::{Config, Managed};
use lucid_observe::LevelFilter;

use crate::{cli, failure::Failure, run::observe};

/// Runs it; it ends only by a failure.
pub(crate) fn run(args: &cli::Agent) -> Result<ExitCode, Failure> {
    let _observe = observe(LevelFilter::INFO)?;
    Err(Failure::other("run the agent", lucid_agent::run(config(args))))
}

/// As on the appliance, but for what the command line says.
fn config(args: &cli::Agent) -> Config {
    let mut config = Config::appliance();
    if let Some(socket) = &args.socket {
        config.socket.clone_from(socket);
    }
    if let Some(user) = args.user {
        config.user = user;
    }
    if let Some(state) = &args.state_dir {
        config = config.with_state(state);
    }
    if let Some(mount_point) = &args.mount_point {
        config.mount_point.clone_from(mount_point);
    }
    if !args.only_disk.is_empty() {
        config.managed = Managed::Only(args.only_disk.clone());
    }
    config
}
