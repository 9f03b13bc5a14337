//! The device tree that the guest gets: QEMU's own, plus what a Pi's firmware says about board and boot.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::arguments::frame;
use super::{Board, MachineError};
use crate::eeprom::Boot;

/// Where QEMU's `virt` machine has its memory.
const MEMORY_START: u64 = 0x4000_0000;

/// Memory kept for ramoops at the end, in bytes: four panics of 64 KiB, and what the console said last.
const RAMOOPS_BYTES: u64 = 1024 * 1024;
const RAMOOPS_RECORD_BYTES: u64 = 64 * 1024;
const RAMOOPS_CONSOLE_BYTES: u64 = 256 * 1024;

/// Writes the tree for booting `boot` to `to`.
pub(super) fn write(board: &Board, boot: &Boot, boots: u32, to: &Path) -> Result<(), MachineError> {
    let dump = to.with_extension("qemu.dtb");
    let machine = format!("virt,dumpdtb={}", dump.display());
    run(
        "qemu-system-aarch64",
        Command::new("qemu-system-aarch64").args(["-machine", &machine]).args(frame(board)),
        "",
    )?;
    let source = run("dtc", Command::new("dtc").args(["-q", "-I", "dtb", "-O", "dts"]).arg(&dump), "")?;
    let mut random = [0; 40];
    getrandom::fill(&mut random)
        .map_err(|error| MachineError::Tool { tool: "the random generator", output: error.to_string() })?;
    let source = source + &overlay(board, boot, boots, &random);
    run("dtc", Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(to), &source)?;
    Ok(())
}

/// What is laid over QEMU's tree. The seeds are fresh at each boot: a guest must not make the same keys twice.
pub(super) fn overlay(board: &Board, boot: &Boot, boots: u32, random: &[u8; 40]) -> String {
    let ramoops = MEMORY_START + u64::from(board.memory_mib) * 1024 * 1024 - RAMOOPS_BYTES;
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!(" {byte:02x}"));
    let mut text = format!(
        "\n/ {{\n\tmodel = \"Raspberry Pi 5 Model B (virtual)\";\n\tserial-number = \"{:016x}\";\n\tchosen {{\n\
         \t\trng-seed = [{}];\n\t\tkaslr-seed = [{}];\n\t\tbootloader {{\n",
        board.serial,
        hex(&random[..32]),
        hex(&random[32..]),
    );
    let cells = [
        ("partition", boot.partition),
        ("tryboot", u32::from(boot.tryboot)),
        ("boot-mode", board.boot_disk.bus.boot_mode()),
        ("build-timestamp", board.eeprom.build_timestamp),
        ("update-timestamp", board.eeprom.update_timestamp),
        // What the current release offers: partition A/B and its friends.
        ("capabilities", 0x7f),
        ("count", boots),
        ("rsts", 0x1000),
        ("signed", 0),
    ];
    for (name, value) in cells {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\t\t\t{name} = <{value:#x}>;");
    }
    let _ = write!(
        text,
        "\t\t\tversion = \"{}\";\n\t\t}};\n\t\tpower {{\n\t\t\tmax_current = <5000>;\n\
         \t\t\tusb_max_current_enable = <1>;\n\t\t\tpower_reset = <0>;\n\t\t}};\n\t}};\n\
         \treserved-memory {{\n\t\t#address-cells = <2>;\n\t\t#size-cells = <2>;\n\t\tranges;\n\
         \t\tramoops@{ramoops:x} {{\n\t\t\tcompatible = \"ramoops\";\n\
         \t\t\treg = <{:#x} {:#x} 0 {RAMOOPS_BYTES:#x}>;\n\t\t\trecord-size = <{RAMOOPS_RECORD_BYTES:#x}>;\n\
         \t\t\tconsole-size = <{RAMOOPS_CONSOLE_BYTES:#x}>;\n\t\t}};\n\t}};\n}};\n",
        board.eeprom.version,
        ramoops >> 32,
        ramoops & 0xffff_ffff,
    );
    text
}

/// Runs a tool on `input` and gives what it prints.
fn run(tool: &'static str, command: &mut Command, input: &str) -> Result<String, MachineError> {
    let failed = |output: String| MachineError::Tool { tool, output };
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let written = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() || !matches!(written, Some(Ok(()))) {
        return Err(failed(format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
