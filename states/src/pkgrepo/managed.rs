//! `pkgrepo.managed`

use super::shared::{self, Line};
use corpus_core::decode::OneOrMany;
use corpus_core::host::Command;
use corpus_core::source::{FileOrigin, FileRequest};
use corpus_core::state::arguments;
use corpus_core::{
    Attrs, Content, Effect, Map, Observed, Plan, PlanCx, Prediction, Settled, State, StateError, Value, python,
};
use corpus_exec::{ask, pkg};
use serde::Deserialize;

/// Keeps a repository of packages configured, and its key known.
///
/// ```sls
/// deb [signed-by=/etc/apt/keyrings/x.asc] https://x.example.org/apt stable main:
///   pkgrepo.managed:
///     - file: /etc/apt/sources.list.d/x.list
///     - key_url: salt://keys/x.asc
///     - aptkey: False
/// ```
#[derive(Deserialize)]
pub struct Managed {
    /// The whole line for apt; the repository's id for yum.
    pub name: String,
    /// The repository's name for people.
    pub humanname: Option<String>,
    /// The file that holds it.
    pub file: Option<String>,
    /// The distribution, if not the line's.
    pub dist: Option<String>,
    /// Components, if not the line's.
    pub comps: Option<OneOrMany<String>>,
    /// Architectures to fetch.
    pub architectures: Option<OneOrMany<String>>,
    /// Where its key is.
    pub key_url: Option<OneOrMany<String>>,
    /// Its key itself.
    pub key_text: Option<String>,
    /// Its key's id on a key server.
    pub keyid: Option<OneOrMany<String>>,
    /// The key server.
    pub keyserver: Option<String>,
    /// Keys are known for all repositories; `False` keeps them to this one.
    pub aptkey: Option<Value>,
    /// The file of its key, beside `signed-by` in the line.
    pub signedby: Option<String>,
    /// A personal archive of Launchpad, `owner/name`.
    pub ppa: Option<String>,
    /// Empty the file first.
    #[serde(default)]
    pub clean_file: bool,
    /// Switch it off.
    #[serde(default)]
    pub disabled: bool,
    /// Switch it on or off.
    pub enabled: Option<Value>,
    /// Fetch the lists after a change.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Accepted for Salt's sake.
    pub refresh_db: Option<Value>,
    /// Accepted for Salt's sake: one line stands for it.
    pub consolidate: Option<Value>,
    /// Text beside the line.
    pub comments: Option<OneOrMany<Value>>,
}

fn yes() -> bool {
    true
}

/// Arguments that are not settings of a yum repository.
const NOT_YUM: [&str; 20] = [
    "name",
    "humanname",
    "file",
    "dist",
    "comps",
    "architectures",
    "key_url",
    "key_text",
    "keyid",
    "keyserver",
    "aptkey",
    "signedby",
    "ppa",
    "clean_file",
    "disabled",
    "enabled",
    "refresh",
    "refresh_db",
    "consolidate",
    "comments",
];

impl State for Managed {
    const NAME: &'static str = "pkgrepo.managed";
    const OPEN: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        if self.key_url.is_some() && (self.keyid.is_some() || self.keyserver.is_some()) {
            return Err(StateError::failed("You may not use both \"keyid\"/\"keyserver\" and \"key_url\" argument."));
        }
        if self.enabled.is_some() && self.disabled {
            return Err(StateError::failed("Only one of enabled/disabled is allowed"));
        }
        let mut plan = match (shared::is_apt(cx), shared::yum_folder(cx)) {
            (true, _) => self.apt(cx)?,
            (_, Some(folder)) => self.yum(cx, folder)?,
            _ => return Err(shared::unable()),
        };
        plan.unchanged = format!("Package repo '{}' already configured", self.name);
        if !plan.steps.is_empty() && self.refresh {
            let refresh = pkg::provider(cx.host)?.refresh();
            let predicts = vec![Prediction::Fact("pkg:refreshed".into(), true.into()), Prediction::Opaque];
            plan.steps.push(pkg::judged(refresh, predicts));
        }
        Ok(plan.says(
            format!(
                "Package repo '{}' would be configured. This may cause pkg states to behave differently than stated if \
                 this action is repeated without test=True, due to the differences in the configured repositories.",
                self.name
            ),
            format!("Configured package repo '{}'", self.name),
        ))
    }

    /// A repository that cannot be fetched is not configured.
    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        let mut settled = Settled::as_planned(plan);
        if let Some(output) = seen.iter().filter_map(Observed::output).find(|output| !output.ok()) {
            settled.result = false;
            settled.comment = format!("Failed to configure repo '{}': {}", self.name, ask::said(output));
        }
        Ok(settled)
    }
}

