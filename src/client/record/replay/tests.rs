//! The replay buffer: bounded, without gaps, and whatever is not durable can be read again.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

async fn read_all(replay: &Replay, mut cursor: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Next::Piece(piece) = replay.next(cursor).await {
        cursor += piece.len() as u64;
        bytes.extend_from_slice(&piece);
    }
    bytes
}

#[tokio::test]
async fn what_is_not_durable_can_be_read_again_from_any_byte() {
    let replay = Replay::new(0, 100);
    for piece in ["abc", "", "defg", "h"] {
        replay.push(Bytes::from_static(piece.as_bytes())).await;
    }
    replay.close(Ok(()));
    replay.release(4);
    replay.release(2);
    assert_eq!(replay.span(), (4, 8));
    for cursor in 4..=8 {
        assert_eq!(read_all(&replay, cursor).await, &b"abcdefgh"[usize::try_from(cursor).unwrap()..]);
    }
    assert_eq!(replay.total(), Some(8));
    assert_eq!(replay.next(8).await, Next::End);
}

#[tokio::test]
async fn a_full_buffer_holds_the_reader_back_until_bytes_are_durable() {
    let replay = Arc::new(Replay::new(10, 8));
    replay.push(Bytes::from_static(b"12345678")).await;
    let pushing = tokio::spawn({
        let replay = Arc::clone(&replay);
        async move { replay.push(Bytes::from_static(b"9")).await }
    });
    tokio::task::yield_now().await;
    assert!(!pushing.is_finished());
    replay.release(17);
    tokio::task::yield_now().await;
    assert_eq!(replay.span(), (17, 18), "a part of a piece makes no room");
    replay.release(18);
    pushing.await.unwrap();
    assert_eq!(replay.span(), (18, 19));
}

#[tokio::test]
async fn a_piece_larger_than_the_bound_passes_alone() {
    let replay = Replay::new(0, 4);
    replay.push(Bytes::from_static(b"123456")).await;
    assert_eq!(replay.span(), (0, 6));
}

#[tokio::test]
async fn releasing_more_than_was_read_is_ignored() {
    let replay = Replay::new(0, 4);
    replay.push(Bytes::from_static(b"12")).await;
    replay.release(3);
    assert_eq!(replay.span(), (0, 2));
}

#[tokio::test]
async fn a_broken_source_is_told_after_the_bytes_before_it() {
    let replay = Replay::new(0, 100);
    replay.push(Bytes::from_static(b"ab")).await;
    replay.close(Err(io::Error::other("unplugged")));
    assert_eq!(replay.next(0).await, Next::Piece(Bytes::from_static(b"ab")));
    assert_eq!(replay.next(2).await, Next::Failed);
    assert_eq!(replay.total(), None);
    assert_eq!(replay.take_failure().unwrap().to_string(), "unplugged");
    assert!(replay.take_failure().is_none());
}

proptest! {
    #[test]
    fn any_release_keeps_the_rest(pieces in prop::collection::vec(0_usize..9, 0..20), durable in 0_u64..200) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let replay = Replay::new(0, 10_000);
            let mut all = Vec::new();
            for length in pieces {
                let piece: Vec<u8> = (0..length).map(|index| (all.len() + index) as u8).collect();
                all.extend_from_slice(&piece);
                replay.push(piece.into()).await;
            }
            replay.close(Ok(()));
            replay.release(durable);
            let (base, end) = replay.span();
            assert_eq!(end, all.len() as u64);
            assert_eq!(base, if durable <= end { durable } else { 0 });
            assert_eq!(read_all(&replay, base).await, &all[usize::try_from(base).unwrap()..]);
        });
    }
}

#[tokio::test]
async fn half_full_is_told_while_it_is_so() {
    let replay = Arc::new(Replay::new(0, 8));
    replay.push(Bytes::from_static(b"1234")).await;
    let waiting = tokio::spawn({
        let replay = Arc::clone(&replay);
        async move { replay.half_full().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    replay.push(Bytes::from_static(b"5")).await;
    waiting.await.unwrap();
    // Whoever comes later learns of it, too.
    replay.half_full().await;
}
