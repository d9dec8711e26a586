//! What the driver is told of answers: pages, EC2's own words for failures, and silence.

use corpus_clouds::drivers::ec2::api::{Account, Query};
use std::io::{Read, Write};
use std::net::TcpListener;

const SECRET: &str = "wJalrXUtnFEMIsecret";

/// Serves texts, one a call, the last one for ever; returns the address.
fn serve(answers: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for (call, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 65_536]);
            let (status, body) = answers[call.min(answers.len() - 1)];
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    format!("http://{address}")
}

fn account(endpoint: String) -> Account {
    Account {
        region: Some("eu-west-1".into()),
        endpoint: Some(endpoint),
        keys: Some(("AKIATEST".into(), SECRET.into())),
        ..Account::default()
    }
}

#[test]
fn pages_are_read_and_asked_for() {
    let url = serve(&[
        (
            "200 OK",
            "<DescribeVolumesResponse><volumeSet><item><volumeId>vol-1</volumeId><size>8</size><status>in-use</status>\
             <attachmentSet><item><instanceId>i-1</instanceId><device>/dev/sda1</device></item></attachmentSet><tagSet>\
             <item><key>corpus:owner</key><value>me</value></item></tagSet></item></volumeSet><nextToken>more</nextToken>\
             </DescribeVolumesResponse>",
        ),
        ("200 OK", "<DescribeVolumesResponse><volumeSet/></DescribeVolumesResponse>"),
    ]);
    let api = corpus_ec2_sdk::connect(&account(url)).expect("it connects");
    let page = api.volumes(&Query::all().by("tag:corpus:owner", "me")).expect("a page");
    let volume = &page.items[0];
    assert_eq!((volume.id.as_str(), volume.gib, volume.device.as_deref()), ("vol-1", 8, Some("/dev/sda1")));
    assert_eq!(volume.tags["corpus:owner"], "me");
    assert_eq!(page.next.as_deref(), Some("more"));
    let page = api.volumes(&Query { next: page.next, ..Query::all() }).expect("a page");
    assert!(page.items.is_empty() && page.next.is_none());
}

#[test]
fn failures_keep_their_words() {
    let error = |status, body| {
        let answers: &'static [(&str, &str)] = Box::leak(Box::new([(status, body)]));
        let api = corpus_ec2_sdk::connect(&account(serve(answers))).expect("it connects");
        api.instances(&Query::all()).expect_err("a failure")
    };
    let missing = error(
        "400 Bad Request",
        "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no such</Message></Error></Errors></Response>",
    );
    assert!(missing.is_missing() && missing.message == "no such", "{missing}");
    let throttled = error(
        "503 Service Unavailable",
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>",
    );
    assert!(throttled.is_throttled(), "{throttled}");
}

#[test]
fn silence_is_lost_and_tells_no_secret() {
    let api = corpus_ec2_sdk::connect(&account("http://127.0.0.1:9".into())).expect("nothing is sent yet");
    let error = api.instances(&Query::all()).expect_err("nobody is there");
    assert_eq!(error.code, "lost");
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
}
