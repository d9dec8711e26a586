//! Salt's `highstate` layout, word for word, with one change: of many states only those that changed or
//! failed are printed, with a summary.

use super::nested;
use super::paint::{Colour, Painter};
use crate::args::StateOutput;
use corpus_core::{ChunkReport, Map, RunReport, Value, python};

/// More states than this, and those in order are only counted.
const MANY: usize = 20;

/// What to show.
pub struct Options {
    pub mode: Option<StateOutput>,
    pub verbose: Option<bool>,
    pub paint: Painter,
}

/// Writes the result of one minion.
pub fn write(id: &str, report: &RunReport, options: &Options) -> String {
    let paint = &options.paint;
    let mut chunks: Vec<&ChunkReport> = report.chunks.iter().collect();
    chunks.sort_by_key(|chunk| chunk.run_num);
    let verbose = options.verbose.unwrap_or(chunks.len() <= MANY || options.mode.is_some());
    let mut lines = vec![paint.with(worst(&chunks), &format!("{id}:"))];
    for chunk in &chunks {
        let quiet = chunk.result == Some(true) && !chunk.changed();
        if quiet && !verbose {
            continue;
        }
        let terse = match options.mode {
            Some(StateOutput::Terse) => true,
            Some(StateOutput::Mixed) => chunk.result != Some(false),
            Some(StateOutput::Changes) => quiet,
            Some(StateOutput::Full) | None => false,
        };
        lines.push(if terse { terse_line(chunk, paint) } else { block(chunk, options) });
    }
    lines.push(summary(id, &chunks, paint));
    lines.join("\n")
}

fn colour(chunk: &ChunkReport) -> Colour {
    match chunk.result {
        Some(false) => Colour::Red,
        None => Colour::Yellow,
        Some(true) if chunk.changed() => Colour::Cyan,
        Some(true) => Colour::Green,
    }
}

fn worst(chunks: &[&ChunkReport]) -> Colour {
    if chunks.iter().any(|chunk| chunk.result == Some(false)) {
        Colour::Red
    } else if chunks.iter().any(|chunk| chunk.result.is_none()) {
        Colour::Yellow
    } else {
        Colour::Green
    }
}

/// Returns Python's word for a result.
fn result_word(result: Option<bool>) -> &'static str {
    match result {
        Some(true) => "True",
        Some(false) => "False",
        None => "None",
    }
}

fn block(chunk: &ChunkReport, options: &Options) -> String {
    let paint = &options.paint;
    let name = python::str(&chunk.name);
    let hue = colour(chunk);
    let mut rows = vec![
        "----------".to_owned(),
        format!("          ID: {}", chunk.id),
        format!("    Function: {}.{}", chunk.state, chunk.fun),
    ];
    if *name != *chunk.id {
        rows.push(format!("        Name: {name}"));
    }
    rows.push(format!("      Result: {}", result_word(chunk.result)));
    rows.push(format!("     Comment: {}", chunk.comment.trim().replace('\n', "\n              ")));
    if chunk.result == Some(false) && chunk.span.line > 0 {
        rows.push(format!("          At: {}", chunk.span));
    }
    rows.push(format!("     Started: {}", chunk.start_time));
    rows.push(format!("    Duration: {} ms", python::float(chunk.duration_ms)));
    rows.push("     Changes:   ".to_owned());
    let mut out = rows.iter().map(|row| paint_lines(row, hue, paint)).collect::<Vec<_>>().join("\n");
    if chunk.changed() {
        out.push('\n');
        out += &changes(&chunk.changes, options);
    }
    if !chunk.warnings.is_empty() {
        out += &format!(
            "\n{}",
            paint.with(Colour::Red, &format!("    Warnings: {}", chunk.warnings.join("\n              ")))
        );
    }
    out
}

