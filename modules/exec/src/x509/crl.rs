//! Lists of revoked certificates.

use super::passphrase_file;
use crate::ask;
use crate::file::times::strptime;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Map, Value, python};

/// A revoked certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Hexadecimal, an even number of capital digits.
    pub serial: String,
    /// Seconds since 1970; `None` is now.
    pub date: Option<i64>,
    /// Why, `keyCompromise`.
    pub reason: Option<String>,
}

/// A list as it is to be.
#[derive(Clone, Debug, Default)]
pub struct Crl {
    pub revoked: Vec<Revoked>,
    pub signing_key: String,
    pub passphrase: Option<String>,
    pub signing_cert: String,
    pub days: i64,
    pub digest: String,
    /// Lines of `openssl`'s configuration.
    pub extensions: String,
}

/// A list as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub issuer: String,
    pub signature: String,
    /// Seconds since 1970.
    pub last_update: i64,
    pub next_update: i64,
    pub revoked: Vec<Revoked>,
    pub extensions: Vec<(String, String)>,
}

/// Reasons: as they are declared, and as `openssl` shows them.
const REASONS: &[(&str, &str)] = &[
    ("unspecified", "Unspecified"),
    ("keyCompromise", "Key Compromise"),
    ("CACompromise", "CA Compromise"),
    ("affiliationChanged", "Affiliation Changed"),
    ("superseded", "Superseded"),
    ("cessationOfOperation", "Cessation Of Operation"),
    ("certificateHold", "Certificate Hold"),
    ("removeFromCRL", "Remove From CRL"),
];

/// Writes a serial number as Salt shows it, `0A:1B`.
pub fn shown(serial: &str) -> String {
    let pairs: Vec<&str> = (0..serial.len()).step_by(2).filter_map(|at| serial.get(at..at + 2)).collect();
    pairs.join(":")
}

/// Reads a serial number: hexadecimal digits, with colons or not, or a whole number.
pub fn serial(value: &Value) -> Option<String> {
    let digits = match value {
        Value::Int(number) if *number >= 0 => format!("{number:X}"),
        other => python::str(other).replace(':', "").trim().to_uppercase(),
    };
    let digits = digits.trim_start_matches('0');
    let even = if digits.len() % 2 == 1 || digits.is_empty() { format!("0{digits}") } else { digits.to_owned() };
    let even = if even == "0" { "00".to_owned() } else { even };
    even.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(even)
}

/// Reads a date as declarations write it, `2026-01-31 12:00:00`, universal time.
fn date(text: &str) -> Result<i64, String> {
    let found = strptime("%Y-%m-%d %H:%M:%S", text)?;
    found.map(|moment| moment.seconds()).ok_or_else(|| format!("`{text}` is no date like 2026-01-31 12:00:00"))
}

/// Reads a date as `openssl` writes it.
pub fn openssl_date(text: &str) -> i64 {
    strptime("%b %d %H:%M:%S %Y GMT", text.trim()).ok().flatten().map_or(0, |moment| moment.seconds())
}

/// Reads an entry of `revoked`; `None` if its certificate has ended before `now`.
pub fn entry(look: &dyn Look, entry: &Value, now: Option<i64>) -> Result<Option<Revoked>, String> {
    let map = entry.as_map().ok_or("argument `revoked`: each entry is a mapping")?;
    // The older way: a name, and below it a list of mappings.
    let inner = map.iter().next().filter(|_| map.len() == 1).and_then(|(_, value)| value.as_list());
    let map: Map = match inner {
        Some(items) => items
            .iter()
            .filter_map(Value::as_map)
            .flat_map(|one| one.iter().map(|(k, v)| (k.clone(), v.clone())))
            .collect(),
        None => map.clone(),
    };
    let text = |key: &str| map.get(key).filter(|value| value.truthy()).map(python::str);
    let mut ends = text("not_after").map(|text| date(&text)).transpose()?;
    let serial_number = match (map.get("serial_number").filter(|value| !value.is_null()), text("certificate")) {
        (Some(value), _) => {
            serial(value).ok_or_else(|| format!("argument `revoked`: `{}` is no serial number", python::str(value)))?
        }
        (None, Some(certificate)) => {
            let mut command = Command::new(["openssl", "x509", "-noout", "-serial", "-enddate"]);
            if certificate.starts_with('/') {
                command.argv.extend(["-in".into(), certificate]);
            } else {
                command = command.stdin(certificate);
            }
            let said = ask::output(look, &command).map_err(|error| error.to_string())?;
            let line = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            ends = ends.or(Some(openssl_date(line("notAfter="))));
            serial(&line("serial=").into()).unwrap_or_default()
        }
        (None, None) => return Err("argument `revoked`: an entry needs `serial_number` or `certificate`".into()),
    };
    if now.zip(ends).is_some_and(|(now, ends)| ends < now) {
        return Ok(None);
    }
    let given = map.get("extensions").and_then(|all| all.get("CRLReason")).or_else(|| map.get("reason"));
    let reason = given.filter(|value| value.truthy()).map(python::str);
    if let Some(reason) = &reason
        && !REASONS.iter().any(|(known, _)| known == reason)
    {
        let known: Vec<&str> = REASONS.iter().map(|(known, _)| *known).collect();
        return Err(format!("argument `revoked`: there is no reason `{reason}`; there are {}", known.join(", ")));
    }
    let date = text("revocation_date").map(|text| date(&text)).transpose()?;
    Ok(Some(Revoked { serial: serial_number, date, reason }))
}

