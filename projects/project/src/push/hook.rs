//! Git's hooks. `pre-receive` looks at everything that is pushed while git still keeps it apart, and has it thrown away
//! if something is wrong. `proc-receive` takes git's place in moving branches: the deployed one moves by a deployment.

use super::attach::{Ended, follow};
use super::frame::{Order, What};
use super::{Conf, Kind, Options, Place, pkt, text};
use corpus_git::{Oid, Repo, name, tree};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// How many refs one push may move.
const REFS: usize = 200;

/// One ref that a push moves.
struct Update {
    old: String,
    new: String,
    reference: String,
}

impl Update {
    fn parse(line: &str) -> Result<Self, String> {
        let parts: Vec<&str> = line.splitn(3, ' ').collect();
        let [old, new, reference] = parts[..] else { return Err("git says something that is not understood".into()) };
        let id = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !id(old) || !id(new) {
            return Err("only repositories with SHA-1 ids are taken".into());
        }
        Ok(Self { old: old.into(), new: new.into(), reference: reference.into() })
    }

    fn deletes(&self) -> bool {
        self.new.bytes().all(|b| b == b'0')
    }
}

/// The repository in which git started us.
fn here(conf: &Conf) -> Result<(Place, Kind, PathBuf), String> {
    let at = std::env::current_dir().and_then(|dir| dir.canonicalize()).map_err(|error| error.to_string())?;
    let projects = conf.projects.canonicalize().map_err(|error| format!("{}: {error}", conf.projects.display()))?;
    let known = Conf { projects, ..conf.clone() }.project_of(&at);
    let (place, kind) = known.ok_or_else(|| format!("{} is no repository of a project", at.display()))?;
    Ok((place, kind, at))
}

