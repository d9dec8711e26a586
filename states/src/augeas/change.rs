//! `augeas.change`

use corpus_core::{Command, Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::ask;
use corpus_exec::file::diff;
use corpus_exec::iptables::split;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Keeps values in a configuration file, by the tree that Augeas makes of it. `augtool` computes the new text and
/// changes nothing.
///
/// ```sls
/// ntp:
///   augeas.change:
///     - context: /files/etc/hosts
///     - changes:
///       - set 01/ipaddr 192.168.1.1
///       - set 01/canonical localhost
/// ```
#[derive(Deserialize)]
pub struct Change {
    /// Any name.
    pub name: String,
    /// The file that paths start from: `/files/etc/hosts`.
    pub context: Option<String>,
    /// Commands: `set`, `setm`, `mv`, `move`, `ins`, `insert`, `rm`, `remove`.
    #[serde(default)]
    pub changes: Value,
    /// The lens to read the file with, if Augeas does not know by itself.
    pub lens: Option<String>,
    /// Folders with further lenses.
    pub load_path: Option<Vec<String>>,
}

/// A command with its paths in full.
struct Order {
    verb: &'static str,
    words: Vec<String>,
    /// The path that it changes.
    path: String,
}

fn invalid(command: &str) -> StateError {
    StateError::failed(format!("Error: Invalid formatted command, see debug log for details: {command}"))
}

impl Change {
    fn full(&self, path: &str) -> String {
        match &self.context {
            None => path.to_owned(),
            Some(context) if path.starts_with(context.as_str()) => path.to_owned(),
            Some(context) if path.trim_start_matches('/').is_empty() => context.clone(),
            Some(context) => format!("{}/{}", context.trim_end_matches('/'), path.trim_start_matches('/')),
        }
    }

    fn order(&self, command: &str) -> Result<Order, StateError> {
        let (verb, rest) = command.split_once(' ').ok_or_else(|| invalid(command))?;
        let mut words = split(rest);
        let (verb, counts, at) = match verb {
            "set" => ("set", 1..=2, 0),
            "setm" => ("setm", 2..=3, 0),
            "mv" | "move" => ("mv", 2..=2, 0),
            "ins" | "insert" => ("ins", 3..=3, 2),
            "rm" | "remove" => ("rm", 1..=1, 0),
            other => return Err(StateError::failed(format!("Error: Command {other} is not supported (yet)"))),
        };
        if !counts.contains(&words.len()) {
            return Err(invalid(command));
        }
        words[at] = self.full(&words[at]);
        let path = words[at].clone();
        Ok(Order { verb, words, path })
    }

    /// Finds the file whose tree the orders change: all of them the same.
    fn file(&self, cx: &PlanCx<'_>, orders: &[Order]) -> Result<PathBuf, StateError> {
        let mut found: Option<PathBuf> = None;
        for Order { path, .. } in orders {
            let Some(inner) = path.strip_prefix("/files") else {
                let text = format!("Changes should be prefixed with /files if no context is provided, change: {path}");
                return Err(StateError::failed(format!("Error: {text}")));
            };
            let mut at = Path::new(inner);
            while !cx.host.stat(at)?.is_some_and(|meta| meta.is_file()) {
                at = at.parent().ok_or_else(|| StateError::missing(format!("{inner}: there is no such file")))?;
            }
            match &found {
                Some(other) if other != at => {
                    return Err(StateError::failed(format!(
                        "Error: Changes should be made to one file at a time, detected changes to {} and {}",
                        other.display(),
                        at.display()
                    )));
                }
                _ => found = Some(at.to_owned()),
            }
        }
        found.ok_or_else(|| StateError::failed("'changes' must be specified as a list"))
    }
}

const MARK: &str = "/corpus/mark";

/// Writes a word as `augtool` reads it.
fn quoted(word: &str) -> String {
    let quote = if word.contains('"') { '\'' } else { '"' };
    format!("{quote}{word}{quote}")
}

impl State for Change {
    const NAME: &'static str = "augeas.change";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let listed = self.changes.as_list().filter(|items| !items.is_empty());
        let listed = listed.ok_or_else(|| StateError::failed("'changes' must be specified as a list"))?;
        let commands: Vec<String> = listed.iter().map(python::str).collect();
        cx.program("augtool", "augeas-tools")?;
        let orders = commands.iter().map(|command| self.order(command)).collect::<Result<Vec<_>, _>>()?;
        let file = self.file(cx, &orders)?;
        let old = ask::text(cx.host, &file)?.unwrap_or_default();
        let line = |order: &Order| {
            let words: Vec<String> = order.words.iter().map(|word| quoted(word)).collect();
            format!("{} {}\n", order.verb, words.join(" "))
        };
        let mut script: String = orders.iter().map(line).collect();
        // Some commands print what they did: the new text begins behind a mark.
        script += &format!("set {MARK} here\nget {MARK}\npreview {}\n", quoted(&format!("/files{}", file.display())));
        let mut command = Command::new(["augtool"]);
        if let Some(lens) = &self.lens {
            command.argv.extend(["--noautoload".into(), format!("--transform={lens} incl {}", file.display())]);
        }
        for path in self.load_path.iter().flatten() {
            command.argv.extend(["--include".into(), path.clone()]);
        }
        let output = cx.host.query(&command.stdin(script))?;
        if !output.ok() || !output.stderr.is_empty() {
            return Err(StateError::failed(format!("Error: {}", ask::said(&output))));
        }
        let printed = output.stdout_text();
        let (_, new) = printed
            .split_once(&format!("{MARK} = here\n"))
            .ok_or_else(|| StateError::failed(format!("Error: augtool did not answer as expected: {printed}")))?;
        let mut plan = Plan::unchanged("No changes made");
        if new == old {
            return Ok(plan);
        }
        plan.push(Effect::text(&file, new), vec![]);
        let place = self.context.as_ref().map(|context| format!(" in file \"{context}\":\n")).unwrap_or_default();
        Ok(plan
            .change("diff", diff::bare(&old, new))
            .says(format!("Executing commands{place}{}", commands.join("\n")), "Changes have been saved"))
    }
}
