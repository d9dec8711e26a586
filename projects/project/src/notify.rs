//! Mail and webhook at the end of a deployment, where the configuration asks for them. Whether they arrive never changes
//! the verdict. Both are sent by curl; addresses, passwords and text reach it through its standard input and a file of
//! ours, never through its arguments.

use crate::report::DeployReport;
use crate::{ProjectError, R};
use corpus_core::{Map, Value, python};
use std::io::Write;
use std::process::{Command, Stdio};

/// Sends what is asked for: `notify_mail`, `notify_webhook`. Tells what was sent.
pub fn send(cfg: &Map, report: &DeployReport) -> R<String> {
    let mut said = vec![];
    let mut wrong = vec![];
    if let Some(to) = cfg.get("notify_mail").filter(|to| to.truthy()) {
        match mail(to, cfg, report) {
            Ok(()) => said.push("mail sent".to_owned()),
            Err(error) => wrong.push(format!("mail not sent: {}", error.message)),
        }
    }
    if let Some(to) = cfg.get("notify_webhook").filter(|to| to.truthy()) {
        match webhook(to, report) {
            Ok(()) => said.push("webhook called".to_owned()),
            Err(error) => wrong.push(format!("webhook not called: {}", error.message)),
        }
    }
    match wrong.is_empty() {
        true => Ok(said.join("\n")),
        false => Err(ProjectError::new(wrong.join("\n"))),
    }
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key).filter(|value| value.truthy()).map(python::str)
}

fn mail(to: &Value, cfg: &Map, report: &DeployReport) -> R<()> {
    let people = crate::wiring::list(to.get("to").or(Some(to)));
    let host = cfg.get("fqdn").map(python::str).unwrap_or_default();
    let from = word(to, "from").unwrap_or_else(|| format!("corpus@{host}"));
    let server = word(to, "smtp").unwrap_or_else(|| "localhost:25".into());
    let url = if server.contains("://") { server } else { format!("smtp://{server}") };
    for address in people.iter().chain([&from]) {
        if address.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"')) {
            return Err(ProjectError::new(format!("`{}` is no mail address", address.escape_debug())));
        }
    }
    if people.is_empty() {
        return Err(ProjectError::new("notify_mail names nobody").hint("notify_mail: {to: [someone@example.org]}"));
    }
    let subject: String = report.summary.chars().filter(|c| !c.is_control()).take(120).collect();
    let text = format!(
        "From: {from}\r\nTo: {}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
        people.join(", "),
        report.comment.replace('\n', "\r\n")
    );
    let mut options = vec![("url", url), ("mail-from", from)];
    options.extend(people.into_iter().map(|address| ("mail-rcpt", address)));
    if let (Some(user), Some(password)) = (word(to, "user"), word(to, "password")) {
        options.push(("user", format!("{user}:{password}")));
    }
    curl(&options, &["ssl"], "upload-file", "", text.as_bytes())
}

fn webhook(to: &Value, report: &DeployReport) -> R<()> {
    let url = word(to, "url").unwrap_or_else(|| python::str(to));
    if !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(ProjectError::new("notify_webhook needs an http:// or https:// address"));
    }
    let json = serde_json::to_vec(report).map_err(|error| ProjectError::new(error.to_string()))?;
    let mut options = vec![("url", url), ("header", "Content-Type: application/json".into())];
    options.extend(word(to, "header").map(|header| ("header", header)));
    curl(&options, &["fail"], "data-binary", "@", &json)
}

fn curl(options: &[(&str, String)], flags: &[&str], body_option: &str, mark: &str, body: &[u8]) -> R<()> {
    let fail = |error: std::io::Error| ProjectError::new(format!("cannot run curl: {error}"));
    let mut file = tempfile::NamedTempFile::new().map_err(fail)?;
    file.write_all(body).map_err(fail)?;
    let path = format!("{mark}{}", file.path().display());
    let mut config: String = flags.iter().map(|flag| format!("{flag}\n")).collect();
    for (key, value) in options.iter().map(|(key, value)| (*key, value)).chain([(body_option, &path)]) {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        config += &format!("{key} = \"{value}\"\n");
    }
    let mut child = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--max-time", "20", "--connect-timeout", "5", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(config.as_bytes()).map_err(fail)?;
    }
    let output = child.wait_with_output().map_err(fail)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(ProjectError::new(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
