//! What the kernel's refusals mean.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::refused;
use crate::Reading;

#[test]
fn absence_is_told_from_failure() {
    for (errno, is_absent, expected) in [
        (Errno::NOENT, true, "does not exist"),
        (Errno::NOTDIR, true, "does not exist"),
        (Errno::NODEV, true, "is gone"),
        (Errno::NXIO, true, "is gone"),
        (Errno::NODATA, true, "has no value"),
        (Errno::OPNOTSUPP, true, "has no value"),
        (Errno::ACCESS, true, "may not be read"),
        (Errno::PERM, true, "may not be read"),
        (Errno::IO, false, "reading `/sys/x`: "),
        (Errno::AGAIN, false, "reading `/sys/x`: "),
        (Errno::MFILE, false, "reading `/sys/x`: "),
        (Errno::LOOP, false, "reading `/sys/x`: "),
    ] {
        let reading: Reading<()> = refused(Path::new("/sys/x"), &io::Error::from(errno));
        assert_eq!((reading.is_absent(), reading.is_failed()), (is_absent, !is_absent), "{errno:?}");
        assert!(reading.reason().unwrap().contains(expected), "{reading:?}");
    }
    let without_number: Reading<()> = refused(Path::new("/sys/x"), &io::Error::other("odd"));
    assert!(without_number.is_failed());
}
