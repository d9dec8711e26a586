//! `file.managed`

use super::shared::manage::{self, Managed as One};
use super::shared::sources::{self, Spec, Wanted};
use super::shared::{self, failed};
use corpus_core::decode::Mode;
use corpus_core::plan::{Observed, Settled};
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value, python};
use corpus_exec::file::perms::Want;
use serde::Deserialize;

/// Keeps a file's content, owner and mode as declared.
///
/// With `source`, the file comes from the file server, the web or this machine; with `contents`, from the
/// SLS itself. A missing parent directory is an error unless `makedirs` is set.
///
/// ```sls
/// /etc/motd:
///   file.managed:
///     - contents: hello
///     - mode: '0644'
/// ```
#[derive(Deserialize)]
pub struct Managed {
    name: String,
    /// Where the content comes from: `salt://`, `http(s)://`, `file://` or a path; of a list, the first that exists.
    #[serde(default)]
    source: Value,
    /// The digest that a source from the web must have, or a file of digests.
    #[serde(default)]
    source_hash: Value,
    /// The name to look for in a file of digests.
    source_hash_name: Option<String>,
    /// Takes a source from the web without a digest.
    #[serde(default)]
    skip_verify: bool,
    /// Kept for Salt's sake: sources are kept by their digest.
    #[serde(default, rename = "keep_source")]
    _keep_source: Value,
    /// Renders the source with this engine, `jinja`.
    template: Option<String>,
    /// Variables for the template.
    context: Option<Value>,
    /// Variables for the template, unless `context` has them.
    defaults: Option<Value>,
    /// The content itself: a text, or a list of lines.
    contents: Option<Value>,
    /// The content, under this key of the pillar.
    contents_pillar: Option<Value>,
    /// The content, under this grain.
    contents_grains: Option<Value>,
    /// Ends the content with a line feed.
    #[serde(default = "shared::yes")]
    contents_newline: bool,
    /// What separates the steps of `contents_pillar` and `contents_grains`.
    #[serde(default = "colon")]
    contents_delimiter: String,
    /// Allows the content to be empty.
    #[serde(default = "shared::yes")]
    allow_empty: bool,
    /// Who owns the file.
    #[serde(alias = "owner")]
    user: Option<Value>,
    /// The group that the file belongs to.
    group: Option<Value>,
    /// The permissions; `keep` takes the source's.
    mode: Option<Mode>,
    /// Makes the directories that are missing.
    #[serde(default)]
    makedirs: bool,
    /// The permissions of directories that are made.
    dir_mode: Option<Mode>,
    /// Replaces the content of a file that is there.
    #[serde(default = "shared::yes")]
    replace: bool,
    /// Makes the file if it is missing.
    #[serde(default = "shared::yes")]
    create: bool,
    /// Keeps what the file was: `minion`.
    #[serde(default)]
    backup: Value,
    /// Shows the difference.
    #[serde(default = "shared::yes", alias = "show_diff")]
    show_changes: bool,
    /// Shows the content of a new file as a difference.
    #[serde(default)]
    new_file_diff: bool,
    /// Follows a link to the file that it points to; otherwise replaces the link.
    #[serde(default = "shared::yes")]
    follow_symlinks: bool,
    /// A command that must accept the new file, given as its last argument, before it takes its place.
    check_cmd: Option<Value>,
    /// What the name of the file that `check_cmd` sees ends with.
    #[serde(default)]
    tmp_ext: String,
    /// Where the file that `check_cmd` sees lies; beside the file unless set.
    tmp_dir: Option<String>,
    /// The encoding of `contents`; only UTF-8 is written.
    encoding: Option<String>,
    /// What to do with characters that the encoding lacks; UTF-8 lacks none.
    #[serde(default, rename = "encoding_errors")]
    _encoding_errors: Value,
    /// Attributes as `chattr` sets them; not applied.
    attrs: Option<Value>,
    /// SELinux context; not applied.
    selinux: Option<Value>,
    /// Checks certificates of sources from the web; always done.
    #[serde(default, rename = "verify_ssl")]
    _verify_ssl: Value,
    /// Uses ETags for sources from the web; sources are known by their digest instead.
    #[serde(default, rename = "use_etag")]
    _use_etag: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_owner")]
    _win_owner: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_perms")]
    _win_perms: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_deny_perms")]
    _win_deny_perms: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_inheritance")]
    _win_inheritance: Value,
    /// Accepted for Salt's sake: it has a meaning on Windows only.
    #[serde(default, rename = "win_perms_reset")]
    _win_perms_reset: Value,
    /// Not built: asking for a signature to be checked is refused, never passed over.
    signature: Option<Value>,
    /// Not built: asking for a signature to be checked is refused, never passed over.
    source_hash_sig: Option<Value>,
    /// Belongs to `signature`.
    #[serde(default, rename = "signed_by_any")]
    _signed_by_any: Value,
    /// Belongs to `signature`.
    #[serde(default, rename = "signed_by_all")]
    _signed_by_all: Value,
    /// Belongs to `signature`.
    #[serde(default, rename = "keyring")]
    _keyring: Value,
    /// Belongs to `signature`.
    #[serde(default, rename = "gnupghome")]
    _gnupghome: Value,
    /// Belongs to `signature`.
    #[serde(default, rename = "sig_backend")]
    _sig_backend: Value,
    /// Not built, warned about: files are compared whole.
    ignore_ordering: Option<Value>,
    /// Not built, warned about: files are compared whole.
    ignore_whitespace: Option<Value>,
    /// Not built, warned about: files are compared whole.
    ignore_comment_characters: Option<Value>,
}

