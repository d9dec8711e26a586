//! `x509.*`: signing, describing and judging.

use crate::grains::clock;
use crate::x509::{self, Wanted, crl, request, show};
use corpus_core::host::{Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

type Answer = Result<Value, ExecError>;

const fn read(
    name: &'static str,
    args: &'static str,
    doc: &'static str,
    run: fn(&Call, &dyn Look, &Data) -> Answer,
) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "x509.create_certificate",
        "(signing_private_key, signing_cert=None, signing_policy=None, private_key=None, public_key=None, csr=None, days_valid=365, digest='sha256', **kwargs)",
        "Signs a certificate and returns it as PEM.",
        create_certificate,
    ),
    read(
        "x509.create_csr",
        "(private_key, private_key_passphrase=None, digest='sha256', encoding='pem', subject=None, **kwargs)",
        "Makes a request for a certificate and returns it as PEM.",
        create_csr,
    ),
    read(
        "x509.create_crl",
        "(signing_private_key, revoked, signing_cert=None, signing_private_key_passphrase=None, include_expired=False, days_valid=100, digest='sha256', encoding='pem', extensions=None)",
        "Makes a list of revoked certificates and returns it as PEM.",
        create_crl,
    ),
    read("x509.get_signing_policy", "(signing_policy)", "Returns a signing policy.", |call, _, data| {
        let name = call.need(0, "signing_policy")?;
        policy(data, &name).map(Value::from)
    }),
    read("x509.read_certificate", "(certificate)", "Describes a certificate.", |call, look, _| {
        Ok(show::certificate(look, &call.need(0, "certificate")?)?.into())
    }),
    read("x509.read_csr", "(csr)", "Describes a request.", |call, look, _| {
        Ok(show::request(look, &call.need(0, "csr")?)?.into())
    }),
    read("x509.read_crl", "(crl)", "Describes a list of revoked certificates.", |call, look, _| {
        Ok(show::revocations(look, &call.need(0, "crl")?)?.into())
    }),
    read("x509.expires", "(certificate, days=0)", "Tells whether a certificate ends within days.", |call, look, _| {
        let days = call.text(1, "days").unwrap_or_else(|| "0".into());
        let days: i64 = days.parse().map_err(|_| call.invalid("days", "a number"))?;
        ended(look, &call.need(0, "certificate")?, days)
    }),
    read("x509.expired", "(certificate)", "Tells whether a certificate has ended, and its name.", |call, look, _| {
        let given = call.need(0, "certificate")?;
        let mut out = Map::new();
        if given.starts_with('/') {
            out.insert("path", given.as_str());
        }
        let found = show::certificate(look, &given)?;
        if let Some(name) = found.get("subject").and_then(|subject| subject.get("CN")) {
            out.insert("cn", name.clone());
        }
        out.insert("expired", ended(look, &given, 0)?);
        Ok(out.into())
    }),
    read(
        "x509.get_public_key",
        "(key, passphrase=None)",
        "Returns the public key of a key, a certificate or a request.",
        |call, look, _| Ok(show::public_key(look, &call.need(0, "key")?, call.text(1, "passphrase").as_deref())?.into()),
    ),
    read(
        "x509.get_private_key_size",
        "(private_key, passphrase=None)",
        "Returns the size of a private key.",
        |call, look, _| {
            let path = call.need(0, "private_key")?;
            let found = x509::describe_key(look, &path, call.text(1, "passphrase").as_deref())?;
            let (kind, size) =
                found.ok_or_else(|| call.invalid("private_key", "no key, or not under this passphrase"))?;
            Ok(if kind.starts_with("ed") { Value::Null } else { size.into() })
        },
    ),
    read("x509.verify_crl", "(crl, cert)", "Tells whether a certificate's key signed a list.", |call, look, _| {
        Ok(crl::signed_by(look, &call.need(0, "crl")?, &call.need(1, "cert")?)?.into())
    }),
    read(
        "x509.verify_private_key",
        "(private_key, public_key, passphrase=None)",
        "Tells whether a private key belongs to a public key, a certificate or a request.",
        |call, look, _| {
            let passphrase = call.text(2, "passphrase");
            let own = show::public_key(look, &call.need(0, "private_key")?, passphrase.as_deref())?;
            Ok((own == show::public_key(look, &call.need(1, "public_key")?, None)?).into())
        },
    ),
    read(
        "x509.verify_signature",
        "(certificate, signing_pub_key=None)",
        "Tells whether a certificate's key signed another certificate.",
        |call, look, _| {
            let certificate = call.need(0, "certificate")?;
            let by = call.text(1, "signing_pub_key").unwrap_or_else(|| certificate.clone());
            let words = ["openssl", "verify", "-no_check_time", "-partial_chain", "-CAfile", &by, &certificate];
            Ok(look.query(&Command::new(words))?.ok().into())
        },
    ),
];