/// Writes the changes; a step of an orchestration has the records of other minions there.
fn changes(changes: &Value, options: &Options) -> String {
    let records =
        changes.get("ret").and_then(Value::as_map).filter(|_| changes.get("out") == Some(&"highstate".into()));
    let Some(minions) = records else { return nested::write(changes, 14, &options.paint) };
    let parts = minions.iter().map(|(id, answer)| match answer {
        Value::Map(records) => {
            let text = write(&python::str(id), &RunReport::from_salt(records), options);
            text.lines().map(|line| format!("{:14}{line}", "")).collect::<Vec<_>>().join("\n")
        }
        other => nested::write(&[(id.clone(), other.clone())].into_iter().collect::<Map>().into(), 14, &options.paint),
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn paint_lines(text: &str, hue: Colour, paint: &Painter) -> String {
    text.lines().map(|line| paint.with(hue, line)).collect::<Vec<_>>().join("\n")
}

fn terse_line(chunk: &ChunkReport, paint: &Painter) -> String {
    let word = match chunk.result {
        Some(false) => "Failed",
        None => "Differs",
        Some(true) if chunk.changed() => "Changed",
        Some(true) => "Clean",
    };
    let line = format!(
        "  Name: {} - Function: {}.{} - Result: {word} - Started: {} - Duration: {} ms",
        python::str(&chunk.name),
        chunk.state,
        chunk.fun,
        chunk.start_time,
        python::float(chunk.duration_ms),
    );
    paint.with(colour(chunk), &line)
}

fn summary(id: &str, chunks: &[&ChunkReport], paint: &Painter) -> String {
    let count = |result| chunks.iter().filter(|chunk| chunk.result == result).count();
    let (good, failed, pending) = (count(Some(true)), count(Some(false)), count(None));
    let changed = chunks.iter().filter(|chunk| chunk.changed()).count();
    let warned = chunks.iter().filter(|chunk| !chunk.warnings.is_empty()).count();
    let digits = [good + pending, failed].iter().map(|n| n.to_string().len()).max().unwrap_or(1);
    let width = "Succeeded".len() + digits + 2;
    let row = |label: &str, n: usize| format!("{label}: {n:>pad$}", pad = width - label.len() - 2);
    let mut notes = vec![];
    if pending > 0 {
        notes.push(paint.with(Colour::Yellow, &format!("unchanged={pending}")));
    }
    if changed > 0 {
        notes.push(paint.with(Colour::Green, &format!("changed={changed}")));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let rule = "-".repeat(width);
    let total: f64 = total_ms(chunks);
    let (time, unit) = if total > 999.0 { (total / 1000.0, "s") } else { (total, "ms") };
    let mut lines = vec![
        String::new(),
        paint.with(Colour::Cyan, &format!("Summary for {id}")),
        paint.with(Colour::Cyan, &rule),
        format!("{}{notes}", paint.with(Colour::Green, &row("Succeeded", good + pending))),
        paint.with(if failed > 0 { Colour::Red } else { Colour::Cyan }, &row("Failed", failed)),
    ];
    if warned > 0 {
        lines.push(paint.with(Colour::Red, &row("Warnings", warned)));
    }
    lines.push(paint.with(Colour::Cyan, &rule));
    lines.push(paint.with(Colour::Cyan, &format!("Total states run: {:>pad$}", chunks.len(), pad = width - 7)));
    lines.push(
        paint.with(Colour::Cyan, &format!("Total run time: {:>pad$} {unit}", format!("{time:.3}"), pad = width - 5)),
    );
    lines.join("\n")
}

/// Adds up the durations; parallel states count once, with the longest of them.
fn total_ms(chunks: &[&ChunkReport]) -> f64 {
    let (parallel, serial): (Vec<&ChunkReport>, Vec<&ChunkReport>) =
        chunks.iter().copied().partition(|c| c.extra.contains("__parallel__"));
    serial.iter().map(|c| c.duration_ms).sum::<f64>() + parallel.iter().map(|c| c.duration_ms).fold(0.0, f64::max)
}