fn colon() -> String {
    ":".into()
}

impl Managed {
    /// Returns the content that the SLS, the pillar or a grain holds.
    fn contents(&self, cx: &PlanCx<'_>) -> Result<Option<Value>, StateError> {
        let given = [&self.contents, &self.contents_pillar, &self.contents_grains].into_iter().flatten().count();
        let all = "'contents', 'contents_pillar', or 'contents_grains'";
        if self.source.truthy() && given > 0 {
            return Err(failed(format!("'source' cannot be used in combination with {all}")));
        }
        if self.mode == Some(Mode::Keep) && given > 0 {
            return Err(failed(format!("Mode preservation cannot be used in combination with {all}")));
        }
        if given > 1 {
            return Err(failed("Only one of 'contents', 'contents_pillar', and 'contents_grains' is permitted"));
        }
        let look_up = |keys: &Value, data: &Value, what: &str| -> Result<Value, StateError> {
            let one = |key: &Value| {
                let key = python::str(key);
                data.traverse(&key, &self.contents_delimiter)
                    .cloned()
                    .ok_or_else(|| failed(format!("{what} {key} does not exist")))
            };
            match keys {
                Value::List(keys) => {
                    let found = keys.iter().map(one).collect::<Result<Vec<_>, _>>()?;
                    Ok(found.iter().map(python::str).collect::<Vec<_>>().join("\n").into())
                }
                key => one(key),
            }
        };
        let (value, what) = match (&self.contents, &self.contents_pillar, &self.contents_grains) {
            (Some(value), ..) => (value.clone(), "'contents'".to_owned()),
            (_, Some(keys), _) => {
                (look_up(keys, &cx.data.pillar, "Pillar")?, format!("contents_pillar {}", python::str(keys)))
            }
            (.., Some(keys)) => {
                (look_up(keys, &cx.data.grains, "Grain")?, format!("contents_grains {}", python::str(keys)))
            }
            _ => return Ok(None),
        };
        if !self.allow_empty && !value.truthy() {
            return Err(failed(format!(
                "{what} value would result in empty contents. Set allow_empty to True to allow the managed file to be empty."
            )));
        }
        if value.as_map().is_some() {
            return Err(failed(
                "Contents specified by contents/contents_pillar/contents_grains is not a string or list of strings, and \
                 is not binary data. SLS is likely malformed.",
            ));
        }
        Ok(Some(value))
    }

