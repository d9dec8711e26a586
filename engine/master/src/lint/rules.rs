//! The rules of `corpus lint`: what each finds, why that matters, and how bad it is. `docs/reference/lint.md` is made of
//! this table.

use std::fmt::Write;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth a look; never fails a lint.
    Info,
    /// Most likely a mistake.
    Warning,
    /// The states do not compile, or a run of them fails.
    Error,
}

impl Level {
    /// Returns its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    pub name: &'static str,
    pub level: Level,
    /// What it finds.
    pub what: &'static str,
    /// Why that is a mistake, and what to do.
    pub why: &'static str,
}

const fn rule(name: &'static str, level: Level, what: &'static str, why: &'static str) -> Rule {
    Rule { name, level, what, why }
}

pub static RULES: &[Rule] = &[
    rule(
        "render",
        Level::Error,
        "A template or its YAML cannot be read with the grains and the pillar at hand.",
        "The run stops here. With data of another minion (`--grains-file`, `--pillar-root`, `pillar=`) it may be another \
         branch that fails.",
    ),
    rule(
        "jinja-syntax",
        Level::Error,
        "A template that nothing rendered is no Jinja.",
        "Whatever imports it will stop.",
    ),
    rule(
        "compile",
        Level::Error,
        "The compiler refuses the states.",
        "`state.apply` refuses them with the same words: it is the same compiler.",
    ),
    rule(
        "duplicate-key",
        Level::Error,
        "A key stands twice in one mapping.",
        "YAML would keep one of the two without a word; Salt refuses it.",
    ),
    rule(
        "duplicate-id",
        Level::Error,
        "Two SLS files that are applied together declare one ID.",
        "IDs are unique in a run: rename one, or `extend` the one from the other.",
    ),
    rule(
        "missing-sls",
        Level::Error,
        "An include, or the top file, names an SLS that is not there.",
        "The run stops before it has begun.",
    ),
    rule(
        "requisite",
        Level::Error,
        "A requisite names a state that does not exist, or states wait for each other in a circle.",
        "The run stops before it has begun.",
    ),
    rule(
        "foreign-requisite",
        Level::Info,
        "A requisite or an `extend` names a state of an SLS that is not included.",
        "It works as long as something else, the top file for example, brings that SLS into the same run, and fails in \
         `state.apply` of this SLS alone. Include the other SLS.",
    ),
    rule(
        "unknown-state",
        Level::Error,
        "A state function does not exist.",
        "The state fails when its turn comes. `corpus sys.list_state_functions` names those there are.",
    ),
    rule(
        "unknown-argument",
        Level::Warning,
        "A state function does not take this argument.",
        "Salt passes it on without a word, so a slip of the pen has no effect: the state does something else than what \
         stands there. `corpus sys.state_doc MODULE.FUNCTION` tells what it takes.",
    ),
    rule(
        "missing-argument",
        Level::Error,
        "A state function lacks an argument that it needs.",
        "The state fails when its turn comes.",
    ),
    rule(
        "wrong-type",
        Level::Error,
        "An argument is of a type that the function cannot use.",
        "The state fails when its turn comes.",
    ),
    rule(
        "no-effect",
        Level::Warning,
        "Something is written that the engine takes no notice of.",
        "What has no effect misleads whoever reads it.",
    ),
    rule(
        "pillar",
        Level::Error,
        "The pillar of this machine has errors.",
        "No state is compiled while the pillar has errors.",
    ),
    rule(
        "undefined-variable",
        Level::Warning,
        "An SLS uses a variable that nothing in it sets, maybe on a branch that was not taken here.",
        "On the machine that takes the branch the run stops. Set it, or ask with `is defined` or `default`.",
    ),
    rule(
        "unknown-filter",
        Level::Warning,
        "A filter or test does not exist, maybe on a branch that was not taken here.",
        "On the machine that takes the branch the run stops.",
    ),
    rule(
        "unknown-call",
        Level::Warning,
        "A template calls an execution function whose name is nearly that of another, on a branch that was not taken here.",
        "On the machine that takes the branch the run stops. A function that is not nearly anything is not told: it may be \
         another system's.",
    ),
    rule(
        "missing-template",
        Level::Error,
        "An import or include names a template that is not there.",
        "Where the line is reached, the run stops.",
    ),
    rule(
        "unused-import",
        Level::Info,
        "An SLS imports a name and does not use it.",
        "It is left from an earlier version, or what should use it has a slip of the pen.",
    ),
    rule(
        "shadowed-name",
        Level::Warning,
        "A template sets `salt`, `grains`, `pillar` or `opts`.",
        "From there on the name means something else than in every other template. Take another name.",
    ),
    rule(
        "shadowed-sls",
        Level::Warning,
        "Both `a.sls` and `a/init.sls` are there.",
        "Both are the SLS `a`: the second is never read.",
    ),
    rule(
        "unused-sls",
        Level::Info,
        "No target of the top file and no include leads to an SLS.",
        "It is dead, or somebody forgot to name it.",
    ),
    rule(
        "missing-source",
        Level::Error,
        "A `salt://` source is not in the file roots.",
        "The state fails when its turn comes.",
    ),
    rule(
        "missing-hash",
        Level::Error,
        "A file from the web has neither `source_hash` nor `skip_verify`.",
        "The state fails: Salt does not take a file that it cannot verify.",
    ),
    rule(
        "cmd-without-guard",
        Level::Info,
        "A command runs in every run: it has no `creates`, `unless`, `onlyif`, `onchanges` or the like.",
        "Every run reports a change, and what waits for changes acts every time.",
    ),
    rule(
        "mode-quotes",
        Level::Info,
        "A file mode is a number, not text in quotes.",
        "Salt's YAML reads `0644` as 644; other readers of YAML (editors, Ansible, every YAML 1.1 library) read it as octal, \
         420. `'0644'` is the same for all.",
    ),
    rule(
        "plain-secret",
        Level::Warning,
        "A password, token or private key stands in a file of the tree for everybody to read.",
        "Every reader of the repository has it, and its history keeps it. Put it into the pillar, encrypted: \
         `#!yaml|gpg`, `#!yaml|age`.",
    ),
    rule(
        "deprecated",
        Level::Info,
        "A form that Salt keeps only for old trees.",
        "Later versions of Salt may take it away; the message says what to write instead.",
    ),
];

