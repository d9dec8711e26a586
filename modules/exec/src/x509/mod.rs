//! Keys and certificates through `openssl`. It writes to its standard output only: what a file gets is an effect of
//! the caller's. Passphrases are handed over in files without names.

pub mod crl;
pub mod request;
pub mod show;

use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use corpus_core::{Data, Map, Value, digest, python};

/// Makes the command that draws a private key, unencrypted or under a passphrase.
pub fn new_key(algo: &str, size: Option<u32>, passphrase: Option<&str>) -> Result<Command, String> {
    let mut argv: Vec<String> = ["openssl", "genpkey", "-algorithm"].map(str::to_owned).to_vec();
    match (algo, size) {
        ("rsa", size) => {
            argv.extend(["RSA".into(), "-pkeyopt".into(), format!("rsa_keygen_bits:{}", size.unwrap_or(2048))]);
        }
        ("ec", size) => {
            let curve = match size.unwrap_or(256) {
                size @ (256 | 384 | 521) => format!("ec_paramgen_curve:P-{size}"),
                other => return Err(format!("Invalid keysize for ec: {other}. Valid values: 256, 384, 521")),
            };
            let more = ["EC", "-pkeyopt", &curve, "-pkeyopt", "ec_param_enc:named_curve"].map(str::to_owned);
            argv.extend(more);
        }
        ("ed25519" | "ed448", Some(_)) => return Err(format!("keysize is an invalid parameter for {algo}")),
        ("ed25519" | "ed448", None) => argv.push(algo.to_uppercase()),
        (other, _) => return Err(format!("Invalid algorithm: {other}. Valid values: rsa, ec, ed25519, ed448")),
    }
    let mut command = Command::new(argv);
    if let Some(phrase) = passphrase {
        let pass = passphrase_file(&mut command, phrase);
        command.argv.extend(["-aes-256-cbc".to_owned(), "-pass".to_owned(), pass]);
    }
    command.secret = true;
    Ok(command)
}

/// Hands a passphrase over; returns the word for `openssl` that says where it is.
fn passphrase_file(command: &mut Command, phrase: &str) -> String {
    format!("file:{}", command.hand_over(format!("{phrase}\n")))
}

/// Describes a private key of a file: its kind and size. `None`: no key, or not under this passphrase.
pub fn describe_key(look: &dyn Look, path: &str, passphrase: Option<&str>) -> HostResult<Option<(String, u32)>> {
    let mut command = Command::new(["openssl", "pkey", "-in", path, "-noout", "-text_pub", "-passin"]);
    // Without one, too: `openssl` would ask whoever sits there.
    let pass = passphrase_file(&mut command, passphrase.unwrap_or_default());
    command.argv.push(pass);
    command.secret = true;
    let output = look.query(&command)?;
    if !output.ok() {
        return Ok(None);
    }
    let text = output.stdout_text();
    let first = text.lines().next().unwrap_or_default();
    let size = first.split_once('(').and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()).unwrap_or(0);
    let kind = match first.split(' ').next().unwrap_or_default() {
        word if word.starts_with("ED") => word.to_lowercase(),
        _ if text.contains("Modulus:") => "rsa".into(),
        _ => "ec".into(),
    };
    Ok(Some((kind, size)))
}

/// A certificate as it is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `/C=DE/CN=example.org`.
    pub subject: String,
    /// Lines of `openssl`'s configuration, `basicConstraints = critical,CA:true`.
    pub extensions: String,
    pub days: i64,
    pub digest: String,
    pub serial: Option<String>,
    pub signing_key: String,
    pub signing_passphrase: Option<String>,
    pub signing_cert: Option<String>,
    /// The key of the certificate: its private or public file, or a request.
    pub key: Option<String>,
    pub key_passphrase: Option<String>,
    pub csr: Option<String>,
}

/// Parts of a certificate, as they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub subject: String,
    pub issuer: String,
    pub key: String,
    pub signature: String,
    /// Name, and what it says.
    pub extensions: Vec<(String, String)>,
}

