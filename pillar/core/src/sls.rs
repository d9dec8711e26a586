//! Pillar SLS: rendering, includes with `key` and `defaults`, and merging.

use crate::top::Matches;
use crate::{ByGrain, Layer, Piece, Place, Rendered, Run};
use corpus_core::{Diagnostic, Map, Node, NodeKind, Value, glob, suggest};
use std::collections::HashMap;

/// What was rendered already in this environment, without its includes: a second include gets that.
type Done = HashMap<String, Option<Map>>;

/// A chain of includes that is longer is not written by people.
const MAX_DEPTH: usize = 64;

struct Include {
    sls: String,
    key: Option<String>,
    defaults: Map,
    node: Node,
}

impl Run<'_> {
    /// Renders and merges the SLS files that the top file names.
    pub(crate) fn files(&mut self, matches: &Matches) -> Map {
        let mut pillar = self.request.override_.clone();
        for (env, names) in matches {
            let mut done = Done::new();
            let mut files: Vec<(String, &str)> = Vec::new();
            for name in names {
                let found = if self.envs.contains(env) {
                    self.matching(name, env)
                } else {
                    let message = format!("No matching pillar environment for environment '{env}' found");
                    let hint = suggest::did_you_mean(env, self.envs.iter().map(String::as_str));
                    let mut diagnostic = Diagnostic::error(&message).maybe_hint(hint);
                    let named = self.named_at.iter().find(|(of, sls, _)| of == env && sls == name);
                    diagnostic.labels.extend(named.map(|(.., label)| label.clone()));
                    self.fail(&message, diagnostic);
                    vec![]
                };
                if found.is_empty() {
                    files.push((name.clone(), name));
                } else {
                    files.extend(found.into_iter().map(|sls| (sls, name.as_str())));
                }
            }
            for (sls, name) in files {
                let more = self.sls(&sls, env, &mut done, &Map::new(), 0);
                let pieces = std::mem::take(&mut self.pieces);
                if let Some(more) = more {
                    self.note_doubt(&sls, name, env, &more);
                    pillar = self.merge(pillar, &more);
                    self.layer(|| Layer { source: format!("pillar SLS {sls} ({env})"), pieces });
                }
            }
        }
        pillar
    }

    /// Keeps what is there only because of what the minion says of itself.
    fn note_doubt(&mut self, sls: &str, name: &str, env: &str, values: &Map) {
        if let Some(doubt) = self.doubtful.iter().find(|doubt| doubt.env == env && doubt.sls == name) {
            self.by_grain.push(ByGrain {
                sls: sls.to_owned(),
                env: env.to_owned(),
                grain: doubt.grain.clone(),
                place: doubt.place.clone(),
                values: values.clone(),
            });
        }
    }

    fn piece(&self, rendered: &Rendered) -> Piece {
        let mut node = rendered.node.clone();
        if let NodeKind::Map(entries) = &mut node.kind {
            entries.retain(|(key, _)| key.as_str() != Some("include"));
        }
        Piece { node, under: vec![], place: Place::Computed(rendered.locate.clone()) }
    }

    fn matching(&self, pattern: &str, env: &str) -> Vec<String> {
        // Most names are no patterns, and need no list of all there is.
        let plain = !pattern.contains(['*', '?', '[', '/']) && !pattern.starts_with('.') && !pattern.contains("..");
        if plain {
            return self.renderer.find(pattern, env).map(|_| pattern.to_owned()).into_iter().collect();
        }
        self.renderer.list(env).into_iter().filter(|name| glob::matches(pattern, name)).collect()
    }

    fn sls(&mut self, sls: &str, env: &str, done: &mut Done, defaults: &Map, depth: usize) -> Option<Map> {
        let Some(file) = self.renderer.find(sls, env) else {
            self.missing(sls, env);
            done.insert(sls.to_owned(), None);
            return None;
        };
        let rendered = match self.renderer.render(sls, env, defaults, &self.data) {
            Ok(rendered) => rendered,
            Err(why) => {
                let safe = self.opt("pillar_safe_render_error").is_none_or(Value::truthy);
                let message = if safe {
                    format!("Rendering SLS '{sls}' failed. Please see master log for details.")
                } else {
                    format!("Rendering SLS '{sls}' failed, render error:\n{}", why.message)
                };
                // States and pillar may have files of one name.
                let words = why.message.replacen("Rendering SLS", "Rendering pillar SLS", 1);
                self.fail(message, Diagnostic { message: words, ..why });
                done.insert(sls.to_owned(), None);
                return None;
            }
        };
        let value = rendered.node.to_value();
        if !value.truthy() {
            done.insert(sls.to_owned(), None);
            return None;
        }
        let Some(own) = value.as_map() else {
            let message = format!("SLS '{sls}' does not render to a dictionary");
            let found = format!("this is a {}", rendered.node.type_name());
            self.fail(&message, rendered.show(Diagnostic::error(&message), &rendered.node, &found));
            done.insert(sls.to_owned(), None);
            return None;
        };
        let mut own = own.clone();
        let includes = self.includes(sls, &rendered, defaults);
        if includes.is_some() {
            own.remove("include");
        }
        done.insert(sls.to_owned(), Some(own.clone()));
        let piece = self.request.explain.then(|| self.piece(&rendered));
        let over = self.opt("pillar_includes_override_sls").is_some_and(Value::truthy);
        let mut merged = if over { own.clone() } else { Map::new() };
        let (before, after) = if over { (piece, None) } else { (None, piece) };
        self.pieces.extend(before);
        for include in includes.unwrap_or_default() {
            for name in self.resolve(&include.sls, sls, &file, env) {
                let known_pieces = self.pieces.len();
                let more = match done.get(&name) {
                    Some(known) => known.clone(),
                    None if depth >= MAX_DEPTH => {
                        let message = format!("SLS '{sls}': includes are nested deeper than {MAX_DEPTH} files");
                        self.fail(&message, rendered.show(Diagnostic::error(&message), &include.node, ""));
                        None
                    }
                    None => {
                        if self.renderer.find(&name, env).is_none() {
                            let place =
                                rendered.show(Diagnostic::error(""), &include.node, "").labels.into_iter().next();
                            self.named_at.extend(place.map(|label| (env.to_owned(), name.clone(), label)));
                        }
                        self.sls(&name, env, done, &include.defaults, depth + 1)
                    }
                };
                for piece in &mut self.pieces[known_pieces..] {
                    piece.under.splice(0..0, path(include.key.as_deref()).map(Value::str));
                }
                let Some(more) = more.filter(|m| !m.is_empty()) else { continue };
                merged = self.merge(merged, &under(more, include.key.as_deref()));
            }
        }
        self.pieces.extend(after);
        // The file that includes has the last word, unless it is set otherwise.
        Some(if over { merged } else { self.merge(merged, &own) })
    }

    /// Reads the `include` list, if there is one. A malformed one stays in the pillar as data, as in Salt.
    fn includes(&mut self, sls: &str, rendered: &Rendered, defaults: &Map) -> Option<Vec<Include>> {
        let node = rendered.node.get("include")?;
        let Some(items) = node.as_seq() else {
            let message = format!("Include Declaration in SLS '{sls}' is not formed as a list");
            let diagnostic = rendered.show(Diagnostic::error(&message), node, "");
            self.fail(&message, diagnostic.hint("write `include:` and below it `- name` for each SLS"));
            return None;
        };
        let mut includes = Vec::new();
        for item in items {
            if let Some(name) = item.as_str() {
                let (sls, key) = (name.to_owned(), None);
                includes.push(Include { sls, key, defaults: defaults.clone(), node: item.clone() });
            } else if let Some((name, options)) = item.as_map().and_then(<[_]>::first) {
                let get = |key: &str| options.get(key).map(Node::to_value).filter(|v| !v.is_null());
                includes.push(Include {
                    sls: corpus_core::python::str(&name.to_value()),
                    key: get("key").map(|key| corpus_core::python::str(&key)),
                    defaults: get("defaults").and_then(|d| d.as_map().cloned()).unwrap_or_default(),
                    node: item.clone(),
                });
            } else {
                let message = format!("Include Declaration in SLS '{sls}' holds a {}", item.type_name());
                self.fail(&message, rendered.show(Diagnostic::error(&message), item, "not an SLS name"));
            }
        }
        Some(includes)
    }

    /// Finds the SLS names that an include means: globs, paths with `/`, names relative to the file.
    fn resolve(&self, wanted: &str, sls: &str, file: &str, env: &str) -> Vec<String> {
        let absolute = wanted.trim_start_matches('.').replace('/', ".");
        let full = match wanted.strip_prefix('.') {
            None => wanted.to_owned(),
            Some(rest) => {
                let package =
                    if file.ends_with("/init.sls") { sls } else { sls.rsplit_once('.').map_or("", |(p, _)| p) };
                if package.is_empty() { rest.to_owned() } else { format!("{package}.{rest}") }
            }
        };
        let mut found = self.matching(&full, env);
        if found.is_empty() {
            // Salt looks for the bare name as well; here that is only the second choice.
            found = self.matching(&absolute, env);
        }
        if found.is_empty() { vec![full] } else { found }
    }

    fn missing(&mut self, sls: &str, env: &str) {
        if self.ignored.iter().any(|(e, name)| e == env && name == sls) {
            return;
        }
        let known = self.renderer.list(env);
        let hint = suggest::did_you_mean(sls, known.iter().map(String::as_str));
        if self.envs.contains(&env.to_owned()) {
            let message = format!("Specified SLS '{sls}' in environment '{env}' is not available on the salt master");
            let mut diagnostic = Diagnostic::error(&message).maybe_hint(hint);
            let named = self.named_at.iter().rev().find(|(e, name, _)| e == env && name == sls);
            diagnostic.labels.extend(named.map(|(_, _, label)| label.clone()));
            self.fail(&message, diagnostic);
        } else {
            // Salt says this in its log only; the missing environment is in `_errors` already.
            let message = format!(
                "Specified SLS '{sls}' in environment '{env}' was not found. This could be because SLS '{sls}' is in \
                 an environment other than '{env}', but '{env}' is included in that environment's Pillar top file. \
                 It could also be due to environment '{env}' not being defined in 'pillar_roots'."
            );
            self.diagnostics.push(Diagnostic::warning(message));
        }
    }
}

/// The steps of a key: `x:y` is two levels.
fn path(key: Option<&str>) -> impl DoubleEndedIterator<Item = &str> {
    key.filter(|key| !key.is_empty()).into_iter().flat_map(|key| key.split(':'))
}

/// Puts a mapping under a key.
fn under(map: Map, key: Option<&str>) -> Map {
    path(key).rev().fold(map, |inner, part| [(part, Value::map(inner))].into_iter().collect())
}
