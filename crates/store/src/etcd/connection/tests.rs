use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// What has reached the other side.
async fn passed(other: &mut tokio::io::DuplexStream) -> String {
    let mut buffer = [0; 64];
    let read = other.read(&mut buffer).await.expect("the stream is open");
    String::from_utf8(buffer[..read].to_vec()).expect("text was written")
}

#[tokio::test]
async fn what_is_written_between_two_flushes_goes_out_as_one() {
    let (stream, mut other) = tokio::io::duplex(64);
    let mut gathering = Gathering::new(stream);
    let mut nobody = Context::from_waker(std::task::Waker::noop());
    for words in ["one ", "two ", "three"] {
        assert!(Pin::new(&mut gathering).poll_write(&mut nobody, words.as_bytes()).is_ready());
        assert!(Pin::new(&mut gathering).poll_flush(&mut nobody).is_pending(), "there may be more");
    }
    assert!(Pin::new(&mut gathering).poll_flush(&mut nobody).is_ready());
    assert_eq!(passed(&mut other).await, "one two three");
}

#[tokio::test]
async fn a_flush_that_is_waited_for_passes_everything_on() {
    let (stream, mut other) = tokio::io::duplex(64);
    let mut gathering = Gathering::new(stream);
    gathering.write_all(b"alone").await.unwrap();
    gathering.flush().await.unwrap();
    assert_eq!(passed(&mut other).await, "alone");
}

#[tokio::test]
async fn more_than_is_held_waits_for_the_other_side() {
    let (stream, mut other) = tokio::io::duplex(64);
    let mut gathering = Gathering::new(stream);
    let sent = vec![b'x'; 3 * HELD_MAX];
    let write = async {
        for part in sent.chunks(1000) {
            gathering.write_all(part).await.unwrap();
        }
        gathering.shutdown().await.unwrap();
    };
    let read = async {
        let mut received = Vec::new();
        other.read_to_end(&mut received).await.unwrap();
        received
    };
    let ((), received) = tokio::join!(write, read);
    assert_eq!(received, sent);
}

#[tokio::test]
async fn shutdown_passes_on_what_is_held() {
    let (stream, mut other) = tokio::io::duplex(64);
    let mut gathering = Gathering::new(stream);
    gathering.write_all(b"the end").await.unwrap();
    gathering.shutdown().await.unwrap();
    assert_eq!(passed(&mut other).await, "the end");
}
