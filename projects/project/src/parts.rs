//! `mc_project.*` of single parts: what an initialisation consists of, and git helpers.

use crate::functions::{cx, named, ret, told};
use crate::repo::Git;
use crate::{ProjectError, ProjectName, config, init, users, wiring};
use corpus_core::{Call, Data, ExecError, Map, Value};
use corpus_master::{MasterDef, Session};
use std::path::Path;
use std::sync::Arc;

type Answer = Result<Value, ExecError>;

macro_rules! table {
    ($($name:ident $args:literal $doc:literal => $run:expr;)*) => {
        /// The functions.
        pub const FNS: &[MasterDef] = &[$(MasterDef {
            name: concat!("mc_project.", stringify!($name)),
            args: $args,
            doc: $doc,
            run: $run,
        },)*];
    };
}

table! {
    init_user_groups "(name)" "Makes the user and the groups of a project." => part;
    init_ssh_user_keys "(name)" "Gives the user of a project the keys of the machine." => part;
    init_project_dirs "(name)" "Makes the directories of a project." => part;
    init_pillar_dir "(name)" "Adds the pillar's init.sls, if there is none." => part;
    init_salt_dir "(name)" "Adds the procedures that a project lacks." => part;
    refresh_files_in_working_copy "(name)" "Adds the procedures that a project lacks." => part;
    init_repo "(path, bare=True, init_salt=False, init_pillar=False)" "Makes a git repository." => init_repo;
    git_commit "(path, message='salt commit', commit_all=True)" "Commits, unless nothing differs." => git_commit;
    push_changesets_in "(directory, remote='origin', branch='master:master')" "Pushes a branch." => push_changesets_in;
    set_makina_states_author "(directory, name='makina-states', email='makina-states@paas.tld', force=False)"
        "Sets who commits in a repository, where nobody is set." => set_author;
    set_git_remote "(directory, remote, url)" "Sets the address of a remote." => set_git_remote;
    fetch_last_commits "(directory, origin='origin')" "Fetches branches and tags." => fetch_last_commits;
    working_copy_in_initial_state "(directory)" "Tells whether a working copy holds its first commit at most." => initial;
}

fn part(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let name = named(call, "name")?;
    let cx = cx(session);
    let cfg = config::configuration(&cx, &name, &Map::new()).map_err(told)?;
    let layout = cx.layout(&name);
    let mut made = vec![];
    init::container(&cx, &layout, &mut made).map_err(told)?;
    let _lock = crate::lock::need(&layout, &name, &crate::functions::who(), &call.fun, "").map_err(told)?;
    let owner = || users::owner(&cx, &cfg);
    let done = match call.fun.trim_start_matches("mc_project.") {
        "init_user_groups" => users::ensure(&cx, &cfg).map(|done| made.extend(done)),
        "init_ssh_user_keys" => owner().and_then(|owner| users::keys(&cx, &cfg, owner)).map(|done| made.extend(done)),
        "init_project_dirs" => owner().and_then(|owner| {
            init::directories(&layout, &cfg, owner, &mut made)?;
            wiring::link(&cx, &name, &cfg).map(|done| made.extend(done))
        }),
        "init_pillar_dir" => owner().and_then(|owner| init::pillar_defaults(&layout.pillar, &name, owner, &mut made)),
        _ => owner().and_then(|owner| init::defaults(&layout.project, &name, &cfg, owner, &mut made)),
    };
    done.map_err(told)?;
    Ok(ret(name.as_str(), true, &made.join("\n")))
}

/// Git in a directory, as the user to whom it belongs: what lies in it is his, and so is what it may do.
fn git_in(dir: &Path) -> Result<Git, ExecError> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(dir).map_err(|error| told(ProjectError::io("look at", dir, error)))?;
    let root = rustix::process::geteuid().is_root();
    let identity = (root && meta.uid() != 0).then(|| crate::repo::Identity { uid: meta.uid(), gid: meta.gid() });
    Ok(Git::of(identity, None))
}

