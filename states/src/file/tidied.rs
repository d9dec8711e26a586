//! `file.tidied`

use super::shared::{self, failed};
use corpus_core::decode::OneOrMany;
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::{pattern, walk};
use serde::Deserialize;

/// Removes files below a directory whose names match and that are large enough.
///
/// ```sls
/// /var/log/app:
///   file.tidied:
///     - matches: ['.*\.core$']
/// ```
#[derive(Deserialize)]
pub struct Tidied {
    name: String,
    /// How many days old a file must be. Salt: or large enough, so that it has no effect without `size`; where it
    /// has one, it is not built.
    #[serde(default)]
    age: i64,
    /// Regular expressions that a name must match from its start, one of them.
    #[serde(default)]
    matches: OneOrMany<String>,
    /// Regular expressions that spare a name.
    #[serde(default)]
    exclude: OneOrMany<String>,
    /// Removes directories that match, too.
    #[serde(default)]
    rmdirs: bool,
    /// Removes links that match, too.
    #[serde(default = "shared::yes")]
    rmlinks: bool,
    /// How many bytes a file must have, at least; `k`, `m`, `g`, `t` multiply.
    #[serde(default)]
    size: Value,
    /// Compares the whole path, not the name.
    #[serde(default)]
    full_path_match: bool,
    /// Whether `age` or `size` is enough (`OR`), or both must be met (`AND`).
    age_size_logical_operator: Option<String>,
    /// Looks at `age` or at `size` alone.
    age_size_only: Option<String>,
    /// Which time is compared with `age`; not built, as `age` is not.
    pub time_comparison: Option<Value>,
}

impl Tidied {
    /// Returns how many bytes a file must have.
    fn least(&self) -> Result<u64, StateError> {
        let size = self.bytes()?;
        let both = self.age_size_logical_operator.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("and"));
        let decided = match self.age_size_only.as_deref() {
            Some("age") => Some(0).filter(|_| self.age == 0),
            Some("size") => Some(size),
            _ if both => Some(size).filter(|_| self.age == 0),
            // One of them is enough, and each file has 0 bytes and 0 days.
            _ => Some(0).filter(|_| size == 0 || self.age == 0),
        };
        decided.ok_or_else(|| failed("file.tidied: `age` is not built; remove it, or use cmd.run with find"))
    }

    /// Reads `size`: a number, with `k`, `m`, `g` or `t` behind it.
    fn bytes(&self) -> Result<u64, StateError> {
        let text = python::str(&self.size).to_lowercase();
        if !self.size.truthy() {
            return Ok(0);
        }
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let factor = match text[digits.len()..].trim() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1_u64 << 40,
            _ => 0,
        };
        let number: Option<u64> = digits.parse().ok().filter(|_| factor > 0);
        number
            .map(|number| number * factor)
            .ok_or_else(|| failed(format!("file.tidied: `size` must be like 100, 5k or 1g, not {text}")))
    }
}

impl State for Tidied {
    const NAME: &'static str = "file.tidied";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display();
        let least = self.least()?;
        if !shared::is_dir(cx, &path)? {
            return Err(StateError::missing(format!("{shown} does not exist or is not a directory.")));
        }
        let compile = |many: &[String]| {
            many.iter().map(|regex| pattern::compile_match(regex, 0)).collect::<Result<Vec<_>, _>>().map_err(failed)
        };
        let (matches, exclude) = (compile(&self.matches.0)?, compile(&self.exclude.0)?);
        let mut plan = Plan::default();
        let mut removed = vec![];
        for found in walk::below(cx.host, &path, None)?.into_iter().rev() {
            let name = match self.full_path_match {
                true => found.path.to_string_lossy(),
                false => found.path.file_name().unwrap_or_default().to_string_lossy(),
            };
            let wanted = matches.is_empty() || matches.iter().any(|regex| pattern::found(regex, &name));
            let spared = exclude.iter().any(|regex| pattern::found(regex, &name));
            let kind = found.meta.is_dir() && !self.rmdirs || found.meta.is_symlink() && !self.rmlinks;
            let size = if found.meta.is_file() { found.meta.size } else { 0 };
            if wanted && !spared && !kind && size >= least {
                removed.push(found.path.display().to_string());
                plan.push(Effect::Remove { path: found.path }, vec![]);
            }
        }
        if removed.is_empty() {
            return Ok(Plan::unchanged(format!("Nothing to remove from directory {shown}")));
        }
        let did = format!("Removed {} files or directories from directory {shown}", removed.len());
        Ok(plan.says(format!("{shown} is set for tidy"), did).change("removed", removed))
    }
}
