//! `pip.*`: Python packages, by the `pip` of the machine or of a virtual environment.

use crate::ask;
use corpus_core::host::{Act, Command, HostError, HostResult, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read(
        "pip.list",
        "(prefix=None, bin_env=None, user=None, cwd=None)",
        "Returns the installed packages with their versions.",
        |call, look, _| {
            let prefix = call.text(0, "prefix").unwrap_or_default().to_lowercase();
            let all = installed(call, look, 1)?;
            Ok(all
                .into_iter()
                .filter(|(name, _)| python::str(name).to_lowercase().starts_with(&prefix))
                .collect::<Map>()
                .into())
        },
    ),
    read(
        "pip.freeze",
        "(bin_env=None, user=None, cwd=None)",
        "Returns the installed packages as a list of requirements.",
        |call, look, _| {
            let text = ask::output(look, &pip(call, look, 0, &["freeze"])?)?;
            Ok(text.lines().map(str::to_owned).collect::<Vec<_>>().into())
        },
    ),
    read("pip.version", "(bin_env=None)", "Returns pip's version.", |call, look, _| {
        let text = ask::output(look, &pip(call, look, 0, &["--version"])?)?;
        Ok(text.split_whitespace().nth(1).unwrap_or_default().into())
    }),
    read(
        "pip.is_installed",
        "(pkgname=None, bin_env=None, user=None, cwd=None)",
        "Tells whether a package is installed.",
        |call, look, _| {
            let wanted = normal(&call.need(0, "pkgname")?);
            Ok(installed(call, look, 1)?.keys().any(|name| normal(&python::str(name)) == wanted).into())
        },
    ),
    read(
        "pip.list_all_versions",
        "(pkg, bin_env=None, include_alpha=False, include_beta=False, include_rc=False, user=None, cwd=None)",
        "Lists the versions that the index offers, oldest first.",
        |call, look, _| {
            let pkg = call.need(0, "pkg")?;
            let unstable =
                (2..5).any(|place| call.flag(place, ["include_alpha", "include_beta", "include_rc"][place - 2], false));
            let mut command = pip(call, look, 1, &["index", "versions", &pkg])?;
            command.argv.extend(unstable.then(|| "--pre".to_owned()));
            Ok(offered(look, &command)?.into())
        },
    ),
    write(
        "pip.install",
        "(pkgs=None, requirements=None, bin_env=None, upgrade=False, user=None, cwd=None)",
        "Installs packages.",
        |call, act, _| {
            let mut words = vec!["install".to_owned()];
            words.extend(call.flag(3, "upgrade", false).then(|| "--upgrade".to_owned()));
            for file in list(call.arg(1, "requirements")) {
                words.extend(["--requirement".into(), file]);
            }
            words.extend(list(call.arg(0, "pkgs")));
            ran(call, act, 2, &words)
        },
    ),
    write(
        "pip.uninstall",
        "(pkgs=None, requirements=None, bin_env=None, user=None, cwd=None)",
        "Removes packages.",
        |call, act, _| {
            let mut words = vec!["uninstall".to_owned(), "-y".into()];
            for file in list(call.arg(1, "requirements")) {
                words.extend(["--requirement".into(), file]);
            }
            words.extend(list(call.arg(0, "pkgs")));
            ran(call, act, 2, &words)
        },
    ),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(text) if text.truthy() => python::str(text).split(',').map(|word| word.trim().to_owned()).collect(),
        _ => vec![],
    }
}

