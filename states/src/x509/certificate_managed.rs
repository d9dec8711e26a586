//! `x509.certificate_managed`

use super::shared::{Place, digest};
use corpus_core::decode::Mode;
use corpus_core::{Command, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::x509::{self, Wanted};
use serde::Deserialize;

/// Keeps a certificate in a file, signed by a key of this machine; it is signed anew before it ends, and where it is
/// another than declared. Parts of its subject (`CN`, `O`…) and extensions (`keyUsage`, `subjectAltName`…) are
/// further arguments.
///
/// ```sls
/// /etc/ssl/web.crt:
///   x509.certificate_managed:
///     - signing_private_key: /etc/ssl/private/ca.key
///     - signing_cert: /etc/ssl/ca.crt
///     - private_key: /etc/ssl/private/web.key
///     - CN: www.example.org
///     - subjectAltName: DNS:www.example.org
/// ```
#[derive(Deserialize)]
pub struct CertificateManaged {
    /// The file.
    pub name: String,
    /// Sign anew so many days before the end.
    #[serde(default = "ninety")]
    pub days_remaining: i64,
    /// How many days it is good for.
    #[serde(default = "year")]
    pub days_valid: i64,
    /// The key that signs.
    pub signing_private_key: Option<String>,
    /// Its passphrase.
    pub signing_private_key_passphrase: Option<String>,
    /// The certificate of who signs; without it the certificate is signed by itself.
    pub signing_cert: Option<String>,
    /// The public key of the certificate, or the private one.
    pub public_key: Option<String>,
    /// The private key of the certificate.
    pub private_key: Option<String>,
    /// Its passphrase.
    pub private_key_passphrase: Option<String>,
    /// A request that has the key.
    pub csr: Option<String>,
    /// The subject, as `/C=DE/CN=x`, instead of its parts.
    pub subject: Option<String>,
    /// Its serial number.
    pub serial_number: Option<String>,
    /// How it is signed.
    #[serde(default = "sha256", alias = "algorithm")]
    pub digest: String,
    /// A policy of the configuration (`x509_signing_policies`), whose values come first.
    pub signing_policy: Option<String>,
    /// Not built: certificates are signed on this machine.
    pub ca_server: Option<String>,
    /// Only `pem` is built.
    #[serde(default = "super::private_key_managed::pem")]
    pub encoding: String,
    /// Files of certificates that follow in the file.
    #[serde(default)]
    pub append_certs: Value,
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

fn ninety() -> i64 {
    90
}

fn year() -> i64 {
    365
}

/// The usual digest.
pub fn sha256() -> String {
    "sha256".into()
}

impl CertificateManaged {
    /// All arguments, those of the policy in front.
    fn given(&self, cx: &PlanCx<'_>) -> Result<Map, StateError> {
        let mut given = corpus_core::state::arguments(cx.low);
        let Some(name) = &self.signing_policy else { return Ok(given) };
        let policy = x509::policy(cx.data, name)
            .ok_or_else(|| StateError::failed(format!("Signing policy {name} does not exist.")))?;
        given.0.extend(policy);
        Ok(given)
    }

    fn wanted(&self, cx: &PlanCx<'_>) -> Result<Wanted, StateError> {
        if self.ca_server.is_some() {
            return Err(StateError::failed("argument `ca_server`: not built; sign where the key is, and copy it"));
        }
        if self.encoding != "pem" {
            return Err(StateError::failed(format!("argument `encoding`: `{}` is not built; pem is", self.encoding)));
        }
        let given = self.given(cx)?;
        let text = |key: &str| given.get(key).filter(|value| value.truthy()).map(python::str);
        let digest = digest(&text("digest").or_else(|| text("algorithm")).unwrap_or_else(sha256))?;
        let signing_key = text("signing_private_key").ok_or_else(|| {
            StateError::failed("argument `signing_private_key`: the key that signs is on this machine; name its file")
        })?;
        for path in [Some(&signing_key), text("signing_cert").as_ref(), self.csr.as_ref()].into_iter().flatten() {
            if path.starts_with('/') && cx.host.stat(path.as_ref())?.is_none() {
                return Err(StateError::missing(format!("{path} does not exist")));
            }
        }
        Ok(Wanted {
            subject: self.subject.clone().unwrap_or_else(|| x509::subject(&given)),
            extensions: x509::extensions(&given).map_err(StateError::failed)?,
            days: given.get("days_valid").and_then(Value::as_int).unwrap_or(self.days_valid),
            digest,
            serial: self.serial_number.clone(),
            signing_key,
            signing_passphrase: self.signing_private_key_passphrase.clone(),
            signing_cert: text("signing_cert").filter(|path| *path != self.name),
            key: self.private_key.clone().or_else(|| self.public_key.clone()),
            key_passphrase: self.private_key_passphrase.clone(),
            csr: self.csr.clone(),
        })
    }

    /// Compares the certificate of the file with the one that has just been signed.
    fn differs(&self, cx: &PlanCx<'_>, path: &str, wanted: &Wanted, new: &str) -> Result<Map, StateError> {
        let mut changes = Map::new();
        if cx.host.stat(path.as_ref())?.is_none() {
            changes.insert("created", self.name.as_str());
            return Ok(changes);
        }
        let Ok(mut have) = x509::parts(cx.host, Some(path), None) else {
            changes.insert("replaced", self.name.as_str());
            return Ok(changes);
        };
        let mut want = x509::parts(cx.host, None, Some(new))?;
        if wanted.signing_cert.is_none() {
            // Signed by itself, it names its own number, which each new one has anew.
            have.without_serial();
            want.without_serial();
        }
        let seconds = (self.days_remaining * 86_400).to_string();
        let ends = Command::new(["openssl", "x509", "-in", path, "-noout", "-checkend", &seconds]);
        if self.days_remaining > 0 && !cx.host.query(&ends)?.ok() {
            changes.insert("expiration", true);
        }
        if have.key != want.key {
            changes.insert("private_key", true);
        }
        if let Some(ca) = &wanted.signing_cert {
            let words = ["openssl", "verify", "-no_check_time", "-partial_chain", "-CAfile", ca, path];
            if !cx.host.query(&Command::new(words))?.ok() {
                changes.insert("signing_private_key", true);
            }
        }
        for (key, have, want) in [
            ("subject_name", &have.subject, &want.subject),
            ("issuer_name", &have.issuer, &want.issuer),
            ("digest", &have.signature, &want.signature),
        ] {
            if have != want {
                changes.insert(key, if key == "digest" { &wanted.digest } else { want }.as_str());
            }
        }
        let shown = x509::difference(&have.extensions, &want.extensions);
        if shown.values().any(Value::truthy) {
            changes.insert("extensions", shown);
        }
        Ok(changes)
    }

    /// Returns the certificates that follow.
    fn more(&self, cx: &PlanCx<'_>) -> Result<String, StateError> {
        let mut out = String::new();
        for path in corpus_exec::fns::rsync::texts(Some(&self.append_certs)) {
            let text =
                if path.starts_with('/') { ask::text(cx.host, &path)?.unwrap_or_default() } else { path.clone() };
            match x509::pem(&text) {
                Some(block) => out += &block,
                // Foreseen in a dry run, and not yet signed.
                None if cx.test && text.is_empty() && cx.host.stat(path.as_ref())?.is_some() => {}
                None => {
                    return Err(StateError::missing(format!("argument `append_certs`: no PEM block in {path}")));
                }
            }
        }
        Ok(out)
    }
}

impl State for CertificateManaged {
    const NAME: &'static str = "x509.certificate_managed";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = crate::file::shared::path(cx, &self.name)?;
        cx.program("openssl", "openssl")?;
        let (wanted, shown) = (self.wanted(cx)?, path.to_string_lossy().into_owned());
        let new = match wanted.sign(cx.host) {
            // Its key comes with this run: `openssl` cannot read what a dry run only foresees.
            Err(_) if cx.test && ask::text(cx.host, &path)?.unwrap_or_default().is_empty() => String::new(),
            signed => signed.map_err(|error| StateError::missing(x509::refused(&error)))?,
        };
        let mut changes = self.differs(cx, &shown, &wanted, &new)?;
        let more = self.more(cx)?;
        let kept = ask::text(cx.host, &path)?.unwrap_or_default();
        let rest = kept.split_once("-----END CERTIFICATE-----").map_or("", |(_, rest)| rest);
        if !changes.contains("created") && rest.trim() != more.trim() {
            changes.insert("additional_certs", true);
        }
        let place = Place {
            path: &path,
            user: &self.user,
            group: &self.group,
            mode: self.mode,
            makedirs: self.makedirs,
            dir_mode: self.dir_mode,
            backup: &self.backup,
        };
        place.settle(cx, "certificate", changes, new + &more)
    }
}
