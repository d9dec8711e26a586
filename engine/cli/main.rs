//! `corpus`: the command line. Words to a target and a call, a call to answers, answers to paper.

mod args;
mod demo;
mod lint;
mod output;
mod progress;
mod push;

use args::{Args, Format};
use clap::{CommandFactory, Parser};
use corpus_core::secret::mask;
use corpus_core::target::TargetKind;
use corpus_core::{Call, Diagnostic};
use corpus_master::{Config, Corpus, Extras, Failure, HostReturn, Kind, Outcome, Overrides, Progress, Selector};
use output::Outputter;
use output::paint::{Colour, Painter};
use output::sink::Sink;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Compiling is mostly making and dropping small values: this takes a sixth of the time off it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    corpus_master::no_core_dumps();
    let code = answer();
    let _ = std::io::Write::flush(&mut std::io::stdout());
    // Without the farewells of the allocator, which would give back page by page what the kernel takes at once.
    signal_hook::low_level::exit(i32::from(code));
}

/// Does what the command line says; returns the exit code.
fn answer() -> u8 {
    if let Some(code) = push::answer().or_else(reset_perms).or_else(demo::answer) {
        return code;
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Salt: 64 for a wrong command line; clap's own 2 says that a state failed.
            let code = if error.use_stderr() { 64 } else { 0 };
            let _ = error.print();
            return code;
        }
    };
    if let Some(shell) = args.completion {
        clap_complete::generate(shell, &mut Args::command(), "corpus", &mut std::io::stdout());
        return 0;
    }
    start_log(&args);
    match work(&args) {
        Ok(code) => code,
        Err(failure) => {
            let paint = Painter::decide(args.force_color, args.no_color, std::io::stderr().is_terminal());
            eprintln!("{}", paint.with(Colour::Red, &mask(&format!("error: {failure}"))));
            for hint in &failure.hints {
                eprintln!("hint: {}", mask(hint));
            }
            if failure.kind == Kind::Usage { 64 } else { 1 }
        }
    }
}

/// Recipes of projects start this program under another name, to set owners and modes.
fn reset_perms() -> Option<u8> {
    let mut words = std::env::args();
    let own = words.next()?;
    if own.rsplit('/').next() != Some(corpus_project::reset::NAME) {
        return None;
    }
    Some(match corpus_project::reset::run(&words.collect::<Vec<_>>()) {
        Ok(_) => 0,
        Err(why) => {
            eprintln!("error: {why}");
            64
        }
    })
}

fn start_log(args: &Args) {
    let level = match args.log_level.as_str() {
        "quiet" => "off",
        "critical" => "error",
        "warning" => "warn",
        "all" | "garbage" | "profile" => "trace",
        level => level,
    };
    let filter = level.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::WARN));
    let coloured = !args.no_color && std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Masking(std::io::stderr()))
        .with_ansi(coloured)
        .with_target(false)
        .without_time();
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// Hides secrets in what is logged; each event is written at once.
struct Masking(std::io::Stderr);

