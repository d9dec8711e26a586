//! What `ssh_auth.*` share: keys as authorized_keys writes them, and the file's place.

use corpus_core::host::User;
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{Attrs, Content, Effect, Owner, Plan, PlanCx, StateError};
use corpus_exec::ask;

const TYPES: [&str; 4] = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];

/// A line of an authorized_keys file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    pub options: String,
    pub kind: String,
    pub key: String,
    pub comment: String,
}

impl Key {
    /// Takes a line apart; `None` for comments and empty lines.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        // Options may hold spaces within quotes: the type is the first word that looks like one outside of them.
        let (mut quoted, mut start) = (false, true);
        for (at, c) in line.char_indices() {
            if start && !quoted && TYPES.iter().any(|kind| line[at..].starts_with(kind)) {
                let mut words = line[at..].splitn(3, char::is_whitespace);
                return Some(Self {
                    options: line[..at].trim().to_owned(),
                    kind: words.next()?.into(),
                    key: words.next()?.trim().into(),
                    comment: words.next().unwrap_or_default().trim().into(),
                });
            }
            quoted ^= c == '"';
            start = c.is_whitespace();
        }
        None
    }

    /// Reads what a state gives: a whole line, or the key alone with the other arguments beside it.
    pub fn of_arguments(name: &str, enc: &str, comment: &str, options: &[String]) -> Self {
        if let Some(mut key) = Self::parse(name) {
            if key.comment.is_empty() {
                key.comment = comment.into();
            }
            if key.options.is_empty() {
                key.options = options.join(",");
            }
            return key;
        }
        let (key, rest) = name.trim().split_once(char::is_whitespace).unwrap_or((name.trim(), comment));
        let kind = if ["ssh-", "ecdsa-", "sk-"].iter().any(|start| enc.starts_with(start)) {
            enc.to_owned()
        } else {
            format!("ssh-{enc}")
        };
        Self { options: options.join(","), kind, key: key.into(), comment: rest.trim().into() }
    }

    /// Writes the line.
    pub fn line(&self) -> String {
        let words = [&self.options, &self.kind, &self.key, &self.comment];
        words.into_iter().filter(|word| !word.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Where a user's keys are.
pub struct Place {
    pub user: User,
    pub path: String,
    pub text: String,
}

/// Finds a user's file of keys.
pub fn place(cx: &PlanCx<'_>, user: &str, config: &str) -> Result<Place, StateError> {
    let user = cx
        .host
        .user(user)?
        .ok_or_else(|| StateError::missing(format!("Failed to add the ssh key. User {user} is not present")))?;
    let path = config.replace("%h", &user.home).replace("%u", &user.name).replace("%U", &user.uid.to_string());
    let path = if path.starts_with('/') { path } else { format!("{}/{path}", user.home) };
    let text = ask::text(cx.host, &path)?.unwrap_or_default();
    Ok(Place { user, path, text })
}

/// Reads the keys of a source file.
pub fn source(cx: &PlanCx<'_>, url: &str) -> Result<Vec<Key>, StateError> {
    let bytes = if url.starts_with('/') {
        cx.host.read(url.as_ref())?
    } else {
        let request = FileRequest { origin: FileOrigin::Urls(vec![url.into()]), saltenv: cx.saltenv(), template: None };
        let found = cx
            .source
            .resolve(&request)
            .map_err(|_| StateError::missing(format!("Failed to add the ssh key. Source file {url} is missing")))?;
        cx.read_source(&found)?
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(Key::parse).collect())
}

/// Adds the effects that write a file of keys, its folder included.
pub fn write(cx: &PlanCx<'_>, place: &Place, text: String, plan: &mut Plan) {
    let owner = |mode| Attrs {
        user: Some(Owner::Name(place.user.name.clone())),
        group: Some(Owner::Id(place.user.gid)),
        mode: Some(mode),
    };
    if let Some(folder) = std::path::Path::new(&place.path).parent()
        && !ask::is_dir(cx.host, folder)
    {
        plan.push(Effect::Mkdir { path: folder.into(), attrs: owner(0o700) }, vec![]);
    }
    let attrs = if ask::exists(cx.host, &place.path) { Attrs::default() } else { owner(0o600) };
    let content = Content::Bytes(text.into());
    plan.push(Effect::WriteFile { path: place.path.clone().into(), content, attrs, backup: None }, vec![]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_lines_apart() {
        for (line, kind, options, comment) in [
            ("ssh-rsa AAAA me@here", "ssh-rsa", "", "me@here"),
            ("command=\"ls ssh-x\",no-pty ssh-ed25519 BBBB", "ssh-ed25519", "command=\"ls ssh-x\",no-pty", ""),
            ("sk-ssh-ed25519@openssh.com CC a b", "sk-ssh-ed25519@openssh.com", "", "a b"),
        ] {
            let key = Key::parse(line).expect("a key");
            assert_eq!((key.kind.as_str(), key.options.as_str(), key.comment.as_str()), (kind, options, comment));
            assert_eq!(key.line(), line);
        }
        assert_eq!(Key::parse("# ssh-rsa AAAA"), None);
        assert_eq!(Key::of_arguments("AAAA", "ed25519", "me", &[]).line(), "ssh-ed25519 AAAA me");
    }
}