    /// Returns the content that is wanted, with the source's mode; and whether the file already has it.
    fn wanted(
        &self,
        cx: &PlanCx<'_>,
        path: &std::path::Path,
    ) -> Result<(Option<Wanted>, Option<u32>, bool), StateError> {
        let mut more = Map::new();
        if self.template.is_some() {
            more = Map::with_capacity(6);
            more.insert("name", self.name.as_str());
            more.insert("source", self.source.clone());
            more.insert("user", self.user.clone());
            more.insert("group", self.group.clone());
            more.insert("mode", shared::bits(self.mode).map(Mode::show));
            let collected = shared::accumulated(cx, path);
            if !collected.is_empty() {
                more.insert("accumulator", collected);
            }
        }
        let template = sources::template(self.template.as_deref(), &self.context, &self.defaults, more)?;
        if let Some(value) = self.contents(cx)? {
            let text = sources::contents(&value, self.contents_newline);
            return Ok((Some(Wanted::Bytes(sources::render(cx, text, template)?)), None, false));
        }
        if !self.source.truthy() {
            return Ok((None, None, false));
        }
        let spec = Spec {
            file: path,
            source: &self.source,
            source_hash: &self.source_hash,
            source_hash_name: self.source_hash_name.as_deref(),
            skip_verify: self.skip_verify,
            template,
        };
        Ok(match spec.find(cx)? {
            Some(found) => (Some(found.wanted), Some(found.mode), false),
            None => (None, None, true),
        })
    }
}

impl State for Managed {
    const NAME: &'static str = "file.managed";
    const CHECKS: bool = true;

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        if let Some(encoding) = &self.encoding
            && !["utf-8", "utf8", "ascii", "us-ascii"].contains(&encoding.to_lowercase().as_str())
        {
            return Err(failed(format!("The encoding {encoding} is not supported; files are written as UTF-8")));
        }
        for (word, value) in [("signature", &self.signature), ("source_hash_sig", &self.source_hash_sig)] {
            if value.as_ref().is_some_and(Value::truthy) {
                return Err(failed(format!("The '{word}' argument is not built: no signature could be checked")));
            }
        }
        let seen = manage::look(cx, &path)?;
        let have = seen.0;
        if !self.create && !have.is_some_and(|meta| meta.is_file()) {
            self.contents(cx)?;
            return Ok(Plan::unchanged(format!("File {} is not present and is not set for creation", path.display())));
        }
        let mut want = Want { user: self.user.clone(), group: self.group.clone(), mode: shared::bits(self.mode) };
        shared::check_owner(cx, &want)?;
        if have.is_some_and(|meta| meta.is_dir()) {
            return Err(failed(format!("Specified target {} is a directory", path.display())));
        }
        let keep = self.mode == Some(Mode::Keep);
        // A file that is there and not to be replaced needs no source, unless the mode comes from it.
        let fixed = have.is_some() && !self.replace && !keep;
        let (wanted, mode, same) = if fixed { (None, None, true) } else { self.wanted(cx, &path)? };
        if keep {
            want.mode = mode;
        }
        let check = self.check_cmd.as_ref().filter(|cmd| cmd.truthy()).map(check_command);
        let one = One {
            path: &path,
            from_source: self.source.truthy(),
            replace: self.replace && wanted.is_some() && !same,
            wanted,
            want,
            makedirs: self.makedirs,
            dir_mode: shared::bits(self.dir_mode),
            backup: &self.backup,
            show_changes: self.show_changes,
            new_file_diff: self.new_file_diff,
            follow_symlinks: self.follow_symlinks,
            check_cmd: check.as_deref(),
            tmp_ext: &self.tmp_ext,
            tmp_dir: self.tmp_dir.as_deref(),
        };
        let mut plan = one.plan_with(cx, seen)?;
        if self.attrs.is_some() {
            plan = plan.warn("The 'attrs' argument is not applied: chattr attributes are not managed.");
        }
        if self.selinux.is_some() {
            plan = plan.warn("The 'selinux' argument is not applied: SELinux contexts are not managed.");
        }
        for (word, value) in [
            ("ignore_ordering", &self.ignore_ordering),
            ("ignore_whitespace", &self.ignore_whitespace),
            ("ignore_comment_characters", &self.ignore_comment_characters),
        ] {
            if value.as_ref().is_some_and(Value::truthy) {
                plan = plan.warn(format!("The '{word}' argument is not applied: files are compared whole."));
            }
        }
        Ok(plan)
    }

    fn settle(&self, plan: &Plan, seen: &[Observed], _: &PlanCx<'_>) -> Result<Settled, StateError> {
        Ok(manage::settle(plan, seen))
    }
}

/// Joins several commands of `check_cmd` into one.
fn check_command(value: &Value) -> String {
    shared::texts(value).join(" && ")
}
