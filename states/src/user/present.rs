//! `user.present`

use super::shared::{self, REDACTED};
use corpus_core::host::{HostError, User};
use corpus_core::plan::{Attrs, Owner, Step};
use corpus_core::{Effect, Map, Observed, Plan, PlanCx, Settled, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::shadow::{self, Account, Gecos, NewUser, Shadow};
use serde::Deserialize;

/// Keeps a user as declared: number, groups, home, shell, password, ages.
///
/// ```sls
/// deploy:
///   user.present:
///     - shell: /bin/bash
///     - groups: [sudo]
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The user's name.
    pub name: String,
    /// The user's number; the system chooses if not given.
    pub uid: Option<u32>,
    /// The primary group, by number or name.
    pub gid: Option<Value>,
    /// Take the group of the user's own name as the primary one.
    #[serde(default)]
    pub gid_from_name: bool,
    /// Make a group of the user's name (or do not) with a new user.
    pub usergroup: Option<bool>,
    /// Groups that the user is in; they must exist.
    pub groups: Option<Vec<String>>,
    /// Groups that the user is in where they exist.
    pub optional_groups: Option<Vec<String>>,
    /// Take the user out of all other groups.
    #[serde(default = "yes")]
    pub remove_groups: bool,
    /// The home directory.
    pub home: Option<String>,
    /// Make the home directory.
    #[serde(default = "yes")]
    pub createhome: bool,
    /// Move the old home's content when `home` changes.
    #[serde(default)]
    pub persist_home: bool,
    /// The password's hash, as in `/etc/shadow`.
    pub password: Option<String>,
    /// `password` is clear text, to be hashed on the machine.
    #[serde(default)]
    pub hash_password: bool,
    /// Change a password that is set already.
    #[serde(default = "yes")]
    pub enforce_password: bool,
    /// Keep the password empty.
    #[serde(default)]
    pub empty_password: bool,
    /// Lock or unlock the password.
    pub password_lock: Option<bool>,
    /// The login shell.
    pub shell: Option<String>,
    /// Refuse a number that another user has.
    #[serde(default = "yes")]
    pub unique: bool,
    /// Take the number from the range of system users.
    #[serde(default)]
    pub system: bool,
    /// The full name.
    pub fullname: Option<String>,
    /// The room number.
    pub roomnumber: Option<String>,
    /// The phone at work.
    pub workphone: Option<String>,
    /// The phone at home.
    pub homephone: Option<String>,
    /// The last part of the comment field.
    pub other: Option<String>,
    /// The login class (BSD).
    pub loginclass: Option<String>,
    /// Day of the last change of password, in days since 1970.
    pub date: Option<i64>,
    /// Least days between changes of password.
    pub mindays: Option<i64>,
    /// Most days between changes of password.
    pub maxdays: Option<i64>,
    /// Days after expiry until the account is locked.
    pub inactdays: Option<i64>,
    /// Days of warning before expiry.
    pub warndays: Option<i64>,
    /// Day on which the account ends, in days since 1970; -1 is never.
    pub expire: Option<i64>,
    /// Do not add the user to the log of last logins.
    #[serde(default)]
    pub nologinit: bool,
    /// Permit a change of `uid`.
    #[serde(default)]
    pub allow_uid_change: bool,
    /// Permit a change of `gid`.
    #[serde(default)]
    pub allow_gid_change: bool,
    /// Look at the local files only; that is what is done in any case.
    pub local: Option<Value>,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    pub win_homedrive: Option<Value>,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    pub win_profile: Option<Value>,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    pub win_logonscript: Option<Value>,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    pub win_description: Option<Value>,
}

fn yes() -> bool {
    true
}

impl State for Present {
    const NAME: &'static str = "user.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        for text in [&self.fullname, &self.roomnumber, &self.workphone].into_iter().flatten() {
            if text.contains(',') {
                return Err(StateError::failed(format!("Unsupported char ',' in {text}")));
            }
        }
        let mut missing = vec![];
        for group in self.groups.iter().flatten() {
            if cx.host.group(group)?.is_none() {
                missing.push(group.as_str());
            }
        }
        if !missing.is_empty() {
            let list = missing.join(",");
            return Err(StateError::missing(format!("The following group(s) are not present: {list}")));
        }
        let mut optional = vec![];
        for group in self.optional_groups.iter().flatten() {
            if cx.host.group(group)?.is_some() {
                optional.push(group.clone());
            }
        }
        let gid = self.primary_group(cx)?;
        match cx.host.user(&self.name)? {
            Some(user) => self.change(&user, gid, &optional, cx),
            None => self.create(gid, optional, cx),
        }
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if plan.steps.is_empty() {
            return Ok(settled);
        }
        let Some(user) = cx.host.user(&self.name)? else {
            return Ok(Settled {
                result: false,
                comment: format!("Failed to create new user {}", self.name),
                ..settled
            });
        };
        // Salt shows what became of the account; what was known before stays, with the system's own words added.
        let mut after = shared::info(cx.host, &user)?;
        if !self.createhome && plan.memo.is_null() {
            after.insert("home", "");
        }
        for (key, value) in &shared::difference(&plan.memo, &after) {
            settled.changes.0.insert(key.clone(), value.clone());
        }
        Ok(settled)
    }
}

