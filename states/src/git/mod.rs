//! What `git.*` share: git as a program, never through a shell.

use corpus_core::host::{Command, Output};
use corpus_core::{PlanCx, StateError};
use corpus_exec::ask;

/// Who runs git, and with which keys.
#[derive(Clone, Copy)]
pub struct As<'a> {
    pub user: Option<&'a str>,
    pub identity: &'a [String],
}

impl As<'_> {
    /// Makes a command.
    pub fn git<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = Command::new(["git"]);
        command.argv.extend(words.map(str::to_owned));
        command.runas = self.user.map(str::to_owned);
        // Nobody is there to type a password.
        command = command.env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        if !self.identity.is_empty() {
            let keys: String =
                self.identity.iter().map(|key| format!(" -i '{}'", key.replace('\'', "'\\''"))).collect();
            command = command.env(
                "GIT_SSH_COMMAND",
                &format!("ssh -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes{keys}"),
            );
        }
        command
    }

    /// Asks git; `None` when it says no.
    pub fn ask<const N: usize>(&self, cx: &PlanCx<'_>, words: [&str; N]) -> Result<Option<String>, StateError> {
        let output = self.query(cx, words)?;
        Ok(output.ok().then(|| output.stdout_text().trim().to_owned()))
    }

    /// Asks git and returns all of its answer.
    pub fn query<const N: usize>(&self, cx: &PlanCx<'_>, words: [&str; N]) -> Result<Output, StateError> {
        if cx.host.which("git").is_none() {
            return Err(StateError::missing(
                "git is not installed on this machine; install it first (`pkg.installed`)",
            ));
        }
        Ok(cx.host.query(&self.git(words))?)
    }

    /// Finds which commit a revision of a remote is; the reference that names it, if one does.
    pub fn remote_rev(&self, cx: &PlanCx<'_>, url: &str, rev: &str) -> Result<(String, Option<String>), StateError> {
        let output = self.query(cx, ["ls-remote", url])?;
        if !output.ok() {
            return Err(StateError::failed(format!("Failed to check remote refs: {}", ask::said(&output))));
        }
        let text = output.stdout_text();
        let refs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('\t')).collect();
        // An annotated tag's commit stands under `^{}`.
        let names =
            [rev.to_owned(), format!("refs/heads/{rev}"), format!("refs/tags/{rev}^{{}}"), format!("refs/tags/{rev}")];
        for name in &names {
            if let Some((sha, _)) = refs.iter().find(|(_, reference)| reference == name) {
                return Ok(((*sha).to_owned(), Some(name.trim_end_matches("^{}").to_owned())));
            }
        }
        if rev.len() >= 7 && rev.len() <= 40 && rev.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let known = refs.iter().find(|(sha, _)| sha.starts_with(rev)).map(|(sha, _)| (*sha).to_owned());
            return Ok((known.unwrap_or_else(|| rev.to_owned()), None));
        }
        Err(StateError::failed(format!("No revision matching '{rev}' exists in the remote repository")))
    }
}

/// Shows an address without the password in it.
pub fn redact(url: &str) -> String {
    match url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?))) {
        Some((scheme, (_, rest))) if scheme.starts_with("http") => format!("{scheme}://<redacted>@{rest}"),
        _ => url.to_owned(),
    }
}

/// Joins comments as Salt does: one stands alone, more are sentences.
pub fn sentences(comments: &[String]) -> String {
    match comments {
        [one] => one.clone(),
        more => more.iter().map(|comment| format!("{}.", comment.trim_end_matches('.'))).collect::<Vec<_>>().join(" "),
    }
}