fn init_repo(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "path")?;
    let flag = |key: &str| call.kwargs.get(key).is_some_and(Value::truthy);
    let (salt, pillar) = (flag("init_salt"), flag("init_pillar"));
    if salt && pillar {
        return Err(call.invalid("init_pillar", "a repository is one of recipes or one of pillar"));
    }
    let path = Path::new(&path);
    if path.join("HEAD").exists() || path.join(".git").exists() {
        return Ok(ret("init_repo", true, &format!("{} is a repository already", path.display())));
    }
    let fail = |error| told(ProjectError::io("make", path, error));
    let name = ProjectName::parse("projectname").map_err(|error| told(error.into()))?;
    let work = tempfile::tempdir().map_err(fail)?;
    let git = Git::default();
    git.init_copy(work.path(), None).map_err(told)?;
    let made = &mut vec![];
    if pillar {
        init::pillar_defaults(work.path(), &name, None, made).map_err(told)?;
    } else if salt {
        let cfg = config::configuration(&cx(session), &name, &Map::new()).map_err(told)?;
        init::defaults(work.path(), &name, &cfg, None, made).map_err(told)?;
    } else {
        crate::owned::add(work.path(), &[".empty"], "", None).map_err(told)?;
    }
    git.commit_all(work.path(), "initial").map_err(told)?;
    let from = work.path().to_string_lossy();
    let bare = call.flag(1, "bare", true);
    let kind: &[&str] = if bare { &["--bare"] } else { &[] };
    let words = [&["clone", "--quiet", "--no-hardlinks", "--template="], kind, &["--", &from, &path.to_string_lossy()]];
    let parent = path.parent().filter(|parent| parent.is_dir()).unwrap_or(Path::new("/"));
    git.run(parent, &words.concat()).map_err(told)?;
    git.ask(path, &["remote", "remove", "origin"]).map_err(told)?;
    Ok(ret("init_repo", true, &format!("made {}", path.display())))
}

fn git_commit(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "path")?;
    let message = call.text(1, "message").unwrap_or_else(|| "salt commit".into());
    let path = Path::new(&path);
    git_in(path)?.commit_all(path, &message).map_err(told)?;
    Ok(ret("git_commit", true, "committed what differed"))
}

fn push_changesets_in(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "directory")?;
    let remote = call.text(1, "remote").unwrap_or_else(|| "origin".into());
    let branch = call.text(2, "branch").unwrap_or_else(|| "master:master".into());
    let path = Path::new(&path);
    let git = Git { network: true, ..git_in(path)? };
    let said = git.run(path, &["push", "--quiet", "--", &remote, &branch]).map_err(told)?;
    Ok(ret("push_changesets_in", true, &said))
}

fn set_author(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "directory")?;
    let path = Path::new(&path);
    let git = git_in(path)?;
    for (place, key, default) in [(1, "name", "makina-states"), (2, "email", "makina-states@paas.tld")] {
        let value = call.text(place, key).unwrap_or_else(|| default.into());
        let key = format!("user.{key}");
        let set = git.ask(path, &["config", "--local", "--get", &key]).map_err(told)?.is_some();
        if !set || call.kwargs.get("force").is_some_and(Value::truthy) {
            git.run(path, &["config", "--local", &key, &value]).map_err(told)?;
        }
    }
    Ok(ret("set_makina_states_author", true, ""))
}

fn set_git_remote(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (path, remote, url) = (call.need(0, "directory")?, call.need(1, "remote")?, call.need(2, "url")?);
    let path = Path::new(&path);
    let git = git_in(path)?;
    let known = git.ask(path, &["remote", "get-url", "--", &remote]).map_err(told)?;
    let verb = if known.is_some() { "set-url" } else { "add" };
    git.run(path, &["remote", verb, "--", &remote, &url]).map_err(told)?;
    Ok(ret("set_git_remote", true, &format!("{remote} is {url}")))
}

fn fetch_last_commits(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "directory")?;
    let origin = call.text(1, "origin").unwrap_or_else(|| "origin".into());
    let path = Path::new(&path);
    let git = Git { network: true, ..git_in(path)? };
    let said = git.run(path, &["fetch", "--quiet", "--tags", "--", &origin]).map_err(told)?;
    Ok(ret("fetch_last_commits", true, &said))
}

fn initial(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let path = call.need(0, "directory")?;
    let path = Path::new(&path);
    let git = git_in(path)?;
    if git.head(path).map_err(told)?.is_none() {
        return Ok(true.into());
    }
    let count = git.run(path, &["rev-list", "--count", "--max-count=2", "HEAD"]).map_err(told)?;
    let first = git.run(path, &["log", "-1", "--format=%s"]).map_err(told)?;
    Ok((count == "1" && first == "initial").into())
}
