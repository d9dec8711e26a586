//! `http.*`: questions to web servers, by the machine's own `curl`.

use crate::ask;
use corpus_core::host::{Act, Command};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[ExecDef {
    name: "http.query",
    args: "(url, method='GET', params=None, data=None, header_dict=None, header_list=None, username=None, \
           password=None, status=False, headers=False, decode=False, decode_type='auto', verify_ssl=True, timeout=None)",
    doc: "Asks a web server and returns its body, and `status`, `headers` and the decoded `dict` where asked for.",
    run: ExecFn::Write(query),
}];

fn query(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut url = call.need(0, "url")?;
    if act.as_look().which("curl").is_none() {
        return Err(ExecError::failed("http.query needs `curl` on the machine; install it first (`pkg.installed`)"));
    }
    let method = call.text(1, "method").unwrap_or_else(|| "GET".into());
    if let Some(params) = call.kwargs.get("params").and_then(Value::as_map) {
        let pairs: Vec<String> =
            params.iter().map(|(k, v)| format!("{}={}", escaped(&python::str(k)), escaped(&python::str(v)))).collect();
        url += &format!("{}{}", if url.contains('?') { "&" } else { "?" }, pairs.join("&"));
    }
    // Secrets must not show in the list of processes: all settings go through the standard input.
    let mut config = format!("url = {}\nrequest = {}\n", quoted(&url), quoted(&method));
    let mut header = |line: String| config += &format!("header = {}\n", quoted(&line));
    for (name, value) in call.kwargs.get("header_dict").and_then(Value::as_map).into_iter().flatten() {
        header(format!("{}: {}", python::str(name), python::str(value)));
    }
    for line in call.kwargs.get("header_list").and_then(Value::as_list).unwrap_or_default() {
        header(python::str(line));
    }
    if let Some(user) = call.text(99, "username") {
        config += &format!("user = {}\n", quoted(&format!("{user}:{}", call.text(99, "password").unwrap_or_default())));
    }
    if let Some(data) = call.text(99, "data") {
        config += &format!("data-raw = {}\n", quoted(&data));
    }
    if !call.flag(99, "verify_ssl", true) {
        config += "insecure\n";
    }
    if let Some(seconds) = call.text(99, "timeout") {
        config += &format!("max-time = {}\n", quoted(&seconds));
    }
    let mark = "\ncorpus-status:";
    let write_out = format!("{mark}%{{http_code}}");
    let mut command =
        Command::new(["curl", "--silent", "--show-error", "--location", "--config", "-", "--write-out", &write_out]);
    let headers = call.flag(99, "headers", false);
    if headers {
        command.argv.push("--include".into());
    }
    let output = ask::run(act, command.stdin(config))?;
    let text = output.stdout_text();
    let (text, status) = text.rsplit_once(mark).unwrap_or((&text, "0"));
    let status = status.trim().parse::<i64>().unwrap_or(0);
    let mut answer = Map::new();
    if !output.ok() {
        answer.insert("error", ask::said(&corpus_core::Output { stdout: vec![], ..output }));
        return Ok(answer.into());
    }
    let mut body = text;
    let mut seen = Map::new();
    // Each hop of a redirection has its own block of headers.
    while let Some((head, rest)) = body.split_once("\r\n\r\n").filter(|(head, _)| headers && head.starts_with("HTTP/"))
    {
        seen = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .map(|(k, v)| (k.to_owned(), v.trim().to_owned()))
            .collect();
        body = rest;
    }
    if status >= 400 {
        answer.insert("error", format!("HTTP {status}"));
        answer.insert("status", status);
    }
    answer.insert("body", body);
    if call.flag(99, "status", false) {
        answer.insert("status", status);
    }
    if headers {
        answer.insert("headers", seen);
    }
    if call.flag(99, "decode", false) {
        match call.text(99, "decode_type").as_deref() {
            None | Some("auto" | "json") => match serde_json::from_str::<Value>(body) {
                Ok(value) => _ = answer.insert("dict", value),
                Err(error) => _ = answer.insert("error", format!("the body is no JSON: {error}")),
            },
            Some("plain") => _ = answer.insert("text", body),
            Some(other) => {
                return Err(call.invalid("decode_type", format!("`{other}` is not built; json and plain are")));
            }
        }
    }
    Ok(answer.into())
}

/// Quotes a text for curl's configuration file.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
    )
}

fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
