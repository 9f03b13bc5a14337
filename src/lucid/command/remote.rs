//! Commands that talk to an appliance, this machine's or another one.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use lucid_client::{
    Client, ClientError, Console, CredentialStore, Fingerprint, Output, Patience, RecordOptions, Server, Source,
    credential_folder,
};

use super::{
    evidence,
    terminal::{Terminal, print, read_secret},
    update,
};
use crate::{cli, failure::Failure};

/// How long `record` waits for the anchor: three blocks at the usual pace, and some.
const ANCHOR_WAIT: Duration = Duration::from_secs(60);

/// Runs a command that talks to an appliance.
pub(crate) async fn run(command: cli::Command) -> Result<ExitCode, Failure> {
    match command {
        cli::Command::Login(args) => login(args).await?,
        cli::Command::Logout(args) => lucid_client::logout(&store()?, &server(&args)?).await?,
        cli::Command::Health(args) => return health(&args).await,
        cli::Command::Record(args) => record(args).await?,
        cli::Command::Sessions(args) => {
            let sessions = lucid_client::list(&client(&args.remote)?, args.limit).await?;
            print(&lucid_client::table(&sessions))?;
        }
        cli::Command::Restore(args) => restore(args).await?,
        cli::Command::Export(args) => evidence::export(&client(&args.remote)?, &args).await?,
        cli::Command::Delete(args) => delete(args).await?,
        cli::Command::Key(args) => print(&lucid_client::verifier_key(&client(&args)?).await?)?,
        cli::Command::Checkpoint(args) => {
            return evidence::checkpoint(&client(&args.remote)?, args.extends.as_ref()).await;
        }
        cli::Command::Consistency(args) => return evidence::consistency(&client(&args.remote)?, &args).await,
        cli::Command::Backup(args) => {
            let bytes = lucid_client::backup(&client(&args.remote)?, &Terminal, output(args.file)).await?;
            Terminal.line(&format!("saved {bytes} bytes, encrypted to the recovery key"));
        }
        cli::Command::Update(command) => return update::run(command).await,
        _ => return Err(Failure::Usage("this command does not talk to an appliance".to_owned())),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn store() -> Result<CredentialStore, Failure> {
    let variable = |wanted: &str| -> Option<OsString> {
        crate::config::process_environment().find(|(name, _)| name == wanted).map(|(_, value)| value.into())
    };
    let folder = credential_folder(variable("XDG_CONFIG_HOME").as_deref(), variable("HOME").as_deref());
    let folder =
        folder.ok_or_else(|| Failure::Usage("there is no home directory to keep logins in: set HOME".to_owned()))?;
    Ok(CredentialStore::new(folder))
}

/// The server that was named; else the only one there is a login for.
pub(super) fn server(remote: &cli::Remote) -> Result<Server, Failure> {
    if let Some(text) = &remote.server {
        return text.parse().map_err(|source| Failure::other(format!("use `{text}` as the server"), source));
    }
    let mut known = store()?.servers()?;
    match (known.pop(), known.is_empty()) {
        (Some(server), true) => Ok(server),
        (None, _) => Err(Failure::Usage(
            "no appliance is named: give --server URL, or log in with `lucid login --server URL NAME`".to_owned(),
        )),
        (Some(_), false) => {
            Err(Failure::Usage("you are logged in to several appliances: name one with --server URL".to_owned()))
        }
    }
}

pub(super) fn client(remote: &cli::Remote) -> Result<Client, Failure> {
    Ok(Client::open(store()?, server(remote)?)?)
}

/// Exit status 0 only if every critical service works. Where there is no login, the dashboard's own word must do.
async fn health(args: &cli::Remote) -> Result<ExitCode, Failure> {
    let named = args.server.is_some() || !store()?.servers()?.is_empty();
    let server = if named { server(args)? } else { this_machine()? };
    let healthy = match Client::open(store()?, server.clone()) {
        Ok(client) => {
            let services = lucid_client::services(&client).await?;
            print(&lucid_client::services_table(&services))?;
            services
                .iter()
                .all(|service| !service.critical || matches!(service.health.state.as_str(), "healthy" | "degraded"))
        }
        Err(ClientError::NotLoggedIn { .. }) => {
            let healthy = lucid_client::is_healthy(&server, None).await?;
            print(&format!(
                "{server} is {}; log in to see every service\n",
                if healthy { "healthy" } else { "not healthy" }
            ))?;
            healthy
        }
        Err(error) => return Err(error.into()),
    };
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The dashboard of this machine, by its settings' port. Plain HTTP never leaves the machine.
fn this_machine() -> Result<Server, Failure> {
    let (settings, _) = super::offline::load(None)?;
    let text = format!("http://127.0.0.1:{}", settings.port(&crate::config::keys::ADMIN_INTERFACE_PORT));
    text.parse().map_err(|source| Failure::other(format!("use `{text}` as the server"), source))
}

async fn login(args: cli::Login) -> Result<(), Failure> {
    let (store, server) = (store()?, server(&args.remote)?);
    let expected = args.fingerprint.as_deref().map(str::parse::<Fingerprint>).transpose();
    let expected = expected.map_err(|source| Failure::other("read the fingerprint", source))?;
    let pinned = lucid_client::trust(&store, &server, expected, &Terminal).await?;
    let read =
        || if args.password_stdin { super::terminal::read_line().map(Into::into) } else { read_secret("Password") };
    let password = read().map_err(|source| Failure::Io { attempted: "read the password".to_owned(), source })?;
    let role = lucid_client::login(&store, &server, pinned, &lucid_client::Login { name: args.name.clone(), password })
        .await?;
    Terminal.line(&format!("logged in to {server} as `{}` ({role})", args.name));
    Ok(())
}

async fn record(args: cli::Record) -> Result<(), Failure> {
    let client = client(&args.remote)?;
    let is_stdin = args.source == Path::new("-");
    let file_name = || args.source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let label = args.label.unwrap_or_else(|| if is_stdin { String::new() } else { file_name() });
    let source = if is_stdin {
        Source::stdin().map_err(|source| Failure::Io { attempted: "read standard input".to_owned(), source })?
    } else {
        Source::File(args.source)
    };
    let options = RecordOptions {
        label,
        resume: args.resume,
        anchor_wait: (!args.no_wait).then_some(ANCHOR_WAIT),
        patience: Patience::default(),
    };
    let session = lucid_client::record(&client, &Terminal, source, &options).await?;
    if let Some(height) = session.block_height {
        Terminal.line(&format!("{} bytes, anchored in the block at height {height}", session.durable_bytes));
    }
    print(&format!("{}\n", session.id))?;
    Ok(())
}

async fn restore(args: cli::Restore) -> Result<(), Failure> {
    let Some(id) = args.id else { return Err(Failure::Usage("name the recording to restore".to_owned())) };
    let output = output(args.output.unwrap_or_else(|| format!("{id}.bin").into()));
    let bytes = lucid_client::restore(&client(&args.remote)?, &Terminal, id, output, &Patience::default()).await?;
    Terminal.line(&format!("restored {bytes} bytes"));
    Ok(())
}

/// A file that does not exist yet; `-` is standard output.
fn output(path: PathBuf) -> Output {
    if path == Path::new("-") {
        Output::Stream { name: "standard output".to_owned(), writer: Box::new(tokio::io::stdout()) }
    } else {
        Output::File(path)
    }
}

async fn delete(args: cli::Delete) -> Result<(), Failure> {
    if !args.yes && Terminal.confirm(&format!("Delete recording {} for ever?", args.id)) != Some(true) {
        return Err(Failure::Usage("not deleted: confirm, or give --yes".to_owned()));
    }
    lucid_client::delete(&client(&args.remote)?, args.id).await?;
    Terminal.line("deleted: its key is destroyed");
    Ok(())
}
