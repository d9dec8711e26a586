//! `state.*`: compile the states of a minion, show them, or have the minion walk them.

use super::{Answer, MasterDef, pillarenv, saltenv};
use crate::diagnose::{Failure, Kind, Outcome};
use crate::loader::Loader;
use crate::session::{PillarFailure, Session, lost};
use crate::upstream::{Early, RunSource};
use crate::{TemplateCaller, fileserver};
use corpus_compile::top::{Merging, TopMatches, TopOptions};
use corpus_compile::{CompileOptions, Compiled, SlsLoader};
use corpus_core::target::{Target, TargetKind};
use corpus_core::{
    Call, Data, Diagnostic, Event, ExecError, LowChunk, LowState, Map, RunOptions, RunReport, Value, python, secret,
    suggest,
};
use corpus_render::FileRoots;
use corpus_wire::RunRequest;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The functions of this module that answer with data; the runs are in [`run`].
pub const FNS: &[MasterDef] = &[
    MasterDef {
        name: "state.apply",
        args: "(mods=None, test=False, pillar=None, saltenv='base', exclude=None)",
        doc: "Converges the minion to the SLS files named, or to its highstate.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.sls",
        args: "(mods, test=False, pillar=None, saltenv='base', exclude=None)",
        doc: "Converges the minion to the SLS files named.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.highstate",
        args: "(test=False, pillar=None)",
        doc: "Converges the minion to all that the top file gives it.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.test",
        args: "(mods=None, **kwargs)",
        doc: "Shows what `state.apply` would change.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.single",
        args: "(fun, name, test=False, **kwargs)",
        doc: "Runs one state function.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.sls_id",
        args: "(id, mods, test=False)",
        doc: "Runs one ID of SLS files, with what it requires.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.high",
        args: "(data, test=False)",
        doc: "Runs high data given as an argument.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.template_str",
        args: "(tem, test=False)",
        doc: "Runs states given as text.",
        run: not_in_templates,
    },
    MasterDef {
        name: "state.show_sls",
        args: "(mods, saltenv='base')",
        doc: "Returns the high data of SLS files.",
        run: show_sls,
    },
    MasterDef {
        name: "state.show_low_sls",
        args: "(mods, saltenv='base')",
        doc: "Returns the low data of SLS files, in order.",
        run: show_low_sls,
    },
    MasterDef {
        name: "state.show_highstate",
        args: "()",
        doc: "Returns the high data of the highstate.",
        run: show_highstate,
    },
    MasterDef {
        name: "state.show_lowstate",
        args: "()",
        doc: "Returns the low data of the highstate, in the order in which it would run.",
        run: show_lowstate,
    },
    MasterDef {
        name: "state.show_top",
        args: "()",
        doc: "Returns which SLS files the top file gives the minion.",
        run: show_top,
    },
    MasterDef {
        name: "state.show_lowstate_sls",
        args: "(mods, saltenv='base')",
        doc: "Returns the low data of SLS files as it would run: `extend`, `exclude` and the requisites of both sides applied.",
        run: show_lowstate_sls,
    },
    MasterDef {
        name: "state.show_states",
        args: "()",
        doc: "Returns the SLS files that the highstate uses.",
        run: show_states,
    },
    MasterDef {
        name: "state.sls_exists",
        args: "(mods, saltenv='base')",
        doc: "Tells whether SLS files exist.",
        run: sls_exists,
    },
    MasterDef {
        name: "state.id_exists",
        args: "(ids, mods, saltenv='base')",
        doc: "Tells whether SLS files, with what they include, declare IDs.",
        run: id_exists,
    },
];

/// Tells whether a function is a state run.
pub fn runs(fun: &str) -> bool {
    FNS.iter().any(|def| def.name == fun && std::ptr::fn_addr_eq(def.run, not_in_templates as Answer))
}

