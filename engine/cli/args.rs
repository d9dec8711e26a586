//! The command line: `corpus [TARGET] module.function args… key=value`, with Salt's own options.

use clap::{Parser, ValueEnum};
use corpus_core::{Call, Map, Value};
use std::path::PathBuf;

/// Converges machines from Salt states, over SSH or in place, without Python on the target.
///
/// Examples:
///   corpus '*' test.ping                     ask all minions of the roster
///   corpus 'web*' state.apply nginx test=True    show what would change
///   corpus -G os:Debian pkg.version nginx    target by grain
///   corpus --local state.apply               this machine, no roster (like salt-call --local)
///   corpus sys.doc file.managed              documentation of a function
///   corpus lint [TREE | SLS…]                find mistakes without a run
///   corpus map.apply test=True               the machines that are declared, and what would change
///   corpus reconcile --watch                 keep the world as it is declared
#[derive(Parser, Debug)]
#[command(name = "corpus", version, verbatim_doc_comment, disable_help_subcommand = true)]
pub struct Args {
    /// [TARGET] FUNCTION [ARGUMENT | KEY=VALUE]…
    #[arg(value_name = "WORD", allow_hyphen_values = false)]
    pub words: Vec<String>,

    /// Run on this machine, without roster or SSH.
    #[arg(long, help_heading = "Where")]
    pub local: bool,
    /// With --local, reach the minion through a pipe to its own process, as SSH does.
    #[arg(long, hide = true)]
    pub pipe: bool,
    /// The target is a grain match, `os:Debian`.
    #[arg(long, short = 'G', help_heading = "Where")]
    pub grain: bool,
    /// The target is a grain match by regular expression, `os:Deb.*`.
    #[arg(long, short = 'P', help_heading = "Where")]
    pub grain_pcre: bool,
    /// The target is a regular expression on the minion id.
    #[arg(long, short = 'E', help_heading = "Where")]
    pub pcre: bool,
    /// The target is a comma-separated list of minion ids.
    #[arg(long, short = 'L', help_heading = "Where")]
    pub list: bool,
    /// The target is a pillar match, `role:web`.
    #[arg(long, short = 'I', help_heading = "Where")]
    pub pillar_match: bool,
    /// The target is a compound match, `G@os:Debian and web*`.
    #[arg(long, short = 'C', help_heading = "Where")]
    pub compound: bool,
    /// The target is a nodegroup of the configuration.
    #[arg(long, short = 'N', help_heading = "Where")]
    pub nodegroup: bool,
    /// The target is an address or a network, `10.0.0.0/8`.
    #[arg(long, short = 'S', help_heading = "Where")]
    pub ipcidr: bool,
    /// Roster file.
    #[arg(long, value_name = "FILE", help_heading = "Where")]
    pub roster_file: Option<PathBuf>,
    /// Add the host keys of hosts that were never seen; changed keys are refused all the same.
    #[arg(long, help_heading = "Where")]
    pub accept_new_host_keys: bool,
    /// Seconds to wait for a connection.
    #[arg(long, short = 't', value_name = "SECONDS", help_heading = "Where")]
    pub timeout: Option<u64>,
    /// How many hosts to work on at once.
    #[arg(long, value_name = "N", help_heading = "Where")]
    pub max_procs: Option<usize>,
    /// Work on so many hosts at a time: a number, or a percentage of those meant.
    #[arg(long, visible_alias = "batch", short = 'b', value_name = "N", help_heading = "Where")]
    pub batch_size: Option<String>,
    /// Take so many of the hosts that are meant, at random.
    #[arg(long, value_name = "N", help_heading = "Where")]
    pub subset: Option<usize>,

    /// Configuration directory, with Salt's `master` or `minion` file.
    #[arg(long, short = 'c', value_name = "DIR", help_heading = "What")]
    pub config_dir: Option<PathBuf>,
    /// State tree of the base environment, instead of the configuration's `file_roots`.
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub file_root: Vec<PathBuf>,
    /// Pillar tree of the base environment, instead of the configuration's `pillar_roots`.
    #[arg(long, value_name = "DIR", help_heading = "What")]
    pub pillar_root: Vec<PathBuf>,
    /// Take the grains from a JSON or YAML file instead of asking the machine.
    #[arg(long, value_name = "FILE", help_heading = "What")]
    pub grains_file: Option<PathBuf>,
    /// Minion id of this machine, with --local.
    #[arg(long, value_name = "ID", help_heading = "What")]
    pub id: Option<String>,
    /// With `reconcile`, look again and again instead of once.
    #[arg(long, help_heading = "What")]
    pub watch: bool,
    /// Refuse what is otherwise warned about: unknown arguments and functions.
    #[arg(long, help_heading = "What")]
    pub strict: bool,

