//! `archive.extracted`

use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::{
    Attrs, Effect, FileKind, Observed, Owner, Plan, PlanCx, Prediction, Settled, State, StateError, Value, digest,
    python,
};
use corpus_exec::ask;
use serde::Deserialize;
use std::path::Path;

/// Keeps an archive's files unpacked in a directory.
///
/// ```sls
/// /opt/tool:
///   archive.extracted:
///     - source: https://example.org/tool-1.2.tar.gz
///     - source_hash: sha256=aa11
///     - enforce_toplevel: False
/// ```
#[derive(Deserialize)]
pub struct Extracted {
    /// The directory.
    pub name: String,
    /// The archive: `salt://…`, a URL, or a path of this machine; the first that exists of several.
    pub source: OneOrMany<String>,
    /// What the archive must hash to: `sha256=…` or the digest alone.
    pub source_hash: Option<String>,
    /// Accept an archive from the net without a hash.
    #[serde(default)]
    pub skip_verify: bool,
    /// `tar` or `zip`; else known by the archive's name.
    pub archive_format: Option<String>,
    /// Options of tar or unzip.
    pub options: Option<String>,
    /// Old name of `options`.
    pub tar_options: Option<String>,
    /// Who owns the files.
    pub user: Option<String>,
    /// The files' group.
    pub group: Option<String>,
    /// Do nothing if this path exists.
    pub if_missing: Option<String>,
    /// Unpack in any case.
    #[serde(default)]
    pub overwrite: bool,
    /// Remove the directory's content first.
    #[serde(default)]
    pub clean: bool,
    /// Replace what is of another kind.
    #[serde(default)]
    pub force: bool,
    /// Demand a single top-level directory.
    #[serde(default = "yes")]
    pub enforce_toplevel: bool,
    /// Show this many files at most; `True` is 100.
    pub trim_output: Option<Value>,
    /// Accepted for Salt's sake: the archive is kept by its digest.
    pub keep_source: Option<Value>,
    /// Accepted for Salt's sake.
    pub keep: Option<Value>,
    /// Accepted for Salt's sake.
    pub use_cmd_unzip: Option<Value>,
    /// Accepted for Salt's sake.
    pub list_options: Option<Value>,
    /// Not built: an archive with a password.
    pub password: Option<Value>,
    /// Accepted for Salt's sake.
    pub source_hash_update: Option<Value>,
}

fn yes() -> bool {
    true
}