fn policy(data: &Data, name: &str) -> Result<Map, ExecError> {
    x509::policy(data, name).ok_or_else(|| ExecError::failed(format!("Signing policy {name} does not exist.")))
}

fn ended(look: &dyn Look, given: &str, days: i64) -> Answer {
    let seconds = (days * 86_400).to_string();
    let output = look.query(&show::reading(["openssl", "x509", "-noout", "-checkend", &seconds], given))?;
    let text = output.stdout_text();
    if !text.contains("expire") {
        return Err(ExecError::failed(crate::ask::said(&output)));
    }
    Ok((!output.ok()).into())
}

/// Refuses what only another encoding or another machine could do.
fn plain(call: &Call) -> Result<(), ExecError> {
    for (name, good) in [("encoding", "pem"), ("ca_server", ""), ("path", ""), ("text", "")] {
        if call.text(usize::MAX, name).is_some_and(|value| value != good) && name != "text" {
            return Err(call.invalid(name, "not built: a PEM text is returned, made on this machine"));
        }
    }
    Ok(())
}

fn digest(call: &Call, given: &Map) -> Result<String, ExecError> {
    let found = ["digest", "algorithm"].into_iter().find_map(|key| given.get(key)).map(python::str);
    let name = found.unwrap_or_else(|| "sha256".into());
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if good { Ok(name) } else { Err(call.invalid("digest", format!("there is no `{name}`"))) }
}

fn create_certificate(call: &Call, look: &dyn Look, data: &Data) -> Answer {
    plain(call)?;
    let mut given = call.kwargs.clone();
    if let Some(name) = call.text(usize::MAX, "signing_policy") {
        given.0.extend(policy(data, &name)?);
    }
    let text = |key: &str| given.get(key).filter(|value| value.truthy()).map(python::str);
    let wanted = Wanted {
        subject: text("subject").unwrap_or_else(|| x509::subject(&given)),
        extensions: x509::extensions(&given).map_err(ExecError::Failed)?,
        days: given.get("days_valid").and_then(Value::as_int).unwrap_or(365),
        digest: digest(call, &given)?,
        serial: text("serial_number"),
        signing_key: text("signing_private_key").ok_or_else(|| call.missing("signing_private_key"))?,
        signing_passphrase: text("signing_private_key_passphrase"),
        signing_cert: text("signing_cert"),
        key: text("private_key").or_else(|| text("public_key")),
        key_passphrase: text("private_key_passphrase"),
        csr: text("csr"),
    };
    Ok(wanted.sign(look)?.into())
}

fn create_csr(call: &Call, look: &dyn Look, _: &Data) -> Answer {
    plain(call)?;
    let subject = call.text(4, "subject").unwrap_or_else(|| x509::subject(&call.kwargs));
    let wanted = request::Request {
        subject,
        extensions: x509::extensions(&call.kwargs).map_err(ExecError::Failed)?,
        digest: digest(call, &call.kwargs)?,
        key: call.need(0, "private_key")?,
        passphrase: call.text(1, "private_key_passphrase"),
    };
    Ok(wanted.make(look)?.into())
}

fn create_crl(call: &Call, look: &dyn Look, _: &Data) -> Answer {
    plain(call)?;
    let now = clock::now();
    let unless = (!call.flag(4, "include_expired", false)).then_some(now);
    let mut revoked = vec![];
    for entry in call.arg(1, "revoked").and_then(Value::as_list).unwrap_or_default() {
        revoked.extend(crl::entry(look, entry, unless).map_err(ExecError::Failed)?);
    }
    let given = call.arg(8, "extensions").and_then(Value::as_map).cloned().unwrap_or_default();
    let wanted = crl::Crl {
        revoked,
        signing_key: call.need(0, "signing_private_key")?,
        passphrase: call.text(3, "signing_private_key_passphrase"),
        signing_cert: call.need(2, "signing_cert")?,
        days: call.arg(5, "days_valid").and_then(Value::as_int).unwrap_or(100),
        digest: digest(call, &call.kwargs)?,
        extensions: crl::extensions(&given, 1).map_err(ExecError::Failed)?,
    };
    Ok(wanted.make(look, now)?.into())
}
