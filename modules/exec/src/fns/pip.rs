//! `pip.*`: Python packages, by the `pip` of the machine or of a virtual environment.

use crate::ask;
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "pip.list",
        "(prefix=None, bin_env=None, user=None, cwd=None)",
        "Returns the installed packages with their versions.",
        |call, look, _| {
            let prefix = call.text(0, "prefix").unwrap_or_default().to_lowercase();
            let all = installed(call, look, 1)?;
            Ok(all
                .into_iter()
                .filter(|(name, _)| python::str(name).to_lowercase().starts_with(&prefix))
                .collect::<Map>()
                .into())
        },
    ),
    read(
        "pip.freeze",
        "(bin_env=None, user=None, cwd=None)",
        "Returns the installed packages as a list of requirements.",
        |call, look, _| {
            let text = ask::output(look, &pip(call, look, 0, &["freeze"])?)?;
            Ok(text.lines().map(str::to_owned).collect::<Vec<_>>().into())
        },
    ),
    read("pip.version", "(bin_env=None)", "Returns pip's version.", |call, look, _| {
        let text = ask::output(look, &pip(call, look, 0, &["--version"])?)?;
        Ok(text.split_whitespace().nth(1).unwrap_or_default().into())
    }),
    read(
        "pip.is_installed",
        "(pkgname=None, bin_env=None, user=None, cwd=None)",
        "Tells whether a package is installed.",
        |call, look, _| {
            let wanted = normal(&call.need(0, "pkgname")?);
            Ok(installed(call, look, 1)?.keys().any(|name| normal(&python::str(name)) == wanted).into())
        },
    ),
    write(
        "pip.install",
        "(pkgs=None, requirements=None, bin_env=None, upgrade=False, user=None, cwd=None)",
        "Installs packages.",
        |call, act, _| {
            let mut words = vec!["install".to_owned()];
            words.extend(call.flag(3, "upgrade", false).then(|| "--upgrade".to_owned()));
            for file in list(call.arg(1, "requirements")) {
                words.extend(["--requirement".into(), file]);
            }
            words.extend(list(call.arg(0, "pkgs")));
            ran(call, act, 2, &words)
        },
    ),
    write(
        "pip.uninstall",
        "(pkgs=None, requirements=None, bin_env=None, user=None, cwd=None)",
        "Removes packages.",
        |call, act, _| {
            let mut words = vec!["uninstall".to_owned(), "-y".into()];
            for file in list(call.arg(1, "requirements")) {
                words.extend(["--requirement".into(), file]);
            }
            words.extend(list(call.arg(0, "pkgs")));
            ran(call, act, 2, &words)
        },
    ),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(text) if text.truthy() => python::str(text).split(',').map(|word| word.trim().to_owned()).collect(),
        _ => vec![],
    }
}

/// Spells a package's name one way, as PyPI does.
fn normal(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

fn pip(call: &Call, look: &dyn Look, place: usize, words: &[&str]) -> Result<Command, ExecError> {
    let mut command = match call.text(place, "bin_env").filter(|path| !path.is_empty()) {
        Some(path) if ask::is_dir(look, &path) => Command::new([format!("{}/bin/pip", path.trim_end_matches('/'))]),
        Some(path) => Command::new([path]),
        None => {
            let found = ask::first_program(look, &["pip3", "pip"]);
            Command::new([found.ok_or_else(|| ExecError::failed("Could not find a `pip` binary"))?.0])
        }
    };
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.cwd = call.text(99, "cwd").map(Into::into);
    command.runas = call.text(99, "user");
    Ok(command)
}

fn installed(call: &Call, look: &dyn Look, place: usize) -> Result<Map, ExecError> {
    let text = ask::output(look, &pip(call, look, place, &["list", "--format=json"])?)?;
    let all: Value = serde_json::from_str(&text).map_err(|error| ExecError::failed(format!("pip list: {error}")))?;
    let pair = |entry: &Value| Some((entry.get("name")?.clone(), entry.get("version")?.clone()));
    Ok(all.as_list().unwrap_or_default().iter().filter_map(pair).collect())
}

/// Salt: the record of the program, whatever came of it.
fn ran(call: &Call, act: &dyn Act, place: usize, words: &[String]) -> Result<Value, ExecError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = ask::run(act, pip(call, act.as_look(), place, &words)?)?;
    let mut record = Map::new();
    record.insert("pid", output.pid);
    record.insert("retcode", i64::from(output.code));
    record.insert("stdout", output.stdout_text().trim_end());
    record.insert("stderr", output.stderr_text().trim_end());
    Ok(record.into())
}
