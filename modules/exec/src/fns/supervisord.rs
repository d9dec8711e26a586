//! `supervisord.*`: programs that supervisord runs, through `supervisorctl`.

use crate::ask;
use corpus_core::host::{Command, HostError, HostResult, Look, Output};
use corpus_core::{Act, Call, ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "supervisord.status",
        args: "(name=None, user=None, conf_file=None, bin_env=None)",
        doc: "Returns the programs with their states.",
        run: ExecFn::Read(|call, look, _| {
            let mut all = status(look, &ctl(call, 1))?;
            if let Some(name) = call.text(0, "name") {
                all.retain(|(process, ..)| *process == name);
            }
            let row = |state: &str, reason: &str| -> Map {
                [("state", Value::from(state)), ("reason", reason.into())].into_iter().collect()
            };
            Ok(all
                .iter()
                .map(|(name, state, reason)| (name.as_str(), Value::from(row(state, reason))))
                .collect::<Map>()
                .into())
        }),
    },
    ExecDef {
        name: "supervisord.start",
        args: NAMED,
        doc: "Starts a program, a group (`name:`) or all.",
        run: ExecFn::Write(|call, act, _| run(call, act, "start", true)),
    },
    ExecDef {
        name: "supervisord.stop",
        args: NAMED,
        doc: "Stops a program, a group (`name:`) or all.",
        run: ExecFn::Write(|call, act, _| run(call, act, "stop", true)),
    },
    ExecDef {
        name: "supervisord.restart",
        args: NAMED,
        doc: "Restarts a program, a group (`name:`) or all.",
        run: ExecFn::Write(|call, act, _| run(call, act, "restart", true)),
    },
    ExecDef {
        name: "supervisord.add",
        args: NAMED,
        doc: "Takes a program of the configuration in.",
        run: ExecFn::Write(|call, act, _| run(call, act, "add", false)),
    },
    ExecDef {
        name: "supervisord.remove",
        args: NAMED,
        doc: "Takes a program out.",
        run: ExecFn::Write(|call, act, _| run(call, act, "remove", false)),
    },
    ExecDef {
        name: "supervisord.reread",
        args: "(user=None, conf_file=None, bin_env=None)",
        doc: "Reads the configuration again.",
        run: ExecFn::Write(|call, act, _| said(act, ctl(call, 0).command(&["reread"]))),
    },
    ExecDef {
        name: "supervisord.update",
        args: "(user=None, conf_file=None, bin_env=None, name=None)",
        doc: "Reads the configuration again and restarts what it changes.",
        run: ExecFn::Write(|call, act, _| {
            let name = call.text(3, "name").map(|name| group(&name).to_owned());
            let words: Vec<&str> = ["update"].into_iter().chain(name.as_deref()).collect();
            said(act, ctl(call, 0).command(&words))
        }),
    },
];

const NAMED: &str = "(name='all', user=None, conf_file=None, bin_env=None)";

/// Where `supervisorctl` is and whom it asks.
#[derive(Clone, Debug, Default)]
pub struct Ctl {
    pub user: Option<String>,
    pub conf_file: Option<String>,
    /// The program, or a virtual environment that has it.
    pub bin_env: Option<String>,
}

impl Ctl {
    /// Returns the program. A virtual environment is told apart by its name: nothing is asked here.
    pub fn program(&self) -> String {
        match &self.bin_env {
            Some(path) if !path.ends_with("supervisorctl") => {
                format!("{}/bin/supervisorctl", path.trim_end_matches('/'))
            }
            Some(path) => path.clone(),
            None => "supervisorctl".into(),
        }
    }

    /// Makes a command.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new([self.program()]);
        if let Some(path) = &self.conf_file {
            command.argv.extend(["-c".into(), path.clone()]);
        }
        command.argv.extend(words.iter().map(|word| (*word).to_owned()));
        command.runas.clone_from(&self.user);
        command
    }
}

fn ctl(call: &Call, first: usize) -> Ctl {
    Ctl {
        user: call.text(first, "user"),
        conf_file: call.text(first + 1, "conf_file"),
        bin_env: call.text(first + 2, "bin_env"),
    }
}

/// Takes the sign of a group off a name.
pub fn group(name: &str) -> &str {
    name.trim_end_matches(":*").trim_end_matches(':')
}

/// Returns what `supervisorctl` said; its failures are marked as Salt marks them.
pub fn answer(output: &Output) -> String {
    let text = output.stdout_text().trim_end().to_owned();
    if output.ok() || text.contains("ERROR") { text } else { format!("ERROR: {text}") }
}

/// Lists the programs: name, state, reason.
pub fn status(look: &dyn Look, ctl: &Ctl) -> HostResult<Vec<(String, String, String)>> {
    let output = look.query(&ctl.command(&["status"]))?;
    let text = output.stdout_text();
    let line = |line: &str| {
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let (state, reason) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        Some((name.to_owned(), state.to_owned(), reason.trim().to_owned()))
    };
    // 3: some program does not run. Anything else above 0 is supervisord that does not answer.
    if !output.ok() && output.code != 3 {
        return Err(HostError {
            kind: corpus_core::host::HostErrorKind::Missing,
            ..HostError::other("ask supervisord", ask::said(&output))
        });
    }
    Ok(text.lines().filter_map(line).collect())
}

fn said(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    Ok(answer(&ask::run(act, command)?).into())
}

fn run(call: &Call, act: &dyn Act, verb: &str, several: bool) -> Result<Value, ExecError> {
    let name = call.text(0, "name").unwrap_or_else(|| "all".into());
    let name = if several { name.strip_suffix('*').unwrap_or(&name) } else { group(&name) };
    said(act, ctl(call, 1).command(&[verb, name]))
}
