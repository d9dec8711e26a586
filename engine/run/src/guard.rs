//! Guards: `onlyif`, `unless` and `creates` before a state runs, `check_cmd` after it.
//!
//! Check commands run for real in a dry run too, as in Salt; `creates` looks through the dry run's overlay.

use crate::slots;
use corpus_core::{Call, Caller, Command, Data, ExecError, ExecFn, Look, Map, Registry, Value, python};
use std::path::Path;

/// What the guards of a chunk ask.
pub(crate) struct Guards<'a> {
    pub(crate) args: &'a Map,
    pub(crate) look: &'a dyn Look,
    pub(crate) caller: &'a dyn Caller,
    pub(crate) grains: &'a Value,
    /// In a dry run: functions that only read are asked of the machine as it will be, through the overlay.
    pub(crate) foresee: Option<(&'a Registry, &'a Data)>,
}

/// A state that its guards do not let run.
pub(crate) struct Skip {
    pub(crate) comment: String,
    pub(crate) skip_watch: bool,
}

#[derive(Default)]
struct Answer {
    skip: bool,
    skip_watch: bool,
    comment: String,
}

impl Answer {
    fn run(comment: impl Into<String>) -> Self {
        Self { comment: comment.into(), ..Self::default() }
    }
    fn skip(comment: impl Into<String>) -> Self {
        Self { skip: true, skip_watch: true, comment: comment.into() }
    }
}

