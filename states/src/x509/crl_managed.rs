//! `x509.crl_managed`

use super::shared::{Place, digest};
use corpus_core::decode::Mode;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::grains::clock;
use corpus_exec::x509;
use corpus_exec::x509::crl::{self, Crl, Found, Revoked};
use serde::Deserialize;

/// Keeps a list of revoked certificates in a file; it is signed anew before it ends, and when what is revoked changes.
///
/// ```sls
/// /etc/ssl/ca.crl:
///   x509.crl_managed:
///     - signing_private_key: /etc/ssl/private/ca.key
///     - signing_cert: /etc/ssl/ca.crt
///     - revoked:
///       - serial_number: D6:D2:DC:D8:4D:5C:C0:F4
///         revocation_date: '2026-02-28 00:00:00'
///         extensions:
///           CRLReason: keyCompromise
/// ```
#[derive(Deserialize)]
pub struct CrlManaged {
    /// The file.
    pub name: String,
    /// The key that signs.
    pub signing_private_key: String,
    /// Certificates, each by `serial_number` or by `certificate`, with `not_after`, `revocation_date` and
    /// `extensions: {CRLReason: …}`.
    #[serde(default)]
    pub revoked: Vec<Value>,
    /// Sign anew so many days before the end.
    #[serde(default = "month")]
    pub days_remaining: i64,
    /// The certificate of who signs.
    pub signing_cert: Option<String>,
    /// The key's passphrase.
    pub signing_private_key_passphrase: Option<String>,
    /// List certificates that have ended, too.
    #[serde(default)]
    pub include_expired: bool,
    /// How many days it is good for.
    #[serde(default = "hundred")]
    pub days_valid: i64,
    /// How it is signed.
    #[serde(default = "super::certificate_managed::sha256")]
    pub digest: String,
    /// Only `pem` is built.
    #[serde(default = "super::private_key_managed::pem")]
    pub encoding: String,
    /// Extensions of the list: `authorityKeyIdentifier`, `cRLNumber` (a number, or `auto` to count)….
    #[serde(default)]
    pub extensions: Map,
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

fn month() -> i64 {
    30
}

fn hundred() -> i64 {
    100
}

impl CrlManaged {
    fn wanted(&self, cx: &PlanCx<'_>, now: i64, number: i64) -> Result<Crl, StateError> {
        if self.encoding != "pem" {
            return Err(StateError::failed(format!("argument `encoding`: `{}` is not built; pem is", self.encoding)));
        }
        let signing_cert = self.signing_cert.clone().ok_or_else(|| {
            StateError::failed("argument `signing_cert`: the certificate of who signs is needed; name its file")
        })?;
        for path in [&self.signing_private_key, &signing_cert] {
            if cx.host.stat(path.as_ref())?.is_none() {
                return Err(StateError::missing(format!("{path} does not exist")));
            }
        }
        let mut revoked = vec![];
        for entry in &self.revoked {
            let now = (!self.include_expired).then_some(now);
            revoked.extend(crl::entry(cx.host, entry, now).map_err(StateError::failed)?);
        }
        Ok(Crl {
            revoked,
            signing_key: self.signing_private_key.clone(),
            passphrase: self.signing_private_key_passphrase.clone(),
            signing_cert,
            days: self.days_valid,
            digest: digest(&self.digest)?,
            extensions: crl::extensions(&self.extensions, number).map_err(StateError::failed)?,
        })
    }

    fn counts(&self) -> bool {
        self.extensions.str("cRLNumber") == Some("auto")
    }

    fn differs(
        &self,
        cx: &PlanCx<'_>,
        path: &str,
        wanted: &Crl,
        have: &Found,
        new: &str,
        now: i64,
    ) -> Result<Map, StateError> {
        let mut changes = Map::new();
        let want = crl::read(cx.host, None, Some(new))?;
        if have.signature != want.signature {
            changes.insert("digest", self.digest.as_str());
        }
        if self.days_remaining > 0 && have.next_update < now + self.days_remaining * 86_400 {
            changes.insert("expiration", true);
        }
        if have.issuer != want.issuer {
            changes.insert("issuer_name", want.issuer.as_str());
        }
        if !crl::signed_by(cx.host, path, &wanted.signing_cert)? {
            changes.insert("public_key", true);
        }
        let revocations = revocations(&have.revoked, &want.revoked);
        if revocations.values().any(Value::truthy) {
            changes.insert("revocations", revocations);
        }
        let mut have = have.extensions.clone();
        let mut want = want.extensions;
        if self.counts() {
            have.retain(|(name, _)| name != "cRLNumber");
            want.retain(|(name, _)| name != "cRLNumber");
        }
        let shown = x509::difference(&have, &want);
        if shown.values().any(Value::truthy) {
            changes.insert("extensions", shown);
        }
        Ok(changes)
    }
}

fn revocations(have: &[Revoked], want: &[Revoked]) -> Map {
    let of = |all: &[Revoked], serial: &str| all.iter().find(|one| one.serial == serial).cloned();
    let (mut added, mut changed) = (vec![], vec![]);
    for one in want {
        match of(have, &one.serial) {
            None => added.push(crl::shown(&one.serial)),
            Some(kept) if kept.reason != one.reason => changed.push(crl::shown(&one.serial)),
            Some(_) => {}
        }
    }
    let gone = have.iter().filter(|one| of(want, &one.serial).is_none());
    let removed: Vec<String> = gone.map(|one| crl::shown(&one.serial)).collect();
    [("added", added), ("changed", changed), ("removed", removed)].into_iter().collect()
}

impl State for CrlManaged {
    const NAME: &'static str = "x509.crl_managed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = crate::file::shared::path(cx, &self.name)?;
        let shown = path.to_string_lossy().into_owned();
        cx.program("openssl", "openssl")?;
        let now = clock::now();
        let there = cx.host.stat(&path)?.is_some();
        let have = if there { crl::read(cx.host, Some(&shown), None).ok() } else { None };
        let number = have.as_ref().and_then(|have| have.extensions.iter().find(|(name, _)| name == "cRLNumber"));
        let number = number.and_then(|(_, value)| value.trim().parse::<i64>().ok()).unwrap_or(0);
        let wanted = self.wanted(cx, now, number + 1)?;
        let empty = there && corpus_exec::ask::text(cx.host, &path)?.unwrap_or_default().is_empty();
        let new = match wanted.make(cx.host, now) {
            // Its key comes with this run: `openssl` cannot read what a dry run only foresees.
            Err(_) if cx.test && (!there || empty) => String::new(),
            made => made.map_err(|error| StateError::missing(x509::refused(&error)))?,
        };
        let mut changes = Map::new();
        match have {
            Some(have) => changes = self.differs(cx, &shown, &wanted, &have, &new, now)?,
            None if there => _ = changes.insert("replaced", self.name.as_str()),
            None => _ = changes.insert("created", self.name.as_str()),
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
        place.settle(cx, "certificate revocation list", changes, new)
    }
}