impl Parts {
    /// Takes the issuer's serial number out.
    pub fn without_serial(&mut self) {
        for (name, value) in &mut self.extensions {
            if name == "authorityKeyIdentifier"
                && let Some(at) = value.find("serial:")
            {
                value.truncate(at);
            }
        }
    }
}

impl Wanted {
    /// Makes the command that signs it and prints it.
    pub fn command(&self, look: &dyn Look, serial: &str) -> HostResult<Command> {
        let key = self.key.as_ref().filter(|_| self.csr.is_none());
        let private = match key {
            Some(path) => ask::text(look, path)?.is_some_and(|text| text.contains("PRIVATE KEY")),
            None => false,
        };
        let mut command = Command::new(["openssl"]);
        let key_pass = passphrase_file(&mut command, self.key_passphrase.as_deref().unwrap_or_default());
        let ca_pass = passphrase_file(&mut command, self.signing_passphrase.as_deref().unwrap_or_default());
        let argv = &mut command.argv;
        let mut add = |words: &[&str]| argv.extend(words.iter().map(|word| (*word).to_owned()));
        let mut config = self.extensions.clone();
        match (key, &self.csr, &self.signing_cert) {
            (Some(path), _, Some(cert)) if private => {
                add(&["req", "-x509", "-new", "-key", path, "-passin", &key_pass]);
                add(&["-CA", cert, "-CAkey", &self.signing_key, "-config", "/dev/stdin", "-extensions", "e"]);
                config = format!("[req]\ndistinguished_name=d\n[d]\n[e]\n{config}");
            }
            (_, Some(csr), _) => add(&["x509", "-req", "-in", csr, "-extfile", "/dev/stdin"]),
            (Some(path), None, Some(_)) => add(&["x509", "-new", "-force_pubkey", path, "-extfile", "/dev/stdin"]),
            // Signed by itself.
            _ => add(&["x509", "-new", "-key", &self.signing_key, "-passin", &ca_pass, "-extfile", "/dev/stdin"]),
        }
        let by_req = private && self.signing_cert.is_some() && self.csr.is_none();
        match &self.signing_cert {
            Some(cert) if !by_req => {
                add(&["-CA", cert, "-CAkey", &self.signing_key, "-passin", &ca_pass]);
            }
            None if self.csr.is_some() => add(&["-key", &self.signing_key, "-passin", &ca_pass]),
            _ => {}
        }
        let days = self.days.to_string();
        add(&["-set_serial", serial, "-days", &days, &format!("-{}", self.digest)]);
        if self.csr.is_none() || self.subject != "/" {
            add(&["-subj", &self.subject]);
        }
        let mut command = command.stdin(config);
        command.secret = self.key_passphrase.is_some() || self.signing_passphrase.is_some();
        Ok(command)
    }

    /// Signs the certificate; nothing on the machine changes. The serial number follows from all that is in it, time
    /// included.
    pub fn sign(&self, look: &dyn Look) -> HostResult<String> {
        if let Some(serial) = &self.serial {
            return ask::output(look, &self.command(look, serial)?);
        }
        let draft = ask::output(look, &self.command(look, "1")?)?;
        let hash = digest::hex(&digest::sha256(format!("{}{draft}", self.signing_key).as_bytes()));
        // 159 bits at most, above zero.
        ask::output(look, &self.command(look, &format!("0x4{}", &hash[..38]))?)
    }
}

/// Reads a certificate: from a file, or from text.
pub fn parts(look: &dyn Look, path: Option<&str>, text: Option<&str>) -> HostResult<Parts> {
    const HIDDEN: &str = "no_header,no_version,no_serial,no_validity,no_subject,no_issuer,no_pubkey,no_sigdump,no_aux";
    let words = ["openssl", "x509", "-noout", "-subject", "-issuer", "-nameopt", "RFC2253", "-pubkey", "-text"];
    let mut command = Command::new(words);
    command.argv.extend(["-certopt".into(), HIDDEN.into()]);
    compared(look, command, path, text)
}

