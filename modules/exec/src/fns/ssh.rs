//! `ssh.*`: keys of hosts that are known, and keys that may log in. Names in a known_hosts file are found
//! hashed or plain, without a program.

use crate::ask;
use corpus_core::digest::{base64, unbase64};
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::plan::{Attrs, Content, Effect, Owner};
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Map, Value, digest};
use sha1::Digest;
use std::fmt::Write;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "ssh.get_known_host_entries",
        "(user, hostname, config=None, port=None)",
        "Returns the known keys of a host; null if there is none.",
        |call, look, _| {
            let found = known(call, look)?.1;
            Ok(if found.is_empty() { Value::Null } else { entries(&found) })
        },
    ),
    read(
        "ssh.recv_known_host_entries",
        "(hostname, enc=None, port=None, hash_known_hosts=True, timeout=5)",
        "Asks a host for its keys.",
        |call, look, _| {
            let host = call.need(0, "hostname")?;
            let (enc, port) = (call.text(1, "enc"), port(call, 2));
            let found = scan(look, &host, enc.as_deref(), port, timeout(call, 4))?;
            Ok(if found.is_empty() { Value::Null } else { entries(&found) })
        },
    ),
    read(
        "ssh.check_known_host",
        "(user=None, hostname=None, key=None, fingerprint=None, config=None, port=None, fingerprint_hash_type=None)",
        "Tells what a known host's key would take: `add`, `update` or `exists`.",
        |call, look, _| {
            if call.text(1, "hostname").is_none() {
                return Ok([("status", "error"), ("error", "hostname argument required")]
                    .into_iter()
                    .collect::<Map>()
                    .into());
            }
            let path = config(look, call.text(0, "user").as_deref(), call.text(4, "config").as_deref())?;
            let text = ask::text(look, path)?.unwrap_or_default();
            let found = find(&text, &call.need(1, "hostname")?, port(call, 5));
            let kind = call.text(6, "fingerprint_hash_type");
            let same = match (call.text(2, "key"), call.text(3, "fingerprint")) {
                (Some(key), _) => found.iter().any(|have| have.key == key),
                (_, Some(print)) => found.iter().any(|have| have.fingerprint(kind.as_deref()) == print),
                _ => true,
            };
            Ok(if found.is_empty() {
                "add"
            } else if same {
                "exists"
            } else {
                "update"
            }
            .into())
        },
    ),
    write(
        "ssh.rm_known_host",
        "(user=None, hostname=None, config=None, port=None)",
        "Forgets the keys of a host.",
        |call, act, _| {
            let look = act.as_look();
            let path = config(look, call.text(0, "user").as_deref(), call.text(2, "config").as_deref())?;
            let (status, comment) = match ask::text(look, &path)? {
                None => ("error", format!("Known hosts file {path} does not exist")),
                Some(text) => {
                    act.perform(&file(&path, without(&text, &call.need(1, "hostname")?, port(call, 3))))?;
                    ("removed", format!("Known hosts file {path} updated"))
                }
            };
            let key = if status == "error" { "error" } else { "comment" };
            Ok([("status", status.to_owned()), (key, comment)].into_iter().collect::<Map>().into())
        },
    ),
    read(
        "ssh.auth_keys",
        "(user=None, config='.ssh/authorized_keys')",
        "Returns the keys that may log in as a user.",
        |call, look, _| {
            let (_, text) = authorized(call, look, 0, 1)?;
            Ok(keys(&text).into())
        },
    ),
    read(
        "ssh.check_key",
        "(user, key, enc, comment, options, config='.ssh/authorized_keys')",
        "Tells what a key would take: `add`, `update` or `exists`.",
        |call, look, _| {
            let (_, text) = authorized(call, look, 0, 5)?;
            let (have, key) = (keys(&text), call.need(1, "key")?);
            let same = |have: &Value| {
                let is = |field: &str, place: usize| {
                    call.text(place, field)
                        .is_none_or(|want| have.get(field).and_then(Value::as_str).unwrap_or_default() == want)
                };
                is("enc", 2) && is("comment", 3)
            };
            Ok(match have.get(&key) {
                None => "add",
                Some(have) if same(have) => "exists",
                Some(_) => "update",
            }
            .into())
        },
    ),
    write(
        "ssh.set_auth_key",
        "(user, key, enc='ssh-rsa', comment='', options=None, config='.ssh/authorized_keys')",
        "Lets a key log in as a user: `new`, `replace` or `no change`.",
        |call, act, _| {
            let look = act.as_look();
            let ((path, text), user) = (authorized(call, look, 0, 5)?, call.need(0, "user")?);
            let key = call.need(1, "key")?;
            let options: Vec<String> = call
                .arg(4, "options")
                .and_then(Value::as_list)
                .unwrap_or_default()
                .iter()
                .map(corpus_core::python::str)
                .collect();
            let enc = call.text(2, "enc").unwrap_or_else(|| "ssh-rsa".into());
            let words = [options.join(","), enc, key.clone(), call.text(3, "comment").unwrap_or_default()];
            let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            if text.lines().any(|have| have.trim() == line) {
                return Ok("no change".into());
            }
            let there = keys(&text).contains(&key);
            let mut out: String =
                text.lines().filter(|have| !carries(have, &key)).map(|have| format!("{have}\n")).collect();
            out += &format!("{line}\n");
            let account =
                look.user(&user)?.ok_or_else(|| ExecError::failed(format!("User '{user}' does not exist")))?;
            let owner = |mode| Attrs {
                user: Some(Owner::Id(account.uid)),
                group: Some(Owner::Id(account.gid)),
                mode: Some(mode),
            };
            if let Some(folder) = std::path::Path::new(&path).parent().filter(|folder| !ask::is_dir(look, folder)) {
                act.perform(&Effect::Mkdir { path: folder.into(), attrs: owner(0o700) })?;
            }
            let attrs = if ask::exists(look, &path) { Attrs::default() } else { owner(0o600) };
            let content = Content::Bytes(out.into_bytes());
            act.perform(&Effect::WriteFile { path: path.into(), content, attrs, backup: None })?;
            Ok(if there { "replace" } else { "new" }.into())
        },
    ),
    write(
        "ssh.rm_auth_key",
        "(user, key, config='.ssh/authorized_keys')",
        "Keeps a key from logging in as a user.",
        |call, act, _| {
            let (path, text) = authorized(call, act.as_look(), 0, 2)?;
            let key = call.need(1, "key")?;
            if !keys(&text).contains(&key) {
                return Ok("Key not present".into());
            }
            let out = text.lines().filter(|have| !carries(have, &key)).map(|have| format!("{have}\n")).collect();
            act.perform(&file(&path, out))?;
            Ok("Key removed".into())
        },
    ),
    read("ssh.host_keys", "(keydir=None, private=True)", "Returns this machine's own keys.", |call, look, _| {
        let folder = call.text(0, "keydir").unwrap_or_else(|| "/etc/ssh".into());
        let mut all = Map::new();
        for name in look.list(folder.as_ref())? {
            let Some(rest) = name.strip_prefix("ssh_host_") else { continue };
            let shown = rest.replace("_key", "");
            let public = shown.ends_with(".pub");
            if public || call.flag(1, "private", true) {
                let text = ask::text(look, format!("{folder}/{name}"))?.unwrap_or_default();
                // Salt: the comment after a public key is left out.
                let text = if public { text.split_whitespace().take(2).collect::<Vec<_>>().join(" ") } else { text };
                all.insert(shown, text.trim());
            }
        }
        Ok(all.into())
    }),
    read(
        "ssh.user_keys",
        "(user=None, pubfile=None, prvfile=None)",
        "Returns the public keys of users.",
        |call, look, _| {
            let users = match call.arg(0, "user") {
                Some(Value::List(users)) => users.iter().map(corpus_core::python::str).collect(),
                Some(user) if user.truthy() => vec![corpus_core::python::str(user)],
                _ => vec!["root".to_owned()],
            };
            let mut all = Map::new();
            for user in users {
                let Some(account) = look.user(&user)? else { continue };
                let mut own = Map::new();
                let folder = format!("{}/.ssh", account.home);
                for name in look.list(folder.as_ref()).unwrap_or_default() {
                    if name.starts_with("id_") && name.ends_with(".pub") {
                        own.insert(
                            name.as_str(),
                            ask::text(look, format!("{folder}/{name}"))?.unwrap_or_default().trim(),
                        );
                    }
                }
                all.insert(user, own);
            }
            Ok(all.into())
        },
    ),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

