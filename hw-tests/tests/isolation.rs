//! What each process may do, as the kernel says it, and what of the box can be reached and written.
//!
//! Every difference is collected before the test fails: one boot tells all of them.

use std::collections::{BTreeMap, BTreeSet};

use lucid_hw_tests::machine::Run;
use lucid_hw_tests::probe::Probe;
use lucid_layout::{cmdline, paths, users};

use crate::bench::main_pid;
use crate::scan::open_ports;

/// What the LAN may reach: docs/ports.md.
pub(crate) const LAN_PORTS: [u16; 5] = [80, 443, 8084, 8089, 8120];

/// What listens on the loopback only: docs/ports.md, "loopback".
const LOOPBACK_PORTS: [u16; 5] = [8083, 8085, 8086, 8101, 8104];

/// Capabilities of the agent by their numbers in linux/capability.h: CHOWN, DAC_OVERRIDE, FOWNER, SYS_RAWIO, SYS_ADMIN,
/// SYS_BOOT.
const AGENT_CAPABILITIES: u64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 17 | 1 << 21 | 1 << 22;

/// A process of ours, as it should be.
pub(crate) struct Expected {
    pub(crate) unit: &'static str,
    pub(crate) uid: u32,
    pub(crate) capabilities: u64,
    /// Namespaces of its own; it shares the others with process 1.
    pub(crate) own: &'static [&'static str],
}

const PROCESSES: [Expected; 3] = [
    Expected {
        unit: "lucid-supervisor.service",
        uid: users::LUCID,
        capabilities: 0,
        own: &["ipc", "mnt", "user", "uts"],
    },
    Expected {
        unit: "lucid-payments.service",
        uid: users::PAYMENTS,
        capabilities: 0,
        own: &["ipc", "mnt", "net", "user", "uts", "cgroup"],
    },
    Expected { unit: "lucid-agent.service", uid: 0, capabilities: AGENT_CAPABILITIES, own: &[] },
];

/// Everything that runs besides the kernel's threads; names as the kernel cuts them (15 characters).
const PROGRAMS: [&str; 9] = [
    "systemd",
    "systemd-journal",
    "systemd-network",
    "systemd-resolve",
    "systemd-timesyn",
    "systemd-udevd",
    "(udev-worker)",
    "lucid",
    "lucid-probe",
];

/// Programs that interpret commands or let somebody in.
const FORBIDDEN: [&str; 22] = [
    "agetty",
    "ash",
    "awk",
    "bash",
    "busybox",
    "chroot",
    "dash",
    "dbus-daemon",
    "env",
    "getty",
    "login",
    "nc",
    "perl",
    "python3",
    "sh",
    "ssh",
    "sshd",
    "su",
    "sudo",
    "sulogin",
    "telnetd",
    "zsh",
];

/// What may be written, by mount point, with its kind: DESIGN of the disk, and the memory's file systems. `/mnt/myssd`
/// is the SSD.
const WRITABLE: [(&str, &str); 10] = [
    ("/dev", "devtmpfs"),
    ("/dev/shm", "tmpfs"),
    ("/etc/machine-id", "ext4"),
    ("/mnt/myssd", "ext4"),
    ("/run", "tmpfs"),
    ("/state", "ext4"),
    ("/tmp", "tmpfs"),
    ("/var", "tmpfs"),
    ("/var/lib/systemd", "ext4"),
    ("/var/log/journal", "ext4"),
];