/// Finds a rule.
///
/// # Panics
/// If there is none: names are constants of this crate.
pub fn find(name: &str) -> &'static Rule {
    RULES.iter().find(|rule| rule.name == name).unwrap_or(&RULES[2])
}

/// Writes the rules' page.
pub fn page() -> String {
    let mut out = String::from(
        "# The rules of `corpus lint`\n\n<!-- Written by a test from engine/master/src/lint/rules.rs; do not edit. -->\n\n\
         `corpus lint` renders and compiles with the same parser and compiler as a run, with this machine's grains (or those \
         of `--grains-file`) and its pillar, and reads what was not rendered, too. No state runs; but as in a dry run, what a \
         template calls while it renders (`cmd.run`) is called.\n\n\
         ```text\ncorpus lint                      every SLS of the file roots, and the pillar\n\
         corpus lint web db.server        these SLS, with what they include\n\
         corpus lint ./nginx-formula      a tree; its pillar.example is the pillar, unless --pillar-root names one\n\
         corpus lint web/init.sls         one file\n\
         corpus --out=json lint           for programs\n```\n\n\
         The exit code is 1 if there is an error, and with `--strict` if there is a warning; else 0.\n\n\
         A comment takes a finding back: `# corpus: allow(rule, rule)` on its line or the line before, `{# … #}` in a template, \
         `# corpus: allow-file(rule)` anywhere in the file. `all` stands for every rule.\n\n\
         | rule | level | finds |\n|---|---|---|\n",
    );
    for rule in RULES {
        let _ = writeln!(out, "| [{0}](#{0}) | {1} | {2} |", rule.name, rule.level.word(), rule.what);
    }
    for rule in RULES {
        let _ = write!(out, "\n## {}\n\n*{}.* {}\n\n{}\n", rule.name, rule.level.word(), rule.what, rule.why);
    }
    out
}

/// Names the rule of a message of the renderer or the compiler.
pub fn of_message(message: &str) -> &'static Rule {
    const WORDS: &[(&str, &str)] = &[
        ("found conflicting ID", "duplicate-key"),
        ("found duplicate key", "duplicate-key"),
        ("Detected conflicting IDs", "duplicate-id"),
        ("No matching sls found", "missing-sls"),
        ("Specified SLS", "missing-sls"),
        ("Unknown include", "missing-sls"),
        ("Referenced state ", "requisite"),
        ("Recursive requisites", "requisite"),
        ("Cannot extend ID", "requisite"),
        ("is an invalid keyword argument", "unknown-argument"),
        ("is taken for an argument", "unknown-argument"),
        ("was not found in SLS", "unknown-state"),
        ("Missing parameter", "missing-argument"),
        (": argument `", "wrong-type"),
        ("has no effect", "no-effect"),
        ("excludes nothing", "no-effect"),
        ("State is set to retry", "no-effect"),
        ("Rendering SLS", "render"),
        ("Unable to render", "render"),
    ];
    WORDS.iter().find(|(word, _)| message.contains(word)).map_or(find("compile"), |(_, name)| find(name))
}
