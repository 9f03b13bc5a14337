//! `lucid update`: sends bundles, gives orders, and stays until it is known what became of them.
//!
//! Exit status: 0 it is done, and what was installed is kept; 1 refused, failed, or taken back; 2 a wrong command line;
//! 3 nobody can say here what became of it.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use lucid_client::{
    Client, Console, Patience, Secret,
    update::{
        Ending, FollowLimits, Order, UpdateError, UpdateStatus, When, carried_on, eeprom_text, follow, needs_sign_in,
        push, sign_in_again, update_order, update_status, update_text,
    },
};

use super::{
    remote,
    terminal::{Terminal, is_interactive, print, read_line, read_secret},
};
use crate::{cli, failure::Failure};

/// What became of it is not known.
const NOT_KNOWN: u8 = 3;
/// A log-in that is refused as too old so soon after it was made will be refused again.
const SIGN_IN_PAUSE: Duration = Duration::from_secs(30);

/// Runs `lucid update`.
pub(super) async fn run(command: cli::Update) -> Result<ExitCode, Failure> {
    match command {
        cli::Update::Status(remote) => {
            print(&update_text(&update_status(&remote::client(&remote)?).await?))?;
            Ok(ExitCode::SUCCESS)
        }
        cli::Update::Push(args) => push_file(&args).await,
        cli::Update::Pull(args) => order(&args.signed, &Order::Pull { url: args.url.clone() }).await,
        cli::Update::Check(signed) => order(&signed, &Order::Check).await,
        cli::Update::Discard(signed) => order(&signed, &Order::Discard).await,
        cli::Update::Install(args) => restart(&args.signed, &Order::Install(when(args.when)), args.no_wait).await,
        cli::Update::Rollback(args) => restart(&args.signed, &Order::Rollback, args.no_wait).await,
        cli::Update::Selftest(args) => restart(&args.signed, &Order::Selftest, args.no_wait).await,
        cli::Update::Eeprom(args) => eeprom(&args).await,
    }
}

const fn when(when: cli::When) -> When {
    match when {
        cli::When::Now => When::Now,
        cli::When::Quiet => When::Quiet,
        cli::When::Window => When::Window,
    }
}

async fn push_file(args: &cli::Push) -> Result<ExitCode, Failure> {
    let mut session = Session::open(&args.signed)?;
    let written = session.push(args).await?;
    if args.no_install {
        Terminal.line("written and read back; install it with `lucid update install`");
        return Ok(ExitCode::SUCCESS);
    }
    session.restart(&Order::Install(when(args.when)), &written, args.no_wait).await
}

/// An order after which nothing restarts: tells how updates are then.
async fn order(args: &cli::Signed, order: &Order) -> Result<ExitCode, Failure> {
    let status = Session::open(args)?.order(order).await?;
    print(&update_text(&status))?;
    Ok(ExitCode::SUCCESS)
}

/// An order that ends in a restart.
async fn restart(args: &cli::Signed, order: &Order, no_wait: bool) -> Result<ExitCode, Failure> {
    let mut session = Session::open(args)?;
    let before = update_status(&session.client).await?;
    session.restart(order, &before, no_wait).await
}

/// Shows the EEPROM, or orders it by the day that somebody typed to consent.
async fn eeprom(args: &cli::Eeprom) -> Result<ExitCode, Failure> {
    let mut session = Session::open(&args.signed)?;
    let before = update_status(&session.client).await?;
    let Some(day) = &args.install else {
        print(&eeprom_text(&before))?;
        return Ok(ExitCode::SUCCESS);
    };
    let order = consented(&before, day)?;
    session.restart(&order, &before, args.no_wait).await
}

/// The order for the carried release, if it is the one of that day.
fn consented(status: &UpdateStatus, day: &str) -> Result<Order, Failure> {
    let release = carried_on(status, day).ok_or_else(|| {
        let hint = "run `lucid update eeprom`, which shows what it carries and what happens";
        Failure::Usage(format!("the appliance carries no EEPROM of `{day}`, so nothing was done: {hint}"))
    })?;
    Ok(Order::InstallEeprom { build_s: release.build_s })
}

