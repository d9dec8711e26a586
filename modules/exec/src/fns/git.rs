//! `git.*`: git as a program, never through a shell.

use crate::ask;
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("git.version", "()", "Returns git's version.", |_, look, _| {
        let text = ask::output(look, &Command::new(["git", "--version"]))?;
        Ok(text.split_whitespace().nth(2).unwrap_or_default().into())
    }),
    read(
        "git.revision",
        "(cwd, rev='HEAD', short=False, user=None)",
        "Returns the commit that a revision is.",
        |call, look, _| {
            let rev = call.text(1, "rev").unwrap_or_else(|| "HEAD".into());
            let words: &[&str] =
                if call.flag(2, "short", false) { &["rev-parse", "--short", &rev] } else { &["rev-parse", &rev] };
            asked(call, look, words)
        },
    ),
    read(
        "git.rev_parse",
        "(cwd, rev=None, opts='', user=None)",
        "Returns what `git rev-parse` says.",
        |call, look, _| {
            let (rev, opts) = (call.text(1, "rev").unwrap_or_default(), call.text(2, "opts").unwrap_or_default());
            let mut words = vec!["rev-parse"];
            words.extend(opts.split_whitespace());
            words.extend(Some(rev.as_str()).filter(|rev| !rev.is_empty()));
            asked(call, look, &words)
        },
    ),
    read(
        "git.current_branch",
        "(cwd, user=None)",
        "Returns the name of the branch that is checked out.",
        |call, look, _| asked(call, look, &["rev-parse", "--abbrev-ref", "HEAD"]),
    ),
    read(
        "git.describe",
        "(cwd, rev='HEAD', user=None)",
        "Returns the nearest tag of a revision, or its short commit.",
        |call, look, _| {
            let rev = call.text(1, "rev").unwrap_or_else(|| "HEAD".into());
            asked(call, look, &["describe", "--always", &rev])
        },
    ),
    read("git.list_branches", "(cwd, remote=False, user=None)", "Lists the branches.", |call, look, _| {
        let place = if call.flag(1, "remote", false) { "refs/remotes/" } else { "refs/heads/" };
        lines(call, look, &["for-each-ref", "--format=%(refname:short)", place])
    }),
    read("git.list_tags", "(cwd, user=None)", "Lists the tags.", |call, look, _| {
        lines(call, look, &["for-each-ref", "--format=%(refname:short)", "refs/tags/"])
    }),
    read(
        "git.is_worktree",
        "(cwd, user=None)",
        "Tells whether a directory is a worktree apart from its repository.",
        |call, look, _| {
            let cwd = call.need(0, "cwd")?;
            Ok(look.stat(format!("{cwd}/.git").as_ref())?.is_some_and(|meta| meta.is_file()).into())
        },
    ),
    read(
        "git.remotes",
        "(cwd, user=None)",
        "Returns the remotes with the addresses to fetch from and to push to.",
        |call, look, _| remotes(call, look),
    ),
    read(
        "git.remote_get",
        "(cwd, remote='origin', user=None)",
        "Returns the addresses of a remote.",
        |call, look, _| {
            let name = call.text(1, "remote").unwrap_or_else(|| "origin".into());
            let all = remotes(call, look)?;
            let missing = || {
                ExecError::failed(format!(
                    "Remote '{name}' not present in git checkout located at {}",
                    call.text(0, "cwd").unwrap_or_default()
                ))
            };
            all.get(&name).cloned().ok_or_else(missing)
        },
    ),
    read(
        "git.ls_remote",
        "(cwd=None, remote='origin', ref=None, opts='', user=None)",
        "Returns the references of a remote.",
        |call, look, _| {
            let (remote, reference) = (call.text(1, "remote").unwrap_or_else(|| "origin".into()), call.text(2, "ref"));
            let opts = call.text(3, "opts").unwrap_or_default();
            let mut words = vec!["ls-remote"];
            words.extend(opts.split_whitespace());
            words.push(&remote);
            words.extend(reference.as_deref());
            let text = asked(call, look, &words)?;
            let pairs = text.as_str().unwrap_or_default().lines().filter_map(|line| line.split_once('\t'));
            Ok(pairs.map(|(sha, name)| (name, sha)).collect::<Map>().into())
        },
    ),
    read("git.status", "(cwd, user=None)", "Returns the changed files, by git's letters.", |call, look, _| {
        let text = ask::output(look, &git(call, &["status", "-z", "--porcelain"]))?;
        let mut all = Map::new();
        for entry in text.split('\0') {
            let (Some(state), Some(name)) = (entry.get(..2), entry.get(3..)) else { continue };
            let state = if state == "??" { "untracked" } else { state.trim() };
            let mut names = all.get(state).and_then(Value::as_list).unwrap_or_default().to_vec();
            names.push(name.into());
            all.insert(state, names);
        }
        Ok(all.into())
    }),
    read(
        "git.diff",
        "(cwd, item1=None, item2=None, opts='', user=None)",
        "Returns the difference between two revisions.",
        |call, look, _| {
            let (one, two) = (call.text(1, "item1"), call.text(2, "item2"));
            let opts = call.text(3, "opts").unwrap_or_default();
            let mut words = vec!["diff"];
            words.extend(opts.split_whitespace());
            words.extend(one.as_deref());
            words.extend(two.as_deref());
            asked(call, look, &words)
        },
    ),
    read(
        "git.config_get",
        "(key, cwd=None, user=None, all=False, global=False)",
        "Returns a setting, or all its values; null if it is not set.",
        |call, look, _| {
            let values = config(look, &git_config(call, 1), &call.need(0, "key")?)?;
            Ok(match values {
                None => Value::Null,
                Some(values) if call.flag(3, "all", false) => values.into(),
                Some(values) => values.last().map(Value::from).unwrap_or_default(),
            })
        },
    ),
    write(
        "git.config_set",
        "(key, value=None, multivar=None, cwd=None, user=None, global=False)",
        "Sets a setting and returns its values.",
        |call, act, _| {
            let (key, base) = (call.need(0, "key")?, git_config(call, 3));
            let values: Vec<String> = match (call.arg(1, "value"), call.arg(2, "multivar")) {
                (Some(value), _) if !value.is_null() => vec![corpus_core::python::str(value)],
                (_, Some(Value::List(items))) => items.iter().map(corpus_core::python::str).collect(),
                (_, Some(text)) => corpus_core::python::str(text).split(',').map(str::to_owned).collect(),
                _ => return Err(call.missing("value")),
            };
            for command in setting(&base, &key, &values) {
                ask::must(act, command)?;
            }
            Ok(config(act.as_look(), &base, &key)?.unwrap_or_default().into())
        },
    ),
    write(
        "git.config_unset",
        "(key, value_regex=None, cwd=None, user=None, all=False, global=False)",
        "Unsets a setting.",
        |call, act, _| {
            let mut command = git_config(call, 2);
            command.argv.push(if call.flag(4, "all", false) { "--unset-all" } else { "--unset" }.into());
            command.argv.push(call.need(0, "key")?);
            command.argv.extend(call.text(1, "value_regex"));
            ask::must(act, command)?;
            Ok(true.into())
        },
    ),
    write("git.clone", "(cwd, url=None, name=None, opts='', user=None)", "Clones a repository.", |call, act, _| {
        let (cwd, url) = (call.need(0, "cwd")?, call.need(1, "url")?);
        let mut command = Command::new(["git", "clone"]).env("GIT_TERMINAL_PROMPT", "0");
        command.argv.extend(options(call, 3));
        command.argv.extend([
            "--".into(),
            url,
            call.text(2, "name").map_or(cwd.clone(), |name| format!("{cwd}/{name}")),
        ]);
        command.runas = call.text(99, "user");
        ask::must(act, command)?;
        Ok(true.into())
    }),
    write("git.init", "(cwd, bare=False, opts='', user=None)", "Makes an empty repository.", |call, act, _| {
        let cwd = call.need(0, "cwd")?;
        let mut command = Command::new(["git", "init"]);
        command.argv.extend(call.flag(1, "bare", false).then(|| "--bare".to_owned()));
        command.argv.extend(options(call, 2));
        command.argv.push(cwd);
        command.runas = call.text(99, "user");
        Ok(ask::must(act, command)?.stdout_text().trim_end().into())
    }),
    write("git.fetch", "(cwd, remote=None, opts='', user=None)", "Fetches from a remote.", |call, act, _| {
        done(call, act, "fetch", 2, call.text(1, "remote"))
    }),
    write("git.pull", "(cwd, opts='', user=None)", "Fetches and merges.", |call, act, _| {
        done(call, act, "pull", 1, None)
    }),
    write("git.push", "(cwd, remote=None, ref=None, opts='', user=None)", "Pushes to a remote.", |call, act, _| {
        done(call, act, "push", 3, [call.text(1, "remote"), call.text(2, "ref")].into_iter().flatten())
    }),
    write(
        "git.checkout",
        "(cwd, rev=None, force=False, opts='', user=None)",
        "Checks a revision out.",
        |call, act, _| {
            let force = call.flag(2, "force", false).then(|| "--force".to_owned());
            done(call, act, "checkout", 3, force.into_iter().chain(call.text(1, "rev")))
        },
    ),
    write("git.reset", "(cwd, opts='', user=None)", "Resets the check-out.", |call, act, _| {
        done(call, act, "reset", 1, None)
    }),
    write("git.add", "(cwd, filename, opts='', user=None)", "Adds files to the next commit.", |call, act, _| {
        done(call, act, "add", 2, call.text(1, "filename"))
    }),
    write("git.commit", "(cwd, message, opts='', user=None)", "Commits.", |call, act, _| {
        done(call, act, "commit", 2, ["-m".to_owned(), call.need(1, "message")?])
    }),
    write(
        "git.submodule",
        "(cwd, command, opts='', user=None)",
        "Runs a command of `git submodule`.",
        |call, act, _| {
            let mut words = vec![call.need(1, "command")?];
            words.extend(options(call, 2));
            done(call, act, "submodule", 98, words)
        },
    ),
    write(
        "git.remote_set",
        "(cwd, url, remote='origin', user=None)",
        "Sets the address of a remote, and returns its addresses.",
        |call, act, _| {
            let (url, name) = (call.need(1, "url")?, call.text(2, "remote").unwrap_or_else(|| "origin".into()));
            let verb = if remotes(call, act.as_look())?.get(&name).is_some() { "set-url" } else { "add" };
            ask::must(act, git(call, &["remote", verb, &name, &url]))?;
            Ok(remotes(call, act.as_look())?.get(&name).cloned().unwrap_or_default())
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

fn git(call: &Call, words: &[&str]) -> Command {
    let mut command = Command::new(["git"]).env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.cwd = call.text(0, "cwd").map(Into::into);
    command.runas = call.text(99, "user");
    command
}

fn options(call: &Call, place: usize) -> Vec<String> {
    match call.arg(place, "opts") {
        Some(Value::List(items)) => items.iter().map(corpus_core::python::str).collect(),
        Some(text) if text.truthy() => corpus_core::python::str(text).split_whitespace().map(str::to_owned).collect(),
        _ => vec![],
    }
}

fn asked(call: &Call, look: &dyn Look, words: &[&str]) -> Result<Value, ExecError> {
    Ok(ask::output(look, &git(call, words))?.trim_end().into())
}

fn lines(call: &Call, look: &dyn Look, words: &[&str]) -> Result<Value, ExecError> {
    Ok(ask::output(look, &git(call, words))?.lines().map(str::to_owned).collect::<Vec<_>>().into())
}

fn done(
    call: &Call,
    act: &dyn Act,
    verb: &str,
    opts: usize,
    words: impl IntoIterator<Item = String>,
) -> Result<Value, ExecError> {
    let mut command = git(call, &[verb]);
    command.argv.extend(options(call, opts));
    command.argv.extend(words);
    let output = ask::must(act, command)?;
    // git tells about its progress on standard error.
    let (out, err) = (output.stdout_text(), output.stderr_text());
    Ok(if out.trim().is_empty() { err } else { out }.trim_end().into())
}

fn remotes(call: &Call, look: &dyn Look) -> Result<Value, ExecError> {
    let text = ask::output(look, &git(call, &["remote", "--verbose"]))?;
    let mut all = Map::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(url), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let mut entry = all.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
        entry.insert(kind.trim_matches(['(', ')']), url);
        all.insert(name, entry);
    }
    Ok(all.into())
}

/// Returns `git config` with the place that a call's `global` and `cwd` name.
fn git_config(call: &Call, cwd: usize) -> Command {
    configuring(call.text(cwd, "cwd").as_deref(), call.flag(99, "global", false), call.text(99, "user").as_deref())
}

/// Returns `git config` for a repository's settings, or for those of a user.
pub fn configuring(cwd: Option<&str>, global: bool, user: Option<&str>) -> Command {
    let mut command = Command::new(["git", "config"]).env("LC_ALL", "C");
    // A repository's own settings: not those that the user's shine through with.
    if global || cwd.is_some() {
        command.argv.push(if global { "--global" } else { "--local" }.into());
    }
    command.cwd = cwd.map(Into::into);
    command.runas = user.map(str::to_owned);
    command
}

/// Returns all values of a setting; `None` if it is not set.
pub fn config(look: &dyn Look, base: &Command, key: &str) -> Result<Option<Vec<String>>, ExecError> {
    let mut command = base.clone();
    command.argv.extend(["--get-all".into(), key.into()]);
    let output = look.query(&command)?;
    // Status 1 is git's "not set".
    match output.code {
        0 => Ok(Some(output.stdout_text().lines().map(str::to_owned).collect())),
        1 => Ok(None),
        _ => Err(ExecError::failed(ask::said(&output))),
    }
}

/// Returns the values of all settings whose names match an expression.
pub fn matching(look: &dyn Look, base: &Command, key: &str, value: Option<&str>) -> Result<Map, ExecError> {
    let mut command = base.clone();
    command.argv.extend(["--get-regexp".into(), key.into()]);
    command.argv.extend(value.map(str::to_owned));
    let output = look.query(&command)?;
    if output.code > 1 {
        return Err(ExecError::failed(ask::said(&output)));
    }
    let mut all = Map::new();
    for line in output.stdout_text().lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let mut values = all.get(name).and_then(Value::as_list).unwrap_or_default().to_vec();
        values.push(value.into());
        all.insert(name, values);
    }
    Ok(all)
}

/// Returns what sets a setting to exactly these values.
pub fn setting(base: &Command, key: &str, values: &[String]) -> Vec<Command> {
    let with = |words: &[&str]| {
        let mut command = base.clone();
        command.argv.extend(words.iter().map(|word| (*word).to_owned()));
        command
    };
    values
        .iter()
        .enumerate()
        .map(|(at, value)| if at == 0 { with(&["--replace-all", key, value]) } else { with(&["--add", key, value]) })
        .collect()
}
