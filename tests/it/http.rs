//! `http.query` and `http.wait_for_successful_query` against a server that needs a moment.

use crate::support::Tree;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// Answers 503 twice, and then 200.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let lines: Vec<String> =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let login = lines.iter().any(|line| line.ends_with("Basic am9lOmM0bmFyeQ=="));
            let status = if n < 2 { "503 Busy" } else { "200 OK" };
            let body = format!("login {login} ok\n");
            let _ = write!(
                &mut &stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

#[test]
fn web_servers_are_asked_and_waited_for() {
    let tree = Tree::new();
    let url = format!("http://127.0.0.1:{}/health", serve());
    tree.file(
        "salt/app.sls",
        &format!(
            "busy:\n  http.query: [{{name: '{url}'}}, {{status: 200}}]\n\
             up:\n  http.wait_for_successful_query:\n    - {{name: '{url}', status: 200, match: login true, wait_for: 20, username: joe, password: c4nary}}\n\
             well:\n  http.query:\n    - {{name: '{url}', status: '2..', status_type: pcre, match: ok$, match_type: pcre}}\n"
        ),
    );
    let said = tree.local(&["state.apply", "app", "test=True", "--out=json"]).expect(0);
    assert!(said.out.contains("Status 200 was not found. (TEST MODE)"), "{}", said.out);
    let said = tree.local(&["state.apply", "app", "--out=json"]);
    let records = said.json()["local"].clone();
    let told = |id: &str| {
        let record =
            records.as_object().expect("records").values().find(|record| record["__id__"] == id).expect("it ran");
        (record["result"].as_bool(), record["comment"].as_str().expect("a comment").to_owned())
    };
    assert_eq!(told("busy"), (Some(false), "Status 200 was not found. (HTTP 503)".into()));
    assert_eq!(told("up"), (Some(true), "Match text \"login true\" was found. Status 200 was found.".into()));
    assert_eq!(told("well"), (Some(true), "Match pattern \"ok$\" was found. Status pattern \"2..\" was found.".into()));
}
