//! Performs a plan: step after step through the hands, each record kept, and an end at the first failure.

use crate::driver::{DriverError, GuestDriver, Reach, Step};
use crate::hands::{Hands, HandsError, Place};
use corpus_core::{Call, Map, RunReport, Value, python};
use std::time::Duration;

/// How many seconds a machine that was just started may take to answer.
pub const PATIENCE: u64 = 90;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Done {
    /// The records of the states, run after run.
    pub reports: Vec<(String, RunReport)>,
    /// What a step that asks was answered.
    pub value: Option<Value>,
    pub host_keys: Vec<String>,
    /// Where an operation says that it is reached.
    pub way: Option<Reach>,
    /// What operations changed.
    operated: Map,
    /// The base system was converged.
    pub based: bool,
    /// Why the plan ended early.
    pub failed: Option<String>,
    /// A dry run met something that cannot be told before it is done.
    pub unknown: bool,
    /// Nor can anything after it.
    pub blind: bool,
    /// What was brought, beside the states.
    pub brought: Map,
}

impl Done {
    /// Returns the changes by state.
    pub fn changes(&self) -> Map {
        let mut all = self.operated.clone();
        all.0.extend(self.brought.0.clone());
        for (_, report) in &self.reports {
            for chunk in report.chunks.iter().filter(|chunk| chunk.changed()) {
                all.insert(&*chunk.id, chunk.changes.clone());
            }
        }
        all
    }

    /// Takes what an operation tells: `changes`, `host` and `port`, `host_keys`.
    fn learn(&mut self, told: &Value) {
        for (key, change) in told.get("changes").and_then(Value::as_map).into_iter().flatten() {
            self.operated.insert(key.clone(), change.clone());
        }
        let keys = told.get("host_keys").and_then(Value::as_list).unwrap_or_default();
        self.host_keys.extend(keys.iter().map(python::str));
        if let Some(host) = told.get("host").map(python::str) {
            let port = told.get("port").and_then(Value::as_int).and_then(|port| u16::try_from(port).ok());
            self.way = Some(Reach::Direct { host, port: port.unwrap_or(22) });
        }
    }
}

/// Performs the steps. In a dry run, what needs a machine that is not there yet is left unknown.
pub fn perform(driver: &dyn GuestDriver, steps: &[Step], hands: &dyn Hands, test: bool, exists: bool) -> Done {
    let mut done = Done::default();
    for step in steps {
        match one(driver, step, hands, test, exists, &mut done) {
            Ok(()) if done.blind => break,
            Ok(()) => {}
            Err(why) => {
                done.failed = Some(why);
                break;
            }
        }
    }
    done
}

