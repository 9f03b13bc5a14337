//! The one command that is sent to a drive, by the kernel's pass-through (`linux/nvme_ioctl.h`).
//!
//! One of the agent's two places with unsafe code: an ioctl has no safe form, and no crate of good standing offers this
//! one.
#![expect(unsafe_code, reason = "the ioctl NVME_IOCTL_ADMIN_CMD has no safe form")]

use std::ffi::c_void;
use std::fs::File;
use std::io;

use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, opcode};

use super::Page;

/// Get Log Page.
const GET_LOG_PAGE: u8 = 0x02;
/// SMART / Health Information.
const HEALTH: u32 = 0x02;
/// The log is the controller's, not a namespace's.
const ALL_NAMESPACES: u32 = 0xffff_ffff;
/// After this the kernel gives up; a healthy drive answers within milliseconds.
const TIMEOUT_MS: u32 = 5000;

/// `struct nvme_admin_cmd`.
#[repr(C)]
#[derive(Default)]
struct AdminCommand {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    words_2_3: [u32; 2],
    metadata: u64,
    data: u64,
    metadata_bytes: u32,
    data_bytes: u32,
    words_10_15: [u32; 6],
    timeout_ms: u32,
    result: u32,
}

const _: () = assert!(size_of::<AdminCommand>() == 72, "the size is part of the ioctl's number");
const NVME_IOCTL_ADMIN_CMD: Opcode = opcode::read_write::<AdminCommand>(b'N', 0x41);

/// A command on its way to the drive.
struct Exchange<'command>(&'command mut AdminCommand);

// SAFETY: the number belongs to `AdminCommand`, to which `as_ptr` points; the kernel reads it, writes its result, and
// keeps no pointer to it after the call.
unsafe impl Ioctl for Exchange<'_> {
    /// The drive's status; zero is success.
    type Output = u32;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        NVME_IOCTL_ADMIN_CMD
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.0).cast()
    }

    unsafe fn output_from_ptr(status: IoctlOutput, _: *mut c_void) -> rustix::io::Result<u32> {
        Ok(status.cast_unsigned())
    }
}

/// The drive's health page.
pub(super) fn health(drive: &File) -> io::Result<Page> {
    let mut page: Page = [0; 512];
    // The number of 32-bit words, less one, stands in the upper half.
    let words = size_of::<Page>() as u32 / 4 - 1;
    let mut command = AdminCommand {
        opcode: GET_LOG_PAGE,
        namespace: ALL_NAMESPACES,
        data: page.as_mut_ptr().expose_provenance() as u64,
        data_bytes: size_of::<Page>() as u32,
        words_10_15: [words << 16 | HEALTH, 0, 0, 0, 0, 0],
        timeout_ms: TIMEOUT_MS,
        ..AdminCommand::default()
    };
    // SAFETY: the drive writes `data_bytes` to `data`, which is `page` with as many, and outlives the call; the pointer
    // was exposed. On a file that is no NVMe device the kernel refuses the number.
    match unsafe { ioctl::ioctl(drive, Exchange(&mut command)) }? {
        0 => Ok(page),
        status => Err(io::Error::other(format!("the drive refused with status {status:#x}"))),
    }
}
