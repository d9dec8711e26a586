//! `user.*`: accounts of the machine.

use crate::shadow::{self, Account, Gecos, NewUser};
use corpus_core::host::{Act, Look, User};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Step, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("user.info", "(name)", "Returns everything about a user; empty if there is none.", |call, look, _| {
        Ok(match look.user(&call.need(0, "name")?)? {
            Some(user) => picture(look, &user)?.into(),
            None => Map::new().into(),
        })
    }),
    read("user.list_users", "()", "Lists the users.", |_, look, _| {
        let mut names: Vec<_> = shadow::users(look)?.into_iter().map(|user| user.name).collect();
        names.sort();
        Ok(names.into())
    }),
    read("user.list_groups", "(name)", "Lists the groups of a user.", |call, look, _| {
        let mut groups = match look.user(&call.need(0, "name")?)? {
            Some(user) => shadow::groups_of(look, &user)?,
            None => vec![],
        };
        groups.sort();
        Ok(groups.into())
    }),
    read("user.getent", "()", "Returns everything about all users.", |_, look, _| {
        let all: Result<Vec<Value>, ExecError> =
            shadow::users(look)?.iter().map(|user| Ok(picture(look, user)?.into())).collect();
        Ok(all?.into())
    }),
    read("user.primary_group", "(name)", "Returns the name of a user's primary group.", |call, look, _| {
        let user = need(call, look)?;
        Ok(look.group_by_id(user.gid)?.map(|group| group.name).into())
    }),
    write(
        "user.add",
        "(name, uid=None, gid=None, groups=None, home=None, shell=None, system=False, fullname='', createhome=True)",
        "Makes a user.",
        add,
    ),
    write("user.delete", "(name, remove=False, force=False)", "Removes a user.", |call, act, _| {
        let user = need(call, act.as_look())?;
        let steps =
            shadow::delete_user(act.as_look(), &user, call.flag(1, "remove", false), call.flag(2, "force", false))?;
        perform(act, &steps)
    }),
    write("user.chshell", "(name, shell)", "Changes a user's shell.", |call, act, _| {
        change(call, act, Account { shell: Some(call.need(1, "shell")?), unique: true, ..Account::default() })
    }),
    write("user.chhome", "(name, home, persist=False)", "Changes a user's home directory.", |call, act, _| {
        let move_home = call.flag(2, "persist", false);
        change(call, act, Account { home: Some(call.need(1, "home")?), move_home, unique: true, ..Account::default() })
    }),
    write("user.chuid", "(name, uid)", "Changes a user's number.", |call, act, _| {
        let uid = call.need(1, "uid")?.parse().map_err(|_| call.invalid("uid", "no number"))?;
        change(call, act, Account { uid: Some(uid), unique: true, ..Account::default() })
    }),
    write("user.chgid", "(name, gid)", "Changes a user's primary group.", |call, act, _| {
        let gid = call.need(1, "gid")?;
        let group = shadow::find_group(act.as_look(), &gid)?.ok_or_else(|| call.invalid("gid", "no such group"))?;
        change(call, act, Account { gid: Some(group.gid), unique: true, ..Account::default() })
    }),
    write("user.chfullname", "(name, fullname)", "Changes a user's full name.", |call, act, _| {
        let user = need(call, act.as_look())?;
        let gecos = Gecos { fullname: call.need(1, "fullname")?, ..Gecos::parse(&user.gecos) };
        change(call, act, Account { gecos: Some(gecos.write()), unique: true, ..Account::default() })
    }),
    write("user.chgroups", "(name, groups, append=False)", "Sets a user's groups.", |call, act, _| {
        let mut groups = list(call.arg(1, "groups"));
        if call.flag(2, "append", false) {
            let user = need(call, act.as_look())?;
            groups.extend(shadow::groups_of(act.as_look(), &user)?.into_iter().skip(1));
        }
        groups.sort();
        groups.dedup();
        change(call, act, Account { groups: Some(groups), unique: true, ..Account::default() })
    }),
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
        Some(Value::Str(text)) => {
            text.split(',').map(|word| word.trim().to_owned()).filter(|w| !w.is_empty()).collect()
        }
        _ => vec![],
    }
}

fn need(call: &Call, look: &dyn Look) -> Result<User, ExecError> {
    let name = call.need(0, "name")?;
    look.user(&name)?.ok_or_else(|| ExecError::Failed(format!("User '{name}' does not exist")))
}

fn perform(act: &dyn Act, steps: &[Step]) -> Result<Value, ExecError> {
    for step in steps {
        if let Some(output) = act.perform(&step.effect)?.output().filter(|output| !output.ok()) {
            return Err(ExecError::Failed(crate::ask::said(output)));
        }
    }
    Ok(true.into())
}

fn change(call: &Call, act: &dyn Act, to: Account) -> Result<Value, ExecError> {
    let user = need(call, act.as_look())?;
    perform(act, &shadow::change_user(act.as_look(), &user, &to)?)
}

fn add(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let look = act.as_look();
    let gid = match call.text(2, "gid") {
        Some(gid) => Some(shadow::find_group(look, &gid)?.ok_or_else(|| call.invalid("gid", "no such group"))?.gid),
        None => None,
    };
    let uid = match call.text(1, "uid") {
        Some(uid) => Some(uid.parse().map_err(|_| call.invalid("uid", "no number"))?),
        None => None,
    };
    let new = NewUser {
        name: call.need(0, "name")?,
        uid,
        gid,
        groups: list(call.arg(3, "groups")),
        home: call.text(4, "home"),
        createhome: call.flag(99, "createhome", true),
        shell: call.text(5, "shell"),
        unique: call.flag(99, "unique", true),
        system: call.flag(99, "system", false),
        gecos: Gecos { fullname: call.text(99, "fullname").unwrap_or_default(), ..Gecos::default() },
        ..NewUser::default()
    };
    perform(act, &shadow::add_user(look, &new)?)
}

fn picture(look: &dyn Look, user: &User) -> Result<Map, ExecError> {
    let gecos = Gecos::parse(&user.gecos);
    let mut groups = shadow::groups_of(look, user)?;
    groups.sort();
    let mut map = Map::new();
    map.insert("uid", user.uid);
    map.insert("gid", user.gid);
    map.insert("groups", groups);
    for (key, value) in [
        ("home", &user.home),
        ("name", &user.name),
        ("shell", &user.shell),
        ("fullname", &gecos.fullname),
        ("roomnumber", &gecos.roomnumber),
        ("workphone", &gecos.workphone),
        ("homephone", &gecos.homephone),
        ("other", &gecos.other),
    ] {
        map.insert(key, value.as_str());
    }
    map.insert("passwd", "x");
    Ok(map)
}
