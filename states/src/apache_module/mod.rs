//! What `apache_module`, `apache_site` and `apache_conf` share: Debian's links, and the programs that set them.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Map, Plan, PlanCx, Prediction, StateError, Value};

/// What is enabled.
#[derive(Clone, Copy)]
pub enum What {
    Module,
    Site,
    Conf,
}

impl What {
    /// The word in comments, the word in programs, the folder and the end of links.
    fn words(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Module => ("module", "mod", "mods-enabled", ".load"),
            Self::Site => ("site", "site", "sites-enabled", ".conf"),
            Self::Conf => ("conf", "conf", "conf-enabled", ".conf"),
        }
    }

    fn enabled(self, cx: &PlanCx<'_>, name: &str) -> Result<bool, StateError> {
        let (_, _, folder, end) = self.words();
        let full = [".load", ".conf"].iter().any(|end| name.ends_with(end));
        let file = if full { name.to_owned() } else { format!("{name}{end}") };
        let mut places = vec![format!("/etc/apache2/{folder}/{file}")];
        if matches!(self, Self::Site) && name == "default" {
            places.push(format!("/etc/apache2/{folder}/000-{file}"));
        }
        for place in places {
            if cx.host.lstat(place.as_ref())?.is_some_and(|meta| meta.is_symlink()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Plans that something is enabled, or is not.
    pub fn plan(self, cx: &PlanCx<'_>, name: &str, enable: bool) -> Result<Plan, StateError> {
        cx.program("apache2ctl", "apache2")?;
        let (word, short, ..) = self.words();
        let fact = format!("apache:{short}:{name}");
        let enabled = match cx.host.predicted(&fact) {
            Some(known) => known.truthy(),
            None => self.enabled(cx, name)?,
        };
        let how = if enable { "enabled" } else { "disabled" };
        let mut plan = Plan::unchanged(format!("{name} already {how}."));
        if enabled == enable {
            return Ok(plan);
        }
        let verb = if enable { "a2en" } else { "a2dis" };
        plan.exec(Command::new([&format!("{verb}{short}"), name]), vec![Prediction::Fact(fact, enable.into())]);
        let infinitive = if enable { "enable" } else { "disable" };
        let kind = short[..1].to_uppercase() + &short[1..];
        plan.memo = vec![
            format!("Failed to {infinitive} {name} Apache {word}"),
            // Salt: what the program means by its 1.
            format!("{kind} {name} Not found"),
        ]
        .into();
        let (old, new) = if enable { (Value::Null, name.into()) } else { (name.into(), Value::Null) };
        Ok(plan.change("old", old).change("new", new).says(format!("Apache {word} {name} is set to be {how}."), ""))
    }
}

/// Judges the program.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let failed = plan.memo.as_list().unwrap_or_default().iter().filter_map(Value::as_str);
            let mut words = failed.map(str::to_owned);
            let (what, missing) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let why = if output.code == 1 { missing } else { corpus_exec::ask::said(output) };
            let comment = format!("{what} ({why})");
            Settled { result: false, changes: Map::new(), comment }
        }
    }
}