impl Write for Masking {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write_all(mask(&String::from_utf8_lossy(bytes)).as_bytes()).map(|()| bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

fn work(args: &Args) -> Result<u8, Failure> {
    if args.words.is_empty() {
        if std::env::args_os().len() > 1 {
            return Err(Failure::new(Kind::Usage, "no function is named").hint(GRAMMAR));
        }
        let _ = Args::command().print_help();
        return Ok(64);
    }
    let mut overrides = Overrides {
        config_dir: args.config_dir.clone(),
        file_roots: args.file_root.clone(),
        pillar_roots: args.pillar_root.clone(),
        roster_file: args.roster_file.clone(),
        id: args.id.clone(),
        timeout: args.timeout,
        max_procs: args.max_procs,
        accept_new_host_keys: args.accept_new_host_keys,
        strict: args.strict,
        timings: args.timings,
        show_secrets: args.show_secrets,
        local: args.local,
    };
    if args.words[0] == "lint" {
        return lint::run(args, overrides);
    }
    let mut corpus = start(&overrides)?;
    let (mut target, mut call) =
        args::split(&args.words, &|word| corpus.knows(word)).map_err(|error| Failure::new(Kind::Usage, error))?;
    if !corpus.knows(&call.fun) {
        return Err(unknown_function(&corpus, &call));
    }
    if args.watch {
        if call.fun != "reconcile" {
            return Err(Failure::new(Kind::Usage, format!("--watch is for `corpus reconcile`, not for {}", call.fun)));
        }
        call.kwargs.insert("watch", true);
    }
    if corpus.is_runner(&call.fun) {
        if let Some(target) = target {
            let what = format!("{} is the master's own and takes no target (`{target}`)", call.fun);
            return Err(Failure::new(Kind::Usage, what).hint(format!("`corpus {} …`", call.fun)));
        }
        stop_on_signals(&corpus)?;
        let answers = tell(args, 0, |note| corpus.runner(&call, note).map(|answer| vec![answer]))?;
        return Ok(if corpus.interrupted() { 130 } else { exit_code(args, &answers) });
    }
    // `corpus pillar.explain KEY MINION`, as a runner has it.
    if call.fun == "pillar.explain" && target.is_none() && call.args.len() == 2 {
        let minion = call.args.pop().map(|minion| corpus_core::python::str(&minion));
        if corpus.has_roster() && !args.local {
            target = minion;
        } else {
            overrides.id = minion;
            corpus = start(&overrides)?;
        }
    }
    // Documentation and runs without a roster concern this machine.
    let here = args.local || (target.is_none() && (call.fun.starts_with("sys.") || !corpus.has_roster()));
    if here && !args.local {
        overrides.local = true;
        corpus = start(&overrides)?;
    }
    stop_on_signals(&corpus)?;
    let answers = if here { call_here(args, &corpus, &call)? } else { call_fleet(args, &corpus, target, &call)? };
    Ok(if corpus.interrupted() { 130 } else { exit_code(args, &answers) })
}

/// The first ctrl-C ends the call in good order; the second one at once.
fn stop_on_signals(corpus: &Corpus) -> Result<(), Failure> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::{register, register_conditional_shutdown};
    let watch = || -> std::io::Result<()> {
        let (mut heard, bell) = std::os::unix::net::UnixStream::pair()?;
        for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
            // In this order: a signal must not find the flag that it set itself.
            register_conditional_shutdown(signal, code, corpus.interrupt.clone())?;
            register(signal, corpus.interrupt.clone())?;
            signal_hook::low_level::pipe::register(signal, bell.try_clone()?)?;
        }
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            if heard.read_exact(&mut [0]).is_ok() {
                eprintln!("interrupted: each run stops after the state at hand; once more leaves at once");
            }
        })?;
        Ok(())
    };
    watch().map_err(|error| Failure::new(Kind::Usage, format!("cannot watch for signals: {error}")))
}

fn start(overrides: &Overrides) -> Result<Arc<Corpus>, Failure> {
    #[cfg(feature = "ec2")]
    corpus_clouds::drivers::ec2::install(corpus_ec2_sdk::connect);
    start_with(overrides, |config| corpus_project::extras(config).and(corpus_clouds::extras(config)))
}

/// Starts with the trees of the configuration alone.
fn start_bare(overrides: &Overrides) -> Result<Arc<Corpus>, Failure> {
    start_with(overrides, |_| Extras::default())
}

fn start_with(overrides: &Overrides, extras: impl Fn(&Config) -> Extras) -> Result<Arc<Corpus>, Failure> {
    let told = |errors: Vec<Diagnostic>| {
        let text: String = errors.iter().map(|error| error.to_text(None)).collect();
        Failure::new(Kind::Usage, text.trim_end().trim_start_matches("error: "))
    };
    let config = Config::load(overrides).map_err(told)?;
    let extras = extras(&config);
    Corpus::extended(config, extras).map_err(told)
}

const GRAMMAR: &str =
    "the grammar is `corpus [TARGET] module.function [arguments]`; `corpus sys.list_functions` lists what there is";

fn unknown_function(corpus: &Corpus, call: &Call) -> Failure {
    let names = corpus.function_names();
    let fun = &call.fun;
    let failure = Failure::new(Kind::Usage, format!("'{fun}' is not available."));
    let module = |word: &str| names.iter().filter(|name| name.split_once('.').is_some_and(|(m, _)| m == word)).count();
    if let Some(hint) = corpus_core::suggest::did_you_mean(fun, names.iter().map(String::as_str)) {
        return failure.hint(hint);
    }
    if corpus.is_state(fun) {
        return failure.hint(format!("`{fun}` is a state function: `corpus state.single {fun} name=… key=value`"));
    }
    if let Some(why) = corpus.explain(fun) {
        return failure.hint(why);
    }
    let (first, rest) = fun.split_once('.').unwrap_or((fun, ""));
    if module(first) > 0 {
        let what = if rest.is_empty() { "it is a module" } else { "its module is there" };
        return failure.hint(format!("{what}: `corpus sys.list_functions {first}` lists the functions"));
    }
    failure.hint(GRAMMAR)
}

