//! Case files: Markdown with SLS files, real Salt's recorded answer, and the compiler's own messages.

#![allow(dead_code)]

use corpus_compile::{CompileOptions, Compiled, LoadError, Loaded, SlsLoader, top};
use corpus_core::{Diagnostic, Registry, Span, State, StateDef, StateError, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One case: a heading, fenced blocks.
#[derive(Default)]
pub struct Case {
    pub name: String,
    /// Environment and path, text.
    pub files: BTreeMap<(String, String), String>,
    /// What is called: SLS names and flags.
    pub call: String,
    /// Recorded from real Salt: chunks or errors, one JSON value a line.
    pub salt: Option<String>,
    pub salt_fails: bool,
    /// Why we do otherwise, where we do.
    pub differs: bool,
    /// Our messages.
    pub corpus: Option<String>,
}

/// Reads a case file.
pub fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = vec![];
    let mut lines = text.lines();
    let mut label = String::new();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("## ") {
            cases.push(Case { name: name.into(), call: "a".into(), ..Case::default() });
        } else if let Some(info) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let body = body.join("\n") + "\n";
            let Some(case) = cases.last_mut() else { continue };
            match info {
                "call" => case.call = body.trim().into(),
                "salt" => case.salt = Some(body),
                "salt-errors" => (case.salt, case.salt_fails) = (Some(body), true),
                "differs" => case.differs = true,
                "corpus" => case.corpus = Some(body),
                _ => {
                    let (env, path) = label.split_once(':').unwrap_or(("base", &label));
                    case.files.insert((env.into(), path.into()), body);
                }
            }
        } else if let Some(path) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            label = path.into();
        }
    }
    cases
}

/// A tree of plain YAML files.
pub struct Tree<'a>(pub &'a BTreeMap<(String, String), String>);

impl SlsLoader for Tree<'_> {
    fn load(&self, sls: &str, saltenv: &str) -> Result<Loaded, LoadError> {
        let path = sls.replace('.', "/");
        let found = [format!("{path}.sls"), format!("{path}/init.sls")].into_iter().find_map(|path| {
            let text = self.0.get(&(saltenv.to_owned(), path.clone()))?;
            Some((path, text))
        });
        let (path, text) = found.ok_or(LoadError::NotFound)?;
        let file: Arc<str> = path.into();
        match corpus_core::yaml::parse(text) {
            Ok(node) => Ok(Loaded { file, node }),
            Err(error) => {
                Err(LoadError::Failed(Diagnostic::error(error.to_string()).at(Span::new(file, error.pos), "")))
            }
        }
    }
    fn list(&self, saltenv: &str) -> Vec<String> {
        let paths = self.0.keys().filter(|(env, _)| env == saltenv).filter_map(|(_, path)| path.strip_suffix(".sls"));
        paths.map(|path| path.strip_suffix("/init").unwrap_or(path).replace('/', ".")).collect()
    }
    fn envs(&self) -> Vec<String> {
        let mut envs = vec!["base".to_owned()];
        for (env, _) in self.0.keys() {
            if !envs.contains(env) {
                envs.push(env.clone());
            }
        }
        envs
    }
}

/// A state that takes anything.
#[derive(serde::Deserialize)]
struct Anything {}

impl State for Anything {
    const NAME: &'static str = "test.nop";
    const OPEN: bool = true;
    fn plan(&self, _: &corpus_core::PlanCx<'_>) -> Result<corpus_core::Plan, StateError> {
        Err(StateError::failed("no test plans it"))
    }
}

/// A state with arguments of its own.
#[derive(serde::Deserialize)]
struct Strict {
    #[allow(dead_code)]
    name: String,
    #[allow(dead_code)]
    target: String,
    #[allow(dead_code)]
    makedirs: Option<bool>,
    #[allow(dead_code)]
    mode: Option<String>,
}

impl State for Strict {
    const NAME: &'static str = "file.symlink";
    fn plan(&self, _: &corpus_core::PlanCx<'_>) -> Result<corpus_core::Plan, StateError> {
        Err(StateError::failed("no test plans it"))
    }
}

/// State functions as Salt has them, as far as the compiler needs to know.
pub fn registry() -> Registry {
    let open = |name, watches| StateDef { name, watches, ..StateDef::of::<Anything>("", &[]) };
    let names = [
        "test.nop",
        "test.succeed_with_changes",
        "test.succeed_without_changes",
        "test.fail_without_changes",
        "test.configurable_test_state",
        "cmd.run",
        "cmd.wait",
        "pkg.installed",
        "pkg.latest",
        "service.running",
        "service.enabled",
    ];
    let quiet = ["file.managed", "file.directory", "file.absent", "file.append", "user.present", "group.present"];
    let defs: Vec<StateDef> =
        names.into_iter().map(|name| open(name, true)).chain(quiet.into_iter().map(|name| open(name, false))).collect();
    Registry::new().states(&defs).states(&[StateDef::of::<Strict>("", &[])])
}

/// Runs a case.
pub fn run(case: &Case) -> Result<Compiled, Vec<Diagnostic>> {
    let tree = Tree(&case.files);
    let mut opts = CompileOptions::default();
    let (mut names, mut env, mut how) = (vec![], "base".to_owned(), "sls");
    for word in case.call.split_whitespace() {
        match word {
            "--plain" => opts.plain = true,
            "--strict" => opts.strict = true,
            "--top" | "--template" | "--high" => how = &word[2..],
            _ => match word.split_once('=') {
                Some(("--disabled", word)) => opts.disabled_requisites.push(word.into()),
                Some(("--env", word)) => env = word.into(),
                _ => names.push(word.to_owned()),
            },
        }
    }
    let registry = registry();
    match how {
        "top" => {
            let found = top::top_matches(&tree, &top::TopOptions::default(), &|target, kind| {
                Ok(kind == "compound" && (target == "*" || target == "minion")
                    || kind == "list" && target.contains("minion"))
            })?;
            corpus_compile::compile_top(&found.matches, &tree, &registry, &opts)
        }
        "template" => {
            let Ok(mut loaded) = tree.load(&names[0], &env) else { panic!("{}: no template", case.name) };
            loaded.file = "<template-str>".into();
            corpus_compile::compile_template(loaded, &tree, &registry, &opts)
        }
        "high" => {
            let Ok(loaded) = tree.load(&names[0], &env) else { panic!("{}: no data", case.name) };
            corpus_compile::compile_high(&loaded.node.to_value(), &registry, &opts)
        }
        _ => corpus_compile::compile_sls(&names, &env, &tree, &registry, &opts),
    }
}

/// Parses JSON into a value.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Writes messages as they are shown, without excerpts.
pub fn shown(found: &[Diagnostic]) -> String {
    found.iter().map(|diagnostic| diagnostic.to_text(None)).collect()
}
