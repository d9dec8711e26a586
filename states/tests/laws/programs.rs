//! What `useradd`, `groupmod`, `crontab` and their kin do to a machine in memory: written from their manual
//! pages, not from the predictions that are checked against it.

use corpus_core::fake::{Fake, Programs};
use corpus_core::host::Command;
use corpus_core::plan::{Effect, Prediction};
use corpus_core::{Group, Look, Output, User};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The names that the model knows, for `which`.
pub const NAMES: &[&str] = &["useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd", "crontab"];

/// Makes the programs, with crontabs of their own.
pub fn programs(crontabs: BTreeMap<String, String>) -> Programs {
    let crontabs = Mutex::new(crontabs);
    Box::new(move |host, command| {
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        let (name, args) = argv.split_first()?;
        let ended = match *name {
            "crontab" => return crontab(&crontabs, args, command),
            "useradd" => useradd(host, args),
            "usermod" => usermod(host, args),
            "userdel" => userdel(host, args),
            "groupadd" => groupadd(host, args),
            "groupmod" => groupmod(host, args),
            "groupdel" => groupdel(host, args),
            "gpasswd" => gpasswd(host, args),
            _ => return None,
        };
        write_passwd(host);
        let (code, stderr) = ended.map_or_else(|(code, why)| (code, why), |()| (0, String::new()));
        Some(Output { code, stderr: stderr.into_bytes(), ..Output::default() })
    })
}

/// Writes the users of these tests where the probes look for numbers in use.
pub fn write_passwd(host: &Fake) {
    let line = |u: User| format!("{}:x:{}:{}:{}:{}:{}\n", u.name, u.uid, u.gid, u.gecos, u.home, u.shell);
    let text: String = ["root", "u1", "u2", "u3"].iter().filter_map(|name| user(host, name)).map(line).collect();
    host.add_file("/etc/passwd", text, 0o644);
}

type Ended = Result<(), (i32, String)>;

/// Options with their values, and the last word.
struct Args<'a> {
    options: Vec<(&'a str, &'a str)>,
    last: String,
}

impl<'a> Args<'a> {
    fn of(args: &[&'a str], with_value: &[&str]) -> Self {
        let mut options = vec![];
        let mut rest = args[..args.len() - 1].iter();
        while let Some(word) = rest.next() {
            let value = if with_value.contains(word) { rest.next().copied().unwrap_or_default() } else { "" };
            options.push((*word, value));
        }
        Self { options, last: args[args.len() - 1].to_owned() }
    }
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|(name, _)| *name == option)
    }
    fn text(&self, option: &str) -> Option<String> {
        self.options.iter().find(|(name, _)| *name == option).map(|(_, value)| (*value).to_owned())
    }
    fn number(&self, option: &str) -> Option<u32> {
        self.text(option)?.parse().ok()
    }
}

fn user(host: &Fake, name: &str) -> Option<User> {
    host.user(name).ok().flatten()
}

fn group(host: &Fake, name: &str) -> Option<Group> {
    host.group(name).ok().flatten()
}

fn groups(host: &Fake) -> Vec<Group> {
    host.groups().unwrap_or_default()
}

/// Finds a group by name or number.
fn any_group(host: &Fake, word: &str) -> Result<Group, (i32, String)> {
    let by_id = || host.group_by_id(word.parse().ok()?).ok().flatten();
    group(host, word).or_else(by_id).ok_or_else(|| (6, format!("group '{word}' does not exist")))
}

/// One above the highest number in use, for the system one below the lowest.
fn free_id(system: bool, taken: impl Fn(u32) -> bool) -> u32 {
    if system {
        (500..1000).find(|id| taken(*id)).map_or(999, |lowest| lowest - 1)
    } else {
        (1000..5000).rev().find(|id| taken(*id)).map_or(1000, |highest| highest + 1)
    }
}

fn set_groups(host: &Fake, name: &str, wanted: &str, only: bool) -> Ended {
    let wanted: Vec<&str> = wanted.split(',').filter(|word| !word.is_empty()).collect();
    for word in &wanted {
        any_group(host, word)?;
    }
    for mut one in groups(host) {
        let have = one.members.iter().any(|member| member == name);
        let want = wanted.contains(&one.name.as_str());
        if want && !have {
            one.members.push(name.into());
            host.add_group(one);
        } else if only && have && !want {
            one.members.retain(|member| member != name);
            host.add_group(one);
        }
    }
    Ok(())
}

fn make_home(host: &Fake, user: &User) {
    let path = std::path::PathBuf::from(&user.home);
    if host.stat(&path).ok().flatten().is_none() {
        host.add_dir(&user.home, 0o755);
        host.own(&user.home, user.uid, user.gid);
    }
}

