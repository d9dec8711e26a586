//! Filters that write: JSON, YAML scalars, base64, hashes.

use super::salt::core;
use crate::args::Args;
use crate::eval::Vm;
use crate::fail::{R, err};
use crate::show;
use crate::value::{Obj, Val};
use corpus_core::digest::{base64, unbase64};
use corpus_core::{Value as Core, python};
use md5::Digest;
use std::fmt::Write;

pub fn call(_vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Option<Val>> {
    let bytes = || -> R<Vec<u8>> {
        if let Val::Obj(obj) = value
            && let Obj::Bytes(bytes) = &**obj
        {
            return Ok(bytes.clone());
        }
        Ok(show::text(value)?.as_bytes().to_vec())
    };
    Ok(Some(match name {
        "json" | "tojson" => {
            let sort = args.flag(if name == "json" { 0 } else { 99 }, "sort_keys", name == "json")?;
            let indent = args.get(usize::from(name == "json"), "indent")?;
            let indent = indent.and_then(|v| v.as_int()).map(|n| n.clamp(0, 64) as usize);
            let mut out = String::new();
            write_json(&mut out, &core(value)?, (sort, name == "tojson"), indent, 0);
            if name == "tojson" {
                out = out
                    .replace('<', "\\u003c")
                    .replace('>', "\\u003e")
                    .replace('&', "\\u0026")
                    .replace('\'', "\\u0027");
            }
            Val::str(out)
        }
        "yaml_dquote" => Val::str(show::yaml_quoted(&show::text(value)?)),
        "yaml_squote" => Val::str(format!("'{}'", show::text(value)?.replace('\'', "''"))),
        "yaml_encode" => Val::str(match value {
            Val::Str(s) => show::yaml_quoted(s),
            Val::None => "null".into(),
            Val::Bool(b) => b.to_string(),
            Val::Int(i) => i.to_string(),
            Val::Float(x) => python::float(*x),
            _ => {
                return err("yaml_encode() only works with YAML scalar data; failed for <class '".to_owned()
                    + value.type_name()
                    + "'>");
            }
        }),
        "base64_encode" => Val::str(base64(&bytes()?)),
        "base64_decode" => match unbase64(&letters(&show::text(value)?)) {
            Some(bytes) => Val::str(String::from_utf8_lossy(&bytes)),
            None => return err("Incorrect padding"),
        },
        "md5" => Val::str(hex(&md5::Md5::digest(bytes()?))),
        "sha1" => Val::str(hex(&sha1::Sha1::digest(bytes()?))),
        "sha256" => Val::str(hex(&sha2::Sha256::digest(bytes()?))),
        "sha512" => Val::str(hex(&sha2::Sha512::digest(bytes()?))),
        "hmac" => {
            let key = args.need_text(0, "shared_secret")?;
            let want = args.need_text(1, "challenge_hmac")?;
            Val::Bool(base64(&hmac_sha256(key.as_bytes(), &bytes()?)) == *want)
        }
        "uuid" => {
            // Salt: version 5 in a name space of its own.
            const SPACE: [u8; 16] =
                [0x91, 0x63, 0x3e, 0xbf, 0x1c, 0x86, 0x5e, 0x33, 0x93, 0x5a, 0x28, 0x06, 0x1f, 0x4b, 0x48, 0x0e];
            let mut hash = sha1::Sha1::new();
            hash.update(SPACE);
            hash.update(bytes()?);
            let mut id: Vec<u8> = hash.finalize().to_vec();
            id.truncate(16);
            id[6] = id[6] & 0x0f | 0x50;
            id[8] = id[8] & 0x3f | 0x80;
            let h = hex(&id);
            Val::str(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
        }
        _ => return Ok(None),
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        _ = write!(out, "{byte:02x}");
        out
    })
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&sha2::Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.iter().map(|b| b ^ with).collect::<Vec<_>>();
    let inner = sha2::Sha256::digest([pad(0x36).as_slice(), message].concat());
    sha2::Sha256::digest([pad(0x5c).as_slice(), &inner].concat()).to_vec()
}

/// Python: what is no letter of base64 is passed over.
fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "+/".contains(*c)).collect()
}

/// Writes JSON as Python's `json.dumps` does.
fn write_json(out: &mut String, value: &Core, (sort, ascii): (bool, bool), indent: Option<usize>, depth: usize) {
    let newline = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Core::Null => out.push_str("null"),
        Core::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Core::Int(i) => _ = write!(out, "{i}"),
        Core::Float(x) if x.is_nan() => out.push_str("NaN"),
        Core::Float(x) if x.is_infinite() => out.push_str(if *x > 0.0 { "Infinity" } else { "-Infinity" }),
        Core::Float(x) => out.push_str(&python::float(*x)),
        Core::Str(s) => json_text(out, s, ascii),
        Core::List(items) if items.is_empty() => out.push_str("[]"),
        Core::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                newline(out, depth + 1);
                write_json(out, item, (sort, ascii), indent, depth + 1);
            }
            newline(out, depth);
            out.push(']');
        }
        Core::Map(map) if map.is_empty() => out.push_str("{}"),
        Core::Map(map) => {
            out.push('{');
            let mut entries: Vec<_> = map.iter().map(|(k, v)| (python::json_key(k), v)).collect();
            if sort {
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            for (i, (key, item)) in entries.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                newline(out, depth + 1);
                json_text(out, key, ascii);
                out.push_str(": ");
                write_json(out, item, (sort, ascii), indent, depth + 1);
            }
            newline(out, depth);
            out.push('}');
        }
    }
}

fn json_text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c if !ascii && c >= ' ' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}
