//! What `pip.*` and `virtualenv.managed` share: which pip is meant, what is installed, requirement files.

use corpus_core::host::Command;
use corpus_core::plan::{Attrs, Content, Observed};
use corpus_core::{
    Effect, FileOrigin, FileRequest, Map, Owner, Plan, PlanCx, Prediction, StateError, Step, Value, digest, python,
};
use corpus_exec::fns::pip::{self, Requirement};
use std::collections::BTreeMap;

/// Which pip, run by whom and where.
#[derive(Default)]
pub struct Pip<'a> {
    pub bin_env: Option<&'a str>,
    pub user: Option<&'a str>,
    pub cwd: Option<&'a str>,
    pub env: Vec<(String, String)>,
    pub target: Option<&'a str>,
}

/// What is installed, by normal name: its own name, its version, and where an editable one lies.
pub type Have = BTreeMap<String, (String, String, Option<String>)>;

impl Pip<'_> {
    /// Names the place that packages go to, one way.
    pub fn place(&self) -> String {
        let path = self.target.or(self.bin_env).unwrap_or("system").trim_end_matches('/');
        path.split("/bin/p").next().unwrap_or(path).to_owned()
    }

    fn fact(&self, name: &str) -> String {
        format!("pip:{}:{}", self.place(), pip::normal(name))
    }

    /// The fact that a package will be there in these versions, or will not.
    pub fn predict(&self, name: &str, versions: Option<String>) -> Prediction {
        Prediction::Fact(self.fact(name), versions.map_or(Value::Bool(false), Value::from))
    }

    fn fresh(&self, cx: &PlanCx<'_>) -> bool {
        cx.host.predicted(&venv_fact(&self.place())).is_some_and(|known| known.truthy())
    }

    /// Makes a command.
    pub fn command<const N: usize>(&self, cx: &PlanCx<'_>, words: [&str; N]) -> Result<Command, StateError> {
        let mut command = match pip::program(cx.host, self.bin_env) {
            Some(command) => command,
            // An earlier step makes the environment.
            None if self.fresh(cx) => Command::new([format!("{}/bin/python", self.place()).as_str(), "-m", "pip"]),
            None => {
                let place = self.bin_env.map(|path| format!(" in virtualenv {path}")).unwrap_or_default();
                return Err(StateError::missing(format!(
                    "Could not find a `pip` binary{place}; install it first (`pkg.installed`, `virtualenv.managed`)"
                )));
            }
        };
        if let Some(user) = self.user
            && cx.host.user(user)?.is_none()
        {
            return Err(StateError::missing(format!("User '{user}' is not available")));
        }
        command.argv.extend(words.map(str::to_owned));
        command.runas = self.user.map(str::to_owned);
        command.cwd = self.cwd.map(Into::into);
        command.env = self.env.clone();
        Ok(command)
    }

    /// Lists what is installed on the machine as it is; nothing in an environment that is yet to be made.
    pub fn have(&self, cx: &PlanCx<'_>) -> Result<Have, StateError> {
        if self.fresh(cx) {
            return Ok(Have::new());
        }
        let mut command = self.command(cx, ["list", "--format=json"])?;
        command.argv.extend(self.target.into_iter().flat_map(|path| ["--path".to_owned(), path.to_owned()]));
        let text = |entry: &Value, key: &str| entry.get(key).map(python::str);
        Ok(pip::listed(cx.host, &command)?
            .iter()
            .filter_map(|entry| {
                let name = text(entry, "name")?;
                let editable = text(entry, "editable_project_location");
                Some((pip::normal(&name), (name, text(entry, "version")?, editable)))
            })
            .collect())
    }

    /// Tells whether a package is there, or will be.
    pub fn has(&self, cx: &PlanCx<'_>, have: &Have, name: &str) -> bool {
        match cx.host.predicted(&self.fact(name)) {
            Some(known) => known != Value::Bool(false),
            None => have.contains_key(&pip::normal(name)),
        }
    }

    /// Tells whether a requirement is met, or will be.
    pub fn meets(&self, cx: &PlanCx<'_>, have: &Have, wanted: &Requirement) -> bool {
        match cx.host.predicted(&self.fact(&wanted.name)) {
            Some(Value::Str(versions)) => {
                let exact = versions.strip_prefix("==").filter(|version| !version.contains([',', '*']));
                *versions == *wanted.versions() || exact.map_or(wanted.specs.is_empty(), |v| wanted.admits(v))
            }
            Some(_) => false,
            None => have.get(&pip::normal(&wanted.name)).is_some_and(|(_, version, _)| wanted.admits(version)),
        }
    }
}

/// The fact under which a step foretells a new, empty virtual environment.
pub fn venv_fact(path: &str) -> String {
    format!("virtualenv:{}", path.trim_end_matches('/'))
}

/// Adds an option with its value.
pub fn option(command: &mut Command, name: &str, value: Option<&Value>) {
    if let Some(value) = value.filter(|value| value.truthy()) {
        command.argv.extend([name.to_owned(), python::str(value)]);
    }
}

/// Adds an address: with a password in it by a configuration file without a name, which nobody else can read.
pub fn address(command: &mut Command, name: &str, value: Option<&str>) {
    match value {
        Some(url) if url.contains('@') => {
            let line = format!("{} = {}\n", name.trim_start_matches('-'), url.replace('%', "%%"));
            if let Some(file) = command.handed.first_mut() {
                file.extend(line.into_bytes());
                return;
            }
            let file = command.hand_over(format!("[global]\n{line}"));
            command.env.push(("PIP_CONFIG_FILE".into(), file));
            command.secret = true;
        }
        Some(url) => command.argv.extend([name.to_owned(), url.to_owned()]),
        None => {}
    }
}

