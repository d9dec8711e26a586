//! `fleet CONFIG_DIR MINIONS [THREADS]`: compiles the highstate of so many simulated minions in one process, as a call of
//! the whole fleet does, without machines behind them. For `tests/bench/fleet.py`.

#![expect(clippy::print_stdout, reason = "it is a program")]

use corpus_core::{Call, Data, ExecError, Map, ModuleFile, ModuleInfo, RunReport, Value};
use corpus_master::{Config, Corpus, Outcome, Overrides, Session, functions};
use corpus_wire::{Answered, Hello, Minion, RunRequest, Upstream, WireError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A minion that has grains and nothing else.
struct Simulated(Map);

fn no_machine<T>() -> Result<T, WireError> {
    Err(WireError::Protocol("a simulated minion has no machine".into()))
}

impl Minion for Simulated {
    fn hello(&self) -> Hello {
        Hello::default()
    }
    fn grains(&self) -> Result<Map, WireError> {
        Ok(self.0.clone())
    }
    fn set_data(&self, _: &Data) -> Result<(), WireError> {
        Ok(())
    }
    fn sync(&self, _: &[ModuleFile], _: &dyn Upstream) -> Result<Vec<ModuleInfo>, WireError> {
        Ok(vec![])
    }
    fn functions(&self) -> Result<Vec<String>, WireError> {
        Ok(vec![])
    }
    fn answer(&self, _: &Call) -> Result<Result<Answered, ExecError>, WireError> {
        no_machine()
    }
    fn run(&self, _: &RunRequest, _: &dyn Upstream) -> Result<RunReport, WireError> {
        no_machine()
    }
    fn collect(&self, _: &str) -> Result<Option<RunReport>, WireError> {
        no_machine()
    }
}

fn grains(i: usize) -> Map {
    let (os, family, release) =
        [("Debian", "Debian", "12"), ("Ubuntu", "Debian", "24.04"), ("Rocky", "RedHat", "9")][i % 3];
    let mut grains: Map = [("os", os), ("os_family", family), ("osrelease", release), ("kernel", "Linux")]
        .into_iter()
        .map(|(key, value)| (key, Value::from(value)))
        .collect();
    grains.insert("osfinger", format!("{os}-{release}"));
    grains.insert("num_cpus", (i % 64 + 1) as i64);
    grains.insert("roles", Value::list(vec![format!("role{}", i % 10).into(), "all".into()]));
    grains.insert("fqdn", format!("m{i}.example.org"));
    for k in 0..60 {
        grains.insert(format!("grain{k}"), format!("value {k} of {i}"));
    }
    grains
}

fn compile(corpus: &Arc<Corpus>, i: usize) -> Result<usize, String> {
    let minion = Box::new(Simulated(grains(i)));
    let session = Arc::new(Session::new(corpus.clone(), format!("m{i}"), minion));
    match functions::answer(&session, &Call::new("state.show_lowstate", vec![]), &|_| {}) {
        Outcome::Value(Value::List(chunks)) => Ok(chunks.len()),
        Outcome::Failed(failure) => Err(failure.message),
        _ => Err("no list of chunks".into()),
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn main() -> Result<(), String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [dir, count, rest @ ..] = &*words else { return Err("fleet CONFIG_DIR MINIONS [THREADS]".into()) };
    let count: usize = count.parse().map_err(|_| "MINIONS is a number")?;
    let threads: usize = rest.first().map_or(Ok(1), |n| n.parse()).map_err(|_| "THREADS is a number")?;
    let over = Overrides { config_dir: Some(dir.into()), ..Overrides::default() };
    let told = |errors: Vec<corpus_core::Diagnostic>| errors.iter().map(|e| e.to_text(None)).collect::<String>();
    let corpus = Config::load(&over).and_then(Corpus::new).map_err(told)?;
    let (next, chunks, begun) = (AtomicUsize::new(0), AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return Ok::<(), String>(());
                }
                chunks.fetch_add(compile(&corpus, i).map_err(|why| format!("m{i}: {why}"))?, Ordering::Relaxed);
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let chunks = chunks.into_inner();
    println!(
        "{{\"minions\": {count}, \"chunks\": {chunks}, \"seconds\": {seconds:.3}, \"resident_kib\": {}}}",
        resident_kib()
    );
    Ok(())
}