/// Asks for a description, and reads the parts that are compared.
fn compared(look: &dyn Look, mut command: Command, path: Option<&str>, text: Option<&str>) -> HostResult<Parts> {
    if let Some(path) = path {
        command.argv.extend(["-in".into(), path.into()]);
    }
    if let Some(text) = text {
        command = command.stdin(text);
    }
    // The extensions of a request stand one step further in.
    let depth = if command.argv.get(1).is_some_and(|word| word == "req") { 16 } else { 12 };
    let text = ask::output(look, &command)?;
    let mut parts = Parts::default();
    let mut key = false;
    for line in text.lines() {
        key |= line.starts_with("-----BEGIN PUBLIC KEY");
        let trimmed = line.trim();
        if key {
            parts.key += trimmed;
            key = !line.starts_with("-----END");
        } else if let Some(subject) = line.strip_prefix("subject=") {
            parts.subject = subject.trim().into();
        } else if let Some(issuer) = line.strip_prefix("issuer=") {
            parts.issuer = issuer.trim().into();
        } else if let Some(name) = trimmed.strip_prefix("Signature Algorithm: ") {
            parts.signature = name.into();
        } else if let Some((title, rest)) = extension(line, depth) {
            parts.extensions.push((title, rest));
        } else if let Some((_, value)) = parts.extensions.last_mut() {
            if !value.is_empty() {
                value.push(' ');
            }
            *value += trimmed;
        }
    }
    Ok(parts)
}

/// Reads the head of an extension at its depth: `            X509v3 Key Usage: critical`.
fn extension(line: &str, depth: usize) -> Option<(String, String)> {
    let found = line.len() - line.trim_start().len();
    let (title, rest) = line.trim().split_once(':').filter(|_| depth == found)?;
    let words: String = title.trim_start_matches("X509v3 ").split(' ').collect();
    let mut letters = words.chars();
    let first = letters.next()?.to_lowercase().collect::<String>();
    let name = match format!("{first}{}", letters.as_str()).as_str() {
        "subjectAlternativeName" => "subjectAltName".to_owned(),
        name => name.to_owned(),
    };
    Some((name, rest.trim().to_owned()))
}

/// Finds a signing policy in configuration or pillar.
pub fn policy(data: &Data, name: &str) -> Option<Map> {
    let find = |place: &Value| place.get("x509_signing_policies").and_then(|all| all.get(name)).cloned();
    match find(&data.opts).or_else(|| find(&data.pillar))? {
        Value::List(items) => {
            let maps = items.iter().filter_map(Value::as_map);
            Some(maps.flat_map(|map| map.iter().map(|(key, value)| (key.clone(), value.clone()))).collect())
        }
        Value::Map(map) => Some((*map).clone()),
        _ => Some(Map::new()),
    }
}

/// Names what was added, changed and removed of extensions, as Salt does.
pub fn difference(have: &[(String, String)], want: &[(String, String)]) -> Map {
    let of = |all: &[(String, String)], name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let (mut added, mut changed) = (vec![], vec![]);
    for (name, value) in want {
        match of(have, name) {
            None => added.push(name.clone()),
            Some(kept) if kept != *value => changed.push(name.clone()),
            Some(_) => {}
        }
    }
    let gone = have.iter().filter(|(name, _)| of(want, name).is_none());
    let removed: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
    [("added", added), ("changed", changed), ("removed", removed)].into_iter().collect()
}

/// The order of a subject's parts, and what `openssl` calls them.
const NAMES: &[(&str, &str)] = &[
    ("C", "C"),
    ("ST", "ST"),
    ("L", "L"),
    ("STREET", "street"),
    ("O", "O"),
    ("OU", "OU"),
    ("CN", "CN"),
    ("MAIL", "emailAddress"),
    ("emailAddress", "emailAddress"),
    ("Email", "emailAddress"),
    ("SN", "SN"),
    ("GN", "GN"),
    ("UID", "UID"),
    ("SERIALNUMBER", "serialNumber"),
];

