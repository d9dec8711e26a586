//! `x509.csr_managed`

use super::shared::{Place, digest};
use corpus_core::decode::Mode;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, state};
use corpus_exec::x509::{self, request};
use serde::Deserialize;

/// Keeps a request for a certificate in a file. Parts of its subject (`CN`, `O`…) and extensions (`keyUsage`,
/// `subjectAltName`…) are further arguments.
///
/// ```sls
/// /etc/ssl/web.csr:
///   x509.csr_managed:
///     - private_key: /etc/ssl/private/web.key
///     - CN: www.example.org
///     - subjectAltName: DNS:www.example.org
/// ```
#[derive(Deserialize)]
pub struct CsrManaged {
    /// The file.
    pub name: String,
    /// The private key's file.
    pub private_key: String,
    /// Its passphrase.
    pub private_key_passphrase: Option<String>,
    /// How it is signed.
    #[serde(default = "super::certificate_managed::sha256", alias = "algorithm")]
    pub digest: String,
    /// Only `pem` is built.
    #[serde(default = "super::private_key_managed::pem")]
    pub encoding: String,
    /// The subject, as `/C=DE/CN=x`, instead of its parts.
    pub subject: Option<String>,
    /// Who owns the file.
    pub user: Option<Value>,
    /// Its group.
    pub group: Option<Value>,
    /// Its permissions.
    pub mode: Option<Mode>,
    /// Make the directories that are missing.
    #[serde(default)]
    pub makedirs: bool,
    /// Their permissions.
    pub dir_mode: Option<Mode>,
    /// Keep what the file was: `minion`.
    #[serde(default)]
    pub backup: Value,
}

impl CsrManaged {
    /// Compares the request of the file with the one that has just been made.
    fn differs(&self, cx: &PlanCx<'_>, path: &str, new: &str) -> Result<Map, StateError> {
        let mut changes = Map::new();
        if cx.host.stat(path.as_ref())?.is_none() {
            changes.insert("created", self.name.as_str());
            return Ok(changes);
        }
        let Ok(have) = request::parts(cx.host, Some(path), None) else {
            changes.insert("replaced", self.name.as_str());
            return Ok(changes);
        };
        let want = request::parts(cx.host, None, Some(new))?;
        if have.signature != want.signature {
            changes.insert("digest", self.digest.as_str());
        }
        if have.key != want.key {
            changes.insert("private_key", true);
        }
        if have.subject != want.subject {
            changes.insert("subject_name", want.subject);
        }
        let shown = x509::difference(&have.extensions, &want.extensions);
        if shown.values().any(Value::truthy) {
            changes.insert("extensions", shown);
        }
        Ok(changes)
    }
}

impl State for CsrManaged {
    const NAME: &'static str = "x509.csr_managed";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = crate::file::shared::path(cx, &self.name)?;
        cx.program("openssl", "openssl")?;
        if self.encoding != "pem" {
            return Err(StateError::failed(format!("argument `encoding`: `{}` is not built; pem is", self.encoding)));
        }
        let given = state::arguments(cx.low);
        let wanted = request::Request {
            subject: self.subject.clone().unwrap_or_else(|| x509::subject(&given)),
            extensions: x509::extensions(&given).map_err(StateError::failed)?,
            digest: digest(&self.digest)?,
            key: self.private_key.clone(),
            passphrase: self.private_key_passphrase.clone(),
        };
        if cx.host.stat(self.private_key.as_ref())?.is_none() {
            return Err(StateError::missing(format!("{} does not exist", self.private_key)));
        }
        let empty = |path: &std::path::Path| {
            corpus_exec::ask::text(cx.host, path).map(|text| text.unwrap_or_default().is_empty())
        };
        let new = match wanted.make(cx.host) {
            // Its key comes with this run: `openssl` cannot read what a dry run only foresees.
            Err(_) if cx.test && empty(&path)? => String::new(),
            made => made.map_err(|error| StateError::missing(x509::refused(&error)))?,
        };
        let changes = self.differs(cx, &path.to_string_lossy(), &new)?;
        let place = Place {
            path: &path,
            user: &self.user,
            group: &self.group,
            mode: self.mode,
            makedirs: self.makedirs,
            dir_mode: self.dir_mode,
            backup: &self.backup,
        };
        place.settle(cx, "certificate signing request", changes, new)
    }
}
