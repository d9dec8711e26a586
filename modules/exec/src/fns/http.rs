//! `http.*`: questions to web servers, by the machine's own `curl`.

use crate::ask;
use corpus_core::host::{Act, Command};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};
use std::time::{Duration, Instant};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "http.query",
        args: "(url, method='GET', params=None, data=None, header_dict=None, header_list=None, username=None, \
               password=None, status=False, headers=False, text=False, decode=False, decode_type='auto', \
               verify_ssl=True, timeout=None)",
        doc: "Asks a web server and returns its body, and `status`, `headers`, `text` and the decoded `dict` where asked for.",
        run: ExecFn::Write(query),
    },
    ExecDef {
        name: "http.wait_for_successful_query",
        args: "(url, wait_for=300, request_interval=1, match=None, match_type='string', status=None, \
               status_type='string', **kwargs)",
        doc: "Asks a web server until it answers without an error, and as `match` and `status` want it.",
        run: ExecFn::Write(wait),
    },
];

/// What an answer must be.
pub struct Wanted {
    pub matching: Option<String>,
    pub match_type: String,
    pub status: Option<Value>,
    pub status_type: String,
}

impl Wanted {
    /// Tells whether an answer is as wanted, in Salt's words.
    pub fn judge(&self, answer: &Map) -> Result<(bool, String), String> {
        let (mut good, mut said) = (true, Vec::new());
        let text = answer.get("text").or_else(|| answer.get("body")).map(python::str).unwrap_or_default();
        if let Some(wanted) = &self.matching {
            let (found, what) = match self.match_type.as_str() {
                "string" => (text.contains(wanted.as_str()), "text"),
                "pcre" => (search(wanted, &text)?, "pattern"),
                other => return Err(format!("match_type `{other}` is neither string nor pcre")),
            };
            good &= found;
            said.push(format!("Match {what} \"{wanted}\" was {}found.", if found { "" } else { "not " }));
        }
        let status = answer.get("status").map(python::str).unwrap_or_default();
        if let Some(wanted) = &self.status {
            let shown = python::str(wanted);
            let found = match (self.status_type.as_str(), wanted) {
                ("list", Value::List(items)) => {
                    let found: Vec<String> = items.iter().map(python::str).filter(|item| *item == status).collect();
                    said.extend(found.iter().map(|status| format!("Status {status} was found.")));
                    if found.is_empty() {
                        said.push(format!("Statuses {} were not found.", python::repr(wanted)));
                    }
                    !found.is_empty()
                }
                ("pcre", _) => {
                    let found = search(&shown, &status)?;
                    said.push(format!("Status pattern \"{shown}\" was {}found.", if found { "" } else { "not " }));
                    found
                }
                ("string" | "list", _) => {
                    let found = shown == status;
                    said.push(format!("Status {shown} was {}found.", if found { "" } else { "not " }));
                    found
                }
                (other, _) => return Err(format!("status_type `{other}` is none of string, pcre, list")),
            };
            good &= found;
        }
        Ok((good, said.join(" ")))
    }
}

fn search(pattern: &str, text: &str) -> Result<bool, String> {
    let wrong = |error: fancy_regex::Error| format!("invalid regular expression `{pattern}`: {error}");
    let regex = fancy_regex::Regex::new(pattern).map_err(wrong)?;
    // Python's `$` is before a last line's end, too.
    let short = text.strip_suffix('\n').map(|text| regex.is_match(text)).transpose().map_err(wrong)?;
    Ok(short == Some(true) || regex.is_match(text).map_err(wrong)?)
}

fn wait(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let number = |place, name: &str, usual: i64| call.arg(place, name).and_then(Value::as_int).unwrap_or(usual);
    let text = |name: &str| call.kwargs.get(name).filter(|value| !value.is_null()).map(python::str);
    let wanted = Wanted {
        matching: text("match"),
        match_type: text("match_type").unwrap_or_else(|| "string".into()),
        status: call.kwargs.get("status").filter(|value| !matches!(value, Value::Null | Value::Bool(_))).cloned(),
        status_type: text("status_type").unwrap_or_else(|| "string".into()),
    };
    let until = Instant::now() + Duration::from_secs(number(1, "wait_for", 300).max(0).unsigned_abs());
    let pause =
        Duration::from_secs(number(2, "request_interval", 1).max(0).unsigned_abs()).max(Duration::from_millis(100));
    let mut asked = call.clone();
    asked.kwargs.insert("status", true);
    asked.kwargs.insert("text", true);
    loop {
        let answer = query(&asked, act, data)?;
        let map = answer.as_map().cloned().unwrap_or_default();
        let (good, _) = wanted.judge(&map).map_err(ExecError::Failed)?;
        let nothing = wanted.matching.is_none() && wanted.status.is_none();
        if (good && !(nothing && map.contains("error"))) || Instant::now() + pause > until {
            return Ok(answer);
        }
        std::thread::sleep(pause);
    }
}

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
    if call.flag(99, "text", false) {
        answer.insert("text", body);
    }
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