fn not_in_templates(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Result<Value, ExecError> {
    Err(ExecError::Failed(format!("{}: a template cannot start a state run", call.fun)))
}

/// Runs states on one minion.
pub fn run(session: &Arc<Session>, call: &Call, events: &(dyn Fn(Event) + Sync)) -> Outcome {
    let over = match pillar_argument(call, session) {
        Ok(over) => over,
        Err(failure) => return Outcome::Failed(failure),
    };
    session.dry.store(is_test(session, call), Ordering::Relaxed);
    let env = saltenv(session, call);
    let data = match session.data(&env, pillarenv(session, call).as_deref(), &over) {
        Ok(data) => Arc::new(data),
        Err(PillarFailure::Failed(failure)) => return Outcome::Failed(failure),
        Err(PillarFailure::Errors(_, errors)) => return Outcome::Failed(pillar_failed(&errors)),
    };
    let loader = loader(session, &data);
    let mut compiled = match compile(session, call, &data, &env, &loader) {
        Ok(compiled) => compiled,
        Err(mut errors) => {
            if let (Some(first), Some(hint)) = (errors.first_mut(), runner(session, call)) {
                first.hints.push(hint);
            }
            return Outcome::Compile(errors);
        }
    };
    fileserver::lock(&session.warnings).extend(compiled.warnings);
    let revised = session.revise(&mut compiled.low);
    fileserver::lock(&session.warnings).extend(revised);
    let low = Arc::new(compiled.low);
    let corpus = &session.corpus;
    let warnings = crate::python::warnings(corpus.engine.roots(), &low, &corpus.registry, &loader);
    fileserver::lock(&session.warnings).extend(warnings);
    let mut outcome = walk(session, call, data, &low, events);
    if let Outcome::Run(report) = &mut outcome {
        relocate(report, &low, &loader);
        session.timings.states(report);
        fileserver::lock(&session.warnings).extend(mistyped_sources(report, session.corpus.engine.roots()));
    }
    outcome
}

/// Says by what the recipes of a project are run, which find nothing of their context here.
fn runner(session: &Session, call: &Call) -> Option<String> {
    let names = texts(call.arg(0, "mods"));
    let (project, recipe) = names.iter().find_map(|name| name.strip_prefix("makina-projects.")?.split_once('.'))?;
    session.shared.is_none().then(|| {
        format!(
            "recipes of a project need its runner: `corpus mc_project.run_sls {project} {recipe}`, or `corpus \
             mc_project.deploy {project}` for all of them"
        )
    })
}

/// Returns what `pillar=` lays over the pillar.
pub fn pillar_argument(call: &Call, session: &Session) -> Result<Map, Failure> {
    let fail = |message: String| Failure::new(Kind::Function, message);
    let enc = call.kwargs.get("pillar_enc").filter(|enc| !enc.is_null()).map(python::str);
    match (call.kwargs.get("pillar"), enc) {
        (None | Some(Value::Null), _) => Ok(Map::new()),
        (Some(value), Some(enc)) => match crate::decrypt_pillar::decrypt(value, &enc, &session.corpus).map_err(fail)? {
            Value::Map(over) => Ok((*over).clone()),
            other => Err(fail(format!(
                "Pillar data must be a dictionary, and what was decrypted is a {}",
                other.type_name()
            ))),
        },
        (Some(Value::Map(over)), None) => Ok((**over).clone()),
        (Some(other), None) => {
            let message = "Pillar data must be formatted as a dictionary, unless pillar_enc is specified.";
            Err(fail(message.into())
                .hint(format!("this is a {}; write pillar='{{\"key\": \"value\"}}'", other.type_name())))
        }
    }
}

/// Leads the places of failed states back to the templates: the argument's, if an argument is wrong.
fn relocate(report: &mut RunReport, low: &LowState, loader: &Loader) {
    for chunk in report.chunks.iter_mut().filter(|chunk| chunk.result == Some(false)) {
        let same = |low: &&LowChunk| low.id == chunk.id && low.state == chunk.state && low.fun == chunk.fun;
        let argument = chunk.comment.split_once(": argument `").and_then(|(_, rest)| Some(rest.split_once('`')?.0));
        let engine = chunk.comment.contains(": the template engine `").then_some("template");
        if let (Some(low), Some(argument)) = (low.chunks.iter().find(same), argument.or(engine)) {
            chunk.span = low.arg_span(argument).clone();
        }
        chunk.span = loader.relocate(&chunk.span);
    }
}

/// Names the file that a missing `salt://` source may be meant to be. Only failed states are asked: a list of sources is
/// meant to have some that are not there.
fn mistyped_sources(report: &RunReport, roots: &FileRoots) -> Vec<Diagnostic> {
    let failed = report.chunks.iter().filter(|chunk| chunk.result == Some(false));
    let hints = failed.filter_map(|chunk| {
        let (_, rest) = chunk.comment.split_once("ource file salt://")?;
        let (path, rest) = rest.split_once(" not found in saltenv '")?;
        let files = roots.list_files(rest.split_once('\'')?.0, "");
        let hint = suggest::did_you_mean(path, files.iter().map(String::as_str))?;
        let warning = Diagnostic::warning(format!("there is no `salt://{path}`"));
        Some(warning.at(chunk.span.clone(), "").hint(hint))
    });
    hints.collect()
}

pub(super) fn pillar_failed(errors: &[Diagnostic]) -> Failure {
    let text: String = errors.iter().map(|error| error.to_text(None)).collect();
    Failure::new(Kind::Pillar, format!("Pillar failed to render with the following messages:\n{}", text.trim_end()))
}

/// Tells whether a call is a dry run.
fn is_test(session: &Session, call: &Call) -> bool {
    call.fun == "state.test" || call.kwargs.get("test").map_or(session.corpus.config.flag("test"), Value::truthy)
}

/// Adds the secrets that states and files have from elsewhere than the pillar: the minion has to hide them as well.
fn with_secrets(data: Arc<Data>, low: &LowState, source: &RunSource<'_>) -> Arc<Data> {
    if secret::none() {
        return data;
    }
    let args = low.chunks.iter().flat_map(|chunk| [chunk.name.clone(), Value::map(chunk.args.clone())]);
    let mut secrets = [secret::within(&args.collect::<Vec<_>>()), source.secrets(), data.secrets.clone()].concat();
    secrets.sort();
    secrets.dedup();
    if secrets.len() == data.secrets.len() { data } else { Arc::new(Data { secrets, ..(*data).clone() }) }
}

/// Has the minion walk chunks that are in order.
pub(super) fn walk(
    session: &Arc<Session>,
    call: &Call,
    data: Arc<Data>,
    low: &Arc<LowState>,
    events: &(dyn Fn(Event) + Sync),
) -> Outcome {
    let source = RunSource::new(session, data.clone(), events);
    let flag = |key: &str| call.kwargs.get(key).is_some_and(Value::truthy) || session.corpus.config.flag(key);
    let options = RunOptions {
        jid: jid(),
        test: is_test(session, call),
        failhard: flag("failhard"),
        skip_verify: flag("skip_verify"),
        aggregate: flag("state_aggregate"),
        disabled_requisites: texts(session.corpus.config.opts.get("disabled_requisites")),
    };
    let early = Early::new(&source);
    if session.far {
        corpus_minion::foresee(&session.corpus.registry, low, &data, &early);
    }
    let known = early.known.into_inner().unwrap_or_default();
    let data = with_secrets(data, low, &source);
    let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "root".into());
    let queue = call.kwargs.get("queue").is_some_and(Value::truthy);
    let request = RunRequest { low: low.clone(), options, known, who, queue };
    if session.corpus.interrupted() {
        return Outcome::Failed(Failure::new(Kind::Interrupted, "interrupted before the run: nothing was done"));
    }
    // What the states call must be there before them.
    let synced = session.modules().and_then(|_| session.tell(&data));
    let answer = synced.and_then(|()| session.minion.run(&request, &source));
    match answer {
        Ok(report) => {
            if session.corpus.interrupted() {
                fileserver::lock(&session.warnings).extend(left_over(low, &report));
            }
            Outcome::Run(report)
        }
        Err(error) => Outcome::Failed(lost(&error)),
    }
}

