//! `--timings`: where the time of a call went. Nothing is measured unless it is asked for.

use crate::fileserver::lock;
use corpus_core::RunReport;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// What is measured. Times are those on the clock, and hold what is inside: a template's functions, a file's template.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Template,
    Function,
    State,
}

/// How often, and how long in all.
type Spent = (u32, Duration);

/// The measurements of one minion.
#[derive(Default)]
pub struct Timings {
    asked: bool,
    spent: Mutex<BTreeMap<(Part, String), Spent>>,
}

impl Timings {
    /// Begins to measure, if it is asked for.
    pub fn new(asked: bool) -> Self {
        Self { asked, spent: Mutex::default() }
    }

    /// Does some work and adds what it took.
    pub fn of<T>(&self, part: Part, name: &str, work: impl FnOnce() -> T) -> T {
        if !self.asked {
            return work();
        }
        let begun = Instant::now();
        let done = work();
        self.add(part, name, begun.elapsed());
        done
    }

    fn add(&self, part: Part, name: &str, took: Duration) {
        let mut spent = lock(&self.spent);
        let (times, sum) = spent.entry((part, name.to_owned())).or_default();
        *times += 1;
        *sum += took;
    }

    /// Adds what the minion measured of its states.
    pub fn states(&self, report: &RunReport) {
        if self.asked {
            for chunk in &report.chunks {
                let took = Duration::from_secs_f64(chunk.duration_ms.max(0.0) / 1e3);
                self.add(Part::State, &format!("{}.{} {}", chunk.state, chunk.fun, chunk.id), took);
            }
        }
    }

    /// Writes the slowest of each kind; `None` if nobody asked.
    pub fn table(&self) -> Option<String> {
        const SHOWN: usize = 10;
        let spent = lock(&self.spent);
        let mut out = String::new();
        for (part, title) in [(Part::Template, "templates"), (Part::Function, "functions"), (Part::State, "states")] {
            let mut rows: Vec<(&str, Spent)> =
                spent.iter().filter(|((of, _), _)| *of == part).map(|((_, name), spent)| (&**name, *spent)).collect();
            rows.sort_by_key(|row| std::cmp::Reverse(row.1.1));
            let all: Duration = rows.iter().map(|row| row.1.1).sum();
            let _ = writeln!(out, "  {title}: {} in {}", rows.len(), millis(all));
            for (name, (times, sum)) in rows.iter().take(SHOWN) {
                let _ = writeln!(out, "    {:>12}  {times:>6} ×  {name}", millis(*sum));
            }
        }
        self.asked.then_some(out)
    }
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