fn call_here(args: &Args, corpus: &Arc<Corpus>, call: &Call) -> Result<Vec<HostReturn>, Failure> {
    // Salt: the outputters call the machine at hand `local`.
    tell(args, 1, |note| corpus.local(call, args.grains_file.clone(), args.pipe, note).map(|answer| vec![answer])).map(
        |mut answers| {
            answers.iter_mut().for_each(|answer| answer.id = "local".into());
            answers
        },
    )
}

fn call_fleet(
    args: &Args,
    corpus: &Arc<Corpus>,
    target: Option<String>,
    call: &Call,
) -> Result<Vec<HostReturn>, Failure> {
    let text = target.unwrap_or_else(|| "*".into());
    let mut selector = Selector::new(kind(args), &text);
    (selector.batch, selector.subset) = (args.batch_size.clone(), args.subset);
    tell(args, 0, |note| corpus.fleet(&selector, call, note))
}

fn kind(args: &Args) -> TargetKind {
    let chosen = [
        (args.grain, TargetKind::Grain),
        (args.grain_pcre, TargetKind::GrainPcre),
        (args.pcre, TargetKind::Pcre),
        (args.list, TargetKind::List),
        (args.pillar_match, TargetKind::Pillar),
        (args.compound, TargetKind::Compound),
        (args.nodegroup, TargetKind::Nodegroup),
        (args.ipcidr, TargetKind::IpCidr),
    ];
    chosen.into_iter().find(|(flag, _)| *flag).map_or(TargetKind::Glob, |(_, kind)| kind)
}

/// Does the work while telling about it: live progress, answers as they come, warnings.
fn tell(
    args: &Args,
    local: usize,
    work: impl FnOnce(&(dyn Fn(Progress<'_>) + Sync)) -> Result<Vec<HostReturn>, Failure>,
) -> Result<Vec<HostReturn>, Failure> {
    let screen = args.out_file.is_none() && std::io::stdout().is_terminal();
    let paint = Painter::decide(args.force_color, args.no_color, screen);
    let err_paint = Painter::decide(args.force_color, args.no_color, std::io::stderr().is_terminal());
    let outputter = Outputter { args, paint };
    let sink = sink(args)?;
    let out = Mutex::new(sink);
    let live = progress::Live::new(std::io::stderr().is_terminal() && args.out != Some(Format::Quiet));
    let note = |progress: Progress<'_>| match progress {
        Progress::Event { id, event } => live.event(id, event),
        Progress::Done(answer) => {
            live.clear();
            for warning in &answer.warnings {
                eprint!("{}", err_paint.with(Colour::Yellow, &warning.to_text((local == 0).then_some(&*answer.id))));
            }
            if let Some(table) = &answer.timings {
                eprint!("timings of {}:\n{table}", answer.id);
            }
            let mut answer = answer.clone();
            if local == 1 {
                answer.id = "local".into();
            }
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            broken_pipe_is_fine(outputter.one(&answer, &mut *out).and_then(|()| out.flush()));
        }
    };
    let mut answers = work(&note)?;
    live.clear();
    if local == 1 {
        answers.iter_mut().for_each(|answer| answer.id = "local".into());
    }
    let mut out = out.into_inner().unwrap_or_else(PoisonError::into_inner);
    broken_pipe_is_fine(outputter.all(&answers, &mut out).and_then(|()| out.finish()));
    Ok(answers)
}

fn sink(args: &Args) -> Result<Sink, Failure> {
    let path = args.out_file.as_deref();
    Sink::open(path).map_err(|error| {
        let path = path.unwrap_or(Path::new("standard output")).display();
        Failure::new(Kind::Usage, format!("cannot write {path}: {error}"))
    })
}

/// Whoever reads us may leave early (`| head`); anything else that stops the output must be told.
fn broken_pipe_is_fine(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write the output: {error}");
        std::process::exit(74);
    }
}

/// One code for all: the worst of them; hosts that disagree in their failure give Salt's 20 no more.
fn exit_code(args: &Args, answers: &[HostReturn]) -> u8 {
    if !args.detailed_exitcode {
        return answers.iter().map(HostReturn::code).max().unwrap_or(0);
    }
    let changed = answers.iter().any(|answer| match &answer.outcome {
        Outcome::Run(report) => report.chunks.iter().any(|chunk| chunk.changed()),
        _ => false,
    });
    let failed = answers.iter().any(|answer| answer.code() != 0);
    u8::from(changed) * 2 + u8::from(failed) * 4
}