/// File systems that show the kernel and hold no files.
const KERNEL: [&str; 15] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// Fails with everything that is not as it should be.
pub(crate) fn assert_isolated(run: &mut Run, probe: &mut Probe) {
    let mut wrong = Vec::new();
    for expected in &PROCESSES {
        wrong.extend(process(probe, expected));
    }
    wrong.extend(payments(probe));
    wrong.extend(root(probe));
    wrong.extend(mounts(probe));
    wrong.extend(programs(probe));
    wrong.extend(ports(run, probe));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A difference, if there is one.
fn differs<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Option<String> {
    (found != expected).then(|| format!("{what}: {found:?}, and not {expected:?}"))
}

/// What is not as expected.
pub(crate) fn process(probe: &mut Probe, expected: &Expected) -> Vec<String> {
    let pid = main_pid(probe, expected.unit);
    if pid == 0 {
        return vec![format!("{} does not run", expected.unit)];
    }
    let mut wrong = Vec::new();
    let capabilities = format!("{:016x}", expected.capabilities);
    let ids = vec![expected.uid.to_string(); 4].join("\t");
    let fields = [
        ("Uid", ids.as_str()),
        ("Gid", ids.as_str()),
        ("CapEff", &capabilities),
        ("CapPrm", &capabilities),
        ("CapBnd", &capabilities),
        ("CapAmb", "0000000000000000"),
        ("NoNewPrivs", "1"),
        // A filter.
        ("Seccomp", "2"),
    ];
    for (field, value) in fields {
        let found = probe.status(pid, field).unwrap().unwrap_or_default();
        wrong.extend(differs(&format!("{} {field}", expected.unit), found.as_str(), value));
    }
    let own: BTreeSet<&str> = own_namespaces(probe, pid);
    wrong.extend(differs(&format!("{} namespaces", expected.unit), own, expected.own.iter().copied().collect()));
    wrong
}

fn own_namespaces(probe: &mut Probe, pid: i32) -> BTreeSet<&'static str> {
    let mut differ = |kind: &&str| {
        probe.link(&format!("/proc/{pid}/ns/{kind}")).unwrap() != probe.link(&format!("/proc/1/ns/{kind}")).unwrap()
    };
    ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"].into_iter().filter(|kind| differ(kind)).collect()
}

/// No network but its own loopback, no route; nobody but the supervisor reaches it.
fn payments(probe: &mut Probe) -> Vec<String> {
    let pid = main_pid(probe, "lucid-payments.service");
    let mut wrong = Vec::new();
    let devices = probe.text(&format!("/proc/{pid}/net/dev")).unwrap();
    let devices: Vec<_> = devices.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
    wrong.extend(differs("payments' network devices", devices, vec!["lo"]));
    let routes = probe.text(&format!("/proc/{pid}/net/route")).unwrap();
    wrong.extend(differs("payments' routes", routes.lines().skip(1).count(), 0));
    let routes = probe.text(&format!("/proc/{pid}/net/ipv6_route")).unwrap();
    let beyond = routes.lines().filter(|line| !line.trim_end().ends_with(" lo")).count();
    wrong.extend(differs("payments' routes (IPv6)", beyond, 0));
    for (socket, user, may) in [
        (paths::PAYMENTS_SOCKET, users::LUCID, true),
        (paths::PAYMENTS_SOCKET, users::PAYMENTS, false),
        (paths::PAYMENTS_SOCKET, 1000, false),
        (paths::AGENT_SOCKET, users::LUCID, true),
        (paths::AGENT_SOCKET, users::PAYMENTS, false),
        (paths::AGENT_SOCKET, 1000, false),
    ] {
        wrong.extend(differs(&format!("{user} connects to {socket}"), probe.connects(user, socket).unwrap(), may));
    }
    wrong
}

/// The root is the verity device that the command line makes, and it is read-only.
fn root(probe: &mut Probe) -> Vec<String> {
    let mut wrong = Vec::new();
    let line = probe.text("/proc/cmdline").unwrap();
    wrong.extend(cmdline::parse(line.trim()).err().map(|error| format!("{line}: {error}")));
    let found = mounted(probe, 1).remove("/").expect("a root");
    wrong.extend(differs("the root's kind", found.kind.as_str(), "erofs"));
    wrong.extend(differs("the root is writable", found.writable, false));
    let number = probe.text("/sys/block/dm-0/dev").unwrap();
    wrong.extend(differs("the root's device", found.device.as_str(), number.trim()));
    wrong.extend(differs("dm-0's name", probe.text("/sys/block/dm-0/dm/name").unwrap().trim(), "lucid-root"));
    wrong.extend(differs("dm-0 is read-only", probe.text("/sys/block/dm-0/ro").unwrap().trim(), "1"));
    wrong.extend(probe.save("/usr/bin/planted", "x").is_ok().then(|| "a file can be made in /usr/bin".to_owned()));
    wrong
}

struct Mounted {
    kind: String,
    device: String,
    writable: bool,
}

