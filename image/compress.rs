//! The download: the image compressed, with the digests of both, in one pass.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;

use lucid_layout::Digest;
use sha2::{Digest as _, Sha256};

use crate::error::Error;

/// What is read at once, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// Length and digest of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

/// Writes on, and sums up what is written.
struct Summing<W> {
    inner: W,
    hasher: Sha256,
    bytes: u64,
}

impl<W> Summing<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    fn sum(self) -> Sum {
        Sum { bytes: self.bytes, sha256: Digest(self.hasher.finalize().into()) }
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Compresses `image` to `to`, and returns the sums of both.
pub(crate) fn compress(image: &Path, to: &Path, level: i32) -> Result<(Sum, Sum), Error> {
    let source = File::open(image).map_err(Error::file("open", image))?;
    let target = File::create(to).map_err(Error::file("create", to))?;
    stream(source, target, level).map_err(Error::file("compress", image))
}

fn stream(mut source: File, target: File, level: i32) -> io::Result<(Sum, Sum)> {
    let mut encoder = zstd::Encoder::new(Summing::new(BufWriter::new(target)), level)?;
    encoder.include_checksum(true)?;
    encoder.set_pledged_src_size(Some(source.metadata()?.len()))?;
    let mut image = Summing::new(encoder);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = source.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        image.write_all(&chunk[..length])?;
    }
    let Summing { inner, hasher, bytes } = image;
    let mut compressed = inner.finish()?;
    compressed.flush()?;
    Ok((Sum { bytes, sha256: Digest(hasher.finalize().into()) }, compressed.sum()))
}