/// The push options that git hands to `pre-receive`.
fn options() -> Result<Options, String> {
    let count: usize = std::env::var("GIT_PUSH_OPTION_COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let words: Vec<String> =
        (0..count.min(100)).map(|at| std::env::var(format!("GIT_PUSH_OPTION_{at}")).unwrap_or_default()).collect();
    Options::parse(words.iter().map(String::as_str))
}

/// The branch that deploys: HEAD's, or, where that is not born yet, the `main` or `master` that is being pushed.
fn deployed(head: &str, born: bool, pushed: &[Update]) -> String {
    let usual = |update: &&Update| ["refs/heads/main", "refs/heads/master"].contains(&update.reference.as_str());
    let named = pushed.iter().any(|update| update.reference == head);
    match pushed.iter().find(usual) {
        Some(update) if !born && !named => update.reference.clone(),
        _ => head.to_owned(),
    }
}

/// Looks at what is pushed. An error refuses all of it.
pub fn pre_receive(conf: &Conf, input: &mut dyn Read) -> Result<(), String> {
    let (_, _, at) = here(conf)?;
    options()?;
    let mut text = String::new();
    input.take(1 << 20).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let updates: Vec<Update> = text.lines().map(Update::parse).collect::<Result<_, _>>()?;
    if updates.len() > REFS {
        return Err(format!("{} refs in one push; {REFS} is the most", updates.len()));
    }
    let mut names = HashSet::new();
    if let Some(twice) = updates.iter().find(|update| !names.insert(&update.reference)) {
        return Err(format!("{}: it is pushed twice at once", text::short(&twice.reference, 80)));
    }
    let quarantine = std::env::var_os("GIT_QUARANTINE_PATH").map(PathBuf::from);
    let repo = Repo::open_in_hook(&at, quarantine.as_deref()).map_err(|error| error.to_string())?;
    let head = repo.head().map_err(|error| error.to_string())?;
    let deployed = deployed(&head, repo.resolve(&head).is_some(), &updates);
    updates.iter().try_for_each(|update| look(conf, &repo, update, &deployed))
}

fn look(conf: &Conf, repo: &Repo, update: &Update, deployed: &str) -> Result<(), String> {
    let shown = text::short(&update.reference, 80);
    if let Some(what) = name::pushed_ref(&update.reference) {
        return Err(format!("{shown}: {what}"));
    }
    if update.deletes() {
        let refused = format!("{shown} is what is deployed: it cannot be deleted");
        return if update.reference == deployed { Err(refused) } else { Ok(()) };
    }
    let id = Oid::from_str(&update.new).map_err(|_| format!("{shown}: no object id"))?;
    if update.reference.starts_with("refs/heads/") && !repo.is_commit(id) {
        return Err(format!("{shown}: a branch is a commit, and {} is none", update.new));
    }
    let found = tree::inspect(repo, id, &conf.limits()).map_err(|error| format!("{shown}: {error}"))?;
    if !found.complaints.is_empty() {
        return Err(format!("{shown}: this is not taken:\n  {}", found.complaints.join("\n  ")));
    }
    for module in &found.submodules {
        eprintln!("[push] {}: a submodule; it is not fetched here and stays an empty directory", text::line(module));
    }
    Ok(())
}

/// Speaks with git in place of its own moving of branches.
pub fn proc_receive(conf: &Conf, input: &mut impl Read, output: &mut impl Write) -> Result<(), String> {
    let told = |error: std::io::Error| format!("git hung up: {error}");
    let end = || "git hung up".to_owned();
    let hello = pkt::read_all(input).map_err(told)?.ok_or_else(end)?;
    let features = hello.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
    if !features.starts_with("version=1") {
        return Err("git speaks another version of proc-receive".into());
    }
    let wants_options = features.split(['\0', ' ']).any(|word| word == "push-options");
    pkt::write_all(output, &[if wants_options { "version=1\0push-options" } else { "version=1" }]).map_err(told)?;
    let commands = pkt::read_all(input).map_err(told)?.ok_or_else(end)?;
    let words = if wants_options { pkt::read_all(input).map_err(told)?.unwrap_or_default() } else { vec![] };
    let words: Vec<String> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let updates: Vec<Update> =
        commands.iter().map(|line| Update::parse(&String::from_utf8_lossy(line))).collect::<Result<_, _>>()?;
    let answer = decide(conf, &updates, &words);
    let lines: Vec<String> = match answer {
        Ok(lines) => lines,
        Err(why) => {
            eprintln!("[push] {}", text::line(&why));
            updates.iter().map(|update| format!("ng {} {}", update.reference, text::short(&why, 160))).collect()
        }
    };
    pkt::write_all(output, &lines).map_err(told)
}

fn decide(conf: &Conf, updates: &[Update], words: &[String]) -> Result<Vec<String>, String> {
    let (place, kind, at) = here(conf)?;
    let options = Options::parse(words.iter().map(String::as_str))?;
    let repo = Repo::open(&at).map_err(|error| error.to_string())?;
    let head = repo.head().map_err(|error| error.to_string())?;
    let born = repo.resolve(&head).is_some();
    drop(repo);
    let deployed = deployed(&head, born, updates);
    let mut lines = vec![];
    for update in updates {
        let reference = &update.reference;
        if *reference != deployed {
            let short = deployed.trim_start_matches("refs/heads/");
            eprintln!("[push] {}: stored, not deployed; this project deploys `{short}`", text::short(reference, 80));
            lines.extend([format!("ok {reference}"), "option fall-through".to_owned()]);
            continue;
        }
        let order = Order {
            project: place.name.clone(),
            kind,
            reference: reference.clone(),
            old: update.old.clone(),
            new: update.new.clone(),
            options: options.clone(),
            who: std::env::var("CORPUS_PUSH_WHO").unwrap_or_default(),
        };
        lines.extend(deploy(conf, order)?);
    }
    Ok(lines)
}

fn deploy(conf: &Conf, order: Order) -> Result<Vec<String>, String> {
    let (reference, new) = (order.reference.clone(), order.new.clone());
    let ended = follow(conf, What::Deploy(order), &mut std::io::stderr())?;
    let (ok, plan, said) = match ended {
        Ended::Verdict { ok, plan, summary } => (ok, plan, summary),
        Ended::Refused(why) => (false, false, why),
    };
    eprintln!("[push] {}", text::line(&said));
    if !ok {
        return Ok(vec![format!("ng {reference} {}", text::short(&said, 160))]);
    }
    let mut lines = vec![format!("ok {reference}")];
    if plan {
        // Git is told that another ref was made, so that it does not take the branch for moved.
        lines.push("option refname refs/plan/shown".into());
        lines.push(format!("option old-oid {}", "0".repeat(40)));
        lines.push(format!("option new-oid {new}"));
    }
    Ok(lines)
}

/// Tells whether a program's own name is that of a hook.
pub fn is_hook(program: &Path) -> Option<&'static str> {
    let own = program.file_name()?.to_str()?;
    ["pre-receive", "proc-receive"].into_iter().find(|name| *name == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_branch_deploys() {
        let pushed = |names: &[&str]| -> Vec<Update> {
            let id = "1".repeat(40);
            names.iter().map(|name| Update { old: id.clone(), new: id.clone(), reference: (*name).into() }).collect()
        };
        let main = "refs/heads/main";
        assert_eq!(deployed(main, true, &pushed(&["refs/heads/master"])), main);
        assert_eq!(deployed(main, false, &pushed(&["refs/heads/master"])), "refs/heads/master");
        assert_eq!(deployed(main, false, &pushed(&["refs/heads/master", main])), main);
        assert_eq!(deployed(main, false, &pushed(&["refs/heads/x"])), main);
        assert!(Update::parse("a b c").is_err() && Update::parse("").is_err());
    }
}