/// Requirement files, made readable for pip.
#[derive(Default)]
pub struct Files {
    /// Paths that pip is given.
    pub paths: Vec<String>,
    /// Copies of the master's files: they are there only while pip runs.
    copies: Vec<(String, String)>,
    /// What they ask for.
    pub wanted: Vec<Requirement>,
    /// They hold something only pip can judge: an address, another file, an option.
    pub opaque: bool,
}

impl Files {
    /// Reads the files.
    pub fn read(cx: &PlanCx<'_>, files: &[String], cwd: Option<&str>) -> Result<Self, StateError> {
        let mut out = Self::default();
        for file in files {
            let path = if file.contains("://") {
                out.copy(cx, file, true, 0)?
            } else {
                let path = std::path::Path::new(cwd.unwrap_or("/")).join(file);
                let missing = || StateError::missing(format!("pip requirements file '{file}' not found"));
                let text = corpus_exec::ask::text(cx.host, &path)?.ok_or_else(missing)?;
                out.judge(&text);
                file.clone()
            };
            out.paths.push(path);
        }
        Ok(out)
    }

    /// Takes in a file of the master, and those that it names.
    fn copy(&mut self, cx: &PlanCx<'_>, url: &str, wanted: bool, depth: usize) -> Result<String, StateError> {
        let origin = FileOrigin::Urls(vec![url.into()]);
        let request = FileRequest { origin, saltenv: cx.saltenv(), template: None };
        let missing = |_| StateError::missing(format!("pip requirements file '{url}' not found"));
        let found = cx.resolve(&request).map_err(missing)?;
        let text = String::from_utf8_lossy(&cx.read_source(&found)?).into_owned();
        if depth > 8 {
            return Err(StateError::failed(format!("pip requirements file '{url}' includes itself")));
        }
        let folder = url.rsplit_once('/').map_or(url, |(folder, _)| folder);
        let (mut lines, mut own) = (String::new(), String::new());
        for line in text.lines() {
            let other = ["-r ", "--requirement ", "-c ", "--constraint "]
                .iter()
                .find_map(|word| Some((*word, line.trim().strip_prefix(word)?.trim())));
            match other {
                Some((word, file)) if !file.starts_with('/') => {
                    let url = if file.contains("://") { file.to_owned() } else { format!("{folder}/{file}") };
                    // A constraint asks for nothing, but what it rules out pip alone can tell.
                    let asks = word.starts_with("-r") || word.starts_with("--r");
                    self.opaque |= !asks;
                    lines += &format!("{word}{}\n", self.copy(cx, &url, wanted && asks, depth + 1)?);
                }
                _ => {
                    own += &format!("{line}\n");
                    lines += &format!("{line}\n");
                }
            }
        }
        if wanted {
            self.judge(&own);
        }
        let path = format!("/run/corpus-requirements-{}.txt", &digest::hex(&digest::sha256(lines.as_bytes()))[..16]);
        if !self.copies.iter().any(|(have, _)| *have == path) {
            self.copies.push((path.clone(), lines));
        }
        Ok(path)
    }

    fn judge(&mut self, text: &str) {
        for line in text.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap_or_default().trim();
            // Where packages come from does not say which.
            let source = ["-i ", "--index-url", "--extra-index-url", "--find-links", "-f ", "--trusted-host"];
            if line.is_empty() || line.starts_with('#') || source.iter().any(|word| line.starts_with(word)) {
                continue;
            }
            match Requirement::parse(line) {
                Some(wanted) => self.wanted.push(wanted),
                None => self.opaque = true,
            }
        }
    }

    /// Tells whether all they ask for is there; only pip knows for `opaque` ones.
    pub fn met(&self, cx: &PlanCx<'_>, pip: &Pip<'_>, have: &Have) -> bool {
        self.wanted.iter().all(|wanted| pip.meets(cx, have, wanted))
    }

    /// Adds the steps around pip's own: copies that its user alone can read, there while it runs.
    pub fn steps(&self, plan: &mut Plan, pip: &Pip<'_>, command: Command, predicts: Vec<Prediction>) {
        let user = pip.user.map(|user| Owner::Name(user.to_owned()));
        for (path, text) in &self.copies {
            let attrs = Attrs { user: user.clone(), group: None, mode: Some(0o600) };
            let content = Content::Bytes(text.clone().into_bytes());
            plan.push(Effect::WriteFile { path: path.into(), content, attrs, backup: None }, vec![]);
        }
        // The copies go also when pip fails: `settle` judges.
        plan.steps.push(Step { effect: Effect::Exec(command), predicts, must_succeed: false });
        for (path, _) in &self.copies {
            plan.push(Effect::Remove { path: path.into() }, vec![]);
        }
    }
}

/// Keeps name and version, for `settle` to compare.
pub fn memo(have: &Have) -> Value {
    have.values().map(|(name, version, _)| (name.as_str(), version.as_str())).collect::<Map>().into()
}

/// Returns Salt's words of a failure, if there was one.
pub fn failure(seen: &[Observed]) -> Option<String> {
    let output = seen.iter().rev().filter_map(Observed::output).find(|output| !output.ok())?;
    Some(format!("Error: {} {}", output.stdout_text().trim_end(), output.stderr_text().trim_end()))
}