/// Extensions that a declaration may give.
pub const EXTENSIONS: &[&str] = &[
    "basicConstraints",
    "keyUsage",
    "extendedKeyUsage",
    "subjectKeyIdentifier",
    "authorityKeyIdentifier",
    "issuerAltName",
    "authorityInfoAccess",
    "subjectAltName",
    "crlDistributionPoints",
    "certificatePolicies",
    "policyConstraints",
    "nameConstraints",
    "tlsfeature",
];

/// Writes a subject of its parts: `/C=DE/CN=x`.
pub fn subject(given: &Map) -> String {
    let part = |(key, name): &(&str, &str)| {
        let value = python::str(given.get(key).filter(|value| value.truthy())?);
        Some(format!("/{name}={}", value.replace('\\', "\\\\").replace('/', "\\/")))
    };
    let text: String = NAMES.iter().filter_map(part).collect();
    if text.is_empty() { "/".into() } else { text }
}

/// Writes the extensions of a declaration as lines of configuration.
pub fn extensions(given: &Map) -> Result<String, String> {
    let mut out = String::new();
    for name in EXTENSIONS {
        let Some(value) = given.get(name).filter(|value| value.truthy()) else { continue };
        let text = match value {
            Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(","),
            Value::Map(_) => return Err(format!("argument `{name}`: write it as a text, `critical, …`")),
            one => python::str(one),
        };
        let text = text.trim().strip_prefix("critical ").map_or(text.clone(), |rest| format!("critical,{rest}"));
        if text.contains('\n') {
            return Err(format!("argument `{name}`: it is one line"));
        }
        let parts = text.split(',').map(str::trim).map(|part| {
            let (kind, rest) = part.split_once(':').unwrap_or((part, ""));
            match kind {
                "dns" => format!("DNS:{rest}"),
                "ip" => format!("IP:{rest}"),
                "uri" => format!("URI:{rest}"),
                "mail" => format!("email:{rest}"),
                _ => part.to_owned(),
            }
        });
        out += &format!("{name} = {}\n", parts.collect::<Vec<_>>().join(","));
    }
    Ok(out)
}

/// Returns the PEM block of a text, folded as it should be.
pub fn pem(text: &str) -> Option<String> {
    let start = text.find("-----BEGIN ")?;
    let (head, rest) = text[start..].split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {head}-----"))?;
    let body: String = body.split_whitespace().collect();
    let lines: Vec<&str> =
        (0..body.len()).step_by(64).filter_map(|at| body.get(at..(at + 64).min(body.len()))).collect();
    Some(format!("-----BEGIN {head}-----\n{}\n-----END {head}-----\n", lines.join("\n")))
}

/// Makes an error of what `openssl` said.
pub fn refused(error: &HostError) -> String {
    let mut lines = error.why.lines().filter(|line| !line.starts_with("Using configuration from"));
    lines.next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_subjects_and_extensions() {
        let given: Map = [
            ("CN", "a/b"),
            ("C", "DE"),
            ("basicConstraints", "critical CA:true"),
            ("subjectAltName", "dns:a, IP:1.2.3.4"),
        ]
        .into_iter()
        .collect();
        assert_eq!(subject(&given), "/C=DE/CN=a\\/b");
        let text = "basicConstraints = critical,CA:true\nsubjectAltName = DNS:a,IP:1.2.3.4\n";
        assert_eq!(extensions(&given).as_deref(), Ok(text));
        assert_eq!(
            extension("            X509v3 Key Usage: critical", 12),
            Some(("keyUsage".into(), "critical".into()))
        );
        let folded = pem("x -----BEGIN A-----  QUJD RA== -----END A----- y");
        assert_eq!(folded.as_deref(), Some("-----BEGIN A-----\nQUJDRA==\n-----END A-----\n"));
    }
}
