//! The commands that change accounts, with what each is going to make true. shadow-utils where they are
//! installed, else busybox' `adduser` and its kin.

use super::{Gecos, next_id};
use corpus_core::host::{Command, Group, HostError, HostResult, Look, User};
use corpus_core::plan::{Effect, Prediction, Step};

/// What is to become of an existing user; `None` leaves as is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub home: Option<String>,
    pub move_home: bool,
    pub shell: Option<String>,
    pub gecos: Option<String>,
    /// All supplementary groups.
    pub groups: Option<Vec<String>>,
    pub unique: bool,
}

/// A user to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewUser {
    pub name: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub groups: Vec<String>,
    pub home: Option<String>,
    pub createhome: bool,
    pub shell: Option<String>,
    pub unique: bool,
    pub system: bool,
    pub gecos: Gecos,
    pub nologinit: bool,
    /// Make (or do not make) a group of the same name; `None` is the system's own habit.
    pub usergroup: Option<bool>,
}

fn exec(command: Command, predicts: Vec<Prediction>) -> Step {
    Step { effect: Effect::Exec(command), predicts, must_succeed: true }
}

fn busybox(look: &dyn Look, program: &str, instead: &str) -> bool {
    look.which(program).is_none() && look.which(instead).is_some()
}

/// Returns the steps that make a user.
pub fn add_user(look: &dyn Look, new: &NewUser) -> HostResult<Vec<Step>> {
    let user = foresee_user(look, new)?;
    let mut predicts = vec![Prediction::User(new.name.clone(), Some(user.clone()))];
    if new.gid.is_none() && look.group(&new.name)?.is_none() && new.usergroup != Some(false) {
        let group = Group { name: new.name.clone(), gid: user.gid, members: vec![] };
        predicts.push(Prediction::Group(new.name.clone(), Some(group)));
    }
    predicts.extend(member_predictions(look, &new.name, &new.groups, false)?);
    if new.createhome {
        predicts.push(Prediction::Path(user.home.clone().into()));
    }
    if busybox(look, "useradd", "adduser") {
        return add_user_busybox(look, new, predicts);
    }
    let mut argv: Vec<String> = vec!["useradd".into()];
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_owned(), value]);
        }
    };
    add("-s", new.shell.clone());
    add("-u", new.uid.map(|id| id.to_string()));
    add("-g", new.gid.map(|id| id.to_string()));
    add("-G", (!new.groups.is_empty()).then(|| new.groups.join(",")));
    add("-d", new.home.clone());
    add("-c", Some(new.gecos.write()).filter(|text| !text.is_empty()));
    if new.gid.is_none() {
        match new.usergroup {
            Some(true) => argv.push("-U".into()),
            Some(false) => argv.push("-N".into()),
            // Salt: a group of the user's name that is already there becomes the primary one.
            None if look.group(&new.name)?.is_some() => argv.extend(["-g".into(), new.name.clone()]),
            None => {}
        }
    }
    argv.push(if new.createhome { "-m" } else { "-M" }.into());
    if new.nologinit {
        argv.push("-l".into());
    }
    if !new.unique {
        argv.push("-o".into());
    }
    if new.system {
        argv.push("-r".into());
    }
    argv.push(new.name.clone());
    Ok(vec![exec(Command::new(argv), predicts)])
}

/// busybox names the primary group, and gives users of the system none of their own.
fn add_user_busybox(look: &dyn Look, new: &NewUser, predicts: Vec<Prediction>) -> HostResult<Vec<Step>> {
    let mut steps = vec![];
    let own = look.group(&new.name)?.is_some();
    let primary = match (new.gid, new.usergroup) {
        (Some(gid), _) => Some(look.group_by_id(gid)?.map_or_else(|| gid.to_string(), |group| group.name)),
        (None, Some(false)) => None,
        (None, _) if own => Some(new.name.clone()),
        (None, _) if new.system => {
            steps.push(exec(Command::new(["addgroup", "-S", &new.name]), vec![]));
            Some(new.name.clone())
        }
        (None, _) => None,
    };
    let mut argv: Vec<String> = vec!["adduser".into(), "-D".into()];
    let mut add = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_owned(), value]);
        }
    };
    add("-u", new.uid.map(|id| id.to_string()));
    add("-G", primary);
    add("-h", new.home.clone());
    add("-s", new.shell.clone());
    // Without one it has a name of its own for everybody.
    add("-g", Some(new.gecos.write()));
    if !new.createhome {
        argv.push("-H".into());
    }
    if new.system {
        argv.push("-S".into());
    }
    argv.push(new.name.clone());
    steps.push(exec(Command::new(argv), predicts));
    for group in &new.groups {
        steps.push(exec(Command::new(["addgroup", &new.name, group]), vec![]));
    }
    Ok(steps)
}

