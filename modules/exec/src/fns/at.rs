//! `at.*`: jobs that `at` runs once.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, ExecDef, ExecError, ExecFn, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "at.atq",
        args: "(tag=None)",
        doc: "Lists the jobs, or those of a tag or a number.",
        run: ExecFn::Read(|call, look, _| {
            let tag = call.text(0, "tag");
            let mut all = jobs(look)?;
            all.retain(|job| tag.as_ref().is_none_or(|tag| *tag == job.tag || *tag == job.id));
            Ok(listed(all))
        }),
    },
    ExecDef {
        name: "at.jobcheck",
        args: "(**kwargs)",
        doc: "Lists the jobs of a `tag`, of `runas`, or at an `hour`, `minute`, `day`, `month` or `year`.",
        run: ExecFn::Read(|call, look, _| {
            let mut all = jobs(look)?;
            all.retain(|job| job.fits(&call.kwargs));
            Ok(listed(all))
        }),
    },
    ExecDef {
        name: "at.atc",
        args: "(jobid)",
        doc: "Returns the script of a job.",
        run: ExecFn::Read(|call, look, _| {
            Ok(ask::output(look, &Command::new(["at", "-c", &call.need(0, "jobid")?]))?.into())
        }),
    },
    ExecDef {
        name: "at.at",
        args: "(timespec, cmd, tag=None, runas=None)",
        doc: "Adds a job.",
        run: ExecFn::Write(|call, act, _| {
            let (time, command) = (call.need(0, "timespec")?, call.need(1, "cmd")?);
            let output =
                ask::run(act, add(&time, &command, kwarg(call, "tag").as_deref(), kwarg(call, "runas").as_deref()))?;
            let said = output.stdout_text();
            if said.trim().ends_with("Garbled time") {
                let told = [("jobs", Value::list(vec![])), ("error", "invalid timespec".into())];
                return Ok(Map::from_iter(told).into());
            }
            let added = added(&said).ok_or_else(|| ExecError::failed(ask::said(&output)))?;
            let mut all = jobs(act.as_look())?;
            all.retain(|job| job.id == added.id);
            Ok(listed(all))
        }),
    },
    ExecDef {
        name: "at.atrm",
        args: "(*args)",
        doc: "Removes jobs by their numbers, or `all`, or `all` of a tag.",
        run: ExecFn::Write(|call, act, _| {
            let words: Vec<String> = call.args.iter().map(python::str).collect();
            let tag = words.get(1).filter(|_| words[0] == "all").cloned();
            let mut all = jobs(act.as_look())?;
            match words.first().map(String::as_str) {
                None => all.clear(),
                Some("all") => all.retain(|job| tag.as_ref().is_none_or(|tag| *tag == job.tag)),
                Some(_) => all.retain(|job| words.contains(&job.id)),
            }
            let ids: Vec<String> = all.into_iter().map(|job| job.id).collect();
            if !ids.is_empty() {
                ask::must(act, remove(&ids))?;
            }
            let told = Map::from_iter([("removed", Value::from(ids)), ("tag", tag.into())]);
            Ok(Map::from_iter([("jobs", told)]).into())
        }),
    },
];

fn kwarg(call: &Call, key: &str) -> Option<String> {
    call.kwargs.get(key).filter(|value| value.truthy()).map(python::str)
}

fn listed(jobs: Vec<Job>) -> Value {
    Map::from_iter([("jobs", jobs.iter().map(Job::shown).collect::<Vec<Value>>())]).into()
}

/// A job.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub id: String,
    /// `2026-11-25`
    pub date: String,
    /// `15:20:00`
    pub time: String,
    pub queue: String,
    pub user: String,
    pub tag: String,
}

impl Job {
    /// Describes it as Salt does.
    pub fn shown(&self) -> Value {
        let id = self.id.parse::<i64>().map_or_else(|_| Value::from(self.id.as_str()), Value::Int);
        let words = [
            ("date", &self.date),
            ("time", &self.time),
            ("queue", &self.queue),
            ("user", &self.user),
            ("tag", &self.tag),
        ];
        let words = words.map(|(key, value)| (key, Value::from(value.as_str())));
        [("job", id)].into_iter().chain(words).collect::<Map>().into()
    }

    /// Tells whether it is one of those that are asked for.
    pub fn fits(&self, wanted: &Map) -> bool {
        let text = |key: &str| wanted.get(key).filter(|value| value.truthy()).map(python::str);
        let part = |text: &str, mark: char, i: usize| text.split(mark).nth(i).unwrap_or_default().to_owned();
        let number = |key: &str, have: String| {
            text(key).is_none_or(|want| want.parse::<u32>().ok().is_some_and(|want| have.parse() == Ok(want)))
        };
        // Salt: a year may have two digits.
        let year = text("year").map(|year| if year.len() == 2 { format!("20{year}") } else { year });
        text("runas").is_none_or(|user| user == self.user)
            && text("tag").is_none_or(|tag| tag == self.tag)
            && number("hour", part(&self.time, ':', 0))
            && number("minute", part(&self.time, ':', 1))
            && number("day", part(&self.date, '-', 2))
            && number("month", part(&self.date, '-', 1))
            && year.is_none_or(|year| year == part(&self.date, '-', 0))
    }
}

/// Reads `Wed Nov 25 15:20:00 2026`: date and time.
fn moment(words: &[&str]) -> Option<(String, String)> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let [_, month, day, time, year, ..] = words else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    Some((format!("{year}-{month:02}-{:02}", day.parse::<u32>().ok()?), (*time).to_owned()))
}

/// Lists the jobs.
pub fn jobs(look: &dyn Look) -> HostResult<Vec<Job>> {
    let mut found = Vec::new();
    for line in ask::output(look, &Command::new(["atq"]))?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, rest @ ..] = words.as_slice() else { continue };
        let Some((date, time)) = moment(rest) else { continue };
        let word = |i: usize| rest.get(i).copied().unwrap_or_default().to_owned();
        let script = ask::output(look, &Command::new(["at", "-c", id]))?;
        let tag = script.lines().filter_map(|line| line.strip_prefix("### SALT: ")).next_back();
        let tag = tag.and_then(|tag| tag.split_whitespace().next()).unwrap_or_default().to_owned();
        found.push(Job { id: (*id).to_owned(), date, time, queue: word(5), user: word(6), tag });
    }
    Ok(found)
}

/// Makes the command that adds a job.
pub fn add(time: &str, job: &str, tag: Option<&str>, user: Option<&str>) -> Command {
    let tag = tag.map(|tag| format!("### SALT: {tag}\n")).unwrap_or_default();
    let mut command = Command::new(["at", time]).stdin(format!("{tag}{job}\n"));
    command.runas = user.map(str::to_owned);
    // It answers on its standard error.
    command.merge_stderr = true;
    command
}

/// Makes the command that removes jobs.
pub fn remove(ids: &[String]) -> Command {
    let mut command = Command::new(["atrm"]);
    command.argv.extend(ids.iter().cloned());
    command
}

/// Reads what `at` says of a job that it has added.
pub fn added(said: &str) -> Option<Job> {
    let line = said.lines().find_map(|line| line.strip_prefix("job "))?;
    let (id, rest) = line.split_once(" at ")?;
    let (date, time) = moment(&rest.split_whitespace().collect::<Vec<_>>())?;
    Some(Job { id: id.to_owned(), date, time, queue: "a".into(), ..Job::default() })
}