impl Guards<'_> {
    /// Asks all guards that are declared; each may skip the state, and all comments are shown then.
    pub(crate) fn skip(&self) -> Result<Option<Skip>, ExecError> {
        let mut answers = vec![];
        if let Some(value) = self.args.get("onlyif") {
            answers.push(self.onlyif(value)?);
        }
        if let Some(value) = self.args.get("unless") {
            answers.push(self.unless(value)?);
        }
        if let Some(value) = self.args.get("creates") {
            answers.push(self.creates(value));
        }
        if !answers.iter().any(|answer| answer.skip) {
            return Ok(None);
        }
        let comments: Vec<_> = answers.iter().map(|answer| answer.comment.as_str()).collect();
        let skip_watch = answers.iter().any(|answer| answer.skip_watch);
        Ok(Some(Skip { comment: comments.join("\n"), skip_watch }))
    }

    /// Runs the `check_cmd`s: `None` when there is none, else whether they say that the state succeeded.
    pub(crate) fn check_cmd(&self) -> Result<Option<bool>, ExecError> {
        let Some(value) = self.args.get("check_cmd") else { return Ok(None) };
        // Salt hands on the grain's shell only, none of the state's options.
        let shell = self.grains.get("shell").and_then(Value::as_str).unwrap_or("/bin/sh");
        for line in entries(value) {
            let command = Command::shell(shell, &python::str(line));
            if !self.look.query(&command)?.ok() {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    fn onlyif(&self, value: &Value) -> Result<Answer, ExecError> {
        let mut answer = Answer::default();
        for entry in entries(value) {
            let holds = match entry {
                // A command that cannot be started counts as one that failed.
                Value::Str(line) => self.retcode(line) == Some(0),
                Value::Map(call) => match self.call("onlyif", call)? {
                    Ok(value) => value.truthy(),
                    Err(comment) => return Ok(Answer { comment, ..answer }),
                },
                _ => return Ok(Answer::run("onlyif execution failed, bad type passed")),
            };
            if !holds {
                return Ok(Answer::skip("onlyif condition is false"));
            }
            answer = Answer::run("onlyif condition is true");
        }
        Ok(answer)
    }

    fn unless(&self, value: &Value) -> Result<Answer, ExecError> {
        let mut answer = Answer::default();
        for entry in entries(value) {
            let holds = match entry {
                // A command that cannot be started counts as one that succeeded.
                Value::Str(line) => self.retcode(line).is_none_or(|code| code == 0),
                Value::Map(call) => match self.call("unless", call)? {
                    Ok(value) => value.truthy(),
                    Err(comment) => return Ok(Answer { comment, ..answer }),
                },
                _ => {
                    // Salt goes on with the next entry here.
                    answer = Answer::run("unless condition is false, bad type passed");
                    continue;
                }
            };
            if !holds {
                return Ok(Answer::run("unless condition is false"));
            }
            answer = Answer::skip("unless condition is true");
        }
        Ok(answer)
    }

    fn creates(&self, value: &Value) -> Answer {
        let exists = |path: &Value| path.as_str().is_some_and(|p| matches!(self.look.stat(Path::new(p)), Ok(Some(_))));
        match value {
            Value::Str(path) if exists(value) => Answer::skip(format!("{path} exists")),
            Value::List(paths) if paths.iter().all(exists) => Answer::skip("All files in creates exist"),
            _ => Answer::run("Creates files not found"),
        }
    }

    /// Calls an execution function for a condition; the inner error is the comment of one without `fun`.
    fn call(&self, word: &str, entry: &Map) -> Result<Result<Value, String>, ExecError> {
        let mut entry = entry.clone();
        let Some(fun) = entry.get("fun").map(python::str) else {
            let comment = format!("no `fun` argument in {word}: {}", python::repr(&Value::map(entry)));
            tracing::warn!("{comment}");
            return Ok(Err(comment));
        };
        entry.remove("fun");
        let pick = entry.remove("get_return").filter(Value::truthy);
        let args = entry.remove("args").map(|args| entries(&args).to_vec()).unwrap_or_default();
        let both: Map = [("args", Value::list(args)), ("kwargs", Value::map(entry))].into_iter().collect();
        let both = slots::evaluate(&both, self.caller)?;
        let args = both.get("args").and_then(Value::as_list).unwrap_or_default().to_vec();
        let kwargs = both.get("kwargs").and_then(Value::as_map).cloned().unwrap_or_default();
        let call = Call { fun, args, kwargs };
        let known = self.foresee.and_then(|(registry, data)| Some((registry.function(&call.fun)?.run, data)));
        let mut value = match known {
            Some((ExecFn::Read(read), data)) => read(&call, self.look, data)?,
            _ => self.caller.call(&call)?,
        };
        if let Some(path) = pick {
            value = value.traverse(&python::str(&path), ":").cloned().unwrap_or_default();
        }
        Ok(Ok(value))
    }

    /// Runs a check command; `None` if it could not be started.
    fn retcode(&self, line: &str) -> Option<i32> {
        if let Some(holds) = self.looked_at(line) {
            return Some(i32::from(!holds));
        }
        let output = self.look.query(&self.command(line)).ok()?;
        let code = if output.timed_out { 1 } else { output.code };
        let fine = self.option("success_retcodes").map(entries).unwrap_or_default();
        Some(if fine.iter().any(|ok| *ok == Value::from(code)) { 0 } else { code })
    }

    /// Answers `test -f /path` and its like by a look: these are most of all check commands, and a shell for each
    /// costs more than the state. `None` for whatever only a shell can answer.
    fn looked_at(&self, line: &str) -> Option<bool> {
        // A dry run looks through its overlay; a command asks the machine as it is.
        let asked = ["runas", "root", "cwd", "success_retcodes"].iter().any(|name| self.option(name).is_some());
        let shell = self.option("shell").or_else(|| self.grains.get("shell")).map_or("sh".into(), python::str);
        let posix =
            ["sh", "bash", "dash", "ash", "ksh", "zsh"].iter().any(|known| shell.rsplit('/').next() == Some(known));
        if self.foresee.is_some() || asked || !posix {
            return None;
        }
        let words: Vec<&str> = line.split(' ').collect();
        let (kind, path) = match words[..] {
            ["test", kind, path] | ["[", kind, path, "]"] => (kind, path),
            _ => return None,
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
        // What these are depends on who looks.
        let own = ["/proc", "/dev"].iter().any(|tree| Path::new(path).starts_with(tree));
        if !path.starts_with('/') || own || !path.chars().all(plain) {
            return None;
        }
        let path = Path::new(path);
        let meta = if ["-L", "-h"].contains(&kind) { self.look.lstat(path) } else { self.look.stat(path) }.ok()?;
        match kind {
            "-e" => Some(meta.is_some()),
            "-f" => Some(meta.is_some_and(|meta| meta.is_file())),
            "-d" => Some(meta.is_some_and(|meta| meta.is_dir())),
            "-s" => Some(meta.is_some_and(|meta| meta.size > 0)),
            "-L" | "-h" => Some(meta.is_some_and(|meta| meta.is_symlink())),
            _ => None,
        }
    }

    /// Returns an argument of the state that its check commands share.
    fn option(&self, name: &str) -> Option<&Value> {
        let excluded = self.args.get("cmd_opts_exclude").map(entries).unwrap_or_default();
        self.args.get(name).filter(|value| !value.is_null() && !excluded.iter().any(|word| word.as_str() == Some(name)))
    }

    fn command(&self, line: &str) -> Command {
        let text = |name: &str| self.option(name).map(python::str);
        let grain = || self.grains.get("shell").and_then(Value::as_str).map(str::to_owned);
        let shell = text("shell").or_else(grain).unwrap_or_else(|| "/bin/sh".into());
        let mut command = match text("prepend_path") {
            Some(first) => Command::shell(
                &shell,
                &format!("PATH='{}':\"$PATH\"; export PATH; {line}", first.replace('\'', r"'\''")),
            ),
            None => Command::shell(&shell, line),
        };
        if let Some(root) = text("root") {
            command.argv.splice(0..0, ["chroot".to_owned(), root]);
        }
        command.cwd = text("cwd").map(Into::into);
        command.runas = text("runas");
        command.umask = self.option("umask").and_then(corpus_core::low::umask_bits);
        command.timeout_s = text("timeout").and_then(|seconds| seconds.parse().ok());
        let env = self.option("env").map(entries).unwrap_or_default();
        for (name, value) in env.iter().filter_map(Value::as_map).flat_map(Map::iter) {
            command.env.push((python::str(name), python::str(value)));
        }
        command
    }
}

fn entries(value: &Value) -> &[Value] {
    match value {
        Value::List(items) => items,
        one => std::slice::from_ref(one),
    }
}
