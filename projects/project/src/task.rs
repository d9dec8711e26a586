//! Recipes outside of a deployment: tasks, and any one recipe with its context.

use crate::report::DeployReport;
use crate::run::{Run, refused};
use crate::{Cx, Progress, ProjectError, ProjectName, chrono, config, init, lock, steps, switch};
use corpus_core::Map;

/// Runs tasks (`task_*.sls`) by name, in the order of their names; one failure stops the rest.
pub fn run_task(
    cx: &Cx,
    name: &ProjectName,
    tasks: &[String],
    who: &str,
    kwargs: &Map,
    out: &mut dyn Progress,
) -> DeployReport {
    // A task may be named without what all of them begin with.
    let whole = |task: &String| if task.starts_with("task_") { task.clone() } else { format!("task_{task}") };
    let tasks: Vec<String> = tasks.iter().map(whole).collect();
    recipes(cx, name, "run_task", &tasks, false, who, kwargs, out)
}

/// Runs one recipe with the context of a deployment.
pub fn run_sls(
    cx: &Cx,
    name: &ProjectName,
    sls: &[String],
    test: bool,
    who: &str,
    kwargs: &Map,
    out: &mut dyn Progress,
) -> DeployReport {
    recipes(cx, name, "run_sls", sls, test, who, kwargs, out)
}

#[expect(clippy::too_many_arguments, reason = "two callers, which differ in two of them")]
fn recipes(
    cx: &Cx,
    name: &ProjectName,
    what: &str,
    wanted: &[String],
    test: bool,
    who: &str,
    kwargs: &Map,
    out: &mut dyn Progress,
) -> DeployReport {
    let layout = cx.layout(name);
    let began = (|| {
        if !layout.project.exists() {
            return Err(ProjectError::new(format!("there is no project {name}"))
                .hint(format!("`corpus mc_project.init_project {name}` makes it")));
        }
        if wanted.is_empty() {
            let key = if what == "run_task" { "only_steps" } else { "sls" };
            return Err(ProjectError::new(format!("{what}: nothing is named"))
                .hint(format!("corpus mc_project.{what} {name} {key}=NAME")));
        }
        let id = chrono::id()?;
        let lock = lock::need(&layout, name, who, what, &id)?;
        let recovered = switch::recover(&*cx.fs, &layout)?;
        init::mend(cx, name)?;
        let facts = cx.facts()?;
        let mut kwargs = kwargs.clone();
        kwargs.insert("chrono", id.as_str());
        let cfg = config::compute(cx, &facts, name, &kwargs)?;
        let mut all = steps::names(&layout.salt(cfg.str("default_env").unwrap_or_default()))?;
        if what == "run_task" {
            all.retain(|recipe| recipe.starts_with("task_"));
        }
        let chosen = steps::chosen(all, wanted, what)?;
        Ok((lock, recovered, facts, cfg, chosen))
    })();
    let (_lock, recovered, facts, cfg, chosen) = match began {
        Ok(began) => began,
        Err(error) => return refused(name, what, who, &error, lock::owner(&layout)),
    };
    let mut run = Run::new(cx, name, what, who, facts, cfg, out);
    run.report.plan = test;
    if let Some(said) = recovered {
        run.say(&said);
    }
    run.begin(what);
    let ok = chosen.iter().all(|recipe| run.sls(recipe, test));
    run.end(if ok { Ok(String::new()) } else { Err(ProjectError::new("stopped")) });
    let word = if ok { "succeeded" } else { "failed" };
    run.report.result = ok;
    run.report.summary = format!("{what} {} of {name} {word}", chosen.join(", "));
    let summary = run.report.summary.clone();
    run.say(&format!("--\n{summary}"));
    // Nothing is rolled back here: what was kept is not needed.
    let _ = crate::undo::forget(&run.layout, &run.report.id);
    run.finish()
}
