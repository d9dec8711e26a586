//! The way back by hand: an archived release is put in the place of the running one, which becomes an archive itself.

use crate::fs::tree_id;
use crate::journal::{Journal, Phase};
use crate::report::DeployReport;
use crate::run::{Run, refused};
use crate::{Cx, Layout, Progress, ProjectError, ProjectName, R, archive, chrono, config, init, lock, switch, sync};
use corpus_core::{Map, suggest};

/// Puts an archived release back, the newest or the one named.
pub fn rollback(
    cx: &Cx,
    name: &ProjectName,
    to: Option<&str>,
    who: &str,
    kwargs: &Map,
    out: &mut dyn Progress,
) -> DeployReport {
    let began = (|| {
        let layout = cx.layout(name);
        if !layout.project.exists() {
            return Err(ProjectError::new(format!("there is no project {name}")));
        }
        let id = chrono::id()?;
        let lock = lock::need(&layout, name, who, "rollback", &id)?;
        let recovered = switch::recover(&*cx.fs, &layout)?;
        init::mend(cx, name)?;
        let facts = cx.facts()?;
        let mut kwargs = kwargs.clone();
        kwargs.insert("chrono", id.as_str());
        let cfg = config::compute(cx, &facts, name, &kwargs)?;
        Ok((lock, recovered, facts, cfg))
    })();
    let (_lock, recovered, facts, cfg) = match began {
        Ok(began) => began,
        Err(error) => return refused(name, "rollback", who, &error, lock::owner(&cx.layout(name))),
    };
    let mut run = Run::new(cx, name, "rollback", who, facts, cfg, out);
    run.report.before = sync::serving(&run);
    if let Some(said) = recovered {
        run.say(&said);
    }
    run.begin("rollback");
    run.set("rollback", true);
    let moved = moved(&mut run, to);
    let mut ok = moved.is_ok();
    if ok && run.layout.salt(&run.report.env).join("rollback.sls").is_file() {
        ok &= run.sls("rollback", false);
    }
    ok &= run.end(moved);
    run.report.serving = sync::serving(&run);
    run.report.result = ok;
    run.report.rolled_back = ok;
    let word = if ok { "succeeded" } else { "failed" };
    let summary = format!("rollback {} of {name} {word}", run.report.id);
    run.report.summary.clone_from(&summary);
    run.say(&format!("--\n{summary}"));
    let _ = crate::undo::forget(&run.layout, &run.report.id);
    run.finish()
}

fn moved(run: &mut Run<'_>, to: Option<&str>) -> R<String> {
    let from = choose(&run.layout, run.name, to)?;
    let (fs, layout) = (&*run.cx.fs, run.layout.clone());
    let served = tree_id(&layout.project);
    let mut journal = Journal {
        id: run.report.id.clone(),
        who: run.report.who.clone(),
        started: run.report.started.clone(),
        env: run.report.env.clone(),
        from: Some(from.clone()),
        served,
        ..Journal::default()
    };
    archive::directory(run, &journal.id)?;
    journal.write(fs, &layout)?;
    fs.rename(&switch::archived(&layout, &from), &switch::spare(&layout, &journal.id))?;
    if let Err(error) = switch::forward(fs, &layout, &mut journal) {
        switch::give_back(fs, &layout, &journal)?;
        return Err(error);
    }
    // What serves now was chosen by a person: a kill from here on does not take it back.
    journal.phase = Phase::Ended;
    journal.write(fs, &layout)?;
    switch::settle(fs, &layout, &journal.id, true)?;
    switch::tidy(fs, &layout, &from)?;
    Journal::end(fs, &layout)?;
    Ok(format!("the release of archive {from} serves; what served before is archive {}", journal.id))
}

/// Chooses an archive that holds a release.
fn choose(layout: &Layout, name: &ProjectName, to: Option<&str>) -> R<String> {
    let mut whole = archive::list(layout)?;
    whole.retain(|id| switch::archived(layout, id).is_dir());
    let Some(newest) = whole.last() else {
        return Err(ProjectError::new(format!("the project {name} has no archived release"))
            .hint("a deployment archives what it replaces; a failed one puts it back by itself"));
    };
    match to {
        None => Ok(newest.clone()),
        Some(to) if whole.iter().any(|id| id == to) => Ok(to.to_owned()),
        Some(to) => {
            let starts: Vec<&String> = whole.iter().filter(|id| !to.is_empty() && id.starts_with(to)).collect();
            if let [one] = starts[..] {
                return Ok(one.clone());
            }
            let near = suggest::did_you_mean(to, whole.iter().map(String::as_str));
            Err(ProjectError::new(format!("the project {name} has no archived release `{to}`"))
                .hint(near.unwrap_or_else(|| format!("there are {}", whole.join(", ")))))
        }
    }
}
