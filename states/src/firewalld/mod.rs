//! What `firewalld.*` share.

use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan};

/// Judges the steps: what `firewall-cmd` refuses fails the state, in Salt's words.
pub fn settle(plan: &Plan, seen: &[Observed]) -> Settled {
    match seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
        None => Settled::as_planned(plan),
        Some(output) => {
            let said = corpus_exec::ask::said(output);
            Settled { result: false, changes: Map::new(), comment: format!("Error: firewall-cmd failed: {said}") }
        }
    }
}

/// What is missing of a list and what is too much of it.
pub fn difference(have: &[String], want: &[String]) -> (Vec<String>, Vec<String>) {
    let lacks = |from: &[String], of: &[String]| {
        let mut found: Vec<String> = Vec::new();
        for item in of.iter().filter(|item| !from.contains(item)) {
            if !found.contains(item) {
                found.push(item.clone());
            }
        }
        found
    };
    (lacks(have, want), lacks(want, have))
}
