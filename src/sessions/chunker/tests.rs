//! Chunks are cut by size to the byte, and by the age of their first byte.

use bytes::Bytes;
use tokio::time::advance;

use super::*;

const CUT: Cut = Cut { bytes: 10, age: Duration::from_secs(5) };

fn chunker() -> Chunker {
    Chunker::new(CUT, Arc::new(ChunkMemory::new(CUT.bytes, 3, 1)))
}

/// All chunks of a stream that comes in pieces of these sizes, and what is left open.
fn cut(pieces: &[usize]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    let (mut chunker, mut chunks, mut next) = (chunker(), Vec::new(), 0_u8);
    for size in pieces {
        let piece: Vec<u8> = (0..*size).map(|offset| next.wrapping_add(offset as u8)).collect();
        next = next.wrapping_add(*size as u8);
        let mut piece = Bytes::from(piece);
        while !piece.is_empty() {
            chunks.extend(chunker.fill(&mut piece));
        }
    }
    (chunks, chunker.close())
}

#[test]
fn chunks_are_full_and_nothing_is_lost_however_the_stream_is_cut() {
    let cases: [(&[usize], usize, usize); 10] = [
        (&[], 0, 0),
        (&[0], 0, 0),
        (&[1], 0, 1),
        (&[9], 0, 9),
        (&[10], 1, 0),
        (&[11], 1, 1),
        (&[9, 1], 1, 0),
        (&[9, 2], 1, 1),
        (&[105], 10, 5),
        (&[3, 0, 4, 30, 1, 1, 1], 4, 0),
    ];
    for (pieces, full, left) in cases {
        let (chunks, open) = cut(pieces);
        assert!(chunks.iter().all(|chunk| chunk.len() == CUT.bytes), "{pieces:?}");
        assert_eq!((chunks.len(), open.as_ref().map_or(0, Vec::len)), (full, left), "{pieces:?}");
        let all: Vec<u8> = chunks.into_iter().flatten().chain(open.unwrap_or_default()).collect();
        assert!(all.iter().enumerate().all(|(offset, byte)| *byte == offset as u8), "{pieces:?}");
    }
}

#[test]
fn an_open_chunk_takes_no_more_memory_than_a_full_one() {
    let mut chunker = chunker();
    for _ in 0..9 {
        assert!(chunker.fill(&mut Bytes::from_static(b"x")).is_none());
        assert_eq!(chunker.open.capacity(), CUT.bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_first_byte_of_the_chunk() {
    let mut chunker = chunker();
    advance(Duration::from_secs(60)).await;
    assert_eq!(chunker.deadline(), None, "an empty chunk has no age");

    let begun = Instant::now();
    assert!(chunker.fill(&mut Bytes::from_static(b"a")).is_none());
    advance(Duration::from_secs(4)).await;
    assert!(chunker.fill(&mut Bytes::from_static(b"b")).is_none());
    assert_eq!(chunker.deadline(), Some(begun + CUT.age), "later bytes do not put it off");

    assert_eq!(chunker.close().unwrap(), b"ab");
    assert_eq!((chunker.deadline(), chunker.close()), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_full_chunk_starts_the_next_one_anew() {
    let mut chunker = chunker();
    assert!(chunker.fill(&mut Bytes::from_static(b"a")).is_none());
    advance(Duration::from_secs(4)).await;
    let mut bytes = Bytes::from(vec![b'b'; 10]);
    assert_eq!(chunker.fill(&mut bytes).unwrap(), b"abbbbbbbbb");
    assert!(chunker.fill(&mut bytes).is_none());
    assert_eq!(chunker.deadline(), Some(Instant::now() + CUT.age));
}
