//! The words that any state declaration may carry, whatever its function.

/// Requisites, in the forms that name other states.
pub const REQUISITES: &[&str] = &[
    "require",
    "require_any",
    "watch",
    "watch_any",
    "onchanges",
    "onchanges_any",
    "onfail",
    "onfail_any",
    "onfail_all",
    "onfail_stop",
    "prereq",
    "prerequired",
    "listen",
    "use",
];

/// Requisites written on the other side.
pub const REQUISITES_IN: &[&str] =
    &["require_in", "watch_in", "onchanges_in", "onfail_in", "prereq_in", "listen_in", "use_in"];

/// Words that the engine consumes before a state function sees its arguments.
pub const RUNTIME: &[&str] = &[
    "onlyif",
    "unless",
    "creates",
    "check_cmd",
    "retry",
    "order",
    "failhard",
    "parallel",
    "fire_event",
    "reload_modules",
    "reload_grains",
    "reload_pillar",
    "names",
    "aggregate",
    "state",
    "fun",
    "__id__",
    "__sls__",
    "__env__",
    "__sls_included_from__",
    "cmd_opts_exclude",
    "umask",
    "runas",
    "runas_password",
    "timeout",
    "saltenv",
    "__agg__",
    "__pub_user",
    "__pub_arg",
    "__pub_tgt",
    "__pub_jid",
    "__pub_fun",
    "__pub_tgt_type",
    "__pub_ret",
];

/// Tells whether a word belongs to the engine; a state may still declare it as its own (`umask`, `runas`…).
pub fn is_engine_word(word: &str) -> bool {
    [REQUISITES, REQUISITES_IN, RUNTIME].iter().any(|list| list.contains(&word))
}
