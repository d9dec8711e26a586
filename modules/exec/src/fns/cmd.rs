//! `cmd.*`: any program, as Salt runs it: from the user's home directory, English messages, output
//! stripped at its end, and through a shell only where Salt uses one.

use crate::retcode;
use corpus_core::host::{Command, HostErrorKind, Output};
use corpus_core::plan::{Attrs, Content, Effect, Observed, Owner};
use corpus_core::python;
use corpus_core::value::{Map, Value};
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Look};
use std::path::{Path, PathBuf};

/// The arguments that all of them take.
const ARGS: &str = "(cmd, cwd=None, stdin=None, runas=None, group=None, shell=None, python_shell=None, env=None, \
                    clean_env=False, rstrip=True, umask=None, timeout=None, reset_system_locale=True, \
                    ignore_retcode=False, raise_err=False, prepend_path=None, success_retcodes=None, bg=False)";

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "cmd.run",
        args: ARGS,
        doc: "Runs a command and returns its output, errors included.",
        run: ExecFn::Write(run),
    },
    ExecDef {
        name: "cmd.shell",
        args: ARGS,
        doc: "Runs a line through a shell and returns its output.",
        run: ExecFn::Write(shell),
    },
    ExecDef {
        name: "cmd.run_stdout",
        args: ARGS,
        doc: "Returns only standard output.",
        run: ExecFn::Write(run_stdout),
    },
    ExecDef { name: "cmd.run_stderr", args: ARGS, doc: "Returns only standard error.", run: ExecFn::Write(run_stderr) },
    ExecDef {
        name: "cmd.run_all",
        args: ARGS,
        doc: "Returns pid, retcode, stdout and stderr.",
        run: ExecFn::Write(run_all),
    },
    ExecDef { name: "cmd.retcode", args: ARGS, doc: "Returns only the exit status.", run: ExecFn::Write(retcode) },
    ExecDef {
        name: "cmd.run_bg",
        args: ARGS,
        doc: "Starts a command and does not wait for it.",
        run: ExecFn::Write(run_bg),
    },
    ExecDef {
        name: "cmd.script",
        args: "(source, args=None, cwd=None, stdin=None, runas=None, shell=None, env=None, umask=None, timeout=None)",
        doc: "Runs a script of this machine (an absolute path) and returns what it left.",
        run: ExecFn::Write(script),
    },
    ExecDef {
        name: "cmd.script_retcode",
        args: "(source, args=None, cwd=None, stdin=None, runas=None, shell=None, env=None, umask=None, timeout=None)",
        doc: "Runs a script and returns only its exit status.",
        run: ExecFn::Write(script_retcode),
    },
    ExecDef {
        name: "cmd.exec_code",
        args: "(lang, code, cwd=None, args=None)",
        doc: "Gives code to an interpreter and returns the output.",
        run: ExecFn::Write(exec_code),
    },
    ExecDef {
        name: "cmd.exec_code_all",
        args: "(lang, code, cwd=None, args=None)",
        doc: "Gives code to an interpreter and returns pid, retcode, stdout and stderr.",
        run: ExecFn::Write(exec_code_all),
    },
    ExecDef {
        name: "cmd.which",
        args: "(cmd)",
        doc: "Returns the path of a program, or None.",
        run: ExecFn::Read(which),
    },
    ExecDef {
        name: "cmd.which_bin",
        args: "(cmds)",
        doc: "Returns the path of the first program that is there.",
        run: ExecFn::Read(which_bin),
    },
    ExecDef {
        name: "cmd.has_exec",
        args: "(cmd)",
        doc: "Tells whether there is such a program.",
        run: ExecFn::Read(has_exec),
    },
    ExecDef {
        name: "cmd.shells",
        args: "()",
        doc: "Lists the valid shells of this machine.",
        run: ExecFn::Read(shells),
    },
];

/// Returns an argument by its place among [`ARGS`].
fn option<'a>(call: &'a Call, name: &str) -> Option<&'a Value> {
    const PLACES: [&str; 8] = ["cmd", "cwd", "stdin", "runas", "group", "shell", "python_shell", "env"];
    let place = PLACES.iter().position(|n| *n == name).unwrap_or(usize::MAX);
    call.arg(place, name).filter(|v| !v.is_null())
}

/// Returns the shell that Salt would take.
fn default_shell(data: &Data) -> String {
    data.grains.get("shell").and_then(Value::as_str).filter(|s| !s.is_empty()).unwrap_or("/bin/sh").to_owned()
}

