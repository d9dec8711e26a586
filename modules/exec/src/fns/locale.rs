//! `locale.*`: the language of this machine.

use crate::ask;
use corpus_core::host::{Command, HostResult};
use corpus_core::plan::{Attrs, Content, Effect};
use corpus_core::value::Value;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look};

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
    ExecDef {
        name: "locale.set_locale",
        args: "(locale)",
        doc: "Sets the machine's locale.",
        run: ExecFn::Write(|call, act, data| {
            let debian = data.grains.get("os_family") == Some(&"Debian".into());
            act.perform(&setting(act.as_look(), &call.need(0, "locale")?, debian)?)?;
            Ok(true.into())
        }),
    },
    ExecDef {
        name: "locale.gen_locale",
        args: "(locale)",
        doc: "Generates a locale.",
        run: ExecFn::Write(|call, act, _| {
            for effect in generating(act.as_look(), &call.need(0, "locale")?)? {
                if act.perform(&effect)?.output().is_some_and(|output| !output.ok()) {
                    return Ok(false.into());
                }
            }
            Ok(true.into())
        }),
    },
];

const FILES: [&str; 3] = ["/etc/locale.conf", "/etc/default/locale", "/etc/sysconfig/i18n"];

fn get_locale(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(current(host)?.into())
}

/// Returns the machine's locale; empty if none is set.
pub fn current(look: &dyn Look) -> HostResult<String> {
    for file in FILES {
        let text = ask::text(look, file)?.unwrap_or_default();
        if let Some(lang) = text.lines().find_map(|line| line.trim().strip_prefix("LANG=")) {
            return Ok(lang.trim_matches(['"', '\'']).to_owned());
        }
    }
    Ok(String::new())
}

/// Returns the effect that sets the machine's locale, in the file that says it now.
pub fn setting(look: &dyn Look, locale: &str, debian: bool) -> HostResult<Effect> {
    let first = if debian { FILES[1] } else { FILES[0] };
    let mut chosen = (first, ask::text(look, first)?.unwrap_or_default());
    for file in FILES {
        let text = ask::text(look, file)?.unwrap_or_default();
        if text.lines().any(|line| line.trim().starts_with("LANG=")) {
            chosen = (file, text);
            break;
        }
    }
    let (file, text) = chosen;
    let (mut out, mut done) = (String::new(), false);
    for line in text.lines() {
        if line.trim().starts_with("LANG=") {
            if !std::mem::replace(&mut done, true) {
                out += &format!("LANG={locale}\n");
            }
        } else {
            out += &format!("{line}\n");
        }
    }
    if !done {
        out += &format!("LANG={locale}\n");
    }
    let content = Content::Bytes(out.into_bytes());
    Ok(Effect::WriteFile { path: file.into(), content, attrs: Attrs::default(), backup: None })
}

/// Tells whether the machine has the source of a locale, where it says so.
pub fn is_supported(look: &dyn Look, name: &str) -> HostResult<bool> {
    // `de_DE.utf8` is `de_DE.UTF-8`.
    let plain = |text: &str| text.to_lowercase().replace('-', "");
    let Some(text) = ask::text(look, "/usr/share/i18n/SUPPORTED")? else { return Ok(true) };
    let name = plain(name.split_whitespace().next().unwrap_or_default());
    Ok(text.lines().filter_map(|line| line.split_whitespace().next()).any(|known| plain(known) == name))
}

/// Returns the effects that generate a locale: its line of `/etc/locale.gen` and `locale-gen`, or `localedef`.
pub fn generating(look: &dyn Look, locale: &str) -> Result<Vec<Effect>, ExecError> {
    let (language, charset) = locale.split_once('.').unwrap_or((locale, "UTF-8"));
    let (charset, modifier) = charset.split_once('@').map_or((charset, String::new()), |(c, m)| (c, format!("@{m}")));
    let charset = charset.split_whitespace().next().unwrap_or(charset);
    let charset = if charset.eq_ignore_ascii_case("utf8") { "UTF-8" } else { charset };
    if let (Some(text), Some(_)) = (ask::text(look, "/etc/locale.gen")?, look.which("locale-gen")) {
        let line = if locale.contains('.') {
            format!("{language}.{charset}{modifier} {charset}")
        } else {
            format!("{locale} {charset}")
        };
        let mut effects = vec![];
        if !text.lines().any(|have| have.trim() == line) {
            let mut found = false;
            let mut out: String = text
                .lines()
                .map(|have| {
                    let same = !found && have.trim_start_matches(['#', ' ']).trim_end() == line;
                    found |= same;
                    if same { format!("{line}\n") } else { format!("{have}\n") }
                })
                .collect();
            if !found {
                out += &format!("{line}\n");
            }
            let content = Content::Bytes(out.into_bytes());
            let attrs = Attrs::default();
            effects.push(Effect::WriteFile { path: "/etc/locale.gen".into(), content, attrs, backup: None });
        }
        effects.push(Effect::Exec(Command::new(["locale-gen"])));
        return Ok(effects);
    }
    if look.which("localedef").is_none() {
        return Err(ExecError::failed("Command \"locale-gen\" or \"localedef\" was not found on this system."));
    }
    let command = ["localedef", "--force", "-i", &format!("{language}{modifier}"), "-f", charset, locale];
    Ok(vec![Effect::Exec(Command::new(command))])
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
    Ok(is_there(host, &call.need(0, "locale")?)?.into())
}

/// Tells whether a locale is generated.
pub fn is_there(look: &dyn Look, locale: &str) -> Result<bool, ExecError> {
    let wanted = normal(locale);
    Ok(installed(look)?.iter().any(|have| normal(have) == wanted))
}
