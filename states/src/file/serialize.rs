//! `file.serialize`

use super::shared::manage::{self, Managed};
use super::shared::sources::{self, Wanted};
use super::shared::{self, HIDDEN, failed, mapping};
use corpus_core::decode::Mode;
use corpus_core::plan::{Observed, Settled};
use corpus_core::source::TemplateRequest;
use corpus_core::{Call, Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::perms::Want;
use serde::Deserialize;
use std::fmt::Write;

/// Writes data into a file, as YAML, JSON or another form.
///
/// ```sls
/// /etc/app.json:
///   file.serialize:
///     - dataset: {port: 80, hosts: [a, b]}
///     - serializer: json
/// ```
#[derive(Deserialize)]
pub struct Serialize {
    name: String,
    /// The data.
    dataset: Option<Value>,
    /// The data, under this key of the pillar.
    dataset_pillar: Option<String>,
    /// The form: `yaml`, `json`…
    serializer: Option<String>,
    /// The older word for `serializer`.
    formatter: Option<String>,
    /// Options of the serializer: `indent`, `sort_keys`.
    serializer_opts: Option<Value>,
    /// Options for reading what is there; none are used.
    deserializer_opts: Option<Value>,
    /// Keeps what the file holds already, under the data.
    #[serde(default)]
    merge_if_exists: bool,
    /// Who owns the file.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that the file belongs to.
    group: Option<Value>,
    /// The permissions.
    mode: Option<Mode>,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// Keeps what the file was: `minion`.
    #[serde(default)]
    backup: Value,
    /// Shows the difference.
    #[serde(default = "shared::yes")]
    show_changes: bool,
    /// Makes the file if it is missing.
    #[serde(default = "shared::yes")]
    create: bool,
    /// Writes characters beyond ASCII as they are.
    #[serde(default, rename = "encoding")]
    _encoding: Value,
    /// What to do with characters that the encoding lacks; UTF-8 lacks none.
    #[serde(default, rename = "encoding_errors")]
    _encoding_errors: Value,
    /// A command that must accept the new file before it takes its place.
    check_cmd: Option<String>,
    /// What the name of the file that `check_cmd` sees ends with.
    #[serde(default)]
    tmp_ext: String,
    /// Where the file that `check_cmd` sees lies.
    tmp_dir: Option<String>,
}

/// Writes JSON as Python's `json.dumps` does, with an indent.
pub fn json(out: &mut String, value: &Value, indent: Option<usize>, sorted: bool, ascii: bool, depth: usize) {
    let line = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            let _ = write!(out, "\n{:w$}", "", w = width * depth);
        }
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value {
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(out, depth + 1);
                json(out, item, indent, sorted, ascii, depth + 1);
            }
            line(out, depth);
            out.push(']');
        }
        Value::Map(map) if !map.is_empty() => {
            out.push('{');
            let mut entries: Vec<(String, &Value)> =
                map.iter().map(|(k, v)| (python::json_key(k).into_owned(), v)).collect();
            if sorted {
                entries.sort_by(|a, b| a.0.cmp(&b.0));
            }
            for (i, (key, item)) in entries.into_iter().enumerate() {
                out.push_str(if i > 0 { comma } else { "" });
                line(out, depth + 1);
                json_text(out, &key, ascii);
                out.push_str(": ");
                json(out, item, indent, sorted, ascii, depth + 1);
            }
            line(out, depth);
            out.push('}');
        }
        Value::List(_) => out.push_str("[]"),
        Value::Map(_) => out.push_str("{}"),
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Str(text) => json_text(out, text, ascii),
        number => out.push_str(&python::str(number)),
    }
}

