//! How git is set while it serves a pusher. These win over the repository's own configuration.

use super::Conf;

/// Returns git's settings.
pub fn of(conf: &Conf) -> Vec<(&'static str, String)> {
    let on = "true".to_owned();
    vec![
        // Root's hooks, whatever a tree or the repository brings.
        ("core.hooksPath", conf.hooks.display().to_string()),
        // The deployed branch moves by our hook only, see `hook`.
        ("receive.procReceiveRefs", "refs/heads".into()),
        ("receive.fsckObjects", on.clone()),
        ("transfer.fsckObjects", on.clone()),
        ("receive.maxInputSize", conf.max_push.to_string()),
        ("receive.advertisePushOptions", on.clone()),
        ("receive.denyDeleteCurrent", "refuse".into()),
        ("receive.denyCurrentBranch", "ignore".into()),
        ("receive.denyNonFastForwards", "false".into()),
        ("receive.shallowUpdate", "false".into()),
        // The privileged side starts it afterwards, where nobody waits for it.
        ("receive.autogc", "false".into()),
        // Large contents are streamed, not held.
        ("core.bigFileThreshold", "16m".into()),
        ("pack.windowMemory", "64m".into()),
        // What was acknowledged is on the disk.
        ("core.fsync", "committed,loose-object".into()),
        ("core.fsyncMethod", "batch".into()),
        ("core.symlinks", "true".into()),
        ("core.protectHFS", on.clone()),
        ("core.protectNTFS", on),
        ("protocol.version", "2".into()),
        ("uploadpack.allowAnySHA1InWant", "false".into()),
        ("uploadpack.allowFilter", "true".into()),
    ]
}