/// Spells a package's name one way, as PyPI does.
pub fn normal(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// Returns the command that runs pip: of a virtual environment, of a program, or the machine's own.
pub fn program(look: &dyn Look, bin_env: Option<&str>) -> Option<Command> {
    match bin_env.filter(|path| !path.is_empty()) {
        Some(path) if ask::is_dir(look, path) => {
            // Not `bin/pip`: its first line may be too long for the kernel.
            let python = format!("{}/bin/python", path.trim_end_matches('/'));
            ask::exists(look, &python).then(|| Command::new([python.as_str(), "-m", "pip"]))
        }
        Some(path) if ask::exists(look, path) => {
            let is_python = path.rsplit('/').next().is_some_and(|file| file.starts_with("python"));
            Some(if is_python { Command::new([path, "-m", "pip"]) } else { Command::new([path]) })
        }
        Some(_) => None,
        None => ask::first_program(look, &["pip3", "pip"]).map(|(name, _)| Command::new([name])),
    }
}

fn pip(call: &Call, look: &dyn Look, place: usize, words: &[&str]) -> Result<Command, ExecError> {
    let found = program(look, call.text(place, "bin_env").as_deref());
    let mut command = found.ok_or_else(|| ExecError::failed("Could not find a `pip` binary"))?;
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    command.cwd = call.kwargs.get("cwd").filter(|v| !v.is_null()).map(|v| python::str(v).into());
    command.runas = call.kwargs.get("user").filter(|v| !v.is_null()).map(python::str);
    Ok(command)
}

/// Asks `pip index versions` what there is, oldest first.
pub fn offered(look: &dyn Look, command: &Command) -> HostResult<Vec<String>> {
    let text = ask::output(look, command)?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Available versions:"));
    let mut all: Vec<String> =
        line.unwrap_or_default().split(',').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect();
    all.reverse();
    Ok(all)
}

/// A requirement as far as it can be judged without an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub name: String,
    /// Operators and versions.
    pub specs: Vec<(String, String)>,
    /// It holds only on some machines (`; python_version < "3"`).
    pub marked: bool,
}

impl Requirement {
    /// Reads `name[extra] >= 1, < 2 ; marker`; `None` for an address, a path or what is no requirement.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.split(" --").next().unwrap_or_default();
        let (text, marked) = text.split_once(';').map_or((text, false), |(first, _)| (first, true));
        let text = text.trim();
        let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let mut rest = rest.trim();
        if let Some(extras) = rest.strip_prefix('[') {
            rest = extras.split_once(']')?.1.trim();
        }
        rest = rest.trim_start_matches('(').trim_end_matches(')');
        let mut specs = vec![];
        for spec in rest.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
            let operator = ["===", "==", ">=", "<=", "!=", "~=", ">", "<"].iter().find(|o| spec.starts_with(**o))?;
            specs.push(((*operator).to_owned(), spec[operator.len()..].trim().to_owned()));
        }
        Some(Self { name: name.to_owned(), specs, marked })
    }

    /// Tells whether a version is one that it asks for.
    pub fn admits(&self, version: &str) -> bool {
        self.specs.iter().all(|(operator, wanted)| holds(version, operator, wanted).unwrap_or(false))
    }

    /// Writes its versions one way.
    pub fn versions(&self) -> String {
        self.specs.iter().map(|(operator, wanted)| format!("{operator}{wanted}")).collect::<Vec<_>>().join(",")
    }
}

/// Epoch, release, rank and number of a pre-release, post-release, development release.
type Version = (u64, Vec<u64>, i64, i64, i64, i64);

fn version(text: &str) -> Option<Version> {
    let text = text.trim().to_lowercase();
    let text = text.trim_start_matches('v').split('+').next().unwrap_or_default();
    let (epoch, text) = text.split_once('!').map_or((Some(0), text), |(e, rest)| (e.parse().ok(), rest));
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (release, mut rest) = text.split_at(end);
    let release = release.trim_end_matches('.');
    let mut release = release.split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>()?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let (mut rank, mut pre, mut post, mut dev) = (3, 0, -1, i64::MAX);
    while !rest.is_empty() {
        let bare = rest.trim_start_matches(['.', '-', '_']);
        let letters = bare.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(bare.len());
        let (word, after) = bare.split_at(letters);
        let after = after.trim_start_matches(['.', '-', '_']);
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let number = if digits == 0 { 0 } else { after[..digits].parse().ok()? };
        match word {
            "a" | "alpha" => (rank, pre) = (0, number),
            "b" | "beta" => (rank, pre) = (1, number),
            "rc" | "c" | "pre" | "preview" => (rank, pre) = (2, number),
            "post" | "rev" | "r" => post = number,
            "" if rest.starts_with('-') && digits > 0 => post = number,
            "dev" => dev = number,
            _ => return None,
        }
        rest = &after[digits..];
    }
    if rank == 3 && post < 0 && dev < i64::MAX {
        rank = -1;
    }
    Some((epoch?, release, rank, pre, post, dev))
}

