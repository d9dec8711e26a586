//! The machine of a case: what its `facts` block says, in memory.
//!
//! ```yaml
//! files: {/etc/motd: text, /etc/shadow: {content: x, mode: '0640', owner: [0, 42]}}
//! dirs: {/srv: '0755', /home/joe: {mode: '0700', owner: [1000, 1000]}}
//! links: {/etc/link: target}
//! users: {joe: {uid: 1000, gid: 1000, home: /home/joe, shell: /bin/sh, fullname: Joe}}
//! groups: {joe: 1000, wheel: {gid: 10, members: [joe]}}
//! commands: {id -u: '0', 'false': {code: 1, stdout: ''}}
//! programs: [git]
//! salt: {salt://motd: text, salt://bin/run: {content: x, mode: '0755'}}
//! salt_dirs: [salt://empty]
//! salt_links: {salt://tree/link: target}
//! pillar: {}
//! grains: {}
//! opts: {}
//! calls: {service.status: true}       # answers of execution functions
//! predicted: {pkg:vim: '9'}           # facts that earlier steps predict
//! accumulated: [{filename: /x, name: acc, texts: [a]}]
//! watch: true                         # a watched state changed
//! ```

use corpus_core::exec::{Call, Caller, Data};
use corpus_core::fake::Fake;
use corpus_core::low::LowChunk;
use corpus_core::plan::Accumulate;
use corpus_core::source::{FileOrigin, FileRef, FileRequest, Source, SourceError, TreeEntry, TreeKind};
use corpus_core::{
    Act, Command, Content, Effect, ExecError, ExecFn, Group, HostError, Look, Meta, Observed, Output, Plan, PlanCx,
    Prediction, User, Value, digest, python,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A machine, its master's files and its data.
pub struct Machine {
    host: Fake,
    source: Files,
    caller: Calls,
    data: Data,
    pub accumulated: Vec<(u32, Accumulate)>,
    pub watch: bool,
}

struct Files {
    files: BTreeMap<String, (Vec<u8>, u32)>,
    dirs: Vec<String>,
    links: BTreeMap<String, String>,
}

struct Calls(Value);

/// Fetched files lie here on the machine, as in a minion's cache.
const CACHE: &str = "/var/cache/corpus/files";

fn mode_of(value: Option<&Value>, default: u32) -> u32 {
    value.and_then(|v| u32::from_str_radix(&python::str(v), 8).ok()).unwrap_or(default)
}

fn entries<'a>(facts: &'a Value, key: &str) -> impl Iterator<Item = (String, &'a Value)> {
    facts.get(key).and_then(Value::as_map).into_iter().flatten().map(|(k, v)| (python::str(k), v))
}

/// Reads `text` or `{content: text, mode: '0644'}`; `hex:` starts bytes that are no text.
fn file_of(value: &Value) -> (Vec<u8>, u32) {
    let content = value.get("content").unwrap_or(value);
    let text = if content.is_null() || content.as_map().is_some() { String::new() } else { python::str(content) };
    let bytes = match text.strip_prefix("hex:") {
        Some(digits) => {
            (0..digits.len() / 2).filter_map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()).collect()
        }
        None => text.into_bytes(),
    };
    (bytes, mode_of(value.get("mode"), 0o644))
}

