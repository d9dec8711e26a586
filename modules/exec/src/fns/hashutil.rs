//! `hashutil.*`: digests and base64.

use corpus_core::digest::{base64, hex, unbase64};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, Value};
use sha2::Digest;
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "hashutil.digest",
        args: "(instr, checksum='md5')",
        doc: "Returns a text's digest.",
        run: ExecFn::Data(digest),
    },
    ExecDef {
        name: "hashutil.digest_file",
        args: "(infile, checksum='md5')",
        doc: "Returns a file's digest.",
        run: ExecFn::Read(digest_file),
    },
    ExecDef { name: "hashutil.md5_digest", args: "(instr)", doc: "Returns a text's MD5.", run: ExecFn::Data(md5) },
    ExecDef {
        name: "hashutil.sha256_digest",
        args: "(instr)",
        doc: "Returns a text's SHA-256.",
        run: ExecFn::Data(sha256),
    },
    ExecDef {
        name: "hashutil.sha512_digest",
        args: "(instr)",
        doc: "Returns a text's SHA-512.",
        run: ExecFn::Data(sha512),
    },
    ExecDef { name: "hashutil.base64_b64encode", args: "(instr)", doc: "Writes base64.", run: ExecFn::Data(encode) },
    ExecDef { name: "hashutil.base64_b64decode", args: "(instr)", doc: "Reads base64.", run: ExecFn::Data(decode) },
    ExecDef {
        name: "hashutil.base64_encodestring",
        args: "(instr)",
        doc: "Writes base64 in lines of 76 letters.",
        run: ExecFn::Data(encode_lines),
    },
    ExecDef { name: "hashutil.base64_decodestring", args: "(instr)", doc: "Reads base64.", run: ExecFn::Data(decode) },
    ExecDef {
        name: "hashutil.base64_encodefile",
        args: "(fname)",
        doc: "Writes a file as base64 in lines of 76 letters.",
        run: ExecFn::Read(encode_file),
    },
    ExecDef {
        name: "hashutil.hmac_compute",
        args: "(string, shared_secret)",
        doc: "Returns the HMAC-SHA-256 of a text, in hexadecimal.",
        run: ExecFn::Data(|call, _| Ok(hex(&hmac(call)?).into())),
    },
    ExecDef {
        name: "hashutil.hmac_signature",
        args: "(string, shared_secret, challenge_hmac)",
        doc: "Tells whether a text's HMAC-SHA-256 is the one given, in base64.",
        run: ExecFn::Data(|call, _| Ok((base64(&hmac(call)?) == call.need(2, "challenge_hmac")?).into())),
    },
];

/// Returns the digest of some bytes by the algorithm's name.
pub(crate) fn hash(algorithm: &str, bytes: &[u8]) -> Option<String> {
    Some(match algorithm {
        "md5" => hex(&md5::Md5::digest(bytes)),
        "sha1" => hex(&sha1::Sha1::digest(bytes)),
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        _ => return None,
    })
}

fn of(call: &Call, algorithm: &str, bytes: &[u8]) -> Result<Value, ExecError> {
    let known = "md5, sha1, sha224, sha256, sha384, sha512";
    let found = hash(algorithm, bytes);
    found.map(Value::from).ok_or_else(|| call.invalid("checksum", format!("`{algorithm}` is not one of {known}")))
}

fn digest(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let algorithm = call.text(1, "checksum").unwrap_or_else(|| "md5".into());
    of(call, &algorithm, call.need(0, "instr")?.as_bytes())
}

fn digest_file(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let path = call.need(0, "infile")?;
    if !host.stat(Path::new(&path))?.is_some_and(|m| m.is_file()) {
        return Err(ExecError::failed(format!("File path {path} not found.")));
    }
    let algorithm = call.text(1, "checksum").unwrap_or_else(|| "md5".into());
    if algorithm == "sha256" {
        return Ok(hex(&host.sha256(Path::new(&path))?).into());
    }
    of(call, &algorithm, &host.read(Path::new(&path))?)
}

fn md5(call: &Call, _: &Data) -> Result<Value, ExecError> {
    of(call, "md5", call.need(0, "instr")?.as_bytes())
}

fn sha256(call: &Call, _: &Data) -> Result<Value, ExecError> {
    of(call, "sha256", call.need(0, "instr")?.as_bytes())
}

fn sha512(call: &Call, _: &Data) -> Result<Value, ExecError> {
    of(call, "sha512", call.need(0, "instr")?.as_bytes())
}

fn encode(call: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(base64(call.need(0, "instr")?.as_bytes()).into())
}

fn encode_lines(call: &Call, _: &Data) -> Result<Value, ExecError> {
    Ok(in_lines(call.need(0, "instr")?.as_bytes()))
}

fn encode_file(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(in_lines(&host.read(Path::new(&call.need(0, "fname")?))?))
}

fn in_lines(bytes: &[u8]) -> Value {
    let text = base64(bytes);
    let lines: Vec<&[u8]> = text.as_bytes().chunks(76).collect();
    let lines = lines.iter().map(|l| String::from_utf8_lossy(l) + "\n").collect::<String>();
    lines.into()
}

/// RFC 2104, with SHA-256.
fn hmac(call: &Call) -> Result<Vec<u8>, ExecError> {
    let (text, secret) = (call.need(0, "string")?, call.need(1, "shared_secret")?);
    let mut key =
        if secret.len() > 64 { sha2::Sha256::digest(secret.as_bytes()).to_vec() } else { secret.into_bytes() };
    key.resize(64, 0);
    let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = sha2::Sha256::digest([pad(0x36), text.into_bytes()].concat());
    Ok(sha2::Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec())
}

fn decode(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let bytes = unbase64(&call.need(0, "instr")?).ok_or_else(|| call.invalid("instr", "is not base64"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}