impl Managed {
    fn off(&self) -> bool {
        self.disabled
            || self
                .enabled
                .as_ref()
                .is_some_and(|on| !matches!(python::str(on).to_lowercase().as_str(), "1" | "true" | "yes"))
    }

    fn apt(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let mut plan = Plan::default();
        let ppa = self.ppa.clone().or_else(|| self.name.strip_prefix("ppa:").map(str::to_owned));
        if let Some(ppa) = ppa {
            let marker = format!("/{ppa}/ubuntu");
            let known =
                shared::apt_files(cx).iter().filter_map(|path| ask::text(cx.host, path).ok().flatten()).any(|text| {
                    text.lines().filter_map(Line::parse).any(|line| !line.disabled && line.uri.contains(&marker))
                });
            if !known {
                let command = Command::new(["add-apt-repository", "-y", "-n", &format!("ppa:{ppa}")]);
                plan.push(Effect::Exec(command), vec![Prediction::Opaque]);
                plan.changes.insert("repo", format!("ppa:{ppa}"));
            }
            return Ok(plan);
        }
        let text = self.name.replace("{codename}", codename(cx));
        let mut want = Line::parse(&text)
            .or_else(|| Line::parse(&format!("{text} {}", self.dist.as_deref()?)))
            .ok_or_else(|| {
                StateError::failed(format!(
                    "Failed to configure repo '{}': it is no one-line apt source (`deb URI DIST COMPONENTS`)",
                    self.name
                ))
            })?;
        if let Some(dist) = &self.dist {
            want.dist.clone_from(dist);
        }
        if let Some(comps) = &self.comps {
            want.comps = comps.0.iter().flat_map(|text| text.split(',')).map(|comp| comp.trim().to_owned()).collect();
        }
        if let Some(architectures) = &self.architectures {
            add_option(&mut want, "arch", &architectures.0.join(","));
        }
        if let Some(file) = &self.signedby {
            add_option(&mut want, "signed-by", file);
        }
        want.disabled = self.off();
        if let Some(comments) = &self.comments {
            want.comment = comments.0.iter().map(python::str).collect::<Vec<_>>().join(" ");
        }
        self.keys(cx, &want, &mut plan)?;
        let default = "/etc/apt/sources.list".to_owned();
        let path = self.file.clone().unwrap_or_else(|| {
            // A line that stands somewhere already stays there.
            shared::apt_files(cx)
                .into_iter()
                .find(|path| {
                    let text = ask::text(cx.host, path).ok().flatten().unwrap_or_default();
                    text.lines().filter_map(Line::parse).any(|line| line.same_place(&want))
                })
                .unwrap_or(default)
        });
        let have = ask::text(cx.host, &path)?.unwrap_or_default();
        let line = want.write();
        let (mut out, mut done) = (String::new(), false);
        if !self.clean_file || have.lines().filter(|text| Line::parse(text).is_some()).eq([line.as_str()]) {
            for text in have.lines() {
                match Line::parse(text).filter(|found| found.same_place(&want)) {
                    Some(_) if std::mem::replace(&mut done, true) => {}
                    Some(found) if found == want.beside(&found) => out += &format!("{text}\n"),
                    Some(found) => out += &format!("{}\n", want.beside(&found).write()),
                    None => out += &format!("{text}\n"),
                }
            }
        }
        if !done {
            out += &format!("{line}\n");
        }
        if out != have && out.trim_end() != have.trim_end() {
            plan.push(shared::write(cx, &path, out), vec![]);
            plan.changes.insert("repo", line);
        }
        Ok(plan)
    }

