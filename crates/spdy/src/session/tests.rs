use super::*;

fn headers(kind: &str) -> Headers {
    vec![("streamType".to_owned(), kind.to_owned())]
}

fn pair() -> (Session, Session, mpsc::Receiver<Stream>) {
    let (a, b) = tokio::io::duplex(1024);
    let client = Session::client(a).unwrap();
    let (server, accepted) = Session::server(b).unwrap();
    (client, server, accepted)
}

async fn read_all(reader: &mut StreamReader) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.next().await {
        all.extend_from_slice(&chunk);
    }
    all
}

#[tokio::test]
async fn a_stream_carries_data_both_ways_and_closes_by_halves() {
    let (client, _server, mut accepted) = pair();
    let mut ours = client.open(headers("stdin")).await.unwrap();
    let mut theirs = accepted.recv().await.unwrap();
    assert_eq!(theirs.header("streamtype"), Some("stdin"));
    let sent = vec![7_u8; 100_000];
    let echo = tokio::spawn(async move {
        let all = read_all(&mut theirs.reader).await;
        theirs.writer.write(Bytes::from(all)).await.unwrap();
        theirs.writer.finish().await.unwrap();
    });
    ours.writer.write(Bytes::from(sent.clone())).await.unwrap();
    ours.writer.finish().await.unwrap();
    assert_eq!(read_all(&mut ours.reader).await, sent);
    echo.await.unwrap();
}

#[tokio::test]
async fn streams_are_told_apart() {
    let (client, _server, mut accepted) = pair();
    let names = ["error", "stdout", "stderr"];
    let mut opened = Vec::new();
    for name in names {
        opened.push(client.open(headers(name)).await.unwrap());
    }
    for _ in names {
        let mut stream = accepted.recv().await.unwrap();
        let name = stream.header("streamtype").unwrap().to_owned();
        stream.writer.write(Bytes::from(name)).await.unwrap();
        stream.writer.finish().await.unwrap();
    }
    for (stream, name) in opened.iter_mut().zip(names) {
        assert_eq!(read_all(&mut stream.reader).await, name.as_bytes());
    }
}

#[tokio::test]
async fn the_end_of_the_connection_ends_every_stream() {
    let (a, b) = tokio::io::duplex(1024);
    let client = Session::client(a).unwrap();
    let (server, mut accepted) = Session::server(b).unwrap();
    let mut ours = client.open(headers("stdin")).await.unwrap();
    let theirs = accepted.recv().await.unwrap();
    drop((theirs, server, accepted));
    assert_eq!(ours.reader.next().await, None);
}

#[tokio::test]
async fn opening_on_a_dead_connection_fails() {
    let (a, b) = tokio::io::duplex(1024);
    drop(b);
    let client = Session::client(a).unwrap();
    assert!(matches!(client.open(headers("stdin")).await, Err(Error::Closed)));
}
