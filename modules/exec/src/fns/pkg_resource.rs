//! `pkg_resource.*`: versions compared without asking a package manager.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};
use std::cmp::Ordering;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[ExecDef {
    name: "pkg_resource.version_compare",
    args: "(ver1, oper, ver2, ignore_epoch=False)",
    doc: "Tells whether a comparison (`==`, `!=`, `>=`, `<=`, `>`, `<`) of two versions holds.",
    run: ExecFn::Data(version_compare),
}];

fn version_compare(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let (a, oper, b) = (call.need(0, "ver1")?, call.need(1, "oper")?, call.need(2, "ver2")?);
    let bare = |text: &str| text.split_once(':').map_or(text, |(_, rest)| rest).to_owned();
    let (a, b) = if call.flag(3, "ignore_epoch", false) { (bare(&a), bare(&b)) } else { (a, b) };
    let order = compare(&a, &b);
    Ok(match &*oper {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        ">=" => order.is_ge(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        "<" => order.is_lt(),
        _ => return Err(call.invalid("oper", format!("`{oper}` is none of == != >= <= > <"))),
    }
    .into())
}

/// Salt's `LooseVersion`: versions of numbers alone are compared as such, others as texts with padded numbers.
fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let number = |part: &String| part.parse::<u128>().ok();
    if let (Some(a), Some(b)) = (a.iter().map(number).collect::<Option<Vec<_>>>(), b.iter().map(number).collect()) {
        return a.cmp(&b);
    }
    let text = |part: &String| number(part).map_or_else(|| part.clone(), |n| format!("{n:08}"));
    a.iter().map(text).collect::<Vec<_>>().cmp(&b.iter().map(text).collect())
}

fn parts(version: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![];
    let mut kind = ' ';
    for letter in version.chars() {
        let of = match letter {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            '.' => '.',
            _ => '-',
        };
        if of != '.' {
            if of == kind {
                parts.last_mut().into_iter().for_each(|part| part.push(letter));
            } else {
                parts.push(letter.into());
            }
        }
        kind = of;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::compare;

    /// By Salt 3008's `salt.utils.versions.version_cmp`.
    #[test]
    fn compares_as_salt() {
        for (a, b, order) in [
            ("2.1.0", "2.1.0", 0),
            ("2.10", "2.9", 1),
            ("2.1", "2.1.0", -1),
            ("1.0a1", "1.0", 1),
            ("1:1.0", "2.0", -1),
            ("1.2-3", "1.2-10", -1),
            ("1.0~rc1", "1.0", 1),
            ("7.4.3-4ubuntu2", "7.4", 1),
            ("a", "1", 1),
            ("1.0.A", "1.0.a", -1),
            ("1.0:10", "1.0:9", 1),
        ] {
            assert_eq!(compare(a, b) as i32, order, "{a} {b}");
        }
    }
}