/// Writes the extensions of a list; `auto` numbers are `number`.
pub fn extensions(given: &Map, number: i64) -> Result<String, String> {
    let mut out = String::new();
    for (name, value) in given {
        let (name, value) = (python::str(name), python::str(value));
        if value.contains('\n') {
            return Err(format!("argument `extensions`: {name} is one line"));
        }
        out += &match name.as_str() {
            "cRLNumber" => {
                let number = if value == "auto" { number.to_string() } else { value };
                let wrong = |_| format!("argument `extensions`: cRLNumber is a number or `auto`, not {number}");
                format!("2.5.29.20 = ASN1:INTEGER:{}\n", number.parse::<i64>().map_err(wrong)?)
            }
            "authorityKeyIdentifier" | "issuerAltName" | "authorityInfoAccess" => format!("{name} = {value}\n"),
            other => {
                return Err(format!("argument `extensions`: `{other}` is not built for lists of revoked certificates"));
            }
        };
    }
    Ok(out)
}

impl Crl {
    /// Makes the list; nothing on the machine changes.
    pub fn make(&self, look: &dyn Look, now: i64) -> HostResult<String> {
        let mut command = Command::new(["openssl", "ca", "-gencrl", "-config", "/dev/stdin", "-batch"]);
        let mut database = String::new();
        for revoked in &self.revoked {
            let reason = revoked.reason.as_ref().map(|reason| format!(",{reason}")).unwrap_or_default();
            let date = asn1(revoked.date.unwrap_or(now));
            database += &format!("R\t491231235959Z\t{date}{reason}\t{}\tunknown\t/CN=revoked\n", revoked.serial);
        }
        let (database, pass) = (
            command.hand_over(database),
            passphrase_file(&mut command, self.passphrase.as_deref().unwrap_or_default()),
        );
        let days = self.days.to_string();
        let words = ["-keyfile", &self.signing_key, "-passin", &pass, "-cert", &self.signing_cert];
        command.argv.extend(words.into_iter().chain(["-crldays", &days, "-md", &self.digest]).map(str::to_owned));
        // Only arguments and variables learn where the database is.
        let mut command = command.env("CORPUS_DATABASE", &database);
        command.secret = self.passphrase.is_some();
        let section = if self.extensions.is_empty() { "" } else { "crl_extensions = e\n" };
        let config =
            format!("[ca]\ndefault_ca = c\n[c]\ndatabase = $ENV::CORPUS_DATABASE\n{section}[e]\n{}", self.extensions);
        ask::output(look, &command.stdin(config))
    }
}

/// Writes a moment as `YYMMDDHHMMSSZ`.
fn asn1(at: i64) -> String {
    let (year, month, day) = crate::grains::clock::civil(at.div_euclid(86_400));
    let second = at.rem_euclid(86_400);
    let year = year.rem_euclid(100);
    format!("{year:02}{month:02}{day:02}{:02}{:02}{:02}Z", second / 3600, second % 3600 / 60, second % 60)
}

/// Tells whether a certificate's key signed a list.
pub fn signed_by(look: &dyn Look, path: &str, cert: &str) -> HostResult<bool> {
    let output = look.query(&Command::new(["openssl", "crl", "-in", path, "-noout", "-CAfile", cert]))?;
    Ok(output.ok() && output.stderr_text().contains("verify OK"))
}

