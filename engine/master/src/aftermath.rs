//! What earlier runs left behind on a minion: reports whose master was gone, and the traces of runs that died.
//! Whoever comes next takes them in, tells of them, and keeps the reports.

use crate::fileserver::lock;
use crate::session::Session;
use corpus_core::{Diagnostic, RunReport};
use corpus_minion::private_dir;
use corpus_wire::{Hello, Interrupted};
use std::io::Write;
use std::path::PathBuf;

/// Takes in what earlier runs left, as warnings of this session.
pub fn take_in(session: &Session) {
    let Hello { spooled, interrupted, .. } = session.minion.hello();
    let mut warnings = vec![];
    for jid in &spooled {
        match session.minion.collect(jid) {
            Ok(Some(report)) => warnings.push(finished(session, jid, &report)),
            // Another master was faster.
            Ok(None) => continue,
            Err(error) => warnings.push(Diagnostic::warning(format!("the report of run {jid} is lost: {error}"))),
        }
        session.minion.delivered(jid);
    }
    for run in interrupted {
        session.minion.delivered(&run.jid);
        warnings.push(died(&run));
    }
    lock(&session.warnings).extend(warnings);
}

fn finished(session: &Session, jid: &str, report: &RunReport) -> Diagnostic {
    let failed = report.chunks.iter().filter(|chunk| chunk.result == Some(false)).count();
    let good = report.chunks.len() - failed;
    let when = time(jid).map(|time| format!(" of {time}")).unwrap_or_default();
    let told = Diagnostic::warning(format!(
        "run {jid}{when} finished after its master was gone: {good} succeeded, {failed} failed"
    ));
    match keep(session, jid, report) {
        Ok(path) => told.hint(format!("its report is in {}", path.display())),
        Err(error) => told.hint(format!("its report could not be kept: {error}")),
    }
}

fn died(run: &Interrupted) -> Diagnostic {
    let when = time(&run.jid).map(|time| format!(" of {time}")).unwrap_or_default();
    let place = match &run.at {
        Some((number, tag)) => {
            let mut parts = tag.split("_|-");
            let (state, id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let fun = parts.last().unwrap_or_default();
            format!("in state {number}, {id} ({state}.{fun})")
        }
        None => "between two states".to_owned(),
    };
    let effect = run.effect.as_ref().map(|effect| format!("; it had begun to {effect}")).unwrap_or_default();
    let finished = run.finished;
    Diagnostic::warning(format!("run {}{when} was killed {place}, after {finished} states were done{effect}", run.jid))
        .hint("a new run finds out what is left to do")
}

/// Writes a report where job results are kept, `<cache>/jobs/<jid>/<id>.json`.
fn keep(session: &Session, jid: &str, report: &RunReport) -> std::io::Result<PathBuf> {
    // Both come from elsewhere: neither may lead out of the folder.
    let plain = |text: &str| -> String {
        let good = |c: char| c.is_alphanumeric() || "-_.@".contains(c);
        let text: String = text.chars().map(|c| if good(c) { c } else { '_' }).take(100).collect();
        if text.starts_with('.') { format!("_{text}") } else { text }
    };
    let folder = session.corpus.config.cache_dir.join("jobs").join(plain(jid));
    private_dir(&folder)?;
    let path = folder.join(format!("{}.json", plain(&session.id)));
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    serde_json::to_writer_pretty(&mut file, &report.to_salt())?;
    file.write_all(b"\n")?;
    file.persist(&path)?;
    Ok(path)
}

/// Reads the time out of a job id: `20261121140307123456` is `2026-11-21 14:03:07`.
fn time(jid: &str) -> Option<String> {
    let digits = jid.get(..14).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let (date, clock) = ([part(0, 4), part(4, 6), part(6, 8)], [part(8, 10), part(10, 12), part(12, 14)]);
    Some(format!("{} {}", date.join("-"), clock.join(":")))
}
