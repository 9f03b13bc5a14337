use std::net::TcpListener;
use std::thread;

use super::*;

/// A box that answers once.
fn answering(answer: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = [0; 16];
        stream.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"GET /health HTTP");
        stream.write_all(answer.as_bytes()).unwrap();
        // What was not read would otherwise reset the connection before the answer is there.
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    });
    address
}

#[test]
fn only_success_is_ready() {
    assert!(is_ready(answering("HTTP/1.1 200 OK\r\n\r\n")));
    assert!(!is_ready(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")));
    assert_eq!(status(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n")).unwrap(), 503);
    for nonsense in ["", "HTTP/1.1 ", "HTTP/1.1 2ö", "SSH-2.0"] {
        assert!(status(answering(nonsense)).is_err(), "{nonsense}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(!is_ready(closed));
}
