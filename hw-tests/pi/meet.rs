//! Looks at a real Pi: which board it is, and whether it gets ready.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use lucid_hw_tests::health;
use lucid_hw_tests::real::RealPi;

use crate::terminal::{say, step};

/// The longest that a person may take to switch the board on.
const SWITCH_ON_MAX: Duration = Duration::from_secs(300);

/// The longest that it may take to get ready, a first boot and a check of its disks included.
const READY_MAX: Duration = Duration::from_secs(300);

/// How often it is asked.
const LOOK: Duration = Duration::from_secs(1);

/// Which board.
#[derive(Args)]
pub(crate) struct Meet {
    /// Its name or address in the network
    #[arg(long)]
    target: String,
    /// The serial line that its console is on, such as /dev/ttyUSB0
    #[arg(long)]
    serial: PathBuf,
    /// Its serial number in hexadecimal: any other board is left alone
    #[arg(long, value_parser = hexadecimal)]
    board: u64,
    /// Where the console's log goes
    #[arg(long, default_value = "real-console.log")]
    log: PathBuf,
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|error| error.to_string())
}

impl Meet {
    /// Recognises the board, shows its console, and waits until it is ready.
    pub(crate) fn meet(self) -> Result<(), Box<dyn Error>> {
        say("switch the board on now");
        let pi = RealPi::meet(&self.serial, self.board, &self.log, SWITCH_ON_MAX)?;
        let began = Instant::now();
        step(began.elapsed(), &format!("this is board {:x}", self.board));
        let mut shown = 0;
        while began.elapsed() < READY_MAX {
            if health::is_ready((self.target.as_str(), 443)) {
                step(began.elapsed(), &format!("ready: https://{}/", self.target));
                return Ok(());
            }
            let lines = pi.console().next(shown, LOOK);
            shown += lines.len();
            lines.iter().for_each(|line| step(began.elapsed(), line));
        }
        Err(format!("{} is not ready after {} s; see {}", self.target, READY_MAX.as_secs(), self.log.display()).into())
    }
}