/// Reads a list: from a file, or from text.
pub fn read(look: &dyn Look, path: Option<&str>, text: Option<&str>) -> HostResult<Found> {
    let mut command = Command::new(["openssl", "crl", "-noout", "-text", "-nameopt", "RFC2253"]);
    if let Some(path) = path {
        command.argv.extend(["-in".into(), path.into()]);
    }
    if let Some(text) = text {
        command = command.stdin(text);
    }
    Ok(parse(&ask::output(look, &command)?))
}

fn parse(text: &str) -> Found {
    let mut found = Found::default();
    let (mut reason, mut extension) = (false, false);
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("Signature Algorithm: ") {
            if !found.signature.is_empty() {
                break;
            }
            found.signature = name.into();
        } else if let Some(issuer) = trimmed.strip_prefix("Issuer: ").filter(|_| found.issuer.is_empty()) {
            found.issuer = issuer.into();
        } else if let Some(date) = trimmed.strip_prefix("Last Update: ") {
            found.last_update = openssl_date(date);
        } else if let Some(date) = trimmed.strip_prefix("Next Update: ") {
            found.next_update = openssl_date(date);
        } else if let Some(number) = trimmed.strip_prefix("Serial Number: ") {
            extension = false;
            let serial = serial(&number.into()).unwrap_or_default();
            found.revoked.push(Revoked { serial, ..Revoked::default() });
        } else if let (Some(date), Some(last)) = (trimmed.strip_prefix("Revocation Date: "), found.revoked.last_mut()) {
            last.date = Some(openssl_date(date));
        } else if trimmed.starts_with("X509v3 CRL Reason Code:") {
            reason = true;
        } else if let (true, Some(last)) = (std::mem::take(&mut reason), found.revoked.last_mut()) {
            last.reason = REASONS.iter().find(|(_, shown)| *shown == trimmed).map(|(known, _)| (*known).to_owned());
        } else if trimmed == "CRL extensions:" {
            extension = true;
        } else if trimmed == "Revoked Certificates:" || trimmed == "No Revoked Certificates." {
            extension = false;
        } else if extension {
            match super::extension(line, 12) {
                Some(one) => found.extensions.push(one),
                None => _ = found.extensions.last_mut().map(|(_, value)| *value += trimmed),
            }
        }
    }
    for (name, _) in &mut found.extensions {
        if name == "cRLNumber" || name == "CRLNumber" {
            *name = "cRLNumber".into();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_openssl_shows() {
        let text = "Certificate Revocation List (CRL):\n        Version 2 (0x1)\n        Signature Algorithm: \
            sha256WithRSAEncryption\n        Issuer: CN=ca\n        Last Update: Nov 25 17:08:31 2026 GMT\n        \
            Next Update: Dec  5 17:08:31 2026 GMT\n        CRL extensions:\n            X509v3 CRL Number: \n                \
            5\nRevoked Certificates:\n    Serial Number: 0C\n        Revocation Date: Nov 25 12:00:00 2024 GMT\n    \
            Serial Number: 0A1B\n        Revocation Date: Nov 25 12:00:00 2024 GMT\n        CRL entry extensions:\n            \
            X509v3 CRL Reason Code: \n                Key Compromise\n    Signature Algorithm: other\n";
        let found = parse(text);
        assert_eq!((found.issuer.as_str(), found.next_update - found.last_update), ("CN=ca", 864_000));
        assert_eq!(found.extensions, [("cRLNumber".into(), "5".into())]);
        let date = Some(1_732_536_000);
        let plain = Revoked { serial: "0C".into(), date, reason: None };
        assert_eq!(
            found.revoked,
            [plain, Revoked { serial: "0A1B".into(), date, reason: Some("keyCompromise".into()) }]
        );
        assert_eq!(asn1(1_732_536_000), "241125120000Z");
    }

    #[test]
    fn reads_serial_numbers() {
        for (value, expected) in [
            (Value::from("d6:0a"), Some("D60A")),
            (Value::from(2587), Some("0A1B")),
            (Value::from("00:0A"), Some("0A")),
            (Value::from(0), Some("00")),
            (Value::from("x"), None),
        ] {
            assert_eq!(serial(&value).as_deref(), expected);
        }
        assert_eq!(shown("0A1B"), "0A:1B");
    }
}
