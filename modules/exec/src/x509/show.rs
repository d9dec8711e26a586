//! Certificates, requests and keys described as Salt describes them.

use super::{crl, passphrase_file};
use crate::ask;
use crate::grains::clock::{Zone, strftime};
use corpus_core::host::{Command, HostError, HostResult, Look};
use corpus_core::{Map, Value};

/// Lets a command read a file, or a text that is given itself.
pub fn reading<const N: usize>(words: [&str; N], given: &str) -> Command {
    let mut command = Command::new(words);
    if given.starts_with('/') {
        command.argv.extend(["-in".into(), given.into()]);
        return command;
    }
    command.stdin(given)
}

/// Writes a moment as Salt does.
pub fn time(at: i64) -> String {
    strftime("%Y-%m-%d %H:%M:%S", at, &Zone { name: "UTC".into(), offset: 0 })
}

/// Reads a name in RFC 2253's way, which has the parts in reverse.
pub fn parse_dn(text: &str) -> Map {
    let (mut parts, mut part, mut escaped) = (vec![], String::new(), false);
    for c in text.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => part.push(c),
            '\\' => escaped = true,
            ',' | '+' => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
        .iter()
        .rev()
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value))
        .collect()
}

/// Describes a public key: its kind, and its size where the kind has several.
fn key(look: &dyn Look, pem: &str) -> HostResult<(String, Value)> {
    let text = ask::output(look, &Command::new(["openssl", "pkey", "-pubin", "-noout", "-text_pub"]).stdin(pem))?;
    let first = text.lines().next().unwrap_or_default();
    let size = first.split_once('(').and_then(|(_, rest)| rest.split(' ').next()?.parse::<i64>().ok());
    let kind = match first.split([' ', ':']).next().unwrap_or_default() {
        word if word.starts_with("ED") => return Ok((word.to_lowercase(), Value::Null)),
        _ if text.contains("Modulus:") => "rsa",
        _ => "ec",
    };
    Ok((kind.to_owned(), size.into()))
}

/// Returns the public key of a key, certificate or request as PEM.
pub fn public_key(look: &dyn Look, given: &str, passphrase: Option<&str>) -> HostResult<String> {
    let text = if given.starts_with('/') { ask::text(look, given)?.unwrap_or_default() } else { given.to_owned() };
    if text.contains("BEGIN CERTIFICATE-----") || text.contains("BEGIN X509") {
        return ask::output(look, &Command::new(["openssl", "x509", "-noout", "-pubkey"]).stdin(text));
    }
    if text.contains("BEGIN CERTIFICATE REQUEST") || text.contains("BEGIN NEW CERTIFICATE REQUEST") {
        return ask::output(look, &Command::new(["openssl", "req", "-noout", "-pubkey"]).stdin(text));
    }
    if text.contains("BEGIN PUBLIC KEY") || text.contains("BEGIN RSA PUBLIC") {
        return ask::output(look, &Command::new(["openssl", "pkey", "-pubin", "-pubout"]).stdin(text));
    }
    if !text.contains("PRIVATE KEY") {
        let why = "Could not load key as certificate, public key, private key or CSR";
        return Err(HostError::other("read a key", why));
    }
    let mut command = Command::new(["openssl", "pkey", "-pubout", "-passin"]);
    let pass = passphrase_file(&mut command, passphrase.unwrap_or_default());
    command.argv.push(pass);
    command.secret = true;
    ask::output(look, &command.stdin(text))
}

fn listed(extensions: Vec<(String, String)>) -> Map {
    extensions.into_iter().collect()
}

/// Describes a certificate.
pub fn certificate(look: &dyn Look, given: &str) -> HostResult<Map> {
    let (path, text) = if given.starts_with('/') { (Some(given), None) } else { (None, Some(given)) };
    let parts = super::parts(look, path, text)?;
    let words = ["openssl", "x509", "-noout", "-serial", "-dates", "-pubkey", "-text", "-certopt"];
    let mut command = reading(words, given);
    let shown = "no_serial,no_signame,no_validity,no_subject,no_issuer,no_pubkey,no_extensions,no_sigdump,no_aux";
    command.argv.insert(words.len(), shown.into());
    let said = ask::output(look, &command)?;
    let line = |key: &str| said.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap_or_default().trim();
    let public = super::pem(&said).unwrap_or_default();
    let (kind, size) = key(look, &public)?;
    let print = |digest: &str| -> HostResult<Value> {
        let said = ask::output(look, &reading(["openssl", "x509", "-noout", "-fingerprint", digest], given))?;
        Ok(said.trim().split_once('=').map(|(_, print)| print.to_owned()).into())
    };
    let prints: Map =
        [("sha1", print("-sha1")?), ("sha256", print("-sha256")?), ("md5", print("-md5")?)].into_iter().collect();
    let version = line("Version:").split(' ').next().and_then(|text| text.parse::<i64>().ok());
    let mut out = Map::new();
    out.insert("version", Value::from(version));
    out.insert("key_size", size);
    out.insert("key_type", kind);
    out.insert("serial_number", crl::serial(&line("serial=").into()).map(|serial| crl::shown(&serial)));
    out.insert("fingerprints", prints);
    out.insert("subject", parse_dn(&parts.subject));
    out.insert("subject_str", parts.subject.as_str());
    out.insert("issuer", parse_dn(&parts.issuer));
    out.insert("issuer_str", parts.issuer.as_str());
    out.insert("not_before", time(crl::openssl_date(line("notBefore="))));
    out.insert("not_after", time(crl::openssl_date(line("notAfter="))));
    out.insert("public_key", public);
    out.insert("extensions", listed(parts.extensions));
    out.insert("signature_algorithm", parts.signature);
    Ok(out)
}

/// Describes a request.
pub fn request(look: &dyn Look, given: &str) -> HostResult<Map> {
    let (path, text) = if given.starts_with('/') { (Some(given), None) } else { (None, Some(given)) };
    let parts = super::request::parts(look, path, text)?;
    let (kind, size) = key(look, &public_key(look, given, None)?)?;
    let mut out = Map::new();
    out.insert("key_size", size);
    out.insert("key_type", kind);
    out.insert("subject", parse_dn(&parts.subject));
    out.insert("subject_str", parts.subject);
    out.insert("extensions", listed(parts.extensions));
    Ok(out)
}

/// Describes a list of revoked certificates.
pub fn revocations(look: &dyn Look, given: &str) -> HostResult<Map> {
    let (path, text) = if given.starts_with('/') { (Some(given), None) } else { (None, Some(given)) };
    let found = crl::read(look, path, text)?;
    let one = |revoked: crl::Revoked| {
        let reason: Map = revoked.reason.into_iter().map(|reason| ("CRLReason", reason)).collect();
        let mut entry = Map::new();
        entry.insert("revocation_date", time(revoked.date.unwrap_or(0)));
        entry.insert("extensions", reason);
        (revoked.serial, entry)
    };
    let mut out = Map::new();
    out.insert("issuer", parse_dn(&found.issuer));
    out.insert("last_update", time(found.last_update));
    out.insert("next_update", time(found.next_update));
    out.insert("revoked_certificates", found.revoked.into_iter().map(one).collect::<Map>());
    out.insert("extensions", listed(found.extensions));
    out.insert("signature_algorithm", found.signature);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::python;

    #[test]
    fn reads_names() {
        let shown = python::repr(&parse_dn("CN=a\\, b,OU=x,O=y").into());
        assert_eq!(shown, "{'O': 'y', 'OU': 'x', 'CN': 'a, b'}");
    }
}