impl State for Extracted {
    const NAME: &'static str = "archive.extracted";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let name = self.name.trim_end_matches('/');
        if !name.starts_with('/') {
            return Err(StateError::failed(format!("{} is not an absolute path", self.name)));
        }
        if self.password.as_ref().is_some_and(Value::truthy) {
            return Err(StateError::failed("The 'password' argument is not built"));
        }
        for word in ["signature", "source_hash_sig"] {
            if cx.low.args.get(word).is_some_and(Value::truthy) {
                return Err(StateError::failed(format!(
                    "The '{word}' argument is not built: no signature could be checked"
                )));
            }
        }
        if let Some(path) = &self.if_missing
            && ask::exists(cx.host, path)
        {
            return Ok(Plan::unchanged(format!("Path {path} exists")));
        }
        if cx.host.stat(name.as_ref())?.is_some_and(|meta| !meta.is_dir()) {
            return Err(StateError::failed(format!("{name} exists and is not a directory")));
        }
        let (source, path) = self.fetch(cx)?;
        let zip = match self.archive_format.as_deref() {
            Some("tar") => false,
            Some("zip") => true,
            Some(other) => {
                return Err(StateError::failed(format!("archive_format '{other}' is not built: only tar and zip are")));
            }
            None => match source.to_lowercase().split('?').next().unwrap_or_default() {
                url if url.ends_with(".zip") || url.ends_with(".jar") || url.ends_with(".war") => true,
                url if url.contains(".tar")
                    || [".tgz", ".tbz", ".tbz2", ".txz", ".tlz"].iter().any(|end| url.ends_with(end)) =>
                {
                    false
                }
                _ => {
                    return Err(StateError::failed(
                        "Could not guess archive_format from the value of the 'source' argument. Please set this \
                         archive_format to one of the following: tar, zip",
                    ));
                }
            },
        };
        let entries = list(cx, &path, zip)?;
        let mut tops: Vec<&str> =
            entries.iter().filter_map(|entry| entry.trim_start_matches("./").split('/').next()).collect();
        tops.retain(|top| !top.is_empty());
        tops.sort_unstable();
        tops.dedup();
        let single = tops.len() == 1 && entries.iter().any(|entry| entry.trim_start_matches("./").contains('/'));
        if self.enforce_toplevel && !single {
            return Err(StateError::failed(format!(
                "Archive does not have a single top-level directory. To allow this archive to be extracted, set \
                 'enforce_toplevel' to False. To avoid a '{}-bomb' it may also be advisable to set a top-level directory \
                 by adding it to the 'name' value (for example, setting 'name' to {name}/some_dir instead of {name}/).",
                if zip { "zip" } else { "tar" }
            )));
        }
        let strip = self.options.as_deref().or(self.tar_options.as_deref()).and_then(strip_components).unwrap_or(0);
        let mut missing = vec![];
        for entry in &entries {
            let Some(inside) = stripped(entry, strip) else { continue };
            let at = format!("{name}/{}", inside.trim_end_matches('/'));
            match cx.host.lstat(at.as_ref())? {
                None => missing.push(inside),
                Some(meta)
                    if inside.ends_with('/') != (meta.kind == FileKind::Dir)
                        && !matches!(meta.kind, FileKind::Symlink | FileKind::Other)
                        && !self.force =>
                {
                    return Err(StateError::failed(format!(
                        "The below paths (relative to {name}) exist, but are the incorrect type (file instead of \
                         directory, symlink instead of file, etc.). To proceed with extraction, set 'force' to True. \
                         Note that this will remove these paths before extracting.\n\n- {inside}"
                    )));
                }
                Some(_) => {}
            }
        }
        let owner =
            Attrs { user: self.user.clone().map(Owner::Name), group: self.group.clone().map(Owner::Name), mode: None };
        if missing.is_empty() && !self.overwrite {
            let mut plan = Plan::unchanged("All files in archive are already present");
            self.fix_owner(cx, name, &entries, strip, &mut plan)?;
            return Ok(plan.says(
                "All files in archive are already present. Ownership would be updated on one or more files/directories.",
                "All files in archive are already present",
            ));
        }
        let shown = python::str(&Value::from(source.as_str()));
        let clean = if self.clean { ", after cleaning destination path(s)" } else { "" };
        let why = if missing.is_empty() { "" } else { ", due to absence of one or more files/dirs" };
        let limit = match &self.trim_output {
            Some(Value::Bool(true)) => 100,
            Some(Value::Int(count)) => usize::try_from(*count).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let trimmed = if limit < entries.len() {
            format!(". Output was trimmed to {limit} number of lines")
        } else {
            String::new()
        };
        let mut plan = Plan::default().says(
            format!("Archive {shown} would be extracted to {name}/{clean}{why}"),
            format!("{shown} extracted to {name}/{why}{trimmed}"),
        );
        plan.repeats = self.overwrite;
        if self.clean {
            // Salt: only what the archive brings at its top is removed, not its neighbours.
            let mut removed: Vec<String> = tops.iter().map(|top| format!("{name}/{top}")).collect();
            removed.retain(|path| cx.host.lstat(path.as_ref()).is_ok_and(|meta| meta.is_some()));
            for path in &removed {
                plan.push(Effect::Remove { path: path.into() }, vec![]);
            }
            if !removed.is_empty() {
                plan.changes.insert("removed", removed);
            }
        }
        let mut folders: Vec<_> = Path::new(name).ancestors().take_while(|dir| !ask::exists(cx.host, dir)).collect();
        folders.reverse();
        if !folders.is_empty() {
            plan.changes.insert("directories_created", vec![format!("{name}/")]);
        }
        for folder in folders {
            plan.push(
                Effect::Mkdir { path: folder.into(), attrs: Attrs { mode: Some(0o755), ..owner.clone() } },
                vec![],
            );
        }
        plan.push(
            Effect::Exec(self.unpack(&path, zip)),
            entries
                .iter()
                .filter_map(|entry| stripped(entry, strip))
                .map(|inside| Prediction::Path(format!("{name}/{}", inside.trim_end_matches('/')).into()))
                .collect(),
        );
        if self.user.is_some() || self.group.is_some() {
            let who = match (&self.user, &self.group) {
                (Some(user), Some(group)) => format!("{user}:{group}"),
                (Some(user), None) => user.clone(),
                (None, group) => format!(":{}", group.as_deref().unwrap_or_default()),
            };
            let mut chown = Command::new(["chown", "-R", "-h", &who, "--"]);
            let mut paths: Vec<String> = entries
                .iter()
                .filter_map(|entry| stripped(entry, strip))
                .filter_map(|inside| inside.split('/').next().map(|top| format!("{name}/{top}")))
                .collect();
            paths.sort();
            paths.dedup();
            chown.argv.extend(paths);
            plan.push(Effect::Exec(chown), vec![]);
            plan.changes.insert("updated ownership", true);
        }
        // Salt: of a tar archive that it reads itself, folders are listed without their slash.
        let plain = !zip && self.options.is_none();
        let show = |entry: &String| if plain { entry.trim_end_matches('/').to_owned() } else { entry.clone() };
        plan.changes.insert("extracted_files", entries.iter().take(limit).map(show).collect::<Vec<_>>());
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, _: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(Settled::as_planned(plan))
    }
}