/// Reads the environment argument: a mapping, or a list of mappings.
fn environment(call: &Call, value: &Value) -> Result<Vec<(String, String)>, ExecError> {
    match value {
        Value::Map(map) => Ok(map
            .iter()
            .map(|(k, v)| (python::str(k), if v.is_null() { String::new() } else { python::str(v) }))
            .collect()),
        Value::List(items) => {
            Ok(items.iter().map(|item| environment(call, item)).collect::<Result<Vec<_>, _>>()?.concat())
        }
        Value::Null => Ok(vec![]),
        _ => Err(call.invalid("env", "must be a mapping, or a list of mappings")),
    }
}

/// Splits a line as a shell does, without doing anything else that a shell does.
pub(crate) fn split(line: &str) -> Result<Vec<String>, ExecError> {
    let (mut words, mut word, mut open) = (vec![], String::new(), false);
    let mut chars = line.chars();
    let unclosed = || ExecError::failed(format!("No closing quotation in `{line}`"));
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                open = true;
                loop {
                    match chars.next().ok_or_else(unclosed)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                open = true;
                loop {
                    match chars.next().ok_or_else(unclosed)? {
                        '"' => break,
                        '\\' => match chars.next().ok_or_else(unclosed)? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                open = true;
                word.extend(chars.next());
            }
            c if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            c => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// Makes the command that a call describes.
fn command(call: &Call, host: &dyn Look, data: &Data, through_shell: bool) -> Result<Command, ExecError> {
    let cmd = call.arg(0, "cmd").ok_or_else(|| call.missing("cmd"))?;
    let wants_shell = option(call, "python_shell").map(Value::truthy);
    // Salt: a shell by default only for calls from the command line, which carry a job id.
    let wants_shell = wants_shell.unwrap_or_else(|| call.kwargs.get("__pub_jid").is_some_and(Value::truthy));
    let mut command = match cmd {
        Value::List(words) => Command::new(words.iter().map(python::str)),
        line if through_shell || wants_shell => {
            let shell = option(call, "shell").map_or_else(|| default_shell(data), python::str);
            Command::shell(&shell, &python::str(line))
        }
        line => Command::new(split(&python::str(line))?),
    };
    common(call, host, data, &mut command)?;
    Ok(command)
}

/// Fills in what all of them have in common.
fn common(call: &Call, host: &dyn Look, _: &Data, command: &mut Command) -> Result<(), ExecError> {
    command.runas = option(call, "runas").map(python::str);
    command.group = option(call, "group").map(python::str);
    let stdin = option(call, "stdin").map(python::str);
    command.stdin =
        stdin.filter(|s| !s.is_empty()).map(|s| (if s.ends_with('\n') { s } else { s + "\n" }).into_bytes());
    command.cwd = Some(working_directory(option(call, "cwd").map(python::str), command.runas.as_deref(), host)?);
    command.env = environment(call, option(call, "env").unwrap_or(&Value::Null))?;
    command.clean_env = call.kwargs.get("clean_env").is_some_and(Value::truthy);
    if call.kwargs.get("reset_system_locale").is_some_and(|v| !v.truthy()) && !command.clean_env {
        for name in ["LC_ALL", "LANG", "LANGUAGE", "LC_CTYPE", "LC_MESSAGES"] {
            if !command.env.iter().any(|(n, _)| n == name) {
                command.env.push((name.into(), std::env::var(name).unwrap_or_default()));
            }
        }
    }
    if let Some(first) = call.kwargs.get("prepend_path").filter(|v| !v.is_null()).map(python::str) {
        let given = command.env.iter().find(|(n, _)| n == "PATH").map(|(_, p)| p.clone());
        let path = given.unwrap_or_else(crate::real::search_path);
        command.env.retain(|(n, _)| n != "PATH");
        command.env.push(("PATH".into(), format!("{first}:{path}")));
    }
    if let Some(umask) = call.kwargs.get("umask").filter(|v| v.truthy()) {
        let digits = python::str(umask);
        let mask = u32::from_str_radix(digits.trim_start_matches("0o"), 8);
        command.umask = Some(mask.map_err(|_| ExecError::failed(format!("Invalid umask: '{digits}'")))?);
    }
    if let Some(timeout) = call.kwargs.get("timeout").filter(|v| v.truthy()) {
        let seconds = python::str(timeout).parse::<f64>().map_err(|_| call.invalid("timeout", "must be seconds"))?;
        command.timeout_s = Some(seconds.ceil().clamp(1.0, 1e9) as u64);
    }
    command.background = call.kwargs.get("bg").is_some_and(Value::truthy);
    Ok(())
}

/// Salt runs in the user's home directory, or in `/` where there is none.
fn working_directory(given: Option<String>, runas: Option<&str>, host: &dyn Look) -> Result<PathBuf, ExecError> {
    if let Some(given) = given.filter(|g| !g.is_empty()) {
        let path = PathBuf::from(&given);
        let path = match given.strip_prefix('~') {
            Some(rest) => home(runas, host).join(rest.trim_start_matches('/')),
            None => path,
        };
        if !path.is_absolute() || !host.stat(&path)?.is_some_and(|m| m.is_dir()) {
            return Err(ExecError::failed(format!("Specified cwd '{given}' either not absolute or does not exist")));
        }
        return Ok(path);
    }
    let home = home(runas, host);
    let there = host.stat(&home).ok().flatten().is_some_and(|m| m.is_dir());
    Ok(if there { home } else { "/".into() })
}

fn home(runas: Option<&str>, host: &dyn Look) -> PathBuf {
    let user = match runas {
        Some(name) => host.user(name),
        None => host.user_by_id(rustix::process::geteuid().as_raw()),
    };
    user.ok().flatten().map_or_else(|| "/".into(), |u| u.home.into())
}

/// Runs, with Salt's words for what goes wrong.
fn perform(call: &Call, host: &dyn Act, command: &Command) -> Result<Output, ExecError> {
    let shown = command.argv.join(" ");
    let words = Value::from(command.argv.clone());
    let output = match host.perform(&Effect::Exec(command.clone())) {
        Ok(Observed::Ran(output)) => output,
        Ok(_) => Output::default(),
        Err(error) if error.kind == HostErrorKind::Missing && error.why.contains("command not found") => {
            return Err(ExecError::failed(format!(
                "Unable to run command '{}', reason: command not found",
                python::repr(&words)
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let quiet = call.kwargs.get("output_loglevel").and_then(Value::as_str) == Some("quiet");
    if output.code != 0 && !quiet && !call.kwargs.get("ignore_retcode").is_some_and(Value::truthy) {
        // Salt logs the whole line; its arguments may be secrets.
        let line = line_of(call);
        let first = line.split_whitespace().next().unwrap_or_default();
        tracing::error!("Command '{first} …' failed with return code: {}", output.code);
    }
    let accepted = call.kwargs.get("success_retcodes").and_then(Value::as_list).unwrap_or_default();
    let ok = output.code == 0 || accepted.contains(&Value::from(output.code));
    let ignored = ok || call.kwargs.get("ignore_retcode").is_some_and(Value::truthy);
    retcode::set(if ignored { 0 } else { output.code });
    if !ok && call.kwargs.get("raise_err").is_some_and(Value::truthy) {
        return Err(ExecError::failed(format!("Command '{shown}' failed with return code: {}", output.code)));
    }
    Ok(output)
}

fn line_of(call: &Call) -> String {
    call.arg(0, "cmd").map(python::str).unwrap_or_default()
}

fn stripped(call: &Call, command: &Command, output: &Output, bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if call.kwargs.get("rstrip").is_none_or(Value::truthy) {
        text.truncate(text.trim_end().len());
    }
    if output.timed_out {
        let notice = format!("{} : Timed out after {} seconds", line_of(call), command.timeout_s.unwrap_or(0));
        text = if text.is_empty() { notice } else { format!("{notice}\n{text}") };
    }
    text
}

fn status(call: &Call, output: &Output) -> i64 {
    let accepted = call.kwargs.get("success_retcodes").and_then(Value::as_list).unwrap_or_default();
    if accepted.contains(&Value::from(output.code)) { 0 } else { output.code.into() }
}

fn everything(call: &Call, command: &Command, output: &Output) -> Value {
    let stderr = Output { timed_out: false, ..output.clone() };
    let entries = [
        ("pid", Value::from(output.pid)),
        ("retcode", status(call, output).into()),
        ("stdout", stripped(call, command, output, &output.stdout).into()),
        ("stderr", stripped(call, command, &stderr, &output.stderr).into()),
    ];
    entries.into_iter().collect::<Map>().into()
}

fn run_merged(call: &Call, host: &dyn Act, data: &Data, through_shell: bool) -> Result<Value, ExecError> {
    let mut command = command(call, host.as_look(), data, through_shell)?;
    command.merge_stderr = true;
    let output = perform(call, host, &command)?;
    Ok(stripped(call, &command, &output, &output.stdout).into())
}

fn run(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    run_merged(call, host, data, false)
}

fn shell(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    run_merged(call, host, data, true)
}

fn run_stdout(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let command = command(call, host.as_look(), data, false)?;
    let output = perform(call, host, &command)?;
    Ok(stripped(call, &command, &output, &output.stdout).into())
}

fn run_stderr(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let command = command(call, host.as_look(), data, false)?;
    let output = perform(call, host, &command)?;
    Ok(stripped(call, &command, &output, &output.stderr).into())
}

fn run_all(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let mut command = command(call, host.as_look(), data, false)?;
    command.merge_stderr = call.kwargs.get("redirect_stderr").is_some_and(Value::truthy);
    let output = perform(call, host, &command)?;
    Ok(everything(call, &command, &output))
}

fn retcode(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let command = command(call, host.as_look(), data, false)?;
    Ok(status(call, &perform(call, host, &command)?).into())
}

fn run_bg(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let mut command = command(call, host.as_look(), data, false)?;
    command.background = true;
    let output = perform(call, host, &command)?;
    Ok([("pid", output.pid)].into_iter().collect::<Map>().into())
}

/// Runs a copy of a script, as its user could not read the original.
fn run_script(call: &Call, host: &dyn Act, data: &Data) -> Result<(Command, Output), ExecError> {
    let source = call.need(0, "source")?;
    if !source.starts_with('/') {
        return Err(ExecError::failed(format!(
            "cmd.script: `{source}` would have to be brought from the master, which is not built for this function \
             yet; use the state cmd.script, or file.managed and cmd.run"
        )));
    }
    let args = call.text(1, "args").unwrap_or_default();
    // The arguments after `args` sit one place further than those of `cmd.run`.
    let mut like = Call { fun: call.fun.clone(), args: vec![], kwargs: call.kwargs.clone() };
    for (place, name) in ["cwd", "stdin", "runas", "shell", "env"].into_iter().enumerate() {
        if let Some(value) = call.args.get(place + 2) {
            like.kwargs.insert(name, value.clone());
        }
    }
    let bytes = host.as_look().read(Path::new(&source))?;
    let name = format!("{}{}script", crate::real::TEMP_PREFIX, super::random::letters(12));
    let path = std::env::temp_dir().join(name);
    let runas = option(&like, "runas").map(python::str);
    let attrs = Attrs { user: runas.map(Owner::Name), group: None, mode: Some(0o500) };
    let content = Content::Bytes(bytes);
    host.perform(&Effect::WriteFile { path: path.clone(), content, attrs, backup: None })?;
    let shell = option(&like, "shell").map_or_else(|| default_shell(data), python::str);
    let line = format!("{} {args}", path.display());
    let mut command = Command::shell(&shell, line.trim_end());
    let ran = common(&like, host.as_look(), data, &mut command).and_then(|()| perform(&like, host, &command));
    host.perform(&Effect::Remove { path })?;
    Ok((command, ran?))
}

fn script(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (command, output) = run_script(call, host, data)?;
    Ok(everything(call, &command, &output))
}

fn script_retcode(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    Ok(run_script(call, host, data)?.1.code.into())
}

fn run_code(call: &Call, host: &dyn Act, data: &Data) -> Result<(Command, Output), ExecError> {
    let language = call.need(0, "lang")?;
    // Salt gives code to all of them with -c, but to those whose option is another.
    let option = match language.rsplit('/').next().unwrap_or_default() {
        name if name.starts_with("php") => "-r",
        name if ["perl", "ruby", "node", "lua"].iter().any(|l| name.starts_with(l)) => "-e",
        _ => "-c",
    };
    let mut argv = vec![language, option.to_owned(), call.need(1, "code")?];
    match call.arg(3, "args") {
        Some(Value::List(more)) => argv.extend(more.iter().map(python::str)),
        Some(line) if !line.is_null() => argv.extend(split(&python::str(line))?),
        _ => {}
    }
    let mut like = Call { fun: call.fun.clone(), args: vec![], kwargs: call.kwargs.clone() };
    if let Some(cwd) = call.args.get(2) {
        like.kwargs.insert("cwd", cwd.clone());
    }
    let mut command = Command::new(argv);
    common(&like, host.as_look(), data, &mut command)?;
    let output = perform(&like, host, &command)?;
    Ok((command, output))
}

fn exec_code(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (command, output) = run_code(call, host, data)?;
    Ok(stripped(call, &command, &output, &output.stdout).into())
}

fn exec_code_all(call: &Call, host: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let (command, output) = run_code(call, host, data)?;
    Ok(everything(call, &command, &output))
}

fn path(host: &dyn Look, program: &str) -> Value {
    host.which(program).map(|p| p.to_string_lossy().into_owned()).into()
}

fn which(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(path(host, &call.need(0, "cmd")?))
}

fn which_bin(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let names = call.arg(0, "cmds").ok_or_else(|| call.missing("cmds"))?;
    let names = names.as_list().unwrap_or(std::slice::from_ref(names));
    Ok(names.iter().map(|name| path(host, &python::str(name))).find(|p| !p.is_null()).unwrap_or_default())
}

fn has_exec(call: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    Ok(host.which(&call.need(0, "cmd")?).is_some().into())
}

fn shells(_: &Call, host: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let bytes = host.read(Path::new("/etc/shells")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    Ok(lines.map(Value::from).collect::<Vec<_>>().into())
}
