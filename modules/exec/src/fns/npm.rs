//! `npm.*`: packages of Node.js.

use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look};
use corpus_core::{Call, ExecDef, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "npm.list",
        args: "(pkg=None, dir=None, runas=None)",
        doc: "Returns the installed packages: all of the machine, or those of a directory.",
        run: ExecFn::Read(|call, look, _| {
            let mut all = list(look, &npm(call, &["list", "--json", "--depth=0"]))?;
            if let Some(name) = call.text(0, "pkg") {
                all.0.retain(|key, _| key.as_str() == Some(&name));
            }
            Ok(all.into())
        }),
    },
    ExecDef {
        name: "npm.install",
        args: "(pkg=None, dir=None, runas=None)",
        doc: "Installs a package, or what a directory's `package.json` asks for.",
        run: ExecFn::Write(|call, act, _| {
            let mut command = npm(call, &["install", "--json"]);
            command.argv.extend(call.text(0, "pkg"));
            Ok(ask::must(act, command)?.stdout_text().trim_end().into())
        }),
    },
    ExecDef {
        name: "npm.uninstall",
        args: "(pkg, dir=None, runas=None)",
        doc: "Removes a package.",
        run: ExecFn::Write(|call, act, _| {
            let mut command = npm(call, &["uninstall", "--json"]);
            command.argv.push(call.need(0, "pkg")?);
            ask::must(act, command)?;
            Ok(true.into())
        }),
    },
];

fn npm(call: &Call, words: &[&str]) -> Command {
    let mut command = command(call.text(1, "dir").as_deref(), call.text(2, "runas").as_deref());
    command.argv.splice(1..1, words.iter().map(|word| (*word).to_owned()));
    command
}

/// Returns npm's command: for a directory, or for the whole machine.
pub fn command(dir: Option<&str>, user: Option<&str>) -> Command {
    let mut command = Command::new(["npm"]);
    match dir {
        Some(dir) => command.cwd = Some(dir.into()),
        None => command.argv.push("--global".into()),
    }
    command.runas = user.map(str::to_owned);
    command
}

/// Asks `npm list --json`: names to what npm says of each. Its status tells of other troubles.
pub fn list(look: &dyn Look, command: &Command) -> HostResult<Map> {
    let output = look.query(command)?;
    let found: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| HostError::other(format!("run {}", command.argv.join(" ")), ask::said(&output)))?;
    Ok(found.get("dependencies").and_then(Value::as_map).cloned().unwrap_or_default())
}
