//! The drivers of `sdb` profiles.

use super::{KeyStore, Profiles};
use corpus_core::merge::{self, Strategy};
use corpus_core::{Map, Value, python};
use corpus_pillar_http::vault::Vault;
use corpus_pillar_sql::KeyTable;
use corpus_render::{Cipher, Decrypt, decrypt_value};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const DRIVERS: &str = "cmd, env, file, json, keyring, sqlite3, vault, yaml";

/// Makes the store of a profile.
pub(super) fn make<'a>(name: &str, profile: &Map, from: &Profiles<'a>) -> Result<Box<dyn KeyStore + 'a>, String> {
    let word = |key: &str| profile.get(key).filter(|value| !value.is_null()).map(python::str);
    let need = |key: &str| word(key).ok_or_else(|| format!("the sdb profile `{name}` has no `{key}`"));
    let driver = need("driver")?;
    Ok(match driver.as_str() {
        "env" => Box::new(Environment),
        "yaml" | "json" => Box::new(Documents {
            files: list(profile.get("files")),
            merge: profile.get("merge").cloned(),
            decrypt: profile.get("gpg").is_some_and(Value::truthy).then_some(from.decrypt),
        }),
        "file" => Box::new(Files { dir: need("dir")?.into() }),
        "cmd" => {
            let command = list(profile.get("command"));
            if command.is_empty() {
                return Err(format!(
                    "the sdb profile `{name}` has no `command`: a list of words, `{{key}}` among them, that prints the value"
                ));
            }
            let (set, delete) = (list(profile.get("set_command")), list(profile.get("delete_command")));
            Box::new(Program { get: command, set, delete })
        }
        "keyring" => Box::new(Program::keyring(&need("service")?)),
        "sqlite3" | "sqlite" => Box::new(Sqlite(KeyTable::of(profile).map_err(|why| format!("`{name}`: {why}"))?)),
        "vault" => {
            let setting = from.opts.get("vault").map(|setting| from.resolved(setting)).transpose()?;
            let patch = profile.get("patch").is_some_and(Value::truthy);
            Box::new(Secrets { vault: Vault::of(setting.as_ref())?, patch })
        }
        other => return Err(format!("the sdb driver `{other}` is not built into this corpus; there are: {DRIVERS}")),
    })
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(Value::Null) | None => vec![],
        Some(one) => vec![python::str(one)],
    }
}

/// Variables of this process.
struct Environment;

impl KeyStore for Environment {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        Ok(std::env::var(key).ok().map(Value::from))
    }
}

/// YAML or JSON files, merged; the key is a path with colons.
struct Documents<'a> {
    files: Vec<String>,
    merge: Option<Value>,
    decrypt: Option<&'a dyn Decrypt>,
}

impl KeyStore for Documents<'_> {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        let setting = |key: &str| self.merge.as_ref().and_then(|merge| merge.get(key));
        let strategy = match setting("strategy").map(python::str) {
            Some(word) => Strategy::of(&word).ok_or_else(|| format!("`{word}` is no strategy of merging"))?,
            None => Strategy::Smart,
        };
        let lists = setting("merge_lists").or_else(|| setting("merge_list")).is_some_and(Value::truthy);
        let mut all = Map::new();
        for path in &self.files {
            let text = std::fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"))?;
            // What is wrong is told by its place alone: the text holds secrets.
            let node = corpus_core::yaml::parse(&text).map_err(|error| {
                let pos = error.place(&text);
                format!("{path}:{}:{} cannot be read as YAML", pos.line, pos.col)
            })?;
            match node.to_value() {
                Value::Map(map) => all = merge::merge(all, &map, strategy, lists),
                Value::Null => {}
                other => return Err(format!("{path} holds a {}, not a mapping", other.type_name())),
            }
        }
        let found = Value::map(all).traverse(key, ":").cloned();
        match (found, self.decrypt) {
            (Some(value), Some(by)) => decrypt_value(&value, Cipher::Gpg, by).map(Some),
            (found, _) => Ok(found),
        }
    }
}

/// A file for each key, as container platforms mount their secrets.
struct Files {
    dir: PathBuf,
}

impl KeyStore for Files {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        if !Path::new(key).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err("the key leaves the folder".into());
        }
        match std::fs::read_to_string(self.dir.join(key)) {
            Ok(text) => Ok(Some(text.strip_suffix('\n').unwrap_or(&text).into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("read {}: {error}", self.dir.join(key).display())),
        }
    }
}

