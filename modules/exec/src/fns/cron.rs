//! `cron.*`: users' crontabs.

use crate::cron::{self, Job, Outcome, Tab, When};
use corpus_core::host::{Act, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read("cron.raw_cron", "(user)", "Returns a user's crontab as text.", |call, look, _| {
        Ok(cron::raw(look, &call.need(0, "user")?)?.into())
    }),
    read("cron.list_tab", "(user)", "Returns a user's crontab, taken apart.", list),
    read("cron.ls", "(user)", "Returns a user's crontab, taken apart.", list),
    write(
        "cron.set_job",
        "(user, minute, hour, daymonth, month, dayweek, cmd, comment=None, identifier=None, commented=False)",
        "Sets a job.",
        set_job,
    ),
    write(
        "cron.set_special",
        "(user, special, cmd, comment=None, identifier=None, commented=False)",
        "Sets a job of `@daily` and its kin.",
        |call, act, _| set(call, act, When::Special(call.need(1, "special")?), call.need(2, "cmd")?),
    ),
    write("cron.rm_job", "(user, cmd, identifier=None)", "Removes a job.", remove),
    write("cron.rm", "(user, cmd, identifier=None)", "Removes a job.", remove),
    write("cron.set_env", "(user, name, value=None)", "Sets a variable.", |call, act, _| {
        let (name, value) = (call.need(1, "name")?, call.text(2, "value").unwrap_or_default());
        edit(call, act, |tab| tab.set_env(&name, &value))
    }),
    write("cron.rm_env", "(user, name)", "Removes a variable.", |call, act, _| {
        let name = call.need(1, "name")?;
        edit(call, act, |tab| tab.remove_env(&name))
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

fn list(call: &Call, look: &dyn Look, _: &Data) -> Result<Value, ExecError> {
    let tab = cron::read(look, &call.need(0, "user")?)?;
    let (mut crons, mut special) = (vec![], vec![]);
    for job in tab.jobs {
        let mut map = Map::new();
        map.insert("identifier", job.identifier);
        map.insert("cmd", job.cmd);
        map.insert("comment", job.comment);
        map.insert("commented", job.commented);
        match job.when {
            When::Special(spec) => {
                map.insert("spec", spec);
                special.push(Value::map(map));
            }
            When::Times(times) => {
                for (key, value) in ["minute", "hour", "daymonth", "month", "dayweek"].into_iter().zip(times) {
                    map.insert(key, value);
                }
                crons.push(Value::map(map));
            }
        }
    }
    let pair = |(name, value): (String, String)| Value::map([("name", name), ("value", value)].into_iter().collect());
    let mut all = Map::new();
    all.insert("pre", tab.pre);
    all.insert("crons", crons);
    all.insert("special", special);
    all.insert("env", tab.env.into_iter().map(pair).collect::<Vec<_>>());
    Ok(all.into())
}

/// Changes a crontab and answers with Salt's word for what that came to.
fn edit(call: &Call, act: &dyn Act, change: impl FnOnce(&mut Tab) -> Outcome) -> Result<Value, ExecError> {
    let user = call.need(0, "user")?;
    let mut tab = cron::read(act.as_look(), &user)?;
    let outcome = change(&mut tab);
    if outcome.changed()
        && let Some(output) = act.perform(&cron::write(&user, &tab.write()).effect)?.output().filter(|o| !o.ok())
    {
        return Ok(output.stderr_text().into());
    }
    Ok(outcome.word().into())
}

fn set(call: &Call, act: &dyn Act, when: When, cmd: String) -> Result<Value, ExecError> {
    let identifier = call.arg(99, "identifier").filter(|value| value.truthy()).map(python::str);
    let (comment, commented) = (call.text(99, "comment"), call.flag(99, "commented", false));
    let seed = format!("{}\0{cmd}", call.need(0, "user")?);
    edit(call, act, |tab| tab.set(Job { when, cmd, identifier, comment, commented }, &seed))
}

fn set_job(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut times = [const { String::new() }; 5];
    for (at, name) in ["minute", "hour", "daymonth", "month", "dayweek"].into_iter().enumerate() {
        times[at] = call.need(at + 1, name)?.to_lowercase();
    }
    set(call, act, When::Times(times), call.need(6, "cmd")?)
}

fn remove(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let cmd = call.need(1, "cmd")?;
    let identifier = call.text(99, "identifier");
    edit(call, act, |tab| tab.remove(&cmd, identifier.as_deref(), &|_| true))
}