    /// Plans the repository's key: beside the line with `signed-by`, else among those that all trust.
    fn keys(&self, cx: &PlanCx<'_>, line: &Line, plan: &mut Plan) -> Result<(), StateError> {
        let signed_by = line.options.split(' ').find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned);
        let mut keys: Vec<(String, Vec<u8>)> = vec![];
        for url in self.key_url.iter().flat_map(|urls| &urls.0) {
            let bytes = if url.starts_with('/') {
                cx.host.read(url.as_ref())?
            } else {
                let origin = FileOrigin::Urls(vec![url.clone()]);
                let found = cx.resolve(&FileRequest { origin, saltenv: cx.saltenv(), template: None })?;
                cx.read_source(&found)?
            };
            keys.push((url.rsplit('/').next().unwrap_or(url).to_owned(), bytes));
        }
        if let Some(text) = &self.key_text {
            keys.push(("key".into(), text.clone().into_bytes()));
        }
        for (name, bytes) in keys {
            let armored = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
            let path = signed_by.clone().unwrap_or_else(|| {
                let stem = name.trim_end_matches(".asc").trim_end_matches(".gpg").trim_end_matches(".key");
                let stem = stem.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
                format!("/etc/apt/trusted.gpg.d/{stem}.{}", if armored { "asc" } else { "gpg" })
            });
            let dearmor = armored && path.ends_with(".gpg");
            // What gpg makes of the key is not compared: its file being there is enough.
            let same = match ask::text(cx.host, &path)? {
                Some(_) if dearmor => true,
                Some(_) => cx.host.read(path.as_ref())? == bytes,
                None => false,
            };
            if same {
                continue;
            }
            if let Some(folder) = std::path::Path::new(&path).parent()
                && !ask::is_dir(cx.host, folder)
            {
                plan.push(
                    Effect::Mkdir { path: folder.into(), attrs: Attrs { mode: Some(0o755), ..Attrs::default() } },
                    vec![],
                );
            }
            if dearmor {
                let command = Command::new(["gpg", "--batch", "--yes", "--dearmor", "-o", &path]).stdin(bytes);
                plan.push(Effect::Exec(command), vec![Prediction::Path(path.clone().into())]);
            } else {
                let attrs = Attrs { mode: Some(0o644), ..Attrs::default() };
                plan.push(
                    Effect::WriteFile {
                        path: path.clone().into(),
                        content: Content::Bytes(bytes),
                        attrs,
                        backup: None,
                    },
                    vec![],
                );
            }
            plan.changes.insert("key", path);
        }
        for id in self.keyid.iter().flat_map(|ids| &ids.0) {
            let path = signed_by.clone().unwrap_or_else(|| format!("/etc/apt/trusted.gpg.d/{}.gpg", id.to_lowercase()));
            if ask::exists(cx.host, &path) {
                continue;
            }
            let server = self.keyserver.clone().unwrap_or_else(|| "keyserver.ubuntu.com".into());
            let keyring = format!("gnupg-ring:{path}");
            let fetch = Command::new([
                "gpg",
                "--batch",
                "--no-default-keyring",
                "--keyring",
                &keyring,
                "--keyserver",
                &server,
                "--recv-keys",
                id,
            ]);
            plan.push(Effect::Exec(fetch), vec![Prediction::Path(path.clone().into())]);
            plan.push(Effect::Exec(Command::new(["chmod", "0644", &path])), vec![]);
            plan.changes.insert("key", path);
        }
        Ok(())
    }

    fn yum(&self, cx: &PlanCx<'_>, folder: &str) -> Result<Plan, StateError> {
        let path = self.file.clone().unwrap_or_else(|| format!("{folder}/{}.repo", self.name));
        let have = ask::text(cx.host, &path)?.unwrap_or_default();
        let before = shared::section(&have, &self.name);
        let mut settings = before.clone().unwrap_or_default();
        let mut set = |key: &str, value: String| _ = settings.insert(key, value);
        set(
            "name",
            self.humanname
                .clone()
                .unwrap_or_else(|| before.as_ref().and_then(|map| map.str("name")).unwrap_or(&self.name).to_owned()),
        );
        if before.is_none() || self.enabled.is_some() || self.disabled {
            set("enabled", u8::from(!self.off()).to_string());
        }
        for (key, value) in &arguments(cx.low) {
            let key = python::str(key);
            if !NOT_YUM.contains(&key.as_str())
                && !key.starts_with("__")
                && !corpus_core::keywords::is_engine_word(&key)
            {
                set(&key, shared::yum_value(value));
            }
        }
        if !["baseurl", "mirrorlist", "metalink"].iter().any(|key| settings.contains(key)) {
            return Err(StateError::failed(format!(
                "Failed to configure repo '{}': The repo does not exist and needs to be created, but none of the \
                 following arguments were passed: baseurl, mirrorlist, metalink",
                self.name
            )));
        }
        let mut plan = Plan::default();
        if before.as_ref() != Some(&settings) {
            for (key, value) in &settings {
                let old = before.as_ref().and_then(|map| map.get_value(key));
                if old != Some(value) {
                    let change: Map =
                        [("new", value.clone()), ("old", old.cloned().unwrap_or_default())].into_iter().collect();
                    plan.changes.insert(python::str(key), Value::map(change));
                }
            }
            plan.push(shared::write(cx, &path, shared::with_section(&have, &self.name, Some(&settings))), vec![]);
        }
        Ok(plan)
    }
}

fn codename<'a>(cx: &'a PlanCx<'_>) -> &'a str {
    cx.data.grains.get("oscodename").and_then(Value::as_str).unwrap_or_default()
}

fn add_option(line: &mut Line, key: &str, value: &str) {
    let mut options: Vec<String> = line
        .options
        .split(' ')
        .filter(|option| !option.is_empty() && !option.starts_with(&format!("{key}=")))
        .map(str::to_owned)
        .collect();
    options.push(format!("{key}={value}"));
    line.options = options.join(" ");
}
