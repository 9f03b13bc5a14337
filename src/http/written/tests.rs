//! The whole of it, a cut, and a client that leaves.

use std::io::{Error, Write};

use http_body_util::BodyExt;

use super::{PART_BYTES, written};

#[tokio::test]
async fn everything_written_arrives_in_order() {
    let bytes: Vec<u8> = (0..3 * PART_BYTES + 17).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let expected = bytes.clone();
    let body = written(move |writer| bytes.chunks(1000).try_for_each(|piece| writer.write_all(piece)));
    assert_eq!(body.collect().await.unwrap().to_bytes(), expected);
}

#[tokio::test]
async fn an_error_breaks_the_body_off() {
    let body = written(|writer| {
        writer.write_all(b"half")?;
        Err(Error::other("the disk went away"))
    });
    assert!(body.collect().await.is_err());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_work() {
    let (tell, ended) = tokio::sync::oneshot::channel();
    let body = written(move |writer: &mut dyn Write| {
        let result = (0..100).try_for_each(|_| writer.write_all(&[0; PART_BYTES]));
        tell.send(result.as_ref().map_err(Error::kind).err()).unwrap();
        result
    });
    drop(body);
    assert_eq!(ended.await.unwrap(), Some(std::io::ErrorKind::BrokenPipe));
}