/// Says what an interrupted run did not come to.
fn left_over(low: &LowState, report: &RunReport) -> Option<Diagnostic> {
    const SHOWN: usize = 10;
    let done: std::collections::HashSet<&str> = report.chunks.iter().map(|chunk| chunk.tag.as_str()).collect();
    let left: Vec<String> = low
        .chunks
        .iter()
        .filter(|chunk| !done.contains(chunk.tag().as_str()))
        .map(|chunk| format!("{} ({})", chunk.id, chunk.full_name()))
        .collect();
    if left.is_empty() {
        return None;
    }
    let more = if left.len() > SHOWN { format!(" and {} more", left.len() - SHOWN) } else { String::new() };
    let (all, shown) = (low.chunks.len(), left.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "));
    let done = all - left.len();
    Some(Diagnostic::warning(format!("interrupted: {done} of {all} states were done; not run: {shown}{more}")))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(Value::Str(text)) => {
            text.split(',').map(|word| word.trim().to_owned()).filter(|w| !w.is_empty()).collect()
        }
        None | Some(Value::Null) => vec![],
        Some(other) => vec![python::str(other)],
    }
}

/// Compiles what the call names.
fn compile(
    session: &Arc<Session>,
    call: &Call,
    data: &Arc<Data>,
    env: &str,
    loader: &Loader,
) -> Result<Compiled, Vec<Diagnostic>> {
    let options = options(session, call);
    let registry = &session.corpus.registry;
    match call.fun.as_str() {
        "state.single" => {
            let fun = call.text(0, "fun").ok_or_else(|| wrong(&call.missing("fun")))?;
            let mut args = call.kwargs.clone();
            for key in ["fun", "test", "pillar", "saltenv", "pillarenv", "queue"] {
                args.remove(key);
            }
            if let Some(name) = call.args.get(1) {
                args.insert("name", name.clone());
            }
            corpus_compile::compile_single(&fun, &args, registry, &options)
        }
        "state.high" => {
            let high = call.arg(0, "data").cloned().ok_or_else(|| wrong(&call.missing("data")))?;
            corpus_compile::compile_high(&high, registry, &options)
        }
        "state.template_str" => {
            let text = call.text(0, "tem").ok_or_else(|| wrong(&call.missing("tem")))?;
            let template = loader.text(&text, "<template-str>", env).map_err(|error| vec![error])?;
            corpus_compile::compile_template(template, loader, registry, &options)
        }
        "state.sls_id" => {
            let id = call.text(0, "id").ok_or_else(|| wrong(&call.missing("id")))?;
            let names = texts(call.arg(1, "mods"));
            corpus_compile::compile_sls(&names, env, loader, registry, &options)?
                .keep_id(&id, &names, env)
                .map_err(|error| vec![error])
        }
        _ => match texts(call.arg(0, "mods").or_else(|| call.kwargs.get("sls"))) {
            names if !names.is_empty() && call.fun != "state.highstate" => {
                corpus_compile::compile_sls(&names, env, loader, registry, &options)
            }
            _ => {
                let top = top(session, call, data, loader)?;
                if top.matches.is_empty() {
                    return Err(vec![nothing_matches(session, &top)]);
                }
                let options = CompileOptions { named_at: top.places, ..options };
                corpus_compile::compile_top(&top.matches, loader, registry, &options)
            }
        },
    }
}