/// Compares as PEP 440 does; `None` if one of them is no version.
fn holds(have: &str, operator: &str, wanted: &str) -> Option<bool> {
    if operator == "===" {
        return Some(have == wanted);
    }
    let found = version(have)?;
    let within = |prefix: &str| -> Option<bool> {
        let prefix = prefix.split('.').map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>()?;
        Some((0..prefix.len()).all(|i| found.1.get(i).copied().unwrap_or(0) == prefix[i]))
    };
    if let Some(prefix) = wanted.strip_suffix(".*") {
        return Some(within(prefix)? == (operator == "=="));
    }
    let asked = version(wanted)?;
    Some(match operator {
        "==" => found == asked,
        "!=" => found != asked,
        ">=" => found >= asked,
        "<=" => found <= asked,
        ">" => found > asked,
        "<" => found < asked,
        "~=" => found >= asked && within(wanted.rsplit_once('.')?.0)?,
        _ => return None,
    })
}

fn installed(call: &Call, look: &dyn Look, place: usize) -> Result<Map, ExecError> {
    let all = listed(look, &pip(call, look, place, &["list", "--format=json"])?)?;
    let pair = |entry: &Value| Some((entry.get("name")?.clone(), entry.get("version")?.clone()));
    Ok(all.iter().filter_map(pair).collect())
}

/// Asks `pip list --format=json`.
pub fn listed(look: &dyn Look, command: &Command) -> HostResult<Vec<Value>> {
    let text = ask::output(look, command)?;
    let all: Value = serde_json::from_str(&text).map_err(|error| HostError::other("pip list", error.to_string()))?;
    Ok(all.as_list().unwrap_or_default().to_vec())
}

/// Salt: the record of the program, whatever came of it.
fn ran(call: &Call, act: &dyn Act, place: usize, words: &[String]) -> Result<Value, ExecError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = ask::run(act, pip(call, act.as_look(), place, &words)?)?;
    let mut record = Map::new();
    record.insert("pid", output.pid);
    record.insert("retcode", i64::from(output.code));
    record.insert("stdout", output.stdout_text().trim_end());
    record.insert("stderr", output.stderr_text().trim_end());
    Ok(record.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_in_pep_440() {
        let admits = |text: &str, version: &str| Requirement::parse(text).expect("a requirement").admits(version);
        assert!(admits("a", "1") && admits("a==1.0", "1.0.0") && admits("a[x] >= 1, < 2 ; os_name == 'nt'", "1.10"));
        assert!(admits("a>1.9", "1.10") && admits("a<1", "1rc1") && admits("a<1rc1", "1.dev3"));
        assert!(admits("a~=1.4.2", "1.4.9") && !admits("a~=1.4.2", "1.5") && admits("a==1.4.*", "1.4.9"));
        assert!(!admits("a!=1.4.*", "1.4") && admits("a>1", "1.post1") && !admits("a<9", "1!0"));
    }

    #[test]
    fn addresses_are_no_requirements() {
        for text in ["git+https://x/y", "./a", "https://x/a.whl", "a=1", "a @ https://x/a.whl"] {
            assert_eq!(Requirement::parse(text), None, "{text}");
        }
    }
}