/// A key of a host that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    pub host: String,
    pub enc: String,
    pub key: String,
}

impl HostKey {
    /// Returns the digest of the key in hexadecimal with colons, SHA-256 unless `md5` or `sha1` is asked for.
    pub fn fingerprint(&self, kind: Option<&str>) -> String {
        let bytes = unbase64(&self.key).unwrap_or_default();
        let hex = match kind {
            Some("md5") => digest::hex(&md5::Md5::digest(&bytes)),
            Some("sha1") => digest::hex(&sha1::Sha1::digest(&bytes)),
            _ => digest::hex(&digest::sha256(&bytes)),
        };
        let mut out = String::new();
        for (at, c) in hex.chars().enumerate() {
            if at > 0 && at % 2 == 0 {
                out.push(':');
            }
            out.push(c);
        }
        out
    }

    /// Returns Salt's record of the key.
    pub fn to_value(&self, kind: Option<&str>) -> Value {
        let fields = [
            ("hostname", self.host.clone()),
            ("enc", self.enc.clone()),
            ("key", self.key.clone()),
            ("fingerprint", self.fingerprint(kind)),
        ];
        fields.into_iter().collect::<Map>().into()
    }

    /// Writes the line, the name hashed if wanted. What salts the hash comes from the machine and the name, so
    /// that planning twice gives the same line.
    pub fn line(&self, look: &dyn Look, hashed: bool) -> String {
        if !hashed {
            return format!("{} {} {}", self.host, self.enc, self.key);
        }
        let machine = ask::text(look, "/etc/machine-id").ok().flatten().unwrap_or_default();
        let salt = sha1::Sha1::digest(format!("{}\n{}\n{}", machine.trim(), self.host, self.enc).as_bytes());
        let hash = hmac(&salt, self.host.as_bytes());
        format!("|1|{}|{} {} {}", base64(&salt), base64(&hash), self.enc, self.key)
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    let short = if key.len() > 64 { sha1::Sha1::digest(key).to_vec() } else { key.to_vec() };
    block[..short.len()].copy_from_slice(&short);
    let pad = |with: u8| block.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = sha1::Sha1::digest([pad(0x36).as_slice(), text].concat());
    sha1::Sha1::digest([pad(0x5c).as_slice(), &inner].concat()).to_vec()
}

/// Returns a host as known_hosts writes it.
pub fn shown(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if port != 22 => format!("[{host}]:{port}"),
        _ => host.to_owned(),
    }
}

