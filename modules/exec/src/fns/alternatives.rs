//! `alternatives.*`: which of several programs a link of `/etc/alternatives` leads to.

use crate::ask;
use corpus_core::host::{Act, Command, HostResult, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("alternatives.display", "(name)", "Returns what the program says of a name.", |call, look, _| {
        Ok(display(look, &call.need(0, "name")?)?.into())
    }),
    read("alternatives.show_current", "(name)", "Returns where a name leads; false if nowhere.", |call, look, _| {
        Ok(current(look, &call.need(0, "name")?)?.map_or(Value::Bool(false), Value::from))
    }),
    read("alternatives.show_link", "(name)", "Returns the link that a name stands for.", |call, look, _| {
        let name = call.need(0, "name")?;
        for folder in ["/var/lib/dpkg/alternatives", "/var/lib/alternatives", "/var/lib/rpm/alternatives"] {
            if let Some(text) = ask::text(look, format!("{folder}/{name}"))? {
                return Ok(text.lines().nth(1).unwrap_or_default().into());
            }
        }
        Ok(false.into())
    }),
    read(
        "alternatives.check_exists",
        "(name, path)",
        "Tells whether a path is registered for a name.",
        |call, look, _| {
            let path = call.need(1, "path")?;
            Ok(display(look, &call.need(0, "name")?)?.lines().any(|line| line.starts_with(&path)).into())
        },
    ),
    read("alternatives.check_installed", "(name, path)", "Tells whether a name leads to a path.", |call, look, _| {
        Ok((current(look, &call.need(0, "name")?)? == Some(call.need(1, "path")?)).into())
    }),
    write("alternatives.install", "(name, link, path, priority)", "Registers a path for a name.", |call, act, _| {
        let priority = call.need(3, "priority")?;
        run(act, &["--install", &call.need(1, "link")?, &call.need(0, "name")?, &call.need(2, "path")?, &priority])
    }),
    write("alternatives.remove", "(name, path)", "Takes a path off a name.", |call, act, _| {
        run(act, &["--remove", &call.need(0, "name")?, &call.need(1, "path")?])
    }),
    write("alternatives.set", "(name, path)", "Chooses where a name leads.", |call, act, _| {
        run(act, &["--set", &call.need(0, "name")?, &call.need(1, "path")?])
    }),
    write("alternatives.auto", "(name)", "Lets the highest priority decide where a name leads.", |call, act, _| {
        run(act, &["--auto", &call.need(0, "name")?])
    }),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

/// Returns a call of the program, under the name that this machine has for it.
pub fn command(look: &dyn Look, words: &[&str]) -> Command {
    let names = ["update-alternatives", "alternatives"];
    let program = ask::first_program(look, &names).map_or_else(|| names[0].to_owned(), |(name, _)| name);
    let mut command = Command::new([program]).env("LC_ALL", "C");
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command
}

/// Returns what the program says of a name.
pub fn display(look: &dyn Look, name: &str) -> HostResult<String> {
    let output = look.query(&command(look, &["--display", name]))?;
    let (stdout, stderr) = (output.stdout_text(), output.stderr_text());
    Ok(if output.ok() || stderr.is_empty() { stdout } else { stderr })
}

/// Returns where a name leads.
pub fn current(look: &dyn Look, name: &str) -> HostResult<Option<String>> {
    match look.read_link(format!("/etc/alternatives/{name}").as_ref()) {
        Ok(path) => Ok(Some(path.to_string_lossy().into_owned())),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

fn run(act: &dyn Act, words: &[&str]) -> Result<Value, ExecError> {
    let output = ask::run(act, command(act.as_look(), words))?;
    Ok(if output.ok() { output.stdout_text() } else { ask::said(&output) }.trim_end().into())
}