/// What is mounted in a process's view, by mount point; of several on one point the last, which hides the others.
fn mounted(probe: &mut Probe, pid: i32) -> BTreeMap<String, Mounted> {
    let text = probe.text(&format!("/proc/{pid}/mountinfo")).unwrap();
    let read = |line: &str| {
        let (mount, system) = line.split_once(" - ").expect("a separator");
        let (mount, system): (Vec<_>, Vec<_>) = (mount.split(' ').collect(), system.split(' ').collect());
        let writes = |options: &str| options.split(',').any(|option| option == "rw");
        let writable = writes(mount[5]) && writes(system[2]);
        (mount[4].to_owned(), Mounted { kind: system[0].to_owned(), device: mount[2].to_owned(), writable })
    };
    text.lines().map(read).collect()
}

fn mounts(probe: &mut Probe) -> Vec<String> {
    let writable = mounted(probe, 1).into_iter();
    let writable = writable.filter(|(_, mounted)| mounted.writable && !KERNEL.contains(&mounted.kind.as_str()));
    let found: BTreeSet<_> = writable.map(|(path, mounted)| (path, mounted.kind)).collect();
    let expected: BTreeSet<_> = WRITABLE.iter().map(|(path, kind)| ((*path).to_owned(), (*kind).to_owned())).collect();
    differs("writable in process 1's view", found, expected).into_iter().collect()
}

/// Nothing runs that should not, and no program is there that lets somebody in.
fn programs(probe: &mut Probe) -> Vec<String> {
    let mut wrong = Vec::new();
    for pid in probe.list("/proc").unwrap().iter().filter_map(|name| name.parse::<u32>().ok()) {
        // A kernel thread has no program; a process may have ended since.
        let (Ok(program), Ok(name)) =
            (probe.link(&format!("/proc/{pid}/exe")), probe.text(&format!("/proc/{pid}/comm")))
        else {
            continue;
        };
        if !PROGRAMS.contains(&name.trim()) {
            wrong.push(format!("{program} runs as {}", name.trim()));
        }
    }
    for folder in ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/lib/systemd", "/usr/local/bin"] {
        let Ok(names) = probe.list(folder) else { continue };
        wrong.extend(
            names.iter().filter(|name| FORBIDDEN.contains(&name.as_str())).map(|name| format!("{folder}/{name}")),
        );
    }
    wrong
}

/// Which ports somebody listens on, and on which addresses; then the same seen from outside.
fn ports(run: &mut Run, probe: &mut Probe) -> Vec<String> {
    let mut wrong = Vec::new();
    let listening = listening(probe);
    let everywhere: BTreeSet<u16> = listening.iter().filter(|(_, local)| !local).map(|(port, _)| *port).collect();
    let local: BTreeSet<u16> = listening.iter().filter(|(_, local)| *local).map(|(port, _)| *port).collect();
    wrong.extend(differs("ports listened on for all addresses", &everywhere, &LAN_PORTS.into()));
    // The resolver of systemd.
    let expected = LOOPBACK_PORTS.into_iter().chain([53]).collect();
    wrong.extend(differs("ports listened on for the loopback", &local, &expected));
    let tried: BTreeSet<u16> = probed_ports().into_iter().chain(everywhere).chain(local).collect();
    wrong.extend(differs("ports open from outside", open_ports(run, &tried, 443), LAN_PORTS.into()));
    wrong
}

/// The ports that are tried from outside, where it is the filter that is looked at: around our ports, and where others
/// listen.
pub(crate) fn probed_ports() -> BTreeSet<u16> {
    let others = [111, 139, 143, 389, 445, 631, 853, 993, 2375, 3389, 5353, 5355, 6379, 9090, 9200, 27017];
    (1..=110).chain(others).chain(8080..=8130).chain(LAN_PORTS).chain(LOOPBACK_PORTS).collect()
}

/// TCP ports in the state LISTEN, and whether for the loopback only.
pub(crate) fn listening(probe: &mut Probe) -> BTreeSet<(u16, bool)> {
    let mut found = BTreeSet::new();
    for table in ["/proc/1/net/tcp", "/proc/1/net/tcp6"] {
        let text = probe.text(table).unwrap();
        for fields in text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
            let (address, port) = fields[1].split_once(':').expect("ADDRESS:PORT");
            // 127.0.0.0/8 and ::1, in the byte order of a little-endian machine.
            let local = if address.len() == 8 { address.ends_with("7F") } else { address.ends_with("01000000") };
            // TCP_LISTEN (linux/tcp_states.h).
            if fields[3] == "0A" {
                found.insert((u16::from_str_radix(port, 16).expect("hexadecimal"), local));
            }
        }
    }
    found
}
