//! Requests for certificates.

use super::{Parts, compared, passphrase_file};
use crate::ask;
use corpus_core::host::{Command, HostResult, Look};

/// A request as it is to be.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `/C=DE/CN=example.org`.
    pub subject: String,
    /// Lines of `openssl`'s configuration.
    pub extensions: String,
    pub digest: String,
    /// The private key's file.
    pub key: String,
    pub passphrase: Option<String>,
}

impl Request {
    /// Makes the request; nothing on the machine changes.
    pub fn make(&self, look: &dyn Look) -> HostResult<String> {
        let words = ["openssl", "req", "-new", "-key", &self.key, "-subj", &self.subject];
        let mut command = Command::new(words);
        let pass = passphrase_file(&mut command, self.passphrase.as_deref().unwrap_or_default());
        let more = ["-passin", &pass, "-config", "/dev/stdin", "-reqexts", "e"].map(str::to_owned);
        command.argv.extend(more);
        command.argv.push(format!("-{}", self.digest));
        command.secret = self.passphrase.is_some();
        let config = format!("[req]\ndistinguished_name=d\n[d]\n[e]\n{}", self.extensions);
        ask::output(look, &command.stdin(config))
    }
}

/// Reads a request: from a file, or from text.
pub fn parts(look: &dyn Look, path: Option<&str>, text: Option<&str>) -> HostResult<Parts> {
    let hidden = "no_header,no_version,no_subject,no_pubkey,no_sigdump";
    let words = ["openssl", "req", "-noout", "-subject", "-nameopt", "RFC2253", "-pubkey", "-text", "-reqopt", hidden];
    compared(look, Command::new(words), path, text)
}