fn json_text(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || ascii && !c.is_ascii() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes sections of settings as Python's `configparser` does: names in lower case, a line feed after each section.
fn ini(data: &Value) -> Result<String, StateError> {
    let wrong = || failed("The configparser serializer needs a mapping of sections to mappings of settings");
    let mut out = String::new();
    for (section, settings) in data.as_map().ok_or_else(wrong)? {
        let _ = writeln!(out, "[{}]", python::str(section));
        for (key, value) in settings.as_map().ok_or_else(wrong)? {
            let value = python::str(value).replace('\n', "\n\t");
            let _ = writeln!(out, "{} = {value}", python::str(key).to_lowercase());
        }
        out.push('\n');
    }
    Ok(out)
}

/// Merges as Salt's `dictupdate.merge_recurse` does: mappings deeply, anything else replaced.
fn merge(old: &Value, new: &Value) -> Value {
    let (Some(a), Some(b)) = (old.as_map(), new.as_map()) else { return new.clone() };
    let mut out = a.clone();
    for (key, value) in b {
        let merged = a.get_value(key).map_or_else(|| value.clone(), |before| merge(before, value));
        out.0.insert(key.clone(), merged);
    }
    Value::map(out)
}

/// Shows what merging changed, as Salt's `recursive_diff` does.
fn difference(old: &Map, new: &Map) -> Map {
    let mut out = Map::new();
    for (key, value) in new {
        match old.get_value(key) {
            Some(before) if before == value => {}
            Some(Value::Map(before)) if value.as_map().is_some() => {
                let inner = value.as_map().map(|after| difference(before, after)).unwrap_or_default();
                out.insert(key, inner);
            }
            before => {
                let mut change = Map::new();
                change.insert("new", value);
                change.insert("old", before.cloned().unwrap_or_else(|| "<_null_>".into()));
                out.insert(key, change);
            }
        }
    }
    out
}

impl Serialize {
    fn text(&self, cx: &PlanCx<'_>, form: &str, data: &Value) -> Result<String, StateError> {
        let options = mapping(&self.serializer_opts, "serializer_opts must be formed as a dict")?;
        if form == "json" {
            let indent =
                options.get("indent").map_or(Some(2), |value| value.as_int().and_then(|i| usize::try_from(i).ok()));
            let sorted = options.get("sort_keys").is_none_or(Value::truthy);
            let ascii = options.get("ensure_ascii").is_some_and(Value::truthy);
            let mut out = String::new();
            json(&mut out, data, indent, sorted, ascii, 0);
            return Ok(out + "\n");
        }
        if form == "configparser" {
            return Ok(ini(data)? + "\n");
        }
        let mut call = Call::new("slsutil.serialize", vec![form.into(), data.clone()]);
        if form == "yaml" {
            call.kwargs.insert("default_flow_style", false);
        }
        call.kwargs.0.extend(options.0);
        let text = cx.caller.call(&call).map_err(|_| {
            failed(format!(
                "The {form} serializer could not be found. It either does not exist or its prerequisites are not \
                 installed."
            ))
        })?;
        let text = python::str(&text);
        Ok(format!("{}\n", text.strip_suffix("\n...\n").unwrap_or(&text).trim_end_matches('\n')))
    }

    fn existing(&self, cx: &PlanCx<'_>, form: &str, path: &std::path::Path) -> Result<Option<Value>, StateError> {
        if !self.merge_if_exists || !cx.host.stat(path)?.is_some_and(|meta| meta.is_file()) {
            return Ok(None);
        }
        let trouble = |error: String| failed(format!("Failed to deserialize existing data: {error}"));
        let text = shared::read_text(cx, path)?.text;
        if form == "json" {
            return serde_json::from_str(&text).map(Some).map_err(|error| trouble(error.to_string()));
        }
        if form == "yaml" {
            // The agent has no parser of YAML; its master has, and reads what a template may read.
            let context = [("text", text)].into_iter().collect();
            let request = TemplateRequest { engine: "jinja".into(), context };
            let json = sources::render(cx, "{{ text | load_yaml | json }}".into(), Some(request))?;
            let value: Value = serde_json::from_slice(&json).map_err(|error| trouble(error.to_string()))?;
            return Ok(Some(value).filter(|value| !value.is_null()));
        }
        let call = Call::new("slsutil.deserialize", vec![form.into(), text.into()]);
        cx.caller
            .call(&call)
            .map(|value| Some(value).filter(|v| !v.is_null()))
            .map_err(|error| trouble(error.to_string()))
    }
}

impl State for Serialize {
    const NAME: &'static str = "file.serialize";
    const CHECKS: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let shown = path.display().to_string();
        if !self.create && !cx.host.stat(&path)?.is_some_and(|meta| meta.is_file()) {
            return Ok(Plan::unchanged(format!("File {shown} is not present and is not set for creation")));
        }
        if self.serializer.is_some() && self.formatter.is_some() {
            return Err(failed("Only one of serializer and formatter are allowed"));
        }
        let form =
            self.serializer.as_ref().or(self.formatter.as_ref()).map_or("yaml".into(), |form| form.to_lowercase());
        if self.dataset.as_ref().is_some_and(Value::truthy) && self.dataset_pillar.is_some() {
            return Err(failed("Only one of 'dataset' and 'dataset_pillar' is permitted"));
        }
        let data = match &self.dataset_pillar {
            Some(key) => cx.data.pillar.traverse(key, ":").cloned(),
            None => self.dataset.clone(),
        };
        let mut data = data.ok_or_else(|| failed("Neither 'dataset' nor 'dataset_pillar' was defined"))?;
        let before = self.existing(cx, &form, &path)?;
        if let Some(before) = &before {
            let merged = merge(before, &data);
            if merged == *before {
                return Ok(Plan::unchanged(format!("The file {shown} is in the correct state")));
            }
            data = merged;
        }
        let text = self.text(cx, &form, &data)?;
        let one = Managed {
            path: &path,
            wanted: Some(Wanted::Bytes(text.into_bytes())),
            from_source: false,
            want: Want { user: self.user.clone(), group: self.group.clone(), mode: shared::bits(self.mode) },
            replace: true,
            makedirs: self.makedirs,
            dir_mode: None,
            backup: &self.backup,
            show_changes: self.show_changes,
            new_file_diff: false,
            follow_symlinks: true,
            check_cmd: self.check_cmd.as_deref(),
            tmp_ext: &self.tmp_ext,
            tmp_dir: self.tmp_dir.as_deref(),
        };
        let mut plan = one.plan(cx)?;
        if !plan.is_empty() {
            plan.would = format!("Dataset will be serialized and stored into {shown}");
            if let (Some(before), Some(after)) = (before.as_ref().and_then(Value::as_map), data.as_map()) {
                let shown = if self.show_changes { difference(before, after).into() } else { Value::str(HIDDEN) };
                plan.changes.insert("diff", shown);
            }
        }
        if self.deserializer_opts.is_some() && !self.merge_if_exists {
            plan = plan.warn("The 'deserializer_opts' option is ignored unless merge_if_exists is set to True.");
        }
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(manage::settle(plan, seen))
    }
}