/// Salt's words when a highstate is empty, with the way on.
fn nothing_matches(session: &Session, top: &TopMatches) -> Diagnostic {
    let error = Diagnostic::error("No Top file or master_tops data matches found.");
    if top.files > 0 {
        return error.hint(format!("no target of the top file matches `{}`", session.id));
    }
    let roots: Vec<String> =
        session.corpus.config.file_roots.values().flatten().map(|root| root.display().to_string()).collect();
    error.hint(format!("there is no top.sls in {}; `state.apply NAME` needs none", roots.join(", ")))
}

fn wrong(error: &ExecError) -> Vec<Diagnostic> {
    vec![Diagnostic::error(error.to_string())]
}

fn loader(session: &Arc<Session>, data: &Arc<Data>) -> Loader {
    Loader::new(session.clone(), data.clone(), TemplateCaller::new(session.clone(), data.clone()))
}

fn options(session: &Session, call: &Call) -> CompileOptions {
    CompileOptions {
        strict: session.corpus.config.strict,
        exclude: texts(call.kwargs.get("exclude")),
        disabled_requisites: texts(session.corpus.config.opts.get("disabled_requisites")),
        plain: call.fun == "state.show_low_sls",
        keep_high: ["state.show_sls", "state.show_highstate"].contains(&call.fun.as_str()),
        ..CompileOptions::default()
    }
}

/// Reads the top files and matches them against the minion.
fn top(session: &Arc<Session>, call: &Call, data: &Data, loader: &Loader) -> Result<TopMatches, Vec<Diagnostic>> {
    let nodegroups = session.corpus.nodegroups();
    let target = |expression: &str, kind: &str| {
        let kind = TargetKind::of(kind).ok_or_else(|| {
            let known: Vec<&str> = TargetKind::words().collect();
            let near = suggest::did_you_mean(kind, known.iter().copied());
            let near = near.unwrap_or_else(|| format!("there are {}", known.join(", ")));
            format!("Attempting to match with unknown matcher: {kind} ({near})")
        })?;
        Target::parse(expression, kind, &nodegroups)
    };
    let matches = |expression: &str, kind: &str| Ok(target(expression, kind)?.matches(data));
    let config = &session.corpus.config;
    let options = TopOptions {
        merging: match config.text("top_file_merging_strategy") {
            Some("same") => Merging::Same,
            Some("merge_all") => Merging::MergeAll,
            _ => Merging::Merge,
        },
        state_top: config.text("state_top").map_or("top", |name| name.trim_end_matches(".sls")).to_owned(),
        env_order: texts(config.opts.get("env_order")),
        default_top: config.text("default_top").map(str::to_owned),
        state_top_saltenv: config.text("state_top_saltenv").map(str::to_owned),
        saltenv: call.kwargs.str("saltenv").or_else(|| config.text("saltenv")).map(str::to_owned),
    };
    let top = corpus_compile::top::top_matches(loader, &options, &matches)?;
    fileserver::lock(&session.warnings).extend(top.warnings.iter().cloned());
    Ok(top)
}

