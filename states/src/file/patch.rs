//! `file.patch`

use super::shared::{self, failed, sources};
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Command, Map, Output, Plan, PlanCx, Prediction, State, StateError, Value};
use corpus_exec::ask;
use corpus_exec::iptables::split;
use serde::Deserialize;
use std::path::Path;

/// Keeps a patch applied to a file, or to the files of a directory. Whether it is applied is asked of
/// `patch --dry-run`.
///
/// ```sls
/// /opt/app/config.py:
///   file.patch:
///     - source: salt://app/config.patch
/// ```
#[derive(Deserialize)]
pub struct Patch {
    name: String,
    /// The patch.
    #[serde(default)]
    source: Value,
    /// Its digest, or where it is written.
    #[serde(default)]
    source_hash: Value,
    /// The name that the digest is written under.
    source_hash_name: Option<String>,
    /// Take a patch from the web without a digest.
    #[serde(default)]
    skip_verify: bool,
    /// Render it with this engine.
    template: Option<String>,
    /// Variables for the template.
    context: Option<Value>,
    /// Variables for the template, unless `context` has them.
    defaults: Option<Value>,
    /// Further options of `patch`.
    #[serde(default)]
    options: String,
    /// Where `patch` writes what it could not apply.
    reject_file: Option<String>,
    /// How many leading folders to take off the names in a patch of a directory.
    strip: Option<u32>,
}

impl Patch {
    fn command(&self, directory: bool, patch: &[u8], more: &[&str]) -> Result<Command, StateError> {
        let mut command = Command::new(["patch"]).stdin(patch);
        let (mut strip, mut options) = (self.strip, split(&self.options).into_iter());
        while let Some(option) = options.next() {
            let refused = ["-N", "--forward", "-r", "--reject-file", "-o", "--output"];
            if let Some(bad) = refused.iter().find(|bad| option.starts_with(**bad)) {
                return Err(failed(format!("The following CLI options are not allowed: {bad}")));
            }
            let number = |text: Option<&str>| {
                let text = text.and_then(|text| text.parse().ok());
                text.ok_or_else(|| {
                    failed("Invalid format for '-strip' CLI option. Consider using the 'strip' option for this state.")
                })
            };
            match option.strip_prefix("-p").or_else(|| option.strip_prefix("--strip=")) {
                Some(text) => strip = Some(number(Some(text))?),
                None if option == "--strip" => strip = Some(number(options.next().as_deref())?),
                None => command.argv.push(option),
            }
        }
        command.argv.extend(more.iter().map(|word| (*word).to_owned()));
        command.argv.push(format!("--reject-file={}", self.reject_file.as_deref().unwrap_or("-")));
        command.argv.extend(["-i".into(), "-".into()]);
        if directory {
            command.argv.extend(["-d".into(), self.name.clone(), format!("-p{}", strip.unwrap_or(0))]);
        } else {
            command.argv.push(self.name.clone());
        }
        Ok(command)
    }
}

fn shown(output: &Output) -> Map {
    let text = |text: String| Value::from(text.trim_end());
    let parts: [(&str, Value); 3] = [
        ("retcode", output.code.into()),
        ("stdout", text(output.stdout_text())),
        ("stderr", text(output.stderr_text())),
    ];
    parts.into_iter().collect()
}

impl State for Patch {
    const NAME: &'static str = "file.patch";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        cx.program("patch", "patch")?;
        let Some(meta) = cx.host.stat(&path)? else {
            return Err(StateError::missing(format!("{} does not exist", self.name)));
        };
        let spec = sources::Spec {
            file: Path::new("/"),
            source: &self.source,
            source_hash: &self.source_hash,
            source_hash_name: self.source_hash_name.as_deref(),
            skip_verify: self.skip_verify,
            template: sources::template(self.template.as_deref(), &self.context, &self.defaults, Map::new())?,
        };
        let found = spec.find(cx)?.ok_or_else(|| failed("Failed to cache patch file"))?;
        let patch = found.wanted.read(cx)?;
        let ask = |more: &[&str]| -> Result<Output, StateError> {
            Ok(cx.host.query(&self.command(meta.is_dir(), &patch, more)?)?)
        };
        let forth = ask(&["--dry-run", "--forward"])?;
        if !forth.ok() {
            if ask(&["--dry-run", "--reverse", "--force"])?.ok() {
                return Ok(Plan::unchanged("Patch was already applied"));
            }
            if forth.code > 1 {
                return Err(StateError::failed(ask::said(&forth)));
            }
            let hint = match self.reject_file {
                Some(_) => "",
                None => " Run state again using the reject_file option to save rejects to a persistent file.",
            };
            let head = "Patch would not apply cleanly, no changes made. Results of dry-run are below.";
            return Err(failed(format!("{head}{hint}\n\n{}", ask::said(&forth))));
        }
        let mut plan = Plan { changes: shown(&forth), ..Plan::default() };
        let command = self.command(meta.is_dir(), &patch, &["--forward"])?;
        plan.attempt(command, vec![Prediction::Path(path)]);
        Ok(plan.says("The patch would be applied", "Patch successfully applied"))
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if let Some(output) = seen.iter().find_map(Observed::output) {
            settled.changes = [("pid", output.pid)].into_iter().collect();
            settled.changes.0.extend(shown(output).0);
            settled.result = output.ok();
            if !output.ok() {
                settled.comment = "Failed to apply patch".into();
            }
        }
        Ok(settled)
    }
}
