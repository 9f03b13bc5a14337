//! Running other programs, the same way everywhere: language, time zone and clock are set, and no settings of the user
//! or the machine count.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::Error;

/// A program and where it comes from.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    name: &'static str,
    package: &'static str,
}

pub(crate) const MKFS_EROFS: Tool = Tool { name: "mkfs.erofs", package: "erofs-utils" };
pub(crate) const VERITYSETUP: Tool = Tool { name: "veritysetup", package: "cryptsetup-bin" };
pub(crate) const MKFS_VFAT: Tool = Tool { name: "mkfs.vfat", package: "dosfstools" };
pub(crate) const MCOPY: Tool = Tool { name: "mcopy", package: "mtools" };
pub(crate) const MMD: Tool = Tool { name: "mmd", package: "mtools" };
pub(crate) const MDIR: Tool = Tool { name: "mdir", package: "mtools" };
pub(crate) const MTYPE: Tool = Tool { name: "mtype", package: "mtools" };
pub(crate) const MSHOWFAT: Tool = Tool { name: "mshowfat", package: "mtools" };
pub(crate) const CP: Tool = Tool { name: "cp", package: "coreutils" };
pub(crate) const MKE2FS: Tool = Tool { name: "mke2fs", package: "e2fsprogs" };

/// Where Debian keeps tools of the administrator, which a user's PATH may lack.
const ADMINISTRATOR_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// One run of a tool.
pub(crate) struct Run {
    tool: Tool,
    args: Vec<OsString>,
    envs: Vec<(&'static str, OsString)>,
}

impl Tool {
    pub(crate) fn args<A: Into<OsString>>(self, args: impl IntoIterator<Item = A>) -> Run {
        let envs = vec![("LC_ALL", "C".into()), ("TZ", "UTC".into()), ("MTOOLSRC", "/dev/null".into())];
        Run { tool: self, args: args.into_iter().map(Into::into).collect(), envs }
    }

    pub(crate) fn name(self) -> &'static str {
        self.name
    }
}

impl Run {
    /// One more argument.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Files get this time, in seconds since 1970, whatever the clock says.
    pub(crate) fn at(mut self, epoch_s: u64) -> Self {
        let time = epoch_s.to_string();
        self.envs.extend([("SOURCE_DATE_EPOCH", time.clone().into()), ("E2FSPROGS_FAKE_TIME", time.into())]);
        self
    }

    /// One more setting.
    pub(crate) fn env(mut self, name: &'static str, value: &Path) -> Self {
        self.envs.push((name, value.into()));
        self
    }

    /// What it writes to its standard output.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Error> {
        let output = self.output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = [output.stderr, output.stdout].concat();
        let output_text = String::from_utf8_lossy(&said).trim().to_owned();
        Err(Error::ToolFailed { tool: self.tool.name, status: output.status, output: output_text })
    }

    /// What it writes to its standard output, as text.
    pub(crate) fn text(&self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes()?).into_owned())
    }

    fn output(&self) -> Result<Output, Error> {
        let missing = Error::ToolMissing { tool: self.tool.name, package: self.tool.package };
        let beside = ADMINISTRATOR_FOLDERS.iter().map(|folder| Path::new(folder).join(self.tool.name));
        for program in [self.tool.name.into()].into_iter().chain(beside) {
            match self.start(&program) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                started => return started.map_err(Error::file("start", &program)),
            }
        }
        Err(missing)
    }

    fn start(&self, program: &Path) -> io::Result<Output> {
        let envs = self.envs.iter().map(|(name, value)| (name, value));
        Command::new(program).args(&self.args).envs(envs).stdin(Stdio::null()).output()
    }
}

/// Writes a whole file.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = std::fs::File::create(path).map_err(Error::file("create", path))?;
    file.write_all(bytes).map_err(Error::file("write", path))
}

/// Reads a whole file.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::file("read", path))
}