fn failed(errors: &[Diagnostic]) -> ExecError {
    let text: String = errors.iter().map(|error| error.to_text(None)).collect();
    ExecError::Failed(text.trim_end().to_owned())
}

fn named(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Compiled, ExecError> {
    let names = texts(call.arg(0, "mods"));
    if names.is_empty() {
        return Err(call.missing("mods"));
    }
    let env = saltenv(session, call);
    let loader = loader(session, data);
    corpus_compile::compile_sls(&names, &env, &loader, &session.corpus.registry, &options(session, call))
        .map_err(|errors| failed(&errors))
}

/// Compiles the SLS files that a call names, or the highstate.
pub(super) fn compiled(
    session: &Arc<Session>,
    call: &Call,
    data: &Arc<Data>,
    env: &str,
) -> Result<Compiled, ExecError> {
    compile(session, call, data, env, &loader(session, data)).map_err(|errors| failed(&errors))
}

fn highstate(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Compiled, ExecError> {
    let loader = loader(session, data);
    top(session, call, data, &loader)
        .and_then(|top| {
            let options = CompileOptions { named_at: top.places, ..options(session, call) };
            corpus_compile::compile_top(&top.matches, &loader, &session.corpus.registry, &options)
        })
        .map_err(|errors| failed(&errors))
}

fn low_list(compiled: &Compiled) -> Value {
    Value::list(compiled.lowstate().into_iter().map(Value::from).collect())
}

fn show_sls(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    named(call, session, data).map(|compiled| compiled.high)
}

fn show_low_sls(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    named(call, session, data).map(|compiled| low_list(&compiled))
}

fn show_lowstate_sls(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    named(call, session, data).map(|compiled| low_list(&compiled))
}

fn show_highstate(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    highstate(call, session, data).map(|compiled| compiled.high)
}

fn show_lowstate(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    highstate(call, session, data).map(|compiled| low_list(&compiled))
}

fn show_top(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let top = top(session, call, data, &loader(session, data)).map_err(|errors| failed(&errors))?;
    Ok(top.matches.into_iter().map(|(env, names)| (env, Value::from(names))).collect::<Map>().into())
}

fn show_states(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let compiled = highstate(call, session, data)?;
    let mut names: Vec<&str> = vec![];
    for chunk in &compiled.low.chunks {
        if !names.contains(&&*chunk.sls) {
            names.push(&chunk.sls);
        }
    }
    Ok(names.into())
}

fn sls_exists(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let env = saltenv(session, call);
    let loader = loader(session, data);
    let known = loader.list(&env);
    Ok(texts(call.arg(0, "mods")).iter().all(|name| known.contains(name)).into())
}

fn id_exists(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Result<Value, ExecError> {
    let ids = texts(call.arg(0, "ids"));
    if ids.is_empty() {
        return Err(call.missing("ids"));
    }
    let mut of_mods = Call { args: call.args.iter().skip(1).cloned().collect(), ..call.clone() };
    of_mods.fun = "state.show_low_sls".into();
    let low = named(&of_mods, session, data)?.low;
    Ok(ids.iter().all(|id| low.chunks.iter().any(|chunk| *chunk.id == **id)).into())
}

/// Makes a job id as Salt does: the time to the microsecond.
fn jid() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let (seconds, micros) = (now.as_secs() as i64, now.subsec_micros());
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}{micros:06}", clock / 3600, clock / 60 % 60, clock % 60)
}

/// Turns days since 1970 into a date (the usual era arithmetic of the proleptic Gregorian calendar).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn counts_days_as_the_calendar_does() {
        for (days, date) in [(0, (1970, 1, 1)), (19_782, (2024, 2, 29)), (20_778, (2026, 11, 21))] {
            assert_eq!(super::civil(days), date);
        }
    }
}
