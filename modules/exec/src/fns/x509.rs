//! `x509.*`: keys and certificates.

use crate::{ask, x509};
use corpus_core::host::Command;
use corpus_core::{Call, ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "x509.create_private_key",
        args: "(algo='rsa', keysize=None, passphrase=None)",
        doc: "Draws a private key and returns it as PEM.",
        run: ExecFn::Read(|call, look, _| {
            let algo = call.text(0, "algo").unwrap_or_else(|| "rsa".into());
            let size = call.text(1, "keysize").or_else(|| call.text(usize::MAX, "bits"));
            let size = size.map(|size| size.parse().map_err(|_| call.invalid("keysize", "a number"))).transpose()?;
            let command = x509::new_key(&algo, size, call.text(2, "passphrase").as_deref());
            Ok(ask::output(look, &command.map_err(|why| call.invalid("algo", why))?)?.into())
        }),
    },
    ExecDef {
        name: "x509.get_pem_entry",
        args: "(text)",
        doc: "Returns the first PEM block of a text or file, folded as it should be.",
        run: ExecFn::Read(|call, look, _| {
            let text = call.need(0, "text")?;
            let text = if text.starts_with('/') { ask::text(look, &text)?.unwrap_or_default() } else { text };
            Ok(x509::pem(&text).ok_or_else(|| call.invalid("text", "no PEM block is in it"))?.into())
        }),
    },
    ExecDef {
        name: "x509.will_expire",
        args: "(certificate, days)",
        doc: "Tells whether a certificate ends within days.",
        run: ExecFn::Read(|call: &Call, look, _| {
            let days: i64 = call.need(1, "days")?.parse().map_err(|_| call.invalid("days", "a number"))?;
            let (path, seconds) = (call.need(0, "certificate")?, (days * 86_400).to_string());
            let output = look.query(&Command::new(["openssl", "x509", "-in", &path, "-noout", "-checkend", &seconds]));
            Ok((!output.map_err(ExecError::from)?.ok()).into())
        }),
    },
];
