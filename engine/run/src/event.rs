//! Events of a run: `fire_event` and `state_events`, with Salt's tags.

use crate::walker::Runner;
use corpus_core::{ChunkReport, Event, Map, Value, python};

/// Sends the event of a decided chunk, if it is to have one.
pub(crate) fn of_chunk(runner: &Runner<'_>, fire_event: Option<&Value>, record: &ChunkReport, total: usize) {
    let (jid, id) = (&runner.options.jid, &runner.data.id);
    let mut len = None;
    let tag = match fire_event {
        Some(Value::Bool(true)) => tagify(&["state_result", jid, id, &python::str(&record.name)]),
        Some(Value::Str(text)) => tagify(&["state_result", jid, id, text]),
        _ if runner.data.opts.get("state_events").is_some_and(Value::truthy) => {
            len = Some(total);
            tagify(&["job", jid, "prog", id, &record.run_num.to_string()])
        }
        _ => return,
    };
    let mut data: Map = [("ret", Value::map(record.to_salt()))].into_iter().collect();
    if let Some(len) = len {
        data.insert("len", len);
    }
    fire(runner, tag, Value::map(data));
}

fn fire(runner: &Runner<'_>, tag: String, data: Value) {
    if let Err(error) = runner.source.fire(&tag, &data) {
        tracing::warn!(%tag, %error, "The event could not be sent.");
    }
    (runner.events)(Event::Fired { tag, data });
}

fn tagify(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).fold("salt".to_owned(), |tag, part| format!("{tag}/{part}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn joins_what_is_not_empty() {
        assert_eq!(super::tagify(&["state_result", "2026", "", "web"]), "salt/state_result/2026/web");
    }
}
