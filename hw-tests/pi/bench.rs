//! Measures how long the image takes to get ready, beside systemd alone on the same kernel, root and disk; and how much
//! memory it uses then.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use lucid_hw_tests::machine::{Board, Pi, Run};
use lucid_hw_tests::probe::{self, Probe, ProbeError};
use lucid_layout::boot::BootReport;
use lucid_layout::paths;

use crate::terminal::say;

/// What is ours of what systemd starts (units/ENABLED); masked where systemd is measured alone.
const UNITS: [&str; 8] = [
    "lucid-agent.service",
    "lucid-firewall.service",
    "lucid-payments.service",
    "lucid-payments.socket",
    "lucid-ready.target",
    "lucid-supervisor-http.socket",
    "lucid-supervisor.service",
    "lucid-supervisor.socket",
];

/// Our processes, by their units.
const PROCESSES: [&str; 3] = ["lucid-supervisor.service", "lucid-agent.service", "lucid-payments.service"];

/// The longest that a boot may take to get ready, in seconds.
const READY_S_MAX: u64 = 600;

type Failed = Box<dyn Error>;

/// How to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// The disk image; a copy of it is booted
    #[arg(default_value = "target/pi/image/lucid.img")]
    image: PathBuf,
    /// The disk with the probe
    #[arg(long, default_value = "target/pi/probe.img")]
    probe: PathBuf,
    /// How often each kind of boot is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Also show when each unit began and was there, and the kernel's and our stage's own times
    #[arg(long)]
    units: bool,
    /// Folder for the disk and the consoles' logs
    #[arg(long, default_value = "target/pi/bench")]
    folder: PathBuf,
}

/// A kind of boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The appliance on a disk that was just flashed.
    First,
    /// The appliance, after its power was cut.
    Again,
    /// The stage before systemd, and systemd without any unit of ours. There is no less: without the stage nothing can
    /// be written, and systemd's own services fail.
    Masked,
}

impl Kind {
    const ALL: [Self; 3] = [Self::First, Self::Again, Self::Masked];

    fn name(self) -> &'static str {
        match self {
            Self::First => "appliance, first boot",
            Self::Again => "appliance, every other boot",
            Self::Masked => "our stage, then systemd alone",
        }
    }

    /// What is added to the kernel command line.
    fn cmdline(self) -> Vec<String> {
        match self {
            Self::First | Self::Again => Vec::new(),
            Self::Masked => UNITS.iter().map(|unit| format!("systemd.mask={unit}")).collect(),
        }
    }

    /// The unit whose start ends the measurement.
    fn last_unit(self) -> &'static str {
        match self {
            Self::First | Self::Again => "lucid-ready.target",
            Self::Masked => "multi-user.target",
        }
    }
}

/// One boot, in seconds since the kernel's start and in KiB.
struct Figures {
    kind: Kind,
    stage_s: f64,
    systemd_s: f64,
    basic_s: f64,
    ready_s: f64,
    used_kib: f64,
    resident_kib: Vec<f64>,
}

impl Bench {
    /// Boots all kinds in turns, and shows the medians.
    pub(crate) fn bench(self) -> Result<(), Failed> {
        fs::create_dir_all(&self.folder)?;
        let disk = self.folder.join("disk.img");
        let mut all = Vec::new();
        for run in 1..=self.runs {
            let copied = Command::new("cp").arg("--sparse=always").args([&self.image, &disk]).status()?;
            if !copied.success() {
                return Err(format!("cannot copy {}; build it with `make pi-image`", self.image.display()).into());
            }
            for kind in Kind::ALL {
                let load = fs::read_to_string("/proc/loadavg")?;
                let figures = self.measure(kind, &disk)?;
                let (name, ready_s) = (kind.name(), figures.ready_s);
                say(&format!("run {run}, {name}: {ready_s:.2} s; this machine's load before: {}", load.trim()));
                all.push(figures);
            }
        }
        fs::remove_file(disk)?;
        table(&all).iter().for_each(|line| say(line));
        Ok(())
    }

    fn measure(&self, kind: Kind, disk: &Path) -> Result<Figures, Failed> {
        let mut board = Board::new(disk);
        board.probe = Some(self.probe.clone());
        board.cmdline = probe::cmdline();
        board.cmdline.extend(kind.cmdline());
        let mut run = Pi::new(board, &self.folder).power_on()?;
        let mut probe = run.probe()?;
        wait(&run, &mut probe, kind.last_unit())?;
        let figures = Figures::read(kind, &mut probe)?;
        if self.units {
            units(&mut probe)?.iter().for_each(|line| say(line));
        }
        let _ = run.cut_power();
        Ok(figures)
    }
}