impl Extracted {
    fn fetch(&self, cx: &PlanCx<'_>) -> Result<(String, String), StateError> {
        if let Some(local) = self.source.0.iter().find(|url| url.starts_with('/') && ask::exists(cx.host, url)) {
            if let Some(want) = self.wanted_hash().filter(|_| !self.skip_verify) {
                self.verify(cx, local, local.as_ref(), &want)?;
            }
            return Ok((local.clone(), local.clone()));
        }
        let Some(first) = self.source.0.first() else {
            return Err(StateError::failed("Invalid source \"\""));
        };
        if first.starts_with('/') {
            return Err(StateError::missing(format!("Source file '{first}' does not exist")));
        }
        let want = self.wanted_hash();
        let remote = first.starts_with("http") || first.starts_with("ftp");
        if remote && want.is_none() && !self.skip_verify {
            return Err(StateError::failed(format!(
                "Unable to verify upstream hash of source file {first}, please set source_hash or set skip_verify to True"
            )));
        }
        let request =
            FileRequest { origin: FileOrigin::Urls(self.source.0.clone()), saltenv: cx.saltenv(), template: None };
        let found = cx.resolve(&request)?;
        let path = cx.source.fetch(&found)?;
        if let Some(want) = want {
            if want.len() == 64 && digest::hex(&found.sha256) == want {
                return Ok((found.url.clone(), path.to_string_lossy().into_owned()));
            }
            self.verify(cx, first, &path, &want)?;
        }
        Ok((found.url.clone(), path.to_string_lossy().into_owned()))
    }

    fn wanted_hash(&self) -> Option<String> {
        let hash = self.source_hash.as_deref().filter(|hash| !hash.is_empty())?;
        Some(hash.rsplit('=').next().unwrap_or(hash).trim().to_lowercase())
    }

    /// Refuses an archive that has not the digest which is asked for.
    fn verify(&self, cx: &PlanCx<'_>, shown: &str, path: &Path, want: &str) -> Result<(), StateError> {
        let program = match want.len() {
            32 => "md5sum",
            40 => "sha1sum",
            56 => "sha224sum",
            64 => "sha256sum",
            96 => "sha384sum",
            128 => "sha512sum",
            _ => {
                return Err(StateError::failed(format!("source_hash '{want}' is neither a digest nor `type=digest`")));
            }
        };
        let text = ask::output(cx.host, &Command::new([program, "--", &path.to_string_lossy()]))?;
        if text.split_whitespace().next().unwrap_or_default().trim_start_matches('\\') != want {
            return Err(StateError::failed(format!("{shown} does not match the desired source_hash {want}")));
        }
        Ok(())
    }