/// A log-in, made anew where the appliance asks for one that is only minutes old.
struct Session<'a> {
    args: &'a cli::Signed,
    client: Client,
    /// Read once from standard input.
    given: Option<Secret>,
    signed_in: Option<Instant>,
}

impl<'a> Session<'a> {
    fn open(args: &'a cli::Signed) -> Result<Self, Failure> {
        let client = remote::client(&args.remote)?;
        let read = |source| Failure::Io { attempted: "read the password".to_owned(), source };
        let given = args.password_stdin.then(read_line).transpose().map_err(read)?.map(Secret::from);
        Ok(Self { args, client, given, signed_in: None })
    }

    async fn push(&mut self, args: &cli::Push) -> Result<UpdateStatus, Failure> {
        loop {
            match push(&self.client, &Terminal, &args.file, &Patience::default()).await {
                Err(error) if error.needs_sign_in() => self.sign_in(error.into()).await?,
                outcome => return outcome.map_err(Failure::from),
            }
        }
    }

    async fn order(&mut self, order: &Order) -> Result<UpdateStatus, Failure> {
        loop {
            match update_order(&self.client, order).await {
                Err(error) if needs_sign_in(&error) => self.sign_in(UpdateError::from(error).into()).await?,
                outcome => return outcome.map_err(Failure::from),
            }
        }
    }

    async fn restart(&mut self, order: &Order, before: &UpdateStatus, no_wait: bool) -> Result<ExitCode, Failure> {
        let taken = self.order(order).await?;
        if no_wait {
            print(&update_text(&taken))?;
            return Ok(ExitCode::SUCCESS);
        }
        tell(&follow(&self.client, &Terminal, before, &FollowLimits::default()).await?)
    }

    /// Proves who gives the order, and opens the log-in that this makes.
    async fn sign_in(&mut self, refused: Failure) -> Result<(), Failure> {
        if self.signed_in.is_some_and(|at| at.elapsed() < SIGN_IN_PAUSE) {
            return Err(refused);
        }
        let password = match &self.given {
            Some(given) => given.clone(),
            None if !is_interactive() => {
                let hint = "give the password on standard input with --password-stdin";
                return Err(Failure::Usage(format!(
                    "the appliance asks for the password again, and nobody is here: {hint}"
                )));
            }
            None => read_secret("Your password, once more")
                .map_err(|source| Failure::Io { attempted: "read the password".to_owned(), source })?,
        };
        sign_in_again(&remote::store()?, &remote::server(&self.args.remote)?, password).await?;
        self.client = remote::client(&self.args.remote)?;
        self.signed_in = Some(Instant::now());
        Ok(())
    }
}

/// Says what became of it. Only what is kept is a success.
fn tell(ending: &Ending) -> Result<ExitCode, Failure> {
    let (text, code) = told(ending);
    print(&format!("{text}\n"))?;
    Ok(code)
}

fn told(ending: &Ending) -> (String, ExitCode) {
    match ending {
        Ending::Kept { version } => (format!("{version} runs, and is kept"), ExitCode::SUCCESS),
        Ending::Returned { version } => (format!("{version} runs again"), ExitCode::SUCCESS),
        Ending::Selftest { passed: true, text } => (format!("the self-test passed: {text}"), ExitCode::SUCCESS),
        Ending::Selftest { passed: false, text } => (format!("the self-test failed: {text}"), ExitCode::FAILURE),
        Ending::Eeprom { done: true, text } => (format!("the EEPROM is installed: {text}"), ExitCode::SUCCESS),
        Ending::Eeprom { done: false, text } => (format!("the EEPROM is NOT installed: {text}"), ExitCode::FAILURE),
        Ending::RolledBack { version, why, log } => {
            let lines: String = log.iter().map(|line| format!("\n  {line}")).collect();
            let text = format!("NOT updated: {version} was tried and taken back: {why}{lines}");
            (text, ExitCode::FAILURE)
        }
        Ending::Discarded { version, why } => {
            (format!("NOT updated: {version} was given up before it was tried: {why}"), ExitCode::FAILURE)
        }
        Ending::Unknown { why } => (format!("not known what became of it: {why}"), ExitCode::from(NOT_KNOWN)),
    }
}

#[cfg(test)]
mod tests;
