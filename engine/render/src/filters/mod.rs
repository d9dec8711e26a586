//! The filters: Jinja2's in `builtin`, `sequence`; Salt's in `salt`, `net`, `encode`, `time`.

mod builtin;
mod encode;
mod net;
mod salt;
mod sequence;
mod time;

use crate::access::unknown;
use crate::args::Args;
use crate::eval::Vm;
use crate::fail::{R, defined, err};
use crate::show;
use crate::value::Val;
use std::sync::Arc;

/// All filters by name.
pub const NAMES: &[&str] = &[
    "abs",
    "append_dict_key_value",
    "attr",
    "avg",
    "base64_decode",
    "base64_encode",
    "batch",
    "capitalize",
    "center",
    "check_whitelist_blacklist",
    "combinations",
    "combinations_with_replacement",
    "compare_dicts",
    "compare_lists",
    "compress",
    "contains_whitespace",
    "count",
    "d",
    "date_format",
    "default",
    "dict_to_sls_yaml_params",
    "dictsort",
    "difference",
    "e",
    "escape",
    "exactly_n_true",
    "exactly_one_true",
    "extend_dict_key_value",
    "filesizeformat",
    "first",
    "flatten",
    "float",
    "forceescape",
    "format",
    "from_entries",
    "groupby",
    "hmac",
    "human_to_bytes",
    "indent",
    "int",
    "intersect",
    "ip_host",
    "ipaddr",
    "ipv4",
    "ipv6",
    "ipwrap",
    "is_hex",
    "is_ip",
    "is_ipv4",
    "is_ipv6",
    "is_iter",
    "is_list",
    "items",
    "join",
    "json",
    "json_decode_dict",
    "json_decode_list",
    "json_encode_dict",
    "json_encode_list",
    "last",
    "length",
    "list",
    "load_json",
    "load_text",
    "load_yaml",
    "lower",
    "map",
    "max",
    "md5",
    "method_call",
    "min",
    "network_hosts",
    "network_size",
    "path_join",
    "permutations",
    "pprint",
    "product",
    "python",
    "quote",
    "random",
    "regex_escape",
    "regex_match",
    "regex_replace",
    "regex_search",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sequence",
    "set_dict_key_value",
    "sha1",
    "sha256",
    "sha512",
    "skip",
    "slice",
    "sort",
    "sorted_ignorecase",
    "str_to_num",
    "strftime",
    "string",
    "striptags",
    "substring_in_list",
    "sum",
    "symmetric_difference",
    "title",
    "to_bool",
    "to_bytes",
    "to_camelcase",
    "to_entries",
    "to_num",
    "to_snake_case",
    "tojson",
    "traverse",
    "trim",
    "truncate",
    "union",
    "unique",
    "update_dict_key_value",
    "upper",
    "urlencode",
    "uuid",
    "wordcount",
    "wordwrap",
    "xmlattr",
    "yaml",
    "yaml_dquote",
    "yaml_encode",
    "yaml_squote",
    "zip",
    "zip_longest",
];

/// Salt's filters that are known and not built.
const NOT_BUILT: &[&str] = &[
    "dns_check",
    "file_hashsum",
    "filter_by_networks",
    "gen_mac",
    "get_uid",
    "hmac_compute",
    "http_query",
    "is_bin_file",
    "is_empty",
    "is_text_file",
    "json_query",
    "list_files",
    "mac_str_to_bytes",
    "mysql_to_dict",
    "rand_str",
    "random_hash",
    "random_sample",
    "random_shuffle",
    "random_str",
    "urlize",
    "which",
    "xml",
];

/// Applies a filter.
pub fn call(vm: &mut Vm, name: &str, value: &Val, args: &Args) -> R<Val> {
    if let Val::Undef(undef) = value {
        match name {
            "default" | "d" => return Ok(args.raw(0, "default_value").unwrap_or_else(|| Val::str(""))),
            "is_list" | "is_iter" => return Ok(Val::Bool(false)),
            "skip" => return Ok(Val::str("")),
            _ if NAMES.contains(&name) => return Err(crate::fail::undefined(undef)),
            _ => {}
        }
    }
    for part in [builtin::call, sequence::call, salt::call, net::call, encode::call, time::call] {
        if let Some(found) = part(vm, name, value, args)? {
            return Ok(found);
        }
    }
    if NOT_BUILT.contains(&name) {
        return err(format!("the filter '{name}' is not built in corpus"));
    }
    unknown("filter", name, NAMES)
}

/// Returns the operand as text, however it is; Jinja's text filters begin with `soft_str`.
fn soft(value: &Val) -> R<Arc<str>> {
    show::text(value)
}

/// Returns the operand as a text, or Python's error.
fn text(value: &Val) -> R<Arc<str>> {
    defined(value)?;
    match value {
        Val::Str(s) => Ok(s.clone()),
        other => err(format!("expected string or bytes-like object, got '{}'", other.type_name())),
    }
}

/// Where a pattern must match.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Anywhere,
}

type Groups = Option<Vec<Option<String>>>;

/// Makes a matcher of the arguments `rgx, ignorecase, multiline` that begin at a place.
pub fn regex(args: &Args, flags_at: usize) -> R<impl Fn(&str, Anchor) -> R<Groups> + use<>> {
    let regex = pattern(&args.need_text(0, "rgx")?, args, flags_at)?;
    Ok(move |text: &str, anchor: Anchor| -> R<Groups> {
        match regex.captures(text) {
            Ok(Some(found)) => {
                // `re.match`: a match elsewhere does not count.
                if anchor == Anchor::Start && found.get(0).is_some_and(|m| m.start() != 0) {
                    return Ok(None);
                }
                Ok(Some((0..found.len()).map(|i| found.get(i).map(|m| m.as_str().to_owned())).collect()))
            }
            Ok(None) => Ok(None),
            Err(error) => err(format!("the pattern failed: {error}")),
        }
    })
}

fn pattern(source: &str, args: &Args, flags_at: usize) -> R<fancy_regex::Regex> {
    let mut flags = String::new();
    if args.flag(flags_at, "ignorecase", false)? {
        flags.push('i');
    }
    if args.flag(flags_at + 1, "multiline", false)? {
        flags.push('m');
    }
    // Python's `$` also matches before a last newline, and `\Z` is the very end.
    let source = source.replace("\\Z", "\\z");
    let source = if flags.is_empty() { source } else { format!("(?{flags}){source}") };
    match fancy_regex::Regex::new(&source) {
        Ok(regex) => Ok(regex),
        Err(error) => err(format!("the pattern {} is not valid: {error}", corpus_core::python::quoted(&source))),
    }
}
