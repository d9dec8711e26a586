//! Random requisites among `test.*` states, as real Salt 3008 decided them: results, comments, run numbers.

mod common;
use common::{Chunk, chunk, low_state, run_with};
use corpus_core::fake::Fake;
use corpus_core::{Data, RequisiteKind, RunOptions, python};

const RECORDED: &str = include_str!("data/requisites-3008.txt");

fn parse(line: &str) -> Chunk {
    let parts: Vec<_> = line.split('|').map(str::trim).collect();
    let [id, fun, requisites] = parts[..] else { panic!("three parts: {line}") };
    requisites.split_whitespace().fold(chunk(id, &format!("test.{fun}")), |chunk, requisite| {
        let (word, targets) = requisite.split_once(':').expect("word:targets");
        let kind = RequisiteKind::of(word).expect("a requisite");
        chunk.on(kind, &targets.split(',').collect::<Vec<_>>())
    })
}

#[test]
fn decides_as_salt_did() {
    let chunks: Vec<_> = RECORDED.lines().filter_map(|line| line.strip_prefix("chunk ")).map(parse).collect();
    let expected: Vec<_> = RECORDED.lines().filter_map(|line| line.strip_prefix("record ")).collect();
    let (report, _) = run_with(&Fake::new(), &low_state(&chunks), RunOptions::default(), &Data::default());
    let mut seen: Vec<(u32, String)> = vec![];
    for record in &report.chunks {
        // Salt names them in no order; the recorded ones are sorted.
        let comment = match record.comment.strip_prefix("One or more requisite failed: ") {
            Some(names) => {
                let mut names: Vec<_> = names.split(", ").map(|name| name.replacen("s.", "rec.", 1)).collect();
                names.sort();
                format!("One or more requisite failed: {}", names.join(", "))
            }
            None => record.comment.replace('\n', "\\n"),
        };
        let result = python::repr(&record.result.into());
        let changed = if record.changed() { "+" } else { "-" };
        let text = format!("{} | {} | {result} | {changed} | {comment}", record.run_num, record.id);
        seen.push((record.run_num, text));
    }
    let wrong: Vec<_> = seen.iter().zip(&expected).filter(|((_, ours), salt)| ours != *salt).collect();
    assert!(wrong.is_empty(), "{} differ; the first: {:#?}", wrong.len(), &wrong[..wrong.len().min(8)]);
    assert_eq!(seen.len(), expected.len());
}