fn foresee_user(look: &dyn Look, new: &NewUser) -> HostResult<User> {
    let taken: Vec<u32> = super::users(look)?.iter().map(|user| user.uid).collect();
    let uid = match new.uid {
        Some(uid) => uid,
        None => {
            // Users of earlier steps are not in the file yet.
            let mut uid = next_id(&taken, new.system);
            while look.user_by_id(uid)?.is_some() {
                uid = if new.system { uid.saturating_sub(1) } else { uid + 1 };
            }
            uid
        }
    };
    let gid = match (new.gid, look.group(&new.name)?) {
        (Some(gid), _) => gid,
        (None, Some(group)) => group.gid,
        (None, None) if look.group_by_id(uid)?.is_none() => uid,
        (None, None) => next_id(&look.groups()?.iter().map(|group| group.gid).collect::<Vec<_>>(), new.system),
    };
    Ok(User {
        name: new.name.clone(),
        uid,
        gid,
        gecos: new.gecos.write(),
        home: new.home.clone().unwrap_or_else(|| format!("/home/{}", new.name)),
        shell: new.shell.clone().unwrap_or_else(|| "/bin/sh".into()),
    })
}

/// Foretells the groups that gain a user, and with `only` those that lose it.
fn member_predictions(look: &dyn Look, user: &str, wanted: &[String], only: bool) -> HostResult<Vec<Prediction>> {
    let mut predicts = vec![];
    for mut group in look.groups()? {
        let want = wanted.contains(&group.name);
        let have = group.members.iter().any(|member| member == user);
        if want && !have {
            group.members.push(user.to_owned());
        } else if only && have && !want {
            group.members.retain(|member| member != user);
        } else {
            continue;
        }
        predicts.push(Prediction::Group(group.name.clone(), Some(group)));
    }
    Ok(predicts)
}

/// Returns the steps that change a user's line: one `usermod` for all of it.
pub fn change_user(look: &dyn Look, old: &User, to: &Account) -> HostResult<Vec<Step>> {
    if *to == (Account { unique: to.unique, move_home: to.move_home, ..Account::default() }) {
        return Ok(vec![]);
    }
    let mut user = old.clone();
    let mut argv: Vec<String> = vec!["usermod".into()];
    let mut predicts = vec![];
    let mut add = |flag: &str, value: String| argv.extend([flag.to_owned(), value]);
    if let Some(uid) = to.uid {
        user.uid = uid;
        add("-u", uid.to_string());
    }
    if let Some(gid) = to.gid {
        user.gid = gid;
        add("-g", gid.to_string());
    }
    if let Some(home) = &to.home {
        user.home.clone_from(home);
        add("-d", home.clone());
    }
    if let Some(shell) = &to.shell {
        user.shell.clone_from(shell);
        add("-s", shell.clone());
    }
    if let Some(gecos) = &to.gecos {
        user.gecos.clone_from(gecos);
        add("-c", gecos.clone());
    }
    if let Some(groups) = &to.groups {
        add("-G", groups.join(","));
        predicts = member_predictions(look, &old.name, groups, true)?;
    }
    if to.home.is_some() && to.move_home {
        argv.push("-m".into());
    }
    if to.uid.is_some() && !to.unique {
        argv.push("-o".into());
    }
    predicts.push(Prediction::User(old.name.clone(), Some(user.clone())));
    if busybox(look, "usermod", "adduser") {
        return change_user_busybox(look, old, &user, to, predicts);
    }
    argv.push(old.name.clone());
    Ok(vec![exec(Command::new(argv), predicts)])
}

/// busybox has nothing that changes a user: its line is written anew, and its groups are changed one by one.
fn change_user_busybox(
    look: &dyn Look,
    old: &User,
    user: &User,
    to: &Account,
    predicts: Vec<Prediction>,
) -> HostResult<Vec<Step>> {
    const PASSWD: &str = "/etc/passwd";
    if to.uid.is_some() && to.unique && look.user_by_id(user.uid)?.is_some() {
        return Err(HostError::other(format!("change {}", old.name), format!("the number {} is taken", user.uid)));
    }
    let text = crate::ask::text(look, PASSWD)?.unwrap_or_default();
    let start = format!("{}:", old.name);
    let line = |line: &str| {
        if !line.starts_with(&start) {
            return format!("{line}\n");
        }
        let password = line.split(':').nth(1).unwrap_or("x");
        let (name, uid, gid) = (&user.name, user.uid, user.gid);
        format!("{name}:{password}:{uid}:{gid}:{}:{}:{}\n", user.gecos, user.home, user.shell)
    };
    let new: String = text.lines().map(line).collect();
    let done = |effect| Step { effect, predicts: vec![], must_succeed: true };
    let mut steps = vec![];
    if new != text {
        steps.push(done(Effect::text(PASSWD, new)));
    }
    if to.move_home && user.home != old.home && crate::ask::exists(look, &old.home) {
        steps.push(done(Effect::Rename { from: old.home.clone().into(), to: user.home.clone().into() }));
    }
    for group in look.groups()? {
        let Some(wanted) = &to.groups else { break };
        let (want, have) = (wanted.contains(&group.name), group.members.contains(&old.name));
        if want != have {
            let program = if want { "addgroup" } else { "delgroup" };
            steps.push(exec(Command::new([program, &old.name, &group.name]), vec![]));
        }
    }
    if let Some(last) = steps.last_mut() {
        last.predicts = predicts;
    }
    Ok(steps)
}

