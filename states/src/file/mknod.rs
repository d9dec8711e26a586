//! `file.mknod`

use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::host::Command;
use corpus_core::plan::Attrs;
use corpus_core::{Effect, FileKind, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use corpus_exec::file::perms::Want;
use serde::Deserialize;
use std::path::Path;

/// Keeps a device or a named pipe there. What is another kind of file, or another device, is never replaced.
///
/// ```sls
/// /run/app.fifo:
///   file.mknod:
///     - ntype: p
///     - mode: '0660'
/// ```
#[derive(Deserialize)]
pub struct Mknod {
    /// The path.
    pub name: String,
    /// `p` for a pipe, `c` for a character device, `b` for a block device.
    pub ntype: String,
    /// The device's major number.
    #[serde(default)]
    pub major: u32,
    /// Its minor number.
    #[serde(default)]
    pub minor: u32,
    /// Its owner.
    pub user: Option<Value>,
    /// Its group.
    pub group: Option<Value>,
    /// Its permissions.
    #[serde(default = "mode")]
    pub mode: Mode,
}

fn mode() -> Mode {
    Mode::Bits(0o600)
}

/// What `mknod` makes: its letter, its name at the beginning of a sentence and within one, `stat`'s name for it.
const KINDS: [(&str, &str, &str, &str); 3] = [
    ("c", "Character device", "character device", "character special file"),
    ("b", "Block device", "block device", "block special file"),
    ("p", "Fifo pipe", "fifo pipe", "fifo"),
];

impl State for Mknod {
    const NAME: &'static str = "file.mknod";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display().to_string();
        let Some((letter, title, word, stat)) = KINDS.into_iter().find(|(letter, ..)| *letter == self.ntype) else {
            return Err(failed(format!(
                "Node type unavailable: '{}'. Available node types are character ('c'), block ('b'), and pipe ('p')",
                self.ntype
            )));
        };
        let want = Want { user: self.user.clone(), group: self.group.clone(), mode: self.mode.bits() };
        shared::check_owner(cx, &want)?;
        let correct = Plan::unchanged(format!("{title} {shown} is in the correct state"));
        let numbers = if letter == "p" { String::new() } else { format!("{}/{}", self.major, self.minor) };
        let fact = format!("node:{shown}");
        let known = Value::from(format!("{letter} {numbers} {want:?}"));
        match cx.host.predicted(&fact) {
            Some(found) if found == known => return Ok(correct),
            Some(_) => return Err(StateError::missing(format!("{shown} is made by an earlier state, in another way"))),
            None => {}
        }
        let Some(have) = cx.host.stat(&path)? else {
            return self.make(cx, &path, title, &want, vec![Prediction::Fact(fact, known)]);
        };
        let refused = || failed(format!("File {shown} exists and is not a {word}. Refusing to continue"));
        if have.kind != FileKind::Other {
            return Err(refused());
        }
        let found =
            ask::output(cx.host, &Command::new(["stat", "-L", "-c", "%F|%Hr/%Lr", "--", &shown]).env("LC_ALL", "C"))?;
        let (kind, device) = found.trim().split_once('|').unwrap_or_default();
        if kind != stat {
            return Err(refused());
        }
        if letter != "p" && device != numbers {
            return Err(failed(format!(
                "{title} {shown} exists and has a different major/minor {device}. Refusing to continue"
            )));
        }
        let (attrs, changes) = want.drift(cx.host, &have)?;
        if attrs.is_empty() {
            return Ok(correct);
        }
        let mut plan = Plan::default().says(format!("The permissions of {shown} are set to be changed"), "");
        plan.changes = changes;
        Ok(plan.step(Effect::Attrs { path, attrs, follow: true }))
    }
}

impl Mknod {
    fn make(
        &self,
        cx: &PlanCx<'_>,
        path: &Path,
        title: &str,
        want: &Want,
        mut predicts: Vec<Prediction>,
    ) -> Result<Plan, StateError> {
        let shown = path.display().to_string();
        let mut plan = Plan::default()
            .says(format!("{title} {shown} is set to be created"), "")
            .change("new", format!("{title} {shown} created."));
        shared::make_parents(cx, &mut plan, path, &Attrs::default())?;
        let mode = Mode::show(want.mode.unwrap_or(0o600));
        let mut command = Command::new(["mknod", "-m", &mode, "--", &shown, &self.ntype]);
        if self.ntype != "p" {
            command.argv.extend([self.major.to_string(), self.minor.to_string()]);
        }
        predicts.push(Prediction::Path(path.into()));
        plan.exec(command, predicts);
        let attrs = Attrs { mode: None, ..want.attrs() };
        if !attrs.is_empty() {
            plan.push(Effect::Attrs { path: path.into(), attrs, follow: true }, vec![]);
        }
        Ok(plan)
    }
}