impl Present {
    fn primary_group(&self, cx: &PlanCx<'_>) -> Result<Option<u32>, StateError> {
        let name = match &self.gid {
            // Salt: `gid_from_name` and `usergroup` take the group of the user's name, if it is there.
            _ if self.gid_from_name => self.name.clone(),
            _ if self.usergroup == Some(true) && cx.host.group(&self.name)?.is_some() => self.name.clone(),
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Str(text)) if text.is_empty() => return Ok(None),
            Some(value) => python::str(value),
        };
        if let Some(group) = cx.host.group(&name)? {
            return Ok(Some(group.gid));
        }
        match name.parse() {
            Ok(gid) => Ok(Some(gid)),
            Err(_) if self.gid_from_name => {
                Err(StateError::missing(format!("Default group with name \"{name}\" is not present")))
            }
            Err(_) => Err(StateError::missing(format!("Group {name} is not present"))),
        }
    }

    fn gecos(&self, have: Gecos) -> Gecos {
        Gecos {
            fullname: self.fullname.clone().unwrap_or(have.fullname),
            roomnumber: self.roomnumber.clone().unwrap_or(have.roomnumber),
            workphone: self.workphone.clone().unwrap_or(have.workphone),
            homephone: self.homephone.clone().unwrap_or(have.homephone),
            other: self.other.clone().unwrap_or(have.other),
        }
    }

    fn create(&self, gid: Option<u32>, optional: Vec<String>, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if let (Some(uid), true) = (self.uid, self.unique)
            && let Some(other) = cx.host.user_by_id(uid)?
        {
            return Err(StateError::failed(format!(
                "Failed to create new user {}: uid {uid} is already taken by user {}",
                self.name, other.name
            )));
        }
        let mut groups = self.groups.clone().unwrap_or_default();
        groups.extend(optional);
        let new = NewUser {
            name: self.name.clone(),
            uid: self.uid,
            gid,
            groups,
            home: self.home.clone(),
            createhome: self.createhome,
            shell: self.shell.clone(),
            unique: self.unique,
            system: self.system,
            gecos: self.gecos(Gecos::default()),
            nologinit: self.nologinit,
            usergroup: self.usergroup,
        };
        let mut plan = Plan::default()
            .says(format!("User {} set to be added", self.name), format!("New user {} created", self.name))
            .change("name", self.name.as_str());
        for (key, value) in [("uid", self.uid), ("gid", gid)] {
            if let Some(id) = value {
                plan.changes.insert(key, id);
            }
        }
        for (key, value) in [("shell", &self.shell), ("fullname", &self.fullname)] {
            if let Some(text) = value {
                plan.changes.insert(key, text.as_str());
            }
        }
        plan.steps = shadow::add_user(cx.host, &new)?;
        self.shadow_steps(&Shadow { passwd: "!".into(), ..Shadow::default() }, true, &mut plan);
        Ok(plan)
    }

    fn change(&self, user: &User, gid: Option<u32>, optional: &[String], cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut to = Account { unique: self.unique, move_home: self.persist_home, ..Account::default() };
        let mut changes = Map::new();
        self.check_permitted(user, gid)?;
        if let Some(uid) = self.uid.filter(|uid| *uid != user.uid) {
            if let (true, Some(other)) = (self.unique, cx.host.user_by_id(uid)?) {
                return Err(StateError::failed(format!(
                    "Failed to change uid: uid {uid} is already taken by user {}",
                    other.name
                )));
            }
            to.uid = Some(uid);
            changes.insert("uid", uid);
        }
        if let Some(gid) = gid.filter(|gid| *gid != user.gid) {
            to.gid = Some(gid);
            changes.insert("gid", gid);
        }
        if let Some(groups) = self.groups_to_set(user, to.gid.unwrap_or(user.gid), optional, cx)? {
            changes.insert("groups", groups.clone());
            to.groups = Some(groups);
        }
        if let Some(home) = self.home.as_ref().filter(|home| **home != user.home) {
            to.home = Some(home.clone());
            changes.insert("home", home.as_str());
        }
        let home = self.home.as_ref().unwrap_or(&user.home);
        let make_home = self.createhome
            && !home.is_empty()
            && !ask::exists(cx.host, home)
            && (!self.persist_home || to.home.is_none());
        if make_home {
            changes.insert("homeDoesNotExist", home.as_str());
        }
        if let Some(shell) = self.shell.as_ref().filter(|shell| **shell != user.shell) {
            to.shell = Some(shell.clone());
            changes.insert("shell", shell.as_str());
        }
        let have = Gecos::parse(&user.gecos);
        let want = self.gecos(have.clone());
        if want != have {
            to.gecos = Some(want.write());
            for (key, old, new) in [
                ("fullname", &have.fullname, &want.fullname),
                ("roomnumber", &have.roomnumber, &want.roomnumber),
                ("workphone", &have.workphone, &want.workphone),
                ("homephone", &have.homephone, &want.homephone),
                ("other", &have.other, &want.other),
            ] {
                if old != new {
                    changes.insert(key, new.as_str());
                }
            }
        }
        let mut plan = Plan::unchanged(format!("User {} is present and up to date", self.name));
        plan.steps = shadow::change_user(cx.host, user, &to)?;
        plan.changes = changes;
        if make_home {
            let owner = Attrs { user: Some(Owner::Id(user.uid)), group: Some(Owner::Id(user.gid)), mode: Some(0o755) };
            plan.push(Effect::Mkdir { path: home.into(), attrs: owner }, vec![]);
        }
        let aged = self.password.is_some()
            || self.empty_password
            || self.password_lock.is_some()
            || [self.date, self.mindays, self.maxdays, self.inactdays, self.warndays, self.expire]
                .iter()
                .any(Option::is_some);
        if aged {
            match shadow::shadow(cx.host, &self.name)? {
                Some(have) => self.shadow_steps(&have, false, &mut plan),
                // A user whom an earlier step of this run makes has no line yet.
                None if ask::exists(cx.host, "/etc/shadow") => self.shadow_steps(&Shadow::default(), false, &mut plan),
                None => return Err(HostError::io("read /etc/shadow", &std::io::ErrorKind::NotFound.into()).into()),
            }
        }
        plan.memo = shared::info(cx.host, user)?.into();
        let given = |key: &str, value: &Value| match (key, &self.gid) {
            ("gid", Some(gid)) => python::str(gid),
            _ => python::str(value),
        };
        let mut listed = String::new();
        for (key, value) in &plan.changes {
            let key = python::str(key);
            listed += &format!("{key}: {}\n", given(&key, value));
        }
        rename_shadow(&mut plan.changes);
        if let Some(mut groups) = to.groups {
            // Salt: what a run shows is all groups of the user, the primary one with them.
            groups.extend(cx.host.group_by_id(to.gid.unwrap_or(user.gid))?.map(|group| group.name));
            groups.sort();
            groups.dedup();
            plan.changes.insert("groups", groups);
        }
        Ok(plan.says(
            format!("The following user attributes are set to be changed:\n{listed}"),
            format!("Updated user {}", self.name),
        ))
    }

    /// Refuses changes of numbers that are not permitted, all of them at once.
    fn check_permitted(&self, user: &User, gid: Option<u32>) -> Result<(), StateError> {
        let mut errors = String::new();
        let mut refuse = |what: &str, from: u32, to: String| {
            errors += &format!(
                "\n- Changing {what} ({from} -> {to}) not permitted, set allow_{what}_change to True to force this \
                 change. Note that this will not change file ownership."
            );
        };
        if let Some(uid) = self.uid.filter(|uid| *uid != user.uid && !self.allow_uid_change) {
            refuse("uid", user.uid, uid.to_string());
        }
        if gid.is_some_and(|gid| gid != user.gid) && !self.allow_gid_change && !self.gid_from_name {
            // Salt: a group that comes of `usergroup` needs no permission.
            if let Some(gid) = &self.gid {
                refuse("gid", user.gid, python::str(gid));
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        Err(StateError::failed(format!(
            "Encountered error checking for needed changes. Additional info follows:\n{errors}"
        )))
    }

    /// Returns the supplementary groups to set, if they are to change.
    fn groups_to_set(
        &self,
        user: &User,
        gid: u32,
        optional: &[String],
        cx: &PlanCx<'_>,
    ) -> Result<Option<Vec<String>>, StateError> {
        // Salt: without any groups given, the user's groups are nobody's business.
        if self.groups.is_none() && optional.is_empty() {
            return Ok(None);
        }
        let primary = cx.host.group_by_id(gid)?.map(|group| group.name).unwrap_or_default();
        let ignored = |name: &String| *name == primary;
        let have: Vec<String> = cx
            .host
            .groups()?
            .into_iter()
            .filter(|group| group.members.contains(&user.name))
            .map(|group| group.name)
            .filter(|name| !ignored(name))
            .collect();
        let mut want: Vec<String> =
            self.groups.iter().flatten().chain(optional).filter(|name| !ignored(name)).cloned().collect();
        if !self.remove_groups {
            want.extend(have.iter().cloned());
        }
        want.sort();
        want.dedup();
        // Salt: a group of the user's own name is nobody's business either, unless asked for.
        let have = |name: &String| have.contains(name);
        let missing = want.iter().any(|name| !have(name));
        let extra = cx.host.groups()?.iter().any(|group| {
            group.members.contains(&user.name)
                && group.name != primary
                && group.name != user.name
                && !want.contains(&group.name)
        });
        Ok((missing || (self.remove_groups && extra)).then_some(want))
    }

    fn shadow_steps(&self, have: &Shadow, fresh: bool, plan: &mut Plan) {
        let name = self.name.as_str();
        let (before, mut after) = (plan.steps.len(), have.clone());
        let unset = matches!(have.passwd.as_str(), "!" | "!!" | "*" | "");
        if let Some(password) = self.password.as_ref().filter(|_| !self.empty_password) {
            let same = if self.hash_password { have.is_password(password) } else { have.has_hash(password) };
            let differs = fresh || !same;
            if differs && (fresh || unset || self.enforce_password) {
                plan.steps.push(shadow::set_password(name, password, !self.hash_password));
                after.passwd = if self.hash_password { Shadow::of_password(password) } else { password.clone() };
                plan.changes.insert(if fresh { "password" } else { "passwd" }, REDACTED);
            }
        }
        if self.empty_password && (!have.passwd.is_empty() || fresh) {
            plan.steps.push(shadow::delete_password(name));
            after.passwd.clear();
            plan.changes.insert(
                if fresh { "password" } else { "empty_password" },
                if fresh { "".into() } else { Value::Bool(true) },
            );
        }
        if let Some(lock) = self.password_lock.filter(|lock| *lock != have.passwd.starts_with('!')) {
            plan.steps.push(shadow::lock(name, lock));
            after.passwd = format!("{}{}", if lock { "!" } else { "" }, after.passwd.trim_start_matches('!'));
            plan.changes.insert("password_lock", lock);
        }
        let mut options = vec![];
        for (key, flag, want, have) in [
            ("date", "-d", self.date, &mut after.last_change),
            ("mindays", "-m", self.mindays, &mut after.min),
            ("maxdays", "-M", self.maxdays, &mut after.max),
            ("inactdays", "-I", self.inactdays, &mut after.inactive),
            ("warndays", "-W", self.warndays, &mut after.warn),
            ("expire", "-E", self.expire, &mut after.expire),
        ] {
            if let Some(want) = want.filter(|want| *want != have.unwrap_or(-1)) {
                options.push((flag, want));
                *have = Some(want);
                plan.changes.insert(key, want);
            }
        }
        if !options.is_empty() {
            let step: Step = shadow::chage(name, &options);
            plan.steps.push(step);
        }
        if plan.steps.len() > before
            && let Some(last) = plan.steps.last_mut()
        {
            last.predicts.push(after.foretell(name));
        }
    }
}

/// Names what a run changed in `/etc/shadow` as Salt does: by the fields, not by the arguments.
fn rename_shadow(changes: &mut Map) {
    let named = std::mem::take(changes);
    for (key, value) in &named {
        let key = python::str(key);
        match key.as_str() {
            "empty_password" => changes.insert("passwd", REDACTED),
            "date" => changes.insert("lstchg", value),
            "mindays" => changes.insert("min", value),
            "maxdays" => changes.insert("max", value),
            "inactdays" => changes.insert("inact", value),
            "warndays" => changes.insert("warn", value),
            _ => changes.insert(key, value),
        };
    }
}
