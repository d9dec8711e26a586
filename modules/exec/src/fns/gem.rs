//! `gem.*`: Ruby gems.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Call, ExecDef, ExecError, ExecFn, Map};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "gem.list",
        args: "(prefix='', gem_bin=None, runas=None)",
        doc: "Returns the installed gems with their versions.",
        run: ExecFn::Read(|call, look, _| {
            let prefix = call.text(0, "prefix").unwrap_or_default();
            let all = list(look, &gem(call, &["list"]))?;
            Ok(all.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "gem.install",
        args: "(gem, gem_bin=None, runas=None, version=None)",
        doc: "Installs a gem.",
        run: ExecFn::Write(|call, act, _| {
            let mut command = gem(call, &["install", &call.need(0, "gem")?]);
            command.argv.extend(call.text(3, "version").into_iter().flat_map(|v| ["--version".to_owned(), v]));
            command.argv.push("--no-document".into());
            Ok(ask::must(act, command)?.stdout_text().trim_end().into())
        }),
    },
    ExecDef {
        name: "gem.uninstall",
        args: "(gem, gem_bin=None, runas=None)",
        doc: "Removes all versions of a gem.",
        run: ExecFn::Write(|call, act, _| {
            let command = gem(call, &["uninstall", &call.need(0, "gem")?, "-a", "-x"]);
            Ok(ask::must(act, command)?.stdout_text().trim_end().into())
        }),
    },
    ExecDef {
        name: "gem.version",
        args: "(gem_bin=None, runas=None)",
        doc: "Returns the version of `gem`.",
        run: ExecFn::Read(|call, look, _| {
            let mut command = gem(call, &["--version"]);
            command.argv[0] = call.text(0, "gem_bin").unwrap_or_else(|| "gem".into());
            Ok(ask::output(look, &command).map_err(ExecError::from)?.trim().into())
        }),
    },
];

fn gem(call: &Call, words: &[&str]) -> Command {
    let mut command = Command::new([call.text(1, "gem_bin").unwrap_or_else(|| "gem".into())]);
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.runas = call.text(2, "runas");
    command
}

/// Asks `gem list`: `rake (13.1.0, default: 13.0.6)`.
pub fn list(look: &dyn Look, command: &Command) -> HostResult<Vec<(String, Vec<String>)>> {
    let line = |line: &str| {
        let (name, versions) = line.strip_suffix(')')?.split_once(" (")?;
        // A platform may follow the version.
        let version = |v: &str| v.trim().trim_start_matches("default: ").split(' ').next().unwrap_or("").to_owned();
        Some((name.to_owned(), versions.split(',').map(version).collect()))
    };
    Ok(ask::output(look, command)?.lines().filter_map(line).collect())
}