    /// How to print the results.
    #[arg(long, visible_alias = "output", value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub out: Option<Format>,
    /// Which states to print: by default all of a few, and only changes and failures of many.
    #[arg(long, value_enum, value_name = "MODE", help_heading = "Output")]
    pub state_output: Option<StateOutput>,
    /// Print states that are as declared, too.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Output")]
    pub state_verbose: Option<bool>,
    /// Never colour the output (also: NO_COLOR).
    #[arg(long, visible_alias = "no-colour", help_heading = "Output")]
    pub no_color: bool,
    /// Colour the output even when it is not a terminal.
    #[arg(long, visible_alias = "force-colour", help_heading = "Output")]
    pub force_color: bool,
    /// Write the output to a file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub out_file: Option<PathBuf>,
    /// Log level: quiet, error, warning, info, debug, trace.
    #[arg(long, short = 'l', value_name = "LEVEL", default_value = "warning", help_heading = "Output")]
    pub log_level: String,
    /// Tell where the time went: the slowest templates, functions and states of each minion.
    #[arg(long, help_heading = "Output")]
    pub timings: bool,
    /// Print the values that functions answer with as they are; otherwise `***` stands for each secret, as it always does
    /// in states, errors and logs.
    #[arg(long, help_heading = "Output")]
    pub show_secrets: bool,
    /// Exit with 2 when something changed and 4 or 6 when something failed, instead of Salt's codes.
    #[arg(long, help_heading = "Output")]
    pub detailed_exitcode: bool,
    /// Print the completion script of a shell and leave.
    #[arg(long, value_name = "SHELL", help_heading = "Output")]
    pub completion: Option<clap_complete::Shell>,
}

/// Formats of `--out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Highstate,
    Nested,
    Json,
    Jsonl,
    Yaml,
    #[value(alias = "text")]
    Txt,
    /// The values alone, without the minions' names.
    #[value(name = "newline_values_only")]
    NewlineValuesOnly,
    Quiet,
}

/// Modes of `--state-output`, with Salt's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StateOutput {
    Full,
    Terse,
    Mixed,
    Changes,
}

/// Splits the words into target and call. `known` tells whether a word is a function that exists.
pub fn split(words: &[String], known: &dyn Fn(&str) -> bool) -> Result<(Option<String>, Call), String> {
    let looks_like_function = |word: &str| {
        word.split_once('.').is_some_and(|(module, fun)| {
            [module, fun].iter().all(|part| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            })
        })
    };
    let (target, rest) = match words {
        [] => return Err("no function given".into()),
        [first, rest @ ..] if known(first) => (None, (first, rest)),
        // A word with these is no function: it must be a target.
        [first, second, rest @ ..]
            if known(second)
                || looks_like_function(second)
                || first.contains(['*', '?', '[', ',', '@', ':', '(', ' ']) =>
        {
            (Some(first.clone()), (second, rest))
        }
        [first, rest @ ..] => (None, (first, rest)),
    };
    let (fun, arguments) = rest;
    let (args, kwargs) = arguments_of(arguments);
    Ok((target, Call { fun: fun.clone(), args, kwargs }))
}

/// Reads arguments as Salt does: `key=value` by name, and each value as YAML where it is plainly data.
pub fn arguments_of(words: &[String]) -> (Vec<Value>, Map) {
    let (mut args, mut kwargs) = (vec![], Map::new());
    for word in words {
        match word.split_once('=').filter(|(key, _)| is_name(key)) {
            Some((key, value)) => _ = kwargs.insert(key, value_of(value)),
            None => args.push(value_of(word)),
        }
    }
    (args, kwargs)
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads one argument. Salt: text that YAML would cut at ` #`, or only turn into other text, stays as typed.
fn value_of(word: &str) -> Value {
    let plain = word.is_empty() || word.contains(" #") || word.starts_with('#') || word.contains('\n');
    if plain && !word.starts_with(['{', '[']) {
        return word.into();
    }
    match corpus_core::yaml::parse(word).map(|node| node.to_value()) {
        Ok(Value::Map(_)) if !word.starts_with('{') => word.into(),
        Ok(Value::Str(text)) => {
            if word.starts_with(['"', '\'']) {
                Value::Str(text)
            } else {
                word.into()
            }
        }
        Ok(Value::Null) if word != "null" && word != "~" => word.into(),
        Ok(value) => value,
        Err(_) => word.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_target_function_and_arguments() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let known = |word: &str| ["state.apply", "test.ping"].contains(&word);
        let (target, call) = split(&words("web* state.apply nginx test=True"), &known).expect("a good line");
        assert_eq!(target.as_deref(), Some("web*"));
        assert_eq!((call.fun.as_str(), &call.args), ("state.apply", &vec![Value::from("nginx")]));
        assert_eq!(call.kwargs.get("test"), Some(&Value::Bool(true)));
        let (target, call) = split(&words("test.ping"), &known).expect("a good line");
        assert_eq!((target, call.fun.as_str()), (None, "test.ping"));
        let (target, call) = split(&words("host.example state.aply x"), &known).expect("a target and a typo");
        assert_eq!((target.as_deref(), call.fun.as_str()), (Some("host.example"), "state.aply"));
    }

    #[test]
    fn reads_arguments_as_salt_does() {
        for (typed, expected) in [
            ("3", Value::Int(3)),
            ("True", Value::Bool(true)),
            ("[a, 1]", Value::list(vec!["a".into(), 1.into()])),
            ("echo hello #1", "echo hello #1".into()),
            ("a: b", "a: b".into()),
            ("/etc/motd", "/etc/motd".into()),
        ] {
            assert_eq!(value_of(typed), expected, "{typed}");
        }
    }
}
