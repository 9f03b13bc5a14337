//! One recording through the services, in a process of its own.

use std::{fs, path::Path, process::Command, time::Instant};

use lucid_ports::{AccountId, Identity, Recordings, Role};
use lucid_sessions::{RecordingsPort, upload_whole};

use crate::{
    Arguments, Outcome, cpu_s,
    input::{self, Kind},
    services::Services,
};

/// Tells a process that it is to record, and how many bytes.
pub(crate) const ARGUMENT: &str = "--record";

/// One recording.
pub(crate) struct Recorded {
    /// MB of plaintext per second on the wall.
    pub(crate) rate: f64,
    /// MB of plaintext per second of processor time.
    pub(crate) cpu_rate: f64,
    /// Peak of resident memory, the input included.
    pub(crate) peak_mib: u64,
}

/// Records `bytes` in a process that this one starts.
pub(crate) fn record(directory: &Path, kind: Kind, bytes: usize) -> Outcome<Recorded> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--dir").arg(directory).args(["--only", kind.name(), ARGUMENT, &bytes.to_string()]);
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("recording failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let answer = String::from_utf8(output.stdout)?;
    let mut numbers = answer.split_whitespace();
    let mut next = || numbers.next().ok_or("the recording's process said too little");
    Ok(Recorded { rate: next()?.parse()?, cpu_rate: next()?.parse()?, peak_mib: next()?.parse()? })
}

/// Records `bytes` in this process, and prints what [`record`] reads.
pub(crate) fn record_here(arguments: &Arguments, bytes: usize) -> Outcome<()> {
    let kind = arguments.only.ok_or("a recording needs --only")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let recorded = runtime.block_on(recorded(&arguments.directory, kind, bytes))?;
    println!("{} {} {}", recorded.rate, recorded.cpu_rate, recorded.peak_mib);
    Ok(())
}

async fn recorded(directory: &Path, kind: Kind, bytes: usize) -> Outcome<Recorded> {
    let (input, place) = (kind.input(), tempfile::tempdir_in(directory)?);
    let services = Services::start(place.path()).await?;
    let (begun, cpu) = (Instant::now(), cpu_s()?);
    let (account, token_id) = (AccountId::generate(), uuid::Uuid::nil());
    let caller = Identity { account, user: "bench".to_owned(), role: Role::Admin, token_id, auth_age_s: 0 };
    let body = input::body(&input, bytes);
    let id = upload_whole(services.api.clone(), caller.clone(), String::new(), body).await?;
    let (elapsed, cpu, peak_mib) = (begun.elapsed().as_secs_f64(), cpu_s()? - cpu, peak_mib()?);
    let durable = RecordingsPort(services.api.clone()).get(&caller, id).await?.durable_bytes;
    services.stop().await;
    if durable != bytes as u64 {
        return Err(format!("{durable} bytes are durable, and {bytes} were sent").into());
    }
    let megabytes = bytes as f64 / 1e6;
    Ok(Recorded { rate: megabytes / elapsed, cpu_rate: megabytes / cpu, peak_mib })
}

/// Peak of resident memory in MiB.
fn peak_mib() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? / 1024)
}