/// Waits for a unit, and for everything else that was to be started. The guest's own waiting costs it nothing, unlike
/// questions, which would make the boot longer.
fn wait(run: &Run, probe: &mut Probe, unit: &str) -> Result<(), Failed> {
    loop {
        match probe.run("/usr/bin/systemctl", &["is-system-running", "--wait"]) {
            // It is there, or systemd does not answer yet; or it takes longer than the probe allows.
            Ok(_) | Err(ProbeError::Failed { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if is_over(probe, unit).unwrap_or(false) {
            return Ok(());
        }
        if run.elapsed().as_secs() > READY_S_MAX {
            return Err(format!("{unit} is not there after {READY_S_MAX} s; see {}", run.log().display()).into());
        }
    }
}

/// Whether a unit is active and the boot over; an error while systemd does not answer.
fn is_over(probe: &mut Probe, unit: &str) -> Result<bool, Failed> {
    let is_active = property(probe, Some(unit), "ActiveState")? == "active";
    Ok(is_active && seconds(probe, None, "FinishTimestampMonotonic")? > 0.0)
}

impl Figures {
    fn read(kind: Kind, probe: &mut Probe) -> Result<Self, Failed> {
        let memory = probe.text("/proc/meminfo")?;
        let memory = |name| field_kib(&memory, name);
        let mut resident_kib = Vec::new();
        if matches!(kind, Kind::First | Kind::Again) {
            for unit in PROCESSES {
                let pid = property(probe, Some(unit), "MainPID")?;
                resident_kib.push(field_kib(&probe.text(&format!("/proc/{pid}/status"))?, "VmRSS")?);
            }
        }
        let report: BootReport = serde_json::from_str(&probe.text(paths::BOOT_REPORT)?)?;
        if !report.problems.is_empty() {
            return Err(format!("the boot had problems, so it is no measure: {:?}", report.problems).into());
        }
        Ok(Self {
            kind,
            stage_s: Duration::from_millis(report.stage_ms).as_secs_f64(),
            systemd_s: seconds(probe, None, "UserspaceTimestampMonotonic")?,
            basic_s: seconds(probe, Some("basic.target"), "ActiveEnterTimestampMonotonic")?,
            ready_s: seconds(probe, Some(kind.last_unit()), "ActiveEnterTimestampMonotonic")?,
            used_kib: memory("MemTotal")? - memory("MemAvailable")?,
            resident_kib,
        })
    }
}

/// When each unit began to start and when it was there, in the order of the latter.
fn units(probe: &mut Probe) -> Result<Vec<String>, Failed> {
    let properties = "--property=Id,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic";
    let shown = probe.run("/usr/bin/systemctl", &["show", properties, "*"])?;
    let mut units: Vec<_> = shown.stdout.split("\n\n").filter_map(times).collect();
    units.sort_by(|one, other| one.1.total_cmp(&other.1));
    let line = |(began, there, name): &(f64, f64, String)| {
        format!("{began:8.2} s to {there:8.2} s ({:.2} s)  {name}", there - began)
    };
    Ok(units.iter().map(line).collect())
}

/// A unit's two times and its name, if it was started.
fn times(unit: &str) -> Option<(f64, f64, String)> {
    let field = |name| unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let seconds = |name| Some(field(name)?.parse::<f64>().ok()? / 1e6).filter(|seconds| *seconds > 0.0);
    let (began, there) = (seconds("InactiveExitTimestampMonotonic")?, seconds("ActiveEnterTimestampMonotonic")?);
    Some((began, there, field("Id")?.to_owned()))
}

/// What systemd says of a unit, or of itself.
fn property(probe: &mut Probe, unit: Option<&str>, name: &str) -> Result<String, Failed> {
    let arguments: Vec<_> = ["show", "--value", "--property", name].into_iter().chain(unit).collect();
    let ran = probe.run("/usr/bin/systemctl", &arguments)?;
    if ran.code == Some(0) { Ok(ran.stdout.trim().to_owned()) } else { Err(ran.stderr.into()) }
}

/// A time of systemd's, which counts microseconds since the kernel's start.
fn seconds(probe: &mut Probe, unit: Option<&str>, name: &str) -> Result<f64, Failed> {
    Ok(property(probe, unit, name)?.parse::<f64>()? / 1e6)
}

/// A field of a file such as `/proc/meminfo`: `MemTotal:  1000 kB`.
fn field_kib(text: &str, name: &str) -> Result<f64, Failed> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.trim().strip_suffix("kB")).ok_or(format!("there is no {name}"))?;
    Ok(number.trim().parse()?)
}

/// The medians, as Markdown.
fn table(all: &[Figures]) -> Vec<String> {
    let head = [
        "boot | our stage | systemd starts | basic.target | ready | memory used".to_owned(),
        "---|---|---|---|---|---".to_owned(),
    ];
    let row = |kind: Kind| {
        let of = |read: fn(&Figures) -> f64| median(all.iter().filter(|one| one.kind == kind).map(read).collect());
        let (stage, systemd) = (of(|one| one.stage_s), of(|one| one.systemd_s));
        let (basic, ready) = (of(|one| one.basic_s), of(|one| one.ready_s));
        let used_mib = of(|one| one.used_kib) / 1024.0;
        format!("{} | {stage:.2} s | {systemd:.2} s | {basic:.2} s | {ready:.2} s | {used_mib:.0} MiB", kind.name())
    };
    let resident = PROCESSES.iter().enumerate().map(|(index, unit)| {
        let of_unit = all.iter().filter(|one| one.kind == Kind::Again).map(|one| one.resident_kib[index]);
        format!("{unit}, resident | {:.1} MiB", median(of_unit.collect()) / 1024.0)
    });
    head.into_iter().chain(Kind::ALL.map(row)).chain(resident).map(|line| format!("| {line} |")).collect()
}

/// The middle one, or of an even number the upper of the two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
