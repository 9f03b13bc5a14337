//! Servers that do as they should, and servers that don't.

use futures_util::TryStreamExt as _;

use super::*;
use crate::update::tests::clock;
use crate::update::tests::server::{Manner, Server};

const FILE_BYTES: usize = 300_000;
const MAX: u64 = 1_000_000;

fn file() -> Vec<u8> {
    (0..FILE_BYTES).map(|index| (index % 253) as u8).collect()
}

/// What comes of fetching from `offset` on: where it begins, and the bytes or the error.
async fn fetched(manner: Manner, offset: u64) -> Result<(u64, Vec<u8>), String> {
    let server = Server::start(file(), manner).await;
    let fetcher = Fetcher::new(clock()).unwrap();
    let body = fetcher.open(&server.url(), offset, MAX).await.map_err(|error| error.to_string())?;
    let bytes: Vec<Bytes> = body.bytes.try_collect().await.map_err(|error| error.to_string())?;
    Ok((body.offset, bytes.concat()))
}

#[tokio::test]
async fn a_part_is_a_part_and_a_server_without_ranges_sends_the_whole() {
    assert_eq!(fetched(Manner::Ranges, 0).await.unwrap(), (0, file()));
    assert_eq!(fetched(Manner::Ranges, 1234).await.unwrap(), (1234, file()[1234..].to_vec()));
    assert_eq!(fetched(Manner::NoRanges, 1234).await.unwrap(), (0, file()));
}

#[tokio::test]
async fn hostile_servers_are_seen_through() {
    let says = |words: &str| Manner::Says(words.to_owned());
    let moved = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ";
    let table = [
        (Manner::WrongRange, "another part of the file"),
        (Manner::Endless, "larger than the 1000000 bytes"),
        (Manner::Claims(MAX + 1), "larger than the 1000000 bytes"),
        (Manner::Breaks(100), "can't be reached"),
        (says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "answered 404"),
        (says("HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n\r\n"), "another part of the file"),
        (says("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 9-5/6\r\n\r\n"), "another part of the file"),
        (says("nonsense\r\n\r\n"), "can't be reached"),
        (says(""), "can't be reached"),
        (says(&format!("{moved}file:///etc/shadow\r\n\r\n")), "answered 302"),
        (says(&format!("{moved}/again\r\n\r\n")), "can't be reached"),
    ];
    for (manner, part) in table {
        let error = fetched(manner.clone(), 5).await.unwrap_err();
        assert!(error.contains(part), "{manner:?}: {error}");
    }
}

#[tokio::test]
async fn a_small_file_is_taken_whole_or_not_at_all() {
    let fetcher = Fetcher::new(clock()).unwrap();
    let server = Server::start(file(), Manner::Ranges).await;
    assert_eq!(fetcher.whole(&server.url(), MAX).await.unwrap(), file());
    let error = fetcher.whole(&server.url(), 1000).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { bytes_max: 1000 }), "{error}");
    let server = Server::start(file(), Manner::Breaks(1000)).await;
    assert!(fetcher.whole(&server.url(), MAX).await.is_err(), "what broke off is not the whole");
}

/// Silence is bounded: the clock jumps over it.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let error = fetched(Manner::Silent, 0).await.unwrap_err();
    assert!(error.contains("can't be reached"), "{error}");
}

#[test]
fn a_server_that_drips_is_given_up_and_one_that_is_only_slow_is_not() {
    let mut dripping = Pace::default();
    let given_up = (1..).find(|_| dripping.add(Duration::from_secs(40), 1).is_err());
    assert_eq!(given_up, Some(16), "after some ten minutes");
    let mut slow = Pace::default();
    assert!((0..1000).all(|_| slow.add(Duration::from_secs(10), 20_000).is_ok()), "2 kB/s");
}

#[test]
fn an_address_of_a_part_is_read_strictly() {
    assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
    assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
    for bad in
        ["", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes -9/10", "octets 5-9/10", "bytes */10", "bytes 5-9/-1"]
    {
        assert_eq!(content_range(bad), None, "{bad:?}");
    }
}