/// Programs that print, take and forget the value: `secret-tool`, `pass`, `op`…
struct Program {
    get: Vec<String>,
    /// Reads the value from its standard input.
    set: Vec<String>,
    delete: Vec<String>,
}

/// How long a key store's program may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Program {
    /// The desktop's keyring, with the attributes that Python's `keyring` gives its entries.
    fn keyring(service: &str) -> Self {
        let words = |words: &[&str]| {
            let entry = ["service", service, "username", "{key}"];
            ["secret-tool"].iter().chain(words).chain(&entry).map(|word| (*word).to_owned()).collect()
        };
        Self { get: words(&["lookup"]), set: words(&["store", "--label={key}"]), delete: words(&["clear"]) }
    }

    fn run(
        &self,
        words: &[String],
        key: &str,
        input: Option<&str>,
    ) -> Result<(std::process::ExitStatus, String), String> {
        let words: Vec<String> = words.iter().map(|word| word.replace("{key}", key)).collect();
        let Some((program, rest)) = words.split_first() else {
            return Err("the profile has no command for this".into());
        };
        let mut child = Command::new(program)
            .args(rest)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input.map(str::to_owned)) {
            std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        }
        let mut stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.as_mut().map(|stdout| stdout.read_to_string(&mut text)).transpose().map(|_| text)
        });
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().map_err(|error| format!("{program} was lost: {error}"))? {
                Some(status) => break status,
                None if Instant::now() > until => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("{program} gave no answer in {} seconds", PATIENCE.as_secs()));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let said = reader.join().map_err(|_| format!("{program} was lost"))?;
        Ok((status, said.map_err(|error| format!("what {program} prints is no text: {error}"))?))
    }

    fn done(&self, words: &[String], key: &str, input: Option<&str>) -> Result<(), String> {
        let (status, _) = self.run(words, key, input)?;
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", words[0])) }
    }
}

impl KeyStore for Program {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        let (status, text) = self.run(&self.get, key, None)?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        // `secret-tool lookup` ends with 1 and without a word where there is none.
        if status.code() == Some(1) && text.is_empty() && self.get[0] == "secret-tool" {
            return Ok(None);
        }
        if !status.success() {
            return Err(format!("{} ended with {status}", self.get[0]));
        }
        Ok(Some(text).filter(|text| !text.is_empty()).map(Value::from))
    }

    fn set(&self, key: &str, value: &Value) -> Result<(), String> {
        self.done(&self.set, key, Some(&python::str(value)))
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        self.done(&self.delete, key, None)
    }
}

/// A table.
struct Sqlite(KeyTable);

impl KeyStore for Sqlite {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        self.0.get(key)
    }
    fn set(&self, key: &str, value: &Value) -> Result<(), String> {
        self.0.set(key, value)
    }
    fn delete(&self, key: &str) -> Result<(), String> {
        self.0.delete(key)
    }
}

/// Fields of secrets of a Vault: `PATH/FIELD` or `PATH?FIELD`.
struct Secrets {
    vault: Arc<Vault>,
    /// Other fields of a secret stay when one is set.
    patch: bool,
}

fn split(key: &str) -> Result<(&str, &str), String> {
    let parts = key.split_once('?').or_else(|| key.rsplit_once('/'));
    parts.ok_or_else(|| "a value of Vault is named PATH/FIELD".to_owned())
}

impl KeyStore for Secrets {
    fn get(&self, key: &str) -> Result<Option<Value>, String> {
        let (path, field) = split(key)?;
        if let Some(found) = self.vault.read(path, None)? {
            return Ok(found.get(field).cloned());
        }
        // Salt: the whole secret, where the path with the last word names one.
        Ok(self.vault.read(&format!("{path}/{field}"), None)?.map(Value::map))
    }

    fn set(&self, key: &str, value: &Value) -> Result<(), String> {
        let (path, field) = split(key)?;
        let data: Map = [(field, value.clone())].into_iter().collect();
        let patch = self.patch && self.vault.read(path, None)?.is_some();
        if patch { self.vault.patch(path, &data) } else { self.vault.write(path, &data) }.map(drop)
    }

    fn delete(&self, key: &str) -> Result<(), String> {
        let (path, field) = split(key)?;
        let mut left = self.vault.read(path, None)?.unwrap_or_default();
        left.0.shift_remove(&Value::from(field));
        if left.is_empty() { self.vault.delete(path, &[]) } else { self.vault.write(path, &left).map(drop) }
    }
}
