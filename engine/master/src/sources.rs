//! The pillar sources of the configuration: which there are, how long their answers are kept, and where the setting
//! stands when one of them fails.

use crate::config::{self, Config};
use crate::git_pillar;
use corpus_core::{Diagnostic, Label, Node, Span, Value};
use corpus_pillar::arguments::Entry;
use corpus_pillar::{PillarCache, PillarSource, Sources, sources};
use corpus_render::Decrypt;
use std::sync::Arc;
use std::time::Duration;

/// Makes the sources of the setting `ext_pillar`.
pub fn of(config: &Config, decrypt: &Arc<dyn Decrypt>) -> Sources {
    let Some(setting) = config.opts.get("ext_pillar").filter(|setting| !setting.is_null()) else {
        return Sources::default();
    };
    let mut sources = Sources::of(setting, &config.opts, &|entry| make(entry, config, decrypt));
    sources.cache = cache(config);
    let config = config.clone();
    sources.places = Some(Arc::new(move |index| place(&config, index)));
    sources
}

/// Makes one more source, for a call that names it.
pub fn with(config: &Config, decrypt: &Arc<dyn Decrypt>, extra: &Value) -> Sources {
    let mut list = config.opts.get("ext_pillar").and_then(Value::as_list).unwrap_or_default().to_vec();
    list.push(extra.clone());
    Sources::of(&Value::list(list), &config.opts, &|entry| make(entry, config, decrypt))
}

fn make(
    entry: &Entry,
    config: &Config,
    decrypt: &Arc<dyn Decrypt>,
) -> Option<Result<Arc<dyn PillarSource>, Diagnostic>> {
    let own = || match entry.name.as_str() {
        "git" => git_pillar::make(entry, &config.opts, &config.cache_dir, decrypt.clone()),
        name => {
            let elsewhere = [corpus_pillar_sql::NAMES, corpus_ldap::NAMES, corpus_pillar_http::NAMES, NAMES].concat();
            Err(sources::refusal(name, &[sources::NAMES, &elsewhere].concat()))
        }
    };
    let made = sources::make(entry)
        .or_else(|| corpus_pillar_sql::make(entry))
        .or_else(|| corpus_ldap::make(entry))
        .or_else(|| corpus_pillar_http::make(entry));
    Some(made.unwrap_or_else(own))
}

/// The sources that are made here and in the crates of their clients.
const NAMES: &[&str] = &["git"];

/// Salt's `pillar_cache` with its lifetime and its backend.
fn cache(config: &Config) -> Option<Arc<PillarCache>> {
    if !config.flag("pillar_cache") {
        return None;
    }
    let seconds = config.opts.get("pillar_cache_ttl").and_then(Value::as_int).unwrap_or(3600);
    let lifetime = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let on_disk = config.text("pillar_cache_backend").unwrap_or("disk") == "disk";
    let dir = on_disk.then(|| config.cache_dir.join("pillar_cache"));
    Some(Arc::new(PillarCache::new(dir, lifetime)))
}

/// Finds where the configuration files name a source: looked for only when it failed.
fn place(config: &Config, index: usize) -> Option<Label> {
    let name = if config.local { "minion" } else { "master" };
    // The last file that has the setting is the one that counts.
    config::files(&config.dir, name).iter().rev().find_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        let node = corpus_core::yaml::parse(&text).ok()?;
        let list = node.get("ext_pillar").and_then(Node::as_seq)?;
        let (key, _) = list.get(index)?.as_map()?.first()?;
        let excerpt = text.lines().nth(key.pos.line as usize - 1).map(Arc::from);
        let len = key.as_str().map_or(0, |name| name.chars().count() as u32);
        Some(Label { span: Span::new(path.display().to_string(), key.pos), len, text: String::new(), excerpt })
    })
}