/// Returns the steps that remove a user, and the group of the same name that goes with it.
pub fn delete_user(look: &dyn Look, user: &User, purge: bool, force: bool) -> HostResult<Vec<Step>> {
    let mut predicts = vec![Prediction::User(user.name.clone(), None)];
    if let Some(group) = look.group(&user.name)?
        && group.gid == user.gid
        && group.members.iter().all(|member| *member == user.name)
    {
        predicts.push(Prediction::Group(group.name, None));
    }
    predicts.extend(
        member_predictions(look, &user.name, &[], true)?
            .into_iter()
            .filter(|prediction| !matches!(prediction, Prediction::Group(name, _) if *name == user.name)),
    );
    let mut argv: Vec<String> = vec![];
    if busybox(look, "userdel", "deluser") {
        argv.push("deluser".into());
        if purge {
            argv.push("--remove-home".into());
        }
    } else {
        argv.push("userdel".into());
        if purge {
            argv.push("-r".into());
        }
        if force {
            argv.push("-f".into());
        }
    }
    argv.push(user.name.clone());
    Ok(vec![exec(Command::new(argv), predicts)])
}

/// Returns the step that sets a password's hash, or the password itself when it is to be hashed there.
pub fn set_password(name: &str, password: &str, hashed: bool) -> Step {
    let argv: &[&str] = if hashed { &["chpasswd", "-e"] } else { &["chpasswd", "-c", "SHA512"] };
    let mut command = Command::new(argv.iter().copied()).stdin(format!("{name}:{password}\n"));
    command.secret = true;
    exec(command, vec![])
}

/// Returns the step that empties a password.
pub fn delete_password(name: &str) -> Step {
    exec(Command::new(["passwd", "-d", name]), vec![])
}

/// Returns the step that locks or unlocks a password.
pub fn lock(name: &str, locked: bool) -> Step {
    exec(Command::new(["passwd", if locked { "-l" } else { "-u" }, name]), vec![])
}

/// Returns the step that sets ages, as options of `chage`.
pub fn chage(name: &str, options: &[(&str, i64)]) -> Step {
    let mut argv: Vec<String> = vec!["chage".into()];
    for (option, value) in options {
        argv.extend([(*option).to_owned(), value.to_string()]);
    }
    argv.push(name.into());
    exec(Command::new(argv), vec![])
}

/// Returns the step that makes a group.
pub fn add_group(look: &dyn Look, name: &str, gid: Option<u32>, system: bool, non_unique: bool) -> HostResult<Step> {
    let groups = look.groups()?;
    let taken: Vec<u32> = groups.iter().map(|group| group.gid).collect();
    let group = Group { name: name.into(), gid: gid.unwrap_or_else(|| next_id(&taken, system)), members: vec![] };
    let busybox = busybox(look, "groupadd", "addgroup");
    let mut argv: Vec<String> = vec![if busybox { "addgroup" } else { "groupadd" }.into()];
    if let Some(gid) = gid {
        argv.extend(["-g".into(), gid.to_string()]);
        if non_unique && !busybox {
            argv.push("-o".into());
        }
    }
    if system {
        argv.push(if busybox { "-S" } else { "-r" }.into());
    }
    argv.push(name.into());
    Ok(exec(Command::new(argv), vec![Prediction::Group(name.into(), Some(group))]))
}

/// Returns the step that removes a group.
pub fn delete_group(look: &dyn Look, name: &str) -> Step {
    let program = if busybox(look, "groupdel", "delgroup") { "delgroup" } else { "groupdel" };
    exec(Command::new([program, name]), vec![Prediction::Group(name.into(), None)])
}

/// Returns the step that changes a group's number.
pub fn set_group_gid(group: &Group, gid: u32, non_unique: bool) -> Step {
    let mut argv: Vec<String> = vec!["groupmod".into(), "-g".into(), gid.to_string()];
    if non_unique {
        argv.push("-o".into());
    }
    argv.push(group.name.clone());
    exec(Command::new(argv), vec![Prediction::Group(group.name.clone(), Some(Group { gid, ..group.clone() }))])
}

/// Returns the steps that make exactly these users members of a group.
pub fn set_members(look: &dyn Look, group: &Group, members: &[String]) -> Vec<Step> {
    let after = Group { members: members.to_vec(), ..group.clone() };
    let mut predicts = vec![Prediction::Group(group.name.clone(), Some(after))];
    if look.which("gpasswd").is_some() || look.which("addgroup").is_none() {
        return vec![exec(Command::new(["gpasswd", "--members", &members.join(","), &group.name]), predicts)];
    }
    let mut steps = vec![];
    for user in members.iter().filter(|user| !group.members.contains(user)) {
        steps.push(exec(Command::new(["addgroup", user, &group.name]), std::mem::take(&mut predicts)));
    }
    for user in group.members.iter().filter(|user| !members.contains(user)) {
        steps.push(exec(Command::new(["delgroup", user, &group.name]), std::mem::take(&mut predicts)));
    }
    steps
}
