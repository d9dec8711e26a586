//! `rsync.*`: copies of directories, also over the network.

use crate::ask;
use corpus_core::host::{Command, Look};
use corpus_core::{Call, ExecDef, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "rsync.rsync",
        args: "(src, dst, delete=False, force=False, update=False, passwordfile=None, exclude=None, excludefrom=None, dryrun=False, rsh=None, additional_opts=None)",
        doc: "Makes a directory like another.",
        run: ExecFn::Write(|call, act, _| {
            let options = Options {
                delete: call.flag(2, "delete", false),
                force: call.flag(3, "force", false),
                update: call.flag(4, "update", false),
                passwordfile: call.text(5, "passwordfile"),
                exclude: texts(call.arg(6, "exclude")),
                excludefrom: call.text(7, "excludefrom"),
                rsh: call.text(9, "rsh"),
                more: texts(call.arg(10, "additional_opts")),
            };
            let (src, dst) = (call.need(0, "src")?, call.need(1, "dst")?);
            let output = ask::run(act, options.command(&src, &dst, call.flag(8, "dryrun", false)))?;
            let out: [(&str, Value); 4] = [
                ("pid", output.pid.into()),
                ("retcode", output.code.into()),
                ("stdout", output.stdout_text().trim_end().into()),
                ("stderr", output.stderr_text().trim_end().into()),
            ];
            Ok(out.into_iter().collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "rsync.version",
        args: "()",
        doc: "Returns the version of rsync.",
        run: ExecFn::Read(|_: &Call, look: &dyn Look, _| {
            let text = ask::output(look, &Command::new(["rsync", "--version"]))?;
            Ok(text.split_whitespace().nth(2).unwrap_or_default().into())
        }),
    },
];

/// Reads one text or several.
pub fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null) => vec![],
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(one) => vec![python::str(one)],
    }
}

/// How to copy.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub delete: bool,
    pub force: bool,
    pub update: bool,
    pub passwordfile: Option<String>,
    pub exclude: Vec<String>,
    pub excludefrom: Option<String>,
    pub rsh: Option<String>,
    pub more: Vec<String>,
}

impl Options {
    /// Makes the command; a dry one changes nothing.
    pub fn command(&self, src: &str, dst: &str, dry: bool) -> Command {
        let mut argv: Vec<String> = vec!["rsync".into(), "-avz".into()];
        for (on, flag) in [(self.delete, "--delete"), (self.force, "--force"), (self.update, "--update")] {
            if on {
                argv.push(flag.into());
            }
        }
        if let Some(rsh) = &self.rsh {
            argv.push(format!("--rsh={rsh}"));
        }
        if let Some(path) = &self.passwordfile {
            argv.extend(["--password-file".into(), path.clone()]);
        }
        match &self.excludefrom {
            // Salt: the file counts alone.
            Some(path) => argv.extend(["--exclude-from".into(), path.clone()]),
            None => argv.extend(self.exclude.iter().flat_map(|pattern| ["--exclude".into(), pattern.clone()])),
        }
        if dry {
            argv.push("--dry-run".into());
        }
        argv.extend(self.more.iter().cloned());
        argv.extend([src.to_owned(), dst.to_owned()]);
        Command::new(argv)
    }
}
