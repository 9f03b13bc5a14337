//! `lucid-pi`: boots a disk image on the virtual Pi and shows how far it is.

mod bench;
mod eeprom;
mod meet;
mod run;
mod terminal;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The virtual Pi: a Raspberry Pi 5's boot played on QEMU.
#[derive(Parser)]
#[command(name = "lucid-pi")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot an image, with the dashboard on a port of this machine, until Ctrl-C
    Run(run::Run),
    /// Measure the boot and its memory beside systemd alone, by medians
    Bench(bench::Bench),
    /// Watch a real Pi start: refuses a board that it was not told, and never writes to it
    Meet(meet::Meet),
    /// Write an image of the virtual Pi's EEPROM, for a disk image to carry
    Eeprom(eeprom::Image),
    /// Show what the EEPROM would boot
    Look {
        /// The disk image
        image: PathBuf,
        /// As after `reboot "0 tryboot"`
        #[arg(long)]
        tryboot: bool,
        /// With an EEPROM of 2024, which knows neither PARTITION_WALK nor [boot_partition=N]
        #[arg(long)]
        old_eeprom: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Bench(bench) => bench.bench(),
        Command::Meet(meet) => meet.meet(),
        Command::Eeprom(image) => image.write(),
        Command::Look { image, tryboot, old_eeprom } => run::look(&image, tryboot, old_eeprom),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&*error);
            ExitCode::FAILURE
        }
    }
}
