//! The outputters. Data goes to standard output, everything else to standard error.

pub mod highstate;
pub mod nested;
pub mod paint;
pub mod sink;

use crate::args::{Args, Format};
use corpus_core::{Map, Value, python};
use corpus_master::{HostReturn, Outcome};
use paint::{Colour, Painter};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::io::Write;

/// Writes answers in the format asked for.
pub struct Outputter<'a> {
    pub args: &'a Args,
    pub paint: Painter,
}

impl Outputter<'_> {
    /// Writes all answers of a call. Formats that hold everything in one document cannot come earlier.
    pub fn all(&self, answers: &[HostReturn], out: &mut dyn Write) -> std::io::Result<()> {
        let data = || -> Map { answers.iter().map(|answer| (answer.id.as_str(), salt_value(answer))).collect() };
        match self.args.out {
            Some(Format::Json) => out.write_all(&json(&data())?),
            Some(Format::Yaml) => write!(out, "{}", corpus_core::yaml::emit(&data().into(), true)),
            _ => Ok(()),
        }
    }

    /// Writes one answer as soon as it is there, in the formats that can.
    pub fn one(&self, answer: &HostReturn, out: &mut dyn Write) -> std::io::Result<()> {
        match self.args.out {
            Some(Format::Json | Format::Yaml | Format::Quiet) => Ok(()),
            Some(Format::Jsonl) => {
                let entry: Map = [(answer.id.as_str(), salt_value(answer))].into_iter().collect();
                writeln!(out, "{}", serde_json::to_string(&entry).map_err(std::io::Error::other)?)
            }
            Some(Format::Txt) => writeln!(out, "{}: {}", answer.id, one_line(&salt_value(answer))),
            Some(Format::NewlineValuesOnly) => values(&salt_value(answer), out),
            Some(Format::Nested) => {
                let entry: Map = [(answer.id.as_str(), salt_value(answer))].into_iter().collect();
                writeln!(out, "{}", nested::write(&entry.into(), 0, &self.paint))
            }
            Some(Format::Highstate) | None => writeln!(out, "{}", self.human(answer)),
        }
    }

    fn human(&self, answer: &HostReturn) -> String {
        let id = &answer.id;
        match &answer.outcome {
            Outcome::Run(report) => {
                let options = highstate::Options {
                    mode: self.args.state_output,
                    verbose: self.args.state_verbose,
                    paint: self.paint,
                };
                highstate::write(id, report, &options)
            }
            Outcome::Value(value) if answer.fun.ends_with(".doc") => docs(value),
            Outcome::Value(value) => {
                let entry: Map = [(id.as_str(), value.clone())].into_iter().collect();
                nested::write(&entry.into(), 0, &self.paint)
            }
            Outcome::Compile(errors) => {
                let head = self.paint.with(Colour::Red, &format!("{id}:\n    Data failed to compile:"));
                let body: Vec<String> = errors
                    .iter()
                    .map(|e| {
                        self.paint.with(Colour::Red, &indented(&format!("----------\n{}", e.to_text(None).trim_end())))
                    })
                    .collect();
                format!("{head}\n{}", body.join("\n"))
            }
            Outcome::Failed(failure) => {
                let mut text = format!("{id}:\n{}", indented(&failure.message));
                for hint in &failure.hints {
                    text += &format!("\n    hint: {hint}");
                }
                self.paint.with(Colour::Red, &text)
            }
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Documentation is text to read, not data.
fn docs(value: &Value) -> String {
    let Some(map) = value.as_map() else { return python::str(value) };
    map.iter().map(|(name, text)| format!("{}:\n\n{}\n", python::str(name), indented(&python::str(text)))).collect()
}

/// Returns what Salt would return for the minion: data, state records under their tags, or a list of errors.
fn salt_value(answer: &HostReturn) -> Value {
    match &answer.outcome {
        Outcome::Value(value) => value.clone(),
        Outcome::Run(report) => report.to_salt().into(),
        Outcome::Compile(errors) => {
            errors.iter().map(|error| error.to_text(None).trim_end().to_owned()).collect::<Vec<_>>().into()
        }
        Outcome::Failed(failure) => failure.message.as_str().into(),
    }
}

/// Writes the values alone, each in lines of its own: what other programs read.
fn values(value: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    match value {
        Value::Map(map) => map.iter().try_for_each(|(_, value)| values(value, out)),
        Value::List(items) => items.iter().try_for_each(|value| values(value, out)),
        other => writeln!(out, "{}", python::str(other).trim_end_matches('\n')),
    }
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => python::str(other),
    }
}

/// Writes JSON as Salt does: indented by four, with a line feed at the end.
fn json(data: &Map) -> std::io::Result<Vec<u8>> {
    let mut text = vec![];
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    data.serialize(&mut writer).map_err(std::io::Error::other)?;
    text.push(b'\n');
    Ok(text)
}