    fn unpack(&self, path: &str, zip: bool) -> Command {
        let options = self.options.as_deref().or(self.tar_options.as_deref()).unwrap_or_default();
        let words = super::super::r#cmd::shared::words(options);
        let mut command = if zip { Command::new(["unzip", "-o"]) } else { Command::new(["tar"]) };
        if !zip {
            // Salt: bare letters (`xzf`, `v`) are tar's own old style.
            let mut long = vec![];
            let mut letters = String::new();
            for word in words {
                if word.starts_with("--") {
                    long.push(word);
                } else {
                    letters.extend(word.trim_start_matches('-').chars().filter(|c| !"xf".contains(*c)));
                }
            }
            command.argv.push(format!("-x{letters}f"));
            command.argv.push(path.into());
            command.argv.extend(long);
            command.argv.extend(["-C".into(), self.name.trim_end_matches('/').into()]);
        } else {
            command.argv.extend(words);
            command.argv.extend([path.to_owned(), "-d".into(), self.name.trim_end_matches('/').into()]);
        }
        command
    }

    fn fix_owner(
        &self,
        cx: &PlanCx<'_>,
        name: &str,
        entries: &[String],
        strip: usize,
        plan: &mut Plan,
    ) -> Result<(), StateError> {
        let uid = match &self.user {
            Some(user) => {
                Some(cx.host.user(user)?.ok_or_else(|| StateError::missing(format!("User {user} does not exist")))?.uid)
            }
            None => None,
        };
        let gid = match &self.group {
            Some(group) => Some(
                cx.host.group(group)?.ok_or_else(|| StateError::missing(format!("Group {group} does not exist")))?.gid,
            ),
            None => None,
        };
        if uid.is_none() && gid.is_none() {
            return Ok(());
        }
        for inside in entries.iter().filter_map(|entry| stripped(entry, strip)) {
            let path = format!("{name}/{}", inside.trim_end_matches('/'));
            let wrong = cx
                .host
                .lstat(path.as_ref())?
                .is_some_and(|meta| uid.is_some_and(|uid| uid != meta.uid) || gid.is_some_and(|gid| gid != meta.gid));
            if wrong {
                let attrs = Attrs { user: uid.map(Owner::Id), group: gid.map(Owner::Id), mode: None };
                plan.push(Effect::Attrs { path: path.into(), attrs, follow: false }, vec![]);
                plan.changes.insert("updated ownership", true);
            }
        }
        Ok(())
    }
}

fn list(cx: &PlanCx<'_>, path: &str, zip: bool) -> Result<Vec<String>, StateError> {
    let command = if zip { Command::new(["unzip", "-Z1", path]) } else { Command::new(["tar", "-tf", path]) };
    let program = command.argv[0].clone();
    if cx.host.which(&program).is_none() {
        return Err(StateError::missing(format!(
            "{program} command not available, it might not be installed on minion"
        )));
    }
    let text = ask::output(cx.host, &command).map_err(|error| StateError::failed(error.to_string()))?;
    let all: Vec<String> = text.lines().filter(|line| !matches!(*line, "" | "./" | ".")).map(str::to_owned).collect();
    if let Some(bad) = all.iter().find(|entry| entry.starts_with('/') || entry.split('/').any(|part| part == "..")) {
        return Err(StateError::failed(format!(
            "Archive holds the path {bad}, which leads out of the directory; it is not extracted"
        )));
    }
    Ok(all)
}

fn strip_components(options: &str) -> Option<usize> {
    options.split_whitespace().find_map(|word| word.strip_prefix("--strip-components=")?.parse().ok().or(None)).or_else(
        || {
            let mut words = options.split_whitespace().skip_while(|word| *word != "--strip-components");
            words.nth(1)?.parse().ok()
        },
    )
}

/// Returns an entry's path without its first parts; `None` if nothing is left.
fn stripped(entry: &str, count: usize) -> Option<String> {
    let mut rest = entry.trim_start_matches("./");
    for _ in 0..count {
        rest = rest.split_once('/')?.1;
    }
    (!rest.is_empty()).then(|| rest.to_owned())
}