impl Machine {
    /// Makes the machine that a `facts` block describes.
    pub fn of(facts: &str) -> Result<Self, String> {
        let facts =
            corpus_core::yaml::parse(facts).map_err(|e| format!("the facts block is no YAML: {e:?}"))?.to_value();
        let host = Fake::new();
        for (path, value) in entries(&facts, "dirs") {
            host.add_dir(&path, mode_of(value.get("mode").or(Some(value)), 0o755));
            own(&host, &path, value);
        }
        for (path, value) in entries(&facts, "files") {
            let (content, mode) = file_of(value);
            host.add_file(&path, content, mode);
            own(&host, &path, value);
        }
        for (path, value) in entries(&facts, "links") {
            host.add_link(&path, &python::str(value.get("target").unwrap_or(value)));
            own(&host, &path, value);
        }
        let number = |value: &Value, key: &str, default: u32| {
            value.get(key).and_then(Value::as_int).and_then(|i| u32::try_from(i).ok()).unwrap_or(default)
        };
        for (name, value) in entries(&facts, "users") {
            let uid = number(value, "uid", 1000);
            let text = |key: &str, default: &str| value.get(key).map_or_else(|| default.to_owned(), python::str);
            let (home, shell) = (text("home", &format!("/home/{name}")), text("shell", "/bin/sh"));
            let gecos = text("fullname", "");
            host.add_user(User { uid, gid: number(value, "gid", uid), gecos, home, shell, name });
        }
        for (name, value) in entries(&facts, "groups") {
            let gid = value.as_int().and_then(|i| u32::try_from(i).ok()).unwrap_or_else(|| number(value, "gid", 1000));
            let members = value.get("members").and_then(Value::as_list).unwrap_or_default();
            host.add_group(Group { name, gid, members: members.iter().map(python::str).collect() });
        }
        for (line, value) in entries(&facts, "commands") {
            let code = value.get("code").and_then(Value::as_int).unwrap_or(0) as i32;
            let stdout = value.get("stdout").or(if value.as_map().is_some() { None } else { Some(value) });
            host.answer(&line, code, &stdout.filter(|v| !v.is_null()).map(python::str).unwrap_or_default());
        }
        for program in facts.get("programs").and_then(Value::as_list).unwrap_or_default() {
            host.add_program(&python::str(program));
        }
        for (fact, value) in entries(&facts, "predicted") {
            host.predict(Prediction::Fact(fact, value.clone()));
        }
        let list = |value: &Value| value.as_list().unwrap_or_default().to_vec();
        let accumulated = list(facts.get("accumulated").unwrap_or(&Value::Null))
            .iter()
            .map(|a| {
                let text = |key: &str| a.get(key).map(python::str).unwrap_or_default();
                let texts = list(a.get("texts").unwrap_or(&Value::Null));
                (0, Accumulate { filename: text("filename"), name: text("name"), texts })
            })
            .collect();
        let data = |key: &str| facts.get(key).cloned().unwrap_or_else(|| Value::map(corpus_core::Map::new()));
        Ok(Self {
            host,
            source: Files {
                files: entries(&facts, "salt").map(|(url, value)| (url, file_of(value))).collect(),
                dirs: list(&data("salt_dirs")).iter().map(python::str).collect(),
                links: entries(&facts, "salt_links").map(|(url, value)| (url, python::str(value))).collect(),
            },
            caller: Calls(data("calls")),
            data: Data {
                id: "case".into(),
                saltenv: "base".into(),
                grains: data("grains"),
                pillar: data("pillar"),
                opts: data("opts"),
                ..Data::default()
            },
            accumulated,
            watch: facts.get("watch").is_some_and(Value::truthy),
        })
    }

    /// Returns what a state is given to plan with.
    pub fn cx<'a>(
        &'a self,
        low: &'a LowChunk,
        test: bool,
        accumulated: &'a [(u32, Accumulate)],
        chunks: &'a [LowChunk],
    ) -> PlanCx<'a> {
        PlanCx { host: self, source: self, caller: self, data: &self.data, low, test, accumulated, chunks }
    }

    /// Returns an effect that holds the content it writes: the machine in memory keeps no cache apart.
    fn held(&self, effect: &Effect) -> Effect {
        match effect {
            Effect::WriteFile { path, content: Content::File { path: from, .. }, attrs, backup } => {
                let bytes = self.host.read(from).unwrap_or_default();
                let (path, attrs, backup) = (path.clone(), attrs.clone(), backup.clone());
                Effect::WriteFile { path, content: Content::Bytes(bytes), attrs, backup }
            }
            other => other.clone(),
        }
    }

    /// Performs a plan; tells what was seen, and whether every program that must succeed did.
    pub fn perform(&self, plan: &Plan) -> (Vec<Observed>, bool) {
        let (mut seen, mut ok) = (vec![], true);
        for step in &plan.steps {
            let known = match &step.effect {
                Effect::Call { fun, .. } => self.caller.0.get(fun).cloned(),
                _ => None,
            };
            match known
                .map_or_else(|| self.host.perform(&self.held(&step.effect)), |value| Ok(Observed::Returned(value)))
            {
                Ok(observed) => {
                    ok &= !step.must_succeed || observed.output().is_none_or(Output::ok);
                    seen.push(observed);
                }
                Err(error) => panic!("the plan cannot be performed: {error}"),
            }
            step.predicts.iter().for_each(|prediction| self.host.predict(prediction.clone()));
        }
        (seen, ok)
    }
}

fn own(host: &Fake, path: &str, value: &Value) {
    if let Some([uid, gid]) = value.get("owner").and_then(Value::as_list) {
        let id = |v: &Value| v.as_int().and_then(|i| u32::try_from(i).ok()).unwrap_or(0);
        host.own(path, id(uid), id(gid));
    }
}

