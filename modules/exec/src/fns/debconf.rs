//! `debconf.*`: answers to the questions of Debian's packages.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Call, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "debconf.get_selections",
        args: "(fetchempty=True)",
        doc: "Returns the answers of all packages: question, type, value.",
        run: ExecFn::Read(|call, look, _| {
            let empty = call.flag(0, "fetchempty", true);
            let mut all = Map::new();
            for answer in answers(look)?.into_iter().filter(|answer| empty || !answer.value.is_empty()) {
                let package = answer.package.clone();
                let mut listed = all.get(&package).and_then(Value::as_list).unwrap_or_default().to_vec();
                listed.push(answer.shown());
                all.insert(package, listed);
            }
            Ok(all.into())
        }),
    },
    ExecDef {
        name: "debconf.show",
        args: "(name)",
        doc: "Returns the answers of a package; null if it has none.",
        run: ExecFn::Read(|call, look, _| {
            let name = call.need(0, "name")?;
            let listed: Vec<Value> = answers(look)?.iter().filter(|a| a.package == name).map(Answer::shown).collect();
            Ok(if listed.is_empty() { Value::Null } else { listed.into() })
        }),
    },
    ExecDef {
        name: "debconf.set",
        args: "(package, question, type, value, *extra)",
        doc: "Answers a question.",
        run: ExecFn::Write(|call, act, _| {
            let mut value = call.need(3, "value")?;
            for more in call.args.iter().skip(4) {
                value += &format!(" {}", python::str(more));
            }
            let answer = Answer {
                package: call.need(0, "package")?,
                question: call.need(1, "question")?,
                kind: call.need(2, "type")?,
                value,
            };
            if answer.line().contains('\n') {
                return Err(call.invalid("value", "an answer is one line"));
            }
            ask::must(act, set(&[answer])).map(|_| true.into())
        }),
    },
    ExecDef {
        name: "debconf.set_file",
        args: "(path)",
        doc: "Answers the questions of a file of this machine, as `debconf-get-selections` writes it.",
        run: ExecFn::Write(set_file),
    },
];

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub package: String,
    pub question: String,
    pub kind: String,
    pub value: String,
}

impl Answer {
    /// Tells whether its value is a secret.
    pub fn secret(&self) -> bool {
        self.kind == "password"
    }

    fn line(&self) -> String {
        format!("{} {} {} {}", self.package, self.question, self.kind, self.value)
    }

    fn shown(&self) -> Value {
        vec![self.question.as_str(), self.kind.as_str(), self.value.as_str()].into()
    }
}

/// Reads lines of package, question, type and value.
pub fn parse(text: &str) -> Vec<Answer> {
    let line = |line: &str| {
        let mut rest = line;
        let mut word = || {
            let (word, tail) = rest.split_once([' ', '\t'])?;
            rest = tail.trim_start_matches([' ', '\t']);
            Some(word.to_owned())
        };
        let (package, question) = (word()?, word()?);
        // An empty value may have no space before it.
        let (kind, value) = match word() {
            Some(kind) => (kind, rest.to_owned()),
            None => (rest.to_owned(), String::new()),
        };
        (!package.starts_with('#') && !kind.is_empty()).then_some(Answer { package, question, kind, value })
    };
    text.lines().filter_map(line).collect()
}

/// Lists the answers of this machine.
pub fn answers(look: &dyn Look) -> HostResult<Vec<Answer>> {
    Ok(parse(&ask::output(look, &Command::new(["debconf-get-selections"]))?))
}

/// Makes the command that sets answers.
pub fn set(answers: &[Answer]) -> Command {
    let text: String = answers.iter().map(|answer| answer.line() + "\n").collect();
    let mut command = Command::new(["debconf-set-selections"]).stdin(text);
    command.secret = answers.iter().any(Answer::secret);
    command
}

fn set_file(call: &Call, act: &dyn corpus_core::Act, _: &corpus_core::Data) -> Result<Value, ExecError> {
    let path = call.need(0, "path")?;
    let text = ask::text(act.as_look(), &path)?.ok_or_else(|| call.invalid("path", "there is no such file"))?;
    ask::must(act, set(&parse(&text))).map(|_| true.into())
}
