//! `group.present`

use corpus_core::decode::OneOrMany;
use corpus_core::host::Group;
use corpus_core::{Map, Observed, Plan, PlanCx, Settled, State, StateError, Value, python};
use corpus_exec::shadow;
use serde::Deserialize;

/// Keeps a group as declared: number and members.
///
/// ```sls
/// developers:
///   group.present:
///     - gid: 7648
///     - addusers: [ann, bob]
/// ```
#[derive(Deserialize)]
pub struct Present {
    /// The group's name.
    pub name: String,
    /// The group's number; the system chooses if not given.
    pub gid: Option<u32>,
    /// Take the number from the range of system groups.
    #[serde(default)]
    pub system: bool,
    /// Users to add.
    pub addusers: Option<OneOrMany<String>>,
    /// Users to take out.
    pub delusers: Option<OneOrMany<String>>,
    /// All users; not together with `addusers` or `delusers`.
    pub members: Option<OneOrMany<String>>,
    /// Permit a number that another group has.
    #[serde(default)]
    pub non_unique: bool,
    /// Look at the local files only; that is what is done in any case.
    pub local: Option<Value>,
}

impl State for Present {
    const NAME: &'static str = "group.present";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let list = |users: &Option<OneOrMany<String>>| users.as_ref().map(|users| users.0.clone());
        let (add, del, members) = (list(&self.addusers), list(&self.delusers), list(&self.members));
        if members.is_some() && (add.is_some() || del.is_some()) {
            return Err(StateError::failed(
                "Error: Conflicting options \"members\" with \"addusers\" and/or \"delusers\" can not be used together. ",
            ));
        }
        let (add, del) = (add.unwrap_or_default(), del.unwrap_or_default());
        if add.iter().any(|user| del.contains(user)) {
            return Err(StateError::failed("Error. Same user(s) can not be added and deleted simultaneously"));
        }
        match cx.host.group(&self.name)? {
            Some(group) => self.change(&group, add, del, members, cx),
            None => self.create(members.unwrap_or(add), cx),
        }
    }

    fn settle(&self, plan: &Plan, _: &[Observed], cx: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if plan.memo.as_bool() == Some(true)
            && let Some(group) = cx.host.group(&self.name)?
        {
            settled.changes.insert("passwd", "x");
            settled.changes.insert("gid", group.gid);
            settled.changes.insert("members", group.members);
        }
        Ok(settled)
    }
}

impl Present {
    fn create(&self, members: Vec<String>, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if let (Some(gid), false) = (self.gid, self.non_unique)
            && let Some(other) = cx.host.group_by_id(gid)?
        {
            return Err(StateError::failed(format!(
                "Group {} is not present but gid {gid} is already taken by group {}",
                self.name, other.name
            )));
        }
        let mut plan = Plan::default()
            .says(format!("Group {} set to be added", self.name), format!("New group {} created", self.name))
            .change("name", self.name.as_str());
        if let Some(gid) = self.gid {
            plan.changes.insert("gid", gid);
        }
        let step = shadow::add_group(cx.host, &self.name, self.gid, self.system, self.non_unique)?;
        let group = step.predicts.iter().find_map(|prediction| match prediction {
            corpus_core::Prediction::Group(_, Some(group)) => Some(group.clone()),
            _ => None,
        });
        plan.steps.push(step);
        if let (false, Some(group)) = (members.is_empty(), group) {
            known(&members, cx)?;
            plan.changes.insert("members", members.clone());
            plan.steps.extend(shadow::set_members(cx.host, &group, &members));
        }
        plan.memo = true.into();
        Ok(plan)
    }

    fn change(
        &self,
        group: &Group,
        add: Vec<String>,
        del: Vec<String>,
        members: Option<Vec<String>>,
        cx: &PlanCx<'_>,
    ) -> Result<Plan, StateError> {
        let mut changes = Map::new();
        let mut plan = Plan::unchanged(format!("Group {} is present and up to date", self.name));
        let mut now = group.clone();
        if let Some(gid) = self.gid.filter(|gid| *gid != group.gid) {
            if let (false, Some(other)) = (self.non_unique, cx.host.group_by_id(gid)?) {
                return Err(StateError::failed(format!(
                    "Group {}: gid {gid} is already taken by group {}",
                    self.name, other.name
                )));
            }
            changes.insert("gid", gid);
            plan.steps.push(shadow::set_group_gid(group, gid, self.non_unique));
            now.gid = gid;
        }
        let mut want = group.members.clone();
        match members {
            Some(all) => {
                let same = all.len() == want.len() && all.iter().all(|user| want.contains(user));
                if !same {
                    // Salt: an empty list is shown as those who leave.
                    if all.is_empty() {
                        changes.insert("delusers", want.clone());
                    } else {
                        changes.insert("members", all.clone());
                    }
                    want = all;
                }
            }
            None => {
                let add: Vec<_> = add.into_iter().filter(|user| !group.members.contains(user)).collect();
                let del: Vec<_> = del.into_iter().filter(|user| group.members.contains(user)).collect();
                want.extend(add.iter().cloned());
                want.retain(|user| !del.contains(user));
                for (key, users) in [("addusers", add), ("delusers", del)] {
                    if !users.is_empty() {
                        changes.insert(key, users);
                    }
                }
            }
        }
        if want != group.members {
            known(&want, cx)?;
            plan.steps.extend(shadow::set_members(cx.host, &now, &want));
        }
        let listed: String =
            changes.iter().map(|(key, value)| format!("{}: {}\n", python::str(key), python::str(value))).collect();
        let comment = format!("The following group attributes are set to be changed:\n{listed}");
        plan.changes = changes;
        Ok(plan.says(comment.clone(), comment))
    }
}

/// Refuses members whom nobody knows, as `gpasswd` does.
fn known(members: &[String], cx: &PlanCx<'_>) -> Result<(), StateError> {
    for name in members {
        if cx.host.user(name)?.is_none() {
            return Err(StateError::missing(format!(
                "Group {}: user {name} does not exist",
                python::str(&cx.low.name)
            )));
        }
    }
    Ok(())
}
