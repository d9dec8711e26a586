//! `group.*`: groups of the machine.

use crate::shadow;
use corpus_core::host::{Act, Group, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Step, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("group.info", "(name)", "Returns everything about a group; empty if there is none.", |call, look, _| {
        Ok(look.group(&call.need(0, "name")?)?.map(picture).unwrap_or_default().into())
    }),
    read("group.getent", "()", "Returns everything about all groups.", |_, look, _| {
        Ok(look.groups()?.into_iter().map(|group| picture(group).into()).collect::<Vec<Value>>().into())
    }),
    write("group.add", "(name, gid=None, system=False)", "Makes a group.", |call, act, _| {
        let gid = match call.text(1, "gid") {
            Some(gid) => Some(gid.parse().map_err(|_| call.invalid("gid", "no number"))?),
            None => None,
        };
        let name = call.need(0, "name")?;
        perform(act, &[shadow::add_group(act.as_look(), &name, gid, call.flag(2, "system", false), false)?])
    }),
    write("group.delete", "(name)", "Removes a group.", |call, act, _| {
        perform(act, &[shadow::delete_group(act.as_look(), &need(call, act.as_look())?.name)])
    }),
    write("group.chgid", "(name, gid)", "Changes a group's number.", |call, act, _| {
        let gid = call.need(1, "gid")?.parse().map_err(|_| call.invalid("gid", "no number"))?;
        perform(act, &[shadow::set_group_gid(&need(call, act.as_look())?, gid, false)])
    }),
    write("group.adduser", "(name, username)", "Adds a user to a group.", |call, act, _| {
        let (group, user) = (need(call, act.as_look())?, call.need(1, "username")?);
        let mut members = group.members.clone();
        if !members.contains(&user) {
            members.push(user);
        }
        perform(act, &shadow::set_members(act.as_look(), &group, &members))
    }),
    write("group.deluser", "(name, username)", "Takes a user out of a group.", |call, act, _| {
        let (group, user) = (need(call, act.as_look())?, call.need(1, "username")?);
        let members: Vec<_> = group.members.iter().filter(|member| **member != user).cloned().collect();
        perform(act, &shadow::set_members(act.as_look(), &group, &members))
    }),
    write("group.members", "(name, members_list)", "Sets a group's members, joined by commas.", |call, act, _| {
        let members = call.need(1, "members_list")?;
        let members: Vec<_> = members.split(',').map(str::to_owned).filter(|name| !name.is_empty()).collect();
        perform(act, &shadow::set_members(act.as_look(), &need(call, act.as_look())?, &members))
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

fn need(call: &Call, look: &dyn Look) -> Result<Group, ExecError> {
    let name = call.need(0, "name")?;
    look.group(&name)?.ok_or_else(|| ExecError::Failed(format!("Group '{name}' does not exist")))
}

fn perform(act: &dyn Act, steps: &[Step]) -> Result<Value, ExecError> {
    for step in steps {
        if let Some(output) = act.perform(&step.effect)?.output().filter(|output| !output.ok()) {
            return Err(ExecError::Failed(crate::ask::said(output)));
        }
    }
    Ok(true.into())
}

fn picture(group: Group) -> Map {
    let mut map = Map::new();
    map.insert("name", group.name);
    map.insert("passwd", "x");
    map.insert("gid", group.gid);
    map.insert("members", group.members);
    map
}