fn useradd(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &["-s", "-u", "-g", "-G", "-d", "-c"]);
    let name = args.last.clone();
    if user(host, &name).is_some() {
        return Err((9, format!("user '{name}' already exists")));
    }
    let system = args.has("-r");
    let taken = |uid| host.user_by_id(uid).ok().flatten().is_some();
    let uid = match args.number("-u") {
        Some(uid) if taken(uid) && !args.has("-o") => return Err((4, format!("UID {uid} is not unique"))),
        Some(uid) => uid,
        None => free_id(system, taken),
    };
    let gid = match args.text("-g") {
        Some(word) => any_group(host, &word)?.gid,
        None => {
            if group(host, &name).is_some() {
                return Err((9, format!("group {name} exists - if you want to add this user to that group, use -g.")));
            }
            let used = |gid| host.group_by_id(gid).ok().flatten().is_some();
            let gid = if used(uid) { free_id(system, used) } else { uid };
            host.add_group(Group { name: name.clone(), gid, members: vec![] });
            gid
        }
    };
    let made = User {
        uid,
        gid,
        gecos: args.text("-c").unwrap_or_default(),
        home: args.text("-d").unwrap_or_else(|| format!("/home/{name}")),
        shell: args.text("-s").unwrap_or_else(|| "/bin/sh".into()),
        name: name.clone(),
    };
    if let Some(more) = args.text("-G") {
        set_groups(host, &name, &more, false)?;
    }
    if args.has("-m") {
        make_home(host, &made);
    }
    host.add_user(made);
    Ok(())
}

fn usermod(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &["-s", "-u", "-g", "-G", "-d", "-c"]);
    let Some(mut one) = user(host, &args.last) else { return Err((6, format!("user '{}' does not exist", args.last))) };
    if let Some(uid) = args.number("-u") {
        if uid != one.uid && host.user_by_id(uid).ok().flatten().is_some() && !args.has("-o") {
            return Err((4, format!("UID '{uid}' already exists")));
        }
        one.uid = uid;
    }
    if let Some(word) = args.text("-g") {
        one.gid = any_group(host, &word)?.gid;
    }
    if let Some(groups) = args.text("-G") {
        set_groups(host, &one.name, &groups, true)?;
    }
    if let Some(home) = args.text("-d") {
        let (from, to) = (std::path::PathBuf::from(&one.home), std::path::PathBuf::from(&home));
        if args.has("-m") && host.stat(&from).ok().flatten().is_some() && host.stat(&to).ok().flatten().is_none() {
            let _ = host.alter(&Effect::Rename { from, to });
        }
        one.home = home;
    }
    one.shell = args.text("-s").unwrap_or(one.shell);
    one.gecos = args.text("-c").unwrap_or(one.gecos);
    host.add_user(one);
    Ok(())
}

fn userdel(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &[]);
    let Some(one) = user(host, &args.last) else { return Err((6, format!("user '{}' does not exist", args.last))) };
    host.predict(Prediction::User(one.name.clone(), None));
    set_groups(host, &one.name, "", true)?;
    // USERGROUPS_ENAB: the group of the same name goes too, unless it has other members.
    if let Some(own) = group(host, &one.name)
        && own.gid == one.gid
        && own.members.is_empty()
    {
        host.predict(Prediction::Group(own.name, None));
    }
    if args.has("-r") {
        let _ = host.alter(&Effect::Remove { path: one.home.into() });
    }
    Ok(())
}

fn groupadd(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &["-g"]);
    if group(host, &args.last).is_some() {
        return Err((9, format!("group '{}' already exists", args.last)));
    }
    let used = |gid| host.group_by_id(gid).ok().flatten().is_some();
    let gid = match args.number("-g") {
        Some(gid) if used(gid) && !args.has("-o") => return Err((4, format!("GID '{gid}' already exists"))),
        Some(gid) => gid,
        None => free_id(args.has("-r"), used),
    };
    host.add_group(Group { name: args.last, gid, members: vec![] });
    Ok(())
}

fn groupmod(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &["-g"]);
    let Some(mut one) = group(host, &args.last) else { return Err((6, format!("no group '{}'", args.last))) };
    let gid = args.number("-g").unwrap_or(one.gid);
    if gid != one.gid && host.group_by_id(gid).ok().flatten().is_some() && !args.has("-o") {
        return Err((4, format!("GID '{gid}' already exists")));
    }
    one.gid = gid;
    host.add_group(one);
    Ok(())
}

fn groupdel(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &[]);
    let Some(one) = group(host, &args.last) else { return Err((6, format!("no group '{}'", args.last))) };
    let users = ["u1", "u2", "u3", "root"].iter().filter_map(|name| user(host, name));
    if let Some(owner) = users.into_iter().find(|user| user.gid == one.gid) {
        return Err((8, format!("cannot remove the primary group of user '{}'", owner.name)));
    }
    host.predict(Prediction::Group(one.name, None));
    Ok(())
}

fn gpasswd(host: &Fake, args: &[&str]) -> Ended {
    let args = Args::of(args, &["--members"]);
    let Some(mut one) = group(host, &args.last) else { return Err((3, format!("no group '{}'", args.last))) };
    let members = args.text("--members").unwrap_or_default();
    one.members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if let Some(stranger) = one.members.iter().find(|name| user(host, name).is_none()) {
        return Err((3, format!("user '{stranger}' does not exist")));
    }
    host.add_group(one);
    Ok(())
}

fn crontab(tabs: &Mutex<BTreeMap<String, String>>, args: &[&str], command: &Command) -> Option<Output> {
    let ["-u", user, what] = args else { return None };
    let mut tabs = tabs.lock().expect("no test panics with it");
    match *what {
        "-l" => Some(match tabs.get(*user) {
            Some(text) => Output { stdout: text.clone().into_bytes(), ..Output::default() },
            None => Output { code: 1, stderr: format!("no crontab for {user}\n").into_bytes(), ..Output::default() },
        }),
        "-" => {
            let text = String::from_utf8_lossy(command.stdin.as_deref().unwrap_or_default()).into_owned();
            tabs.insert((*user).to_owned(), text);
            Some(Output::default())
        }
        _ => None,
    }
}
