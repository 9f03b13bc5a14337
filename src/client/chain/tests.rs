//! Consistency paths: the right request, and nothing but hashes taken from the reply.

use super::*;
use crate::bench::Bench;

#[tokio::test]
async fn the_path_is_read_and_garbage_refused() {
    let bench = Bench::new().await;
    let digits = "0b".repeat(32);
    bench.world().path = vec![digits.clone(), digits.clone()];
    assert_eq!(consistency(&bench.client(), 3, 8).await.unwrap(), [[11; 32], [11; 32]]);
    assert_eq!(bench.world().sizes, "old=3&new=8");
    for garbage in
        [vec!["0b".to_owned()], vec!["zz".repeat(32)], vec![digits.clone(), String::new()], vec![digits; 129]]
    {
        bench.world().path = garbage;
        let error = consistency(&bench.client(), 3, 8).await.unwrap_err();
        assert!(matches!(error, ClientError::Reply { .. }), "{error}");
    }
}
