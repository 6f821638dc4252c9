use super::*;

#[test]
fn an_exec_needs_a_stream_and_a_terminal_has_no_stderr() {
    assert_eq!(wanted("command=ls").unwrap_err().code, StatusCode::BAD_REQUEST);
    let wanted = wanted("input=1&output=1&error=1&tty=1").unwrap();
    assert_eq!(wanted, Wanted { stdin: true, stdout: true, stderr: false, tty: true });
}

#[test]
fn ports_of_channels_come_with_the_request() {
    assert_eq!(ports("port=80&port=443,8080").unwrap(), [80, 443, 8080]);
    for query in ["", "port=", "port=0", "port=x", "port=65536"] {
        assert_eq!(ports(query).unwrap_err().code, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn a_streaming_url_elsewhere_is_refused() {
    for url in ["http://192.0.2.1:1234/exec/x", "https://127.0.0.1/exec/x", "http://example.org/exec"] {
        let refusal = connect(url, Vec::new()).await.unwrap_err();
        assert_eq!(refusal.code, StatusCode::BAD_GATEWAY, "{url}");
        assert!(refusal.message.contains("loopback"), "{}", refusal.message);
    }
}