fn names(field: &str, host: &str) -> bool {
    match field.strip_prefix("|1|").and_then(|rest| rest.split_once('|')) {
        Some((salt, hash)) => {
            unbase64(salt).is_some_and(|salt| unbase64(hash).as_deref() == Some(&*hmac(&salt, host.as_bytes())))
        }
        None => field.split(',').any(|name| name == host),
    }
}

fn of_line(line: &str, host: &str) -> Option<HostKey> {
    let mut words = line.split_whitespace();
    let first = words.next().filter(|word| !word.starts_with(['#', '@']))?;
    let (enc, key) = (words.next()?, words.next()?);
    names(first, host).then(|| HostKey { host: host.into(), enc: enc.into(), key: key.into() })
}

/// Finds the keys of a host in the text of a known_hosts file.
pub fn find(text: &str, host: &str, port: Option<u16>) -> Vec<HostKey> {
    let host = shown(host, port);
    text.lines().filter_map(|line| of_line(line, &host)).collect()
}

/// Returns the text without the keys of a host.
pub fn without(text: &str, host: &str, port: Option<u16>) -> String {
    let host = shown(host, port);
    text.lines().filter(|line| of_line(line, &host).is_none()).fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{line}");
        out
    })
}

/// Asks a host for its keys.
pub fn scan(
    look: &dyn Look,
    host: &str,
    enc: Option<&str>,
    port: Option<u16>,
    seconds: u64,
) -> HostResult<Vec<HostKey>> {
    let mut command = Command::new(["ssh-keyscan", "-T", &seconds.to_string()]);
    if let Some(port) = port {
        command.argv.extend(["-p".into(), port.to_string()]);
    }
    let kind = enc.map_or("rsa,ecdsa,ed25519", |enc| enc.trim_start_matches("ssh-"));
    command.argv.extend(["-t".into(), kind.into(), host.into()]);
    let text = look.query(&command)?.stdout_text();
    let name = shown(host, port);
    Ok(text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some(HostKey { host: name.clone(), enc: words.next()?.into(), key: words.next()?.into() })
        })
        .collect())
}

/// Returns where a user's, or all users', known hosts are.
pub fn config(look: &dyn Look, user: Option<&str>, path: Option<&str>) -> Result<String, ExecError> {
    let path = path.unwrap_or(if user.is_some() { ".ssh/known_hosts" } else { "/etc/ssh/ssh_known_hosts" });
    in_home(look, user, path)
}

