//! `locale.*`: the language of this machine.

use corpus_core::host::Command;
use corpus_core::value::Value;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::Path;

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "locale.get_locale",
        args: "()",
        doc: "Returns the machine's locale.",
        run: ExecFn::Read(get_locale),
    },
    ExecDef {
        name: "locale.list_avail",
        args: "()",
        doc: "Lists the locales that are there.",
        run: ExecFn::Read(list_avail),
    },
    ExecDef {
        name: "locale.avail",
        args: "(locale)",
        doc: "Tells whether a locale is there.",
        run: ExecFn::Read(avail),
    },
];

fn get_locale(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    for file in ["/etc/locale.conf", "/etc/default/locale", "/etc/sysconfig/i18n"] {
        let bytes = host.read(Path::new(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(lang) = text.lines().find_map(|l| l.trim().strip_prefix("LANG=")) {
            return Ok(lang.trim_matches(['"', '\'']).into());
        }
    }
    Ok("".into())
}

fn installed(host: &dyn Look) -> Result<Vec<String>, ExecError> {
    let output = host.query(&Command::new(["locale", "-a"]))?;
    Ok(output.stdout_text().lines().map(str::to_owned).collect())
}

fn list_avail(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(installed(host)?.into())
}

/// Spells the encoding one way: `en_US.UTF-8` and `en_US.utf8` are the same.
fn normal(locale: &str) -> String {
    let word = locale.split_whitespace().next().unwrap_or_default();
    match word.split_once('.') {
        Some((language, rest)) => {
            let (charset, modifier) = rest.split_once('@').unwrap_or((rest, ""));
            format!("{language}.{}@{modifier}", charset.to_lowercase().replace('-', ""))
        }
        None => word.to_owned(),
    }
}

fn avail(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let wanted = normal(&call.need(0, "locale")?);
    Ok(installed(host)?.iter().any(|have| normal(have) == wanted).into())
}
