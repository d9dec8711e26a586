//! `virtualenv.*`: virtual environments of Python.

use crate::ask;
use corpus_core::host::{Command, Look};
use corpus_core::value::Map;
use corpus_core::{ExecDef, ExecError, ExecFn};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[ExecDef {
    name: "virtualenv.create",
    args: "(path, venv_bin=None, system_site_packages=False, clear=False, python=None, prompt=None, user=None)",
    doc: "Makes a virtual environment.",
    run: ExecFn::Write(|call, act, _| {
        let how = How {
            venv_bin: call.text(1, "venv_bin"),
            system_site_packages: call.flag(2, "system_site_packages", false),
            clear: call.flag(3, "clear", false),
            python: call.text(4, "python"),
            prompt: call.text(5, "prompt"),
            ..How::default()
        };
        let command = creating(act.as_look(), &call.need(0, "path")?, &how);
        let mut command = command.ok_or_else(|| ExecError::failed(NO_TOOL))?;
        command.runas = call.text(6, "user");
        let output = ask::run(act, command)?;
        let mut record = Map::new();
        record.insert("pid", output.pid);
        record.insert("retcode", i64::from(output.code));
        record.insert("stdout", output.stdout_text().trim_end());
        record.insert("stderr", output.stderr_text().trim_end());
        Ok(record.into())
    }),
}];

/// What is said where nothing makes environments.
pub const NO_TOOL: &str =
    "Virtualenv was not detected on this system: neither `virtualenv` nor `python3`; install one (`pkg.installed`)";

/// How an environment is made.
#[derive(Default)]
pub struct How {
    /// The program that makes it, with words if need be (`python3.12 -m venv`).
    pub venv_bin: Option<String>,
    pub system_site_packages: bool,
    pub clear: bool,
    /// The interpreter.
    pub python: Option<String>,
    pub prompt: Option<String>,
    /// Directories with wheels, for `virtualenv`.
    pub extra_search_dir: Vec<String>,
}

/// Returns the command that makes an environment; `None` where no program can.
pub fn creating(look: &dyn Look, path: &str, how: &How) -> Option<Command> {
    let mut words: Vec<String> = match how.venv_bin.as_deref().filter(|words| !words.trim().is_empty()) {
        // Python gave `pyvenv` up for `python3 -m venv`.
        Some("pyvenv" | "venv") => vec![],
        Some(given) => given.split_whitespace().map(str::to_owned).collect(),
        None => look.which("virtualenv").map(|_| vec!["virtualenv".to_owned()]).unwrap_or_default(),
    };
    if let Some(program) = words.first() {
        let there = if program.contains('/') { ask::exists(look, program) } else { look.which(program).is_some() };
        if !there {
            return None;
        }
        if program.rsplit('/').next().is_some_and(|file| file.starts_with("python")) && words.len() == 1 {
            words.extend(["-m".to_owned(), "venv".into()]);
        }
    } else {
        let python = match &how.python {
            Some(python) => python.clone(),
            None => look.which("python3").map(|_| "python3".to_owned())?,
        };
        words = vec![python, "-m".into(), "venv".into()];
    }
    if !words.iter().any(|word| word == "venv") {
        words.extend(how.python.iter().flat_map(|python| ["--python".to_owned(), python.clone()]));
        words.extend(how.extra_search_dir.iter().map(|dir| format!("--extra-search-dir={dir}")));
    }
    words.extend(how.prompt.iter().flat_map(|prompt| ["--prompt".to_owned(), prompt.clone()]));
    words.extend(how.clear.then(|| "--clear".to_owned()));
    words.extend(how.system_site_packages.then(|| "--system-site-packages".to_owned()));
    words.push(path.to_owned());
    Some(Command::new(words))
}