impl Source for Machine {
    fn resolve(&self, request: &FileRequest) -> Result<FileRef, SourceError> {
        let (url, bytes, mode) = match &request.origin {
            FileOrigin::Text(text) => (String::new(), text.clone().into_bytes(), 0o644),
            FileOrigin::Urls(urls) => {
                let found = urls.iter().find_map(|url| Some((url, self.source.files.get(url)?)));
                let (url, (bytes, mode)) =
                    found.ok_or_else(|| SourceError::NotFound(urls.join(", "), request.saltenv.clone()))?;
                (url.clone(), bytes.clone(), *mode)
            }
        };
        let sha256 = digest::sha256(&bytes);
        let size = bytes.len() as u64;
        self.host.add_file(&format!("{CACHE}/{}", &digest::hex(&sha256)[..12]), bytes, mode);
        Ok(FileRef { url, sha256, size, mode })
    }
    fn fetch(&self, file: &FileRef) -> Result<PathBuf, SourceError> {
        Ok(Path::new(CACHE).join(&digest::hex(&file.sha256)[..12]))
    }
    fn tree(&self, url: &str, _: &str) -> Result<Vec<TreeEntry>, SourceError> {
        let below = |path: &str| Some(path.strip_prefix(url.trim_end_matches('/'))?.strip_prefix('/')?.to_owned());
        let mut out: Vec<TreeEntry> = vec![];
        for (path, (_, mode)) in &self.source.files {
            out.extend(below(path).map(|path| TreeEntry { path, kind: TreeKind::File, mode: *mode }));
        }
        for path in &self.source.dirs {
            out.extend(below(path).map(|path| TreeEntry { path, kind: TreeKind::EmptyDir, mode: 0o755 }));
        }
        for (path, target) in &self.source.links {
            let kind = TreeKind::Symlink(target.clone());
            out.extend(below(path).map(|path| TreeEntry { path, kind, mode: 0o777 }));
        }
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }
    fn fire(&self, _: &str, _: &Value) -> Result<(), SourceError> {
        Ok(())
    }
}

impl Caller for Machine {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        if let Some(answer) = self.caller.0.get(&call.fun) {
            return Ok(answer.clone());
        }
        if call.fun == "slsutil.serialize" {
            let value = call.arg(1, "obj").cloned().unwrap_or_default();
            return match call.need(0, "serializer")?.as_str() {
                "yaml" => Ok(corpus_core::yaml::emit(&value, true).into()),
                "json" => serde_json::to_string(&value).map(Value::from).map_err(ExecError::failed),
                other => Err(ExecError::failed(format!("no serializer {other}"))),
            };
        }
        if call.fun == "slsutil.deserialize" {
            let text = call.need(1, "stream_or_string")?;
            return corpus_core::yaml::parse(&text)
                .map(|n| n.to_value())
                .map_err(|e| ExecError::failed(format!("{e:?}")));
        }
        let all = corpus_exec::all();
        let def = all.iter().find(|def| def.name == call.fun).ok_or_else(|| ExecError::NotFound(call.fun.clone()))?;
        match def.run {
            ExecFn::Data(run) => run(call, &self.data),
            ExecFn::Read(run) => run(call, self, &self.data),
            ExecFn::Write(run) => run(call, &self.host, &self.data),
        }
    }
    fn has(&self, fun: &str) -> bool {
        self.caller.0.get(fun).is_some() || corpus_exec::all().iter().any(|def| def.name == fun)
    }
    fn names(&self) -> Vec<String> {
        corpus_exec::all().iter().map(|def| def.name.to_owned()).collect()
    }
}

impl Look for Machine {
    fn lstat(&self, path: &Path) -> Result<Option<Meta>, HostError> {
        self.host.lstat(path)
    }
    fn stat(&self, path: &Path) -> Result<Option<Meta>, HostError> {
        self.host.stat(path)
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>, HostError> {
        self.host.read(path)
    }
    fn sha256(&self, path: &Path) -> Result<[u8; 32], HostError> {
        self.host.sha256(path)
    }
    fn read_link(&self, path: &Path) -> Result<PathBuf, HostError> {
        self.host.read_link(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<String>, HostError> {
        self.host.list(path)
    }
    fn query(&self, command: &Command) -> Result<Output, HostError> {
        self.host.query(command)
    }
    fn user(&self, name: &str) -> Result<Option<User>, HostError> {
        self.host.user(name)
    }
    fn user_by_id(&self, uid: u32) -> Result<Option<User>, HostError> {
        self.host.user_by_id(uid)
    }
    fn group(&self, name: &str) -> Result<Option<Group>, HostError> {
        self.host.group(name)
    }
    fn group_by_id(&self, gid: u32) -> Result<Option<Group>, HostError> {
        self.host.group_by_id(gid)
    }
    fn groups(&self) -> Result<Vec<Group>, HostError> {
        self.host.groups()
    }
    fn which(&self, program: &str) -> Option<PathBuf> {
        self.host.which(program)
    }
    fn predicted(&self, fact: &str) -> Option<Value> {
        self.host.predicted(fact)
    }
}