fn one(
    driver: &dyn GuestDriver,
    step: &Step,
    hands: &dyn Hands,
    test: bool,
    exists: bool,
    done: &mut Done,
) -> Result<(), String> {
    let told = |error: HandsError| error.to_string();
    match step {
        Step::Run { at, chunks } => {
            let report = hands.run(at, chunks, test).map_err(told)?;
            let failed = failure(&report);
            done.reports.push((at.to_string(), report));
            failed.map_or(Ok(()), Err)
        }
        // Before it is there, or before an API did what only it can tell, nothing can be asked of it.
        Step::Apply { .. } | Step::Answers { .. } | Step::HostKey { .. } if test && (!exists || done.unknown) => {
            done.unknown = true;
            Ok(())
        }
        Step::Apply { at, sls } => {
            let report = hands.apply(at, sls, test).map_err(told)?;
            let failed = failure(&report);
            done.reports.push((at.to_string(), report));
            done.based = failed.is_none() && !test;
            failed.map_or(Ok(()), Err)
        }
        Step::Answers { id, patience } => hands.answers(id, Duration::from_secs(*patience)).map_err(told),
        Step::HostKey { .. } if test => Ok(()),
        Step::HostKey { at, fun, args, kwargs } => {
            let call = Call { fun: fun.clone(), args: args.clone(), kwargs: kwargs.clone() };
            let text = python::str(&hands.call(at, &call).map_err(told)?);
            let keys: Vec<String> = text
                .lines()
                .filter(|line| line.starts_with("ssh-") || line.starts_with("ecdsa-"))
                .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
                .collect();
            if keys.is_empty() {
                return Err(format!("it has no host key that could be read on {at} ({fun}: {:?})", text.trim()));
            }
            done.host_keys.extend(keys);
            Ok(())
        }
        Step::Operation { name, args } => {
            if test {
                done.unknown = true;
                return Ok(());
            }
            let told = driver.perform(name, args).map_err(|error: DriverError| error.to_string())?;
            done.learn(&told);
            Ok(())
        }
        Step::Image { from, to, name, from_bases, to_bases } => {
            let ask = |at: &Place, fun: &str, bases: &Option<String>, digest: Option<&str>| {
                let mut call = Call::new(fun, std::iter::once(name.as_str()).chain(digest).map(Value::from).collect());
                call.kwargs.0.extend(bases.as_ref().map(|bases| ("bases".into(), bases.as_str().into())));
                hands.call(at, &call).map_err(told)
            };
            let digest = |at, bases| -> Result<Option<String>, String> {
                Ok(ask(at, "lxc.base_digest", bases, None)?.as_str().map(str::to_owned))
            };
            let (built, have) = (digest(from, from_bases)?, digest(to, to_bases)?);
            if built.is_some() && built == have {
                return Ok(());
            }
            done.brought.insert(format!("image {name}"), change(have.as_deref(), built.as_deref()));
            if test {
                (done.unknown, done.blind) = (true, true);
                return Ok(());
            }
            let built = built.ok_or_else(|| format!("{from} has no base `{name}`"))?;
            let program = |answer: Value| -> Vec<String> {
                answer.as_list().unwrap_or_default().iter().map(python::str).collect()
            };
            let send = program(ask(from, "lxc.base_send", from_bases, None)?);
            let receive = program(ask(to, "lxc.base_receive", to_bases, None)?);
            hands.carry((from, &send), (to, &receive)).map_err(told)?;
            ask(to, "lxc.base_received", to_bases, Some(&built)).map(|_| ())
        }
        Step::Carry { .. } if test => {
            done.unknown = true;
            Ok(())
        }
        Step::Carry { from, to, name, send, receive } => {
            let program = |at: &Place, fun: &str| -> Result<Vec<String>, String> {
                let answer = hands.call(at, &Call::new(fun, vec![name.as_str().into()])).map_err(told)?;
                Ok(answer.as_list().unwrap_or_default().iter().map(python::str).collect())
            };
            let (send, receive) = (program(from, send)?, program(to, receive)?);
            hands.carry((from, &send), (to, &receive)).map_err(told)
        }
        Step::Ask { at, fun, args, kwargs } => {
            if test {
                done.unknown = true;
                return Ok(());
            }
            let call = Call { fun: fun.clone(), args: args.clone(), kwargs: kwargs.clone() };
            done.value = Some(hands.call(at, &call).map_err(told)?);
            Ok(())
        }
    }
}

fn change(old: Option<&str>, new: Option<&str>) -> Map {
    [("old", old), ("new", new)].into_iter().collect()
}

/// Says which states failed.
pub fn failure(report: &RunReport) -> Option<String> {
    let failed: Vec<String> = report
        .chunks
        .iter()
        .filter(|chunk| chunk.result == Some(false) && chunk.ran)
        .map(|chunk| {
            let said = chunk.changes.get("stderr").map(python::str).unwrap_or_default();
            let text = format!("{} ({}.{}): {} {said}", chunk.id, chunk.state, chunk.fun, chunk.comment);
            text.trim_end().to_owned()
        })
        .collect();
    (!failed.is_empty()).then(|| failed.join("\n"))
}
