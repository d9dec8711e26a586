//! Files in a guest, written from its node. A guest that runs writes them itself, because a link in it would lead its
//! node astray; one that does not has its directories checked for links first.

use super::{Files, Guest, describe};
use crate::ask;
use corpus_core::{Act, Attrs, Command, Content, Effect, ExecError, FileKind, Owner, Value, python};
use std::path::Path;

/// The inside of a guest.
pub struct Inside<'a> {
    pub guest: &'a Guest,
    pub files: Files,
    pub running: bool,
}

impl Inside<'_> {
    /// Writes what a key of a declaration puts into files.
    pub fn put_key(&self, act: &dyn Act, key: &str, value: &Value) -> Result<(), ExecError> {
        let text = python::str(value);
        match key {
            "this_host" => self.put(act, "/this_host", &format!("{text}\n"), 0o644),
            "this_port" => self.put(act, "/this_port", &format!("{text}\n"), 0o644),
            "hostname" => self.put(act, "/etc/hostname", &format!("{text}\n"), 0o644),
            "nameservers" => {
                let servers = value.as_list().unwrap_or_default().iter();
                let lines: String = servers.map(|server| format!("nameserver {}\n", python::str(server))).collect();
                self.put(act, "/etc/resolv.conf", &lines, 0o644)
            }
            "authorized_keys" => {
                let mut have = self.files.text(act.as_look(), describe::KEYS_FILE)?.unwrap_or_default();
                for key in value.as_list().unwrap_or_default().iter().map(python::str) {
                    if !have.lines().any(|line| line.trim() == key) {
                        let newline = if have.is_empty() || have.ends_with('\n') { "" } else { "\n" };
                        have += &format!("{newline}{key}\n");
                    }
                }
                self.put(act, describe::KEYS_FILE, &have, 0o600)
            }
            _ => Ok(()),
        }
    }

    /// Makes a new machine of a copy: its name, no machine id, host keys that no other has.
    pub fn identity(&self, act: &dyn Act) -> Result<(), ExecError> {
        let name = &self.guest.name;
        let look = act.as_look();
        if self.files.find(look, "/etc")?.is_none() {
            return Ok(());
        }
        self.put(act, "/etc/hostname", &format!("{name}\n"), 0o644)?;
        let hosts = format!("127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        self.put(act, "/etc/hosts", &hosts, 0o644)?;
        // Systemd makes one for an empty file; without the file it asks who the machine is at its first start.
        self.put(act, "/etc/machine-id", "", 0o444)?;
        self.host_keys(act)
    }

    fn host_keys(&self, act: &dyn Act) -> Result<(), ExecError> {
        let look = act.as_look();
        if self.files.find(look, "/etc/ssh")?.is_none() || self.files.find(look, "/usr/sbin/sshd")?.is_none() {
            return Ok(());
        }
        if look.which("ssh-keygen").is_none() {
            return Err(ExecError::failed(
                "ssh-keygen is not installed on this machine; install it first (`pkg.installed`: openssh-client)",
            ));
        }
        for kind in ["ed25519", "ecdsa", "rsa"] {
            let path = format!("/etc/ssh/ssh_host_{kind}_key");
            // A modern key for everybody; of the others those that the copy would share.
            if kind != "ed25519" && self.files.find(look, &path)?.is_none() {
                continue;
            }
            let made = self.guest.dir().join(format!(".{kind}"));
            let public = made.with_file_name(format!(".{kind}.pub"));
            for file in [&made, &public] {
                if look.lstat(file)?.is_some() {
                    act.perform(&Effect::Remove { path: file.clone() })?;
                }
            }
            let (at, comment) = (made.display().to_string(), format!("root@{}", self.guest.name));
            ask::must(act, Command::new(["ssh-keygen", "-q", "-N", "", "-C", &comment, "-t", kind, "-f", &at]))?;
            for (file, suffix, mode) in [(&made, "", 0o600), (&public, ".pub", 0o644)] {
                let text = ask::text(look, file)?.unwrap_or_default();
                self.put(act, &format!("{path}{suffix}"), &text, mode)?;
                act.perform(&Effect::Remove { path: file.clone() })?;
            }
        }
        Ok(())
    }

    /// Writes a file.
    pub fn put(&self, act: &dyn Act, path: &str, text: &str, mode: u32) -> Result<(), ExecError> {
        if self.running { self.put_live(act, path, text, mode) } else { self.put_at_rest(act, path, text, mode) }
    }

    fn put_live(&self, act: &dyn Act, path: &str, text: &str, mode: u32) -> Result<(), ExecError> {
        const SCRIPT: &str = r#"set -e; umask 077; mkdir -p "$(dirname "$1")"; cat >"$1.corpus"; chmod "$2" "$1.corpus"
            if [ -L "$1" ]; then rm -f "$1"; fi; mv -f "$1.corpus" "$1""#;
        let mode = format!("{mode:o}");
        let words = ["--clear-env", "--", "/bin/sh", "-c", SCRIPT, "sh", path, &mode];
        ask::must(act, self.guest.command_of("lxc-attach", words).stdin(text))?;
        Ok(())
    }

    fn put_at_rest(&self, act: &dyn Act, path: &str, text: &str, mode: u32) -> Result<(), ExecError> {
        let mut at = self.files.upper.clone();
        let folders = Path::new(path.trim_start_matches('/')).parent().unwrap_or(Path::new(""));
        let mut inside = String::new();
        for folder in folders.iter() {
            inside += &format!("/{}", folder.to_string_lossy());
            at.push(folder);
            let found = self.files.find(act.as_look(), &inside)?;
            let meta = found.as_ref().map(|found| act.lstat(found)).transpose()?.flatten();
            if meta.is_some_and(|meta| meta.kind != FileKind::Dir) {
                return Err(ExecError::failed(format!(
                    "{inside} in container '{}' is no directory; a file below it is not written from outside",
                    self.guest.name
                )));
            }
            if found.as_deref() != Some(&*at) {
                // What the layer below has keeps its owner and mode; what nobody has is root's own.
                let (owner, mode) = meta.map_or((0, 0o700), |meta| (meta.uid, meta.mode));
                act.perform(&Effect::Mkdir { path: at.clone(), attrs: attrs(owner, mode) })?;
            }
        }
        at.push(Path::new(path).file_name().unwrap_or_default());
        if act.lstat(&at)?.is_some_and(|meta| meta.kind != FileKind::File) {
            act.perform(&Effect::Remove { path: at.clone() })?;
        }
        let content = Content::Bytes(text.as_bytes().to_vec());
        act.perform(&Effect::WriteFile { path: at, content, attrs: attrs(self.files.shifted, mode), backup: None })?;
        Ok(())
    }
}

fn attrs(owner: u32, mode: u32) -> Attrs {
    Attrs { user: Some(Owner::Id(owner)), group: Some(Owner::Id(owner)), mode: Some(mode) }
}