fn in_home(look: &dyn Look, user: Option<&str>, path: &str) -> Result<String, ExecError> {
    let Some(user) = user else { return Ok(path.to_owned()) };
    let account = look.user(user)?.ok_or_else(|| ExecError::failed(format!("User '{user}' does not exist")))?;
    let path = path.replace("%h", &account.home).replace("%u", user).replace("%U", &account.uid.to_string());
    Ok(if path.starts_with('/') { path } else { format!("{}/{path}", account.home) })
}

fn known(call: &Call, look: &dyn Look) -> Result<(String, Vec<HostKey>), ExecError> {
    let path = config(look, call.text(0, "user").as_deref(), call.text(2, "config").as_deref())?;
    let text = ask::text(look, &path)?.unwrap_or_default();
    let found = find(&text, &call.need(1, "hostname")?, port(call, 3));
    Ok((path, found))
}

fn port(call: &Call, place: usize) -> Option<u16> {
    call.text(place, "port").and_then(|text| text.parse().ok())
}

fn timeout(call: &Call, place: usize) -> u64 {
    call.text(place, "timeout").and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn entries(found: &[HostKey]) -> Value {
    Value::list(found.iter().map(|key| key.to_value(None)).collect())
}

fn file(path: &str, text: String) -> Effect {
    let content = Content::Bytes(text.into_bytes());
    Effect::WriteFile { path: path.into(), content, attrs: Attrs::default(), backup: None }
}

fn authorized(call: &Call, look: &dyn Look, user: usize, config: usize) -> Result<(String, String), ExecError> {
    let user = call.text(user, "user").unwrap_or_else(|| "root".into());
    let path = call.text(config, "config").unwrap_or_else(|| ".ssh/authorized_keys".into());
    let path = in_home(look, Some(&user), &path)?;
    let text = ask::text(look, &path)?.unwrap_or_default();
    Ok((path, text))
}

/// Takes a line of authorized keys apart: options, type, key, comment.
fn words(line: &str) -> Option<(String, String, String, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let kinds = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];
    let (mut quoted, mut start) = (false, true);
    for (at, c) in line.char_indices() {
        if start && !quoted && kinds.iter().any(|kind| line[at..].starts_with(kind)) {
            let mut rest = line[at..].splitn(3, char::is_whitespace);
            let (enc, key) = (rest.next()?, rest.next()?);
            let comment = rest.next().unwrap_or_default().trim();
            return Some((line[..at].trim().into(), enc.into(), key.into(), comment.into()));
        }
        quoted ^= c == '"';
        start = c.is_whitespace();
    }
    None
}

fn carries(line: &str, key: &str) -> bool {
    words(line).is_some_and(|(_, _, have, _)| have == key)
}

fn keys(text: &str) -> Map {
    let mut all = Map::new();
    for (options, enc, key, comment) in text.lines().filter_map(words) {
        let print = HostKey { host: String::new(), enc: enc.clone(), key: key.clone() }.fingerprint(None);
        let options: Vec<&str> = options.split(',').filter(|option| !option.is_empty()).collect();
        let mut entry = Map::new();
        entry.insert("enc", enc);
        entry.insert("comment", comment);
        entry.insert("options", options);
        entry.insert("fingerprint", print);
        all.insert(key, entry);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_hashed_names_as_openssh_writes_them() {
        let key = HostKey { host: "git.example.org".into(), enc: "ssh-ed25519".into(), key: "QUJD".into() };
        let fake = corpus_core::fake::Fake::new();
        let text = format!("# here\nother,git.example.org ssh-rsa QQ==\n{}\n", key.line(&fake, true));
        assert!(!text.contains("git.example.org ssh-ed25519"));
        let found = find(&text, "git.example.org", None);
        assert_eq!(found.iter().map(|key| key.enc.as_str()).collect::<Vec<_>>(), ["ssh-rsa", "ssh-ed25519"]);
        assert_eq!(without(&text, "git.example.org", Some(22)), "# here\n");
        assert!(find(&text, "git.example.org", Some(2222)).is_empty());
        assert_eq!(key.fingerprint(Some("md5")), "90:2f:bd:d2:b1:df:0c:4f:70:b4:a5:d2:35:25:e9:32");
    }

    #[test]
    fn signs_as_rfc_2202_says() {
        assert_eq!(
            digest::hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
    }
}
