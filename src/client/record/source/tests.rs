//! Reading a blocking source without being blocked by it.

use super::*;

/// Gives these results one after the other, then the end.
struct Script(Vec<io::Result<&'static [u8]>>);

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let bytes = self.0.remove(0)?;
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

async fn read(script: Vec<io::Result<&'static [u8]>>) -> (Vec<u8>, io::Result<usize>) {
    let (sender, receiver) = mpsc::channel(1);
    let forwarding = tokio::task::spawn_blocking(move || forward(Script(script), &sender));
    let mut bytes = Vec::new();
    let end = StreamReader::new(ReceiverStream::new(receiver)).read_to_end(&mut bytes).await;
    forwarding.await.unwrap();
    (bytes, end)
}

#[tokio::test]
async fn everything_arrives_in_order_and_interruptions_are_nothing() {
    let interrupted = Err(io::Error::from(io::ErrorKind::Interrupted));
    let (bytes, end) = read(vec![Ok(b"ab"), interrupted, Ok(b"c")]).await;
    assert_eq!((bytes.as_slice(), end.unwrap()), (&b"abc"[..], 3));
}

#[tokio::test]
async fn an_error_is_passed_on_and_ends_it() {
    let (bytes, end) = read(vec![Ok(b"ab"), Err(io::Error::other("unplugged")), Ok(b"never")]).await;
    assert_eq!((bytes.as_slice(), end.unwrap_err().to_string().as_str()), (&b"ab"[..], "unplugged"));
}

#[test]
fn it_ends_when_nobody_listens() {
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    forward(io::repeat(0), &sender);
}
