//! One live line on the terminal while minions work.

use corpus_core::Event;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the line may change: a terminal over a slow link must not hold up the run.
const PACE: Duration = Duration::from_millis(80);

/// The live line. Says nothing when nobody watches.
pub struct Live {
    on: bool,
    state: Mutex<State>,
}

struct State {
    shown: bool,
    last: Option<Instant>,
    done: BTreeMap<String, u32>,
}

impl Live {
    /// Makes a line for a terminal, or a silent one.
    pub fn new(on: bool) -> Self {
        Self { on, state: Mutex::new(State { shown: false, last: None, done: BTreeMap::new() }) }
    }

    /// Takes note of what a minion does.
    pub fn event(&self, id: &str, event: &Event) {
        if !self.on {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match event {
            Event::Started { id: state_id, fun, .. } => {
                format!("{id}: {} done, now {fun} {state_id}", state.done.get(id).copied().unwrap_or(0))
            }
            Event::Finished(_) => {
                *state.done.entry(id.to_owned()).or_default() += 1;
                return;
            }
            Event::Fired { .. } | Event::Log { .. } => return,
        };
        if state.last.is_some_and(|last| last.elapsed() < PACE) {
            return;
        }
        (state.last, state.shown) = (Some(Instant::now()), true);
        let line: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        eprint!("\r\x1b[K{line}");
        let _ = std::io::stderr().flush();
    }

    /// Takes the line away, before something else is printed.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.shown) {
            eprint!("\r\x1b[K");
        }
    }
}
