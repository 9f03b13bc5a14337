//! The firmware's one-shot flag, which makes its next boot a trial of the other slot.
//!
//! Set by the firmware's mailbox (`/dev/vcio` of raspberrypi/linux: the property channel, tags `GET_REBOOT_FLAGS` and
//! `SET_REBOOT_FLAGS`) and read back. The argument of the restart sets it as well, in that kernel alone; a machine
//! without a mailbox has only the argument, and says so. Must never count a flag as set that does not read as set.
#![expect(unsafe_code, reason = "the ioctl of the firmware's mailbox has no safe form")]

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lucid_agent_protocol::update::TrybootWay;
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, opcode};

/// The mailbox.
const DEVICE: &str = "/dev/vcio";
/// `GET_REBOOT_FLAGS`.
const GET: u32 = 0x0003_0064;
/// `SET_REBOOT_FLAGS`.
const SET: u32 = 0x0003_8064;
/// The bit for a trial.
const TRYBOOT: u32 = 1;
/// Answer of the firmware: it understood all.
const SUCCESS: u32 = 0x8000_0000;
/// Set in a tag's length by the firmware once it has answered that tag.
const ANSWERED: u32 = 0x8000_0000;
/// `_IOWR(100, 0, char *)`.
const IOCTL_MBOX_PROPERTY: Opcode = opcode::read_write::<*mut u8>(100, 0);

/// Bytes of a message, which stand in its first word.
const MESSAGE_BYTES: u32 = 28;

/// Asks for a trial boot.
pub(crate) trait Tryboot: Send + Sync {
    /// How.
    fn way(&self) -> TrybootWay;
    /// Sets or clears the flag, and reads it back. Where there is no mailbox, there is nothing to do: the argument of
    /// the restart has to be enough.
    fn set(&self, trial: bool) -> Result<(), MailboxError>;
}

/// Why the flag is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailboxError {
    #[error("the firmware's mailbox can't be asked ({0}); restart the box and try again")]
    Io(#[from] io::Error),
    #[error("the firmware does not know trial boots; update the EEPROM")]
    Unknown,
    #[error("the firmware did not keep the flag for a trial boot; update the EEPROM")]
    NotKept,
}

/// The mailbox of a Raspberry Pi.
pub(crate) struct Mailbox {
    device: PathBuf,
}

/// One property: length, code, tag, room, length of the value, value, end. `struct` of the firmware's property
/// interface.
#[repr(C)]
struct Message([u32; MESSAGE_BYTES as usize / 4]);

impl Mailbox {
    /// The one of this machine.
    pub(crate) fn new() -> Self {
        Self::at(Path::new(DEVICE))
    }

    fn at(device: &Path) -> Self {
        Self { device: device.to_owned() }
    }

    /// The device; `None` if there is none.
    fn open(&self) -> io::Result<Option<File>> {
        match OpenOptions::new().read(true).write(true).open(&self.device) {
            Ok(device) => Ok(Some(device)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Tryboot for Mailbox {
    fn way(&self) -> TrybootWay {
        match self.open() {
            // A mailbox that can't be opened is there; setting the flag will say what is wrong.
            Ok(Some(_)) | Err(_) => TrybootWay::Mailbox,
            Ok(None) => TrybootWay::ArgumentOnly {
                reason: format!("`{}` is not there: this is no Raspberry Pi, or not its kernel", self.device.display()),
            },
        }
    }

    fn set(&self, trial: bool) -> Result<(), MailboxError> {
        let Some(device) = self.open()? else { return Ok(()) };
        let wanted = if trial { TRYBOOT } else { 0 };
        property(&device, SET, wanted)?;
        let kept = property(&device, GET, 0)?;
        if kept & TRYBOOT == wanted { Ok(()) } else { Err(MailboxError::NotKept) }
    }
}

/// Asks for one property of one word.
fn property(device: &File, tag: u32, value: u32) -> Result<u32, MailboxError> {
    let mut message = request(tag, value);
    // SAFETY: the driver reads and writes as many bytes as the first word says, which is the length of `message`, and
    // `message` outlives the call. Any other device refuses the number.
    unsafe { ioctl::ioctl(device, Property(&mut message)) }.map_err(io::Error::from)?;
    answer(&message)
}

fn request(tag: u32, value: u32) -> Message {
    Message([MESSAGE_BYTES, 0, tag, 4, 0, value, 0])
}

fn answer(message: &Message) -> Result<u32, MailboxError> {
    let Message([_, code, _, _, length, value, _]) = message;
    if *code == SUCCESS && length & ANSWERED != 0 { Ok(*value) } else { Err(MailboxError::Unknown) }
}

/// A message on its way to the firmware.
struct Property<'message>(&'message mut Message);

// SAFETY: the number is that of the mailbox's driver, which takes a pointer to a message that tells its own length;
// `as_ptr` points to one of exactly that length.
unsafe impl Ioctl for Property<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        IOCTL_MBOX_PROPERTY
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
