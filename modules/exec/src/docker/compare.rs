//! How a container differs from what is asked for. What is not asked for is as the image says, else as the daemon does
//! by itself; whatever else a container has, somebody gave it, and it is not kept.

use corpus_core::{Map, Value, python};

/// Keys of `HostConfig` that the daemon fills in by itself where nothing is asked for.
const DAEMONS: &[&str] = &[
    "CgroupParent",
    "CgroupnsMode",
    "IpcMode",
    "Isolation",
    "LogConfig",
    "MemorySwap",
    "OomKillDisable",
    "Runtime",
    "SecurityOpt",
    "ShmSize",
    "UsernsMode",
];

/// The keys of `HostConfig` that a declaration decides.
const HOST: &[&str] = &[
    "AutoRemove",
    "Binds",
    "BlkioWeight",
    "CapAdd",
    "CapDrop",
    "CgroupParent",
    "CgroupnsMode",
    "CpuPeriod",
    "CpuQuota",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "Init",
    "IpcMode",
    "Isolation",
    "Links",
    "LogConfig",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "NanoCpus",
    "NetworkMode",
    "OomKillDisable",
    "OomScoreAdj",
    "PidMode",
    "PidsLimit",
    "PortBindings",
    "Privileged",
    "PublishAllPorts",
    "ReadonlyRootfs",
    "RestartPolicy",
    "Runtime",
    "SecurityOpt",
    "ShmSize",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "UTSMode",
    "Ulimits",
    "UsernsMode",
    "VolumeDriver",
    "VolumesFrom",
];

/// The keys of `Config` that a declaration or the image decides.
const CONFIG: &[&str] = &[
    "Cmd",
    "Domainname",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Hostname",
    "Labels",
    "MacAddress",
    "NetworkDisabled",
    "OpenStdin",
    "StopSignal",
    "StopTimeout",
    "Tty",
    "User",
    "Volumes",
    "WorkingDir",
];

/// Returns Salt's `{Config: {Env: {old, new}}, HostConfig: {…}}`, empty if nothing differs.
pub fn differences(container: &Value, image: &Value, config: &Map, host: &Map) -> Map {
    let mut out = Map::new();
    let part = |value: &Value, name: &str| value.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
    let (have, base) = (part(container, "Config"), part(image, "Config"));
    let mut changes = Map::new();
    for key in CONFIG {
        // The daemon names a host after its container where nobody does.
        if *key == "Hostname" && !config.contains(key) || *key == "MacAddress" && !config.contains(key) {
            continue;
        }
        compare(&mut changes, key, have.get(key), &expected(key, config, &base));
    }
    if !changes.is_empty() {
        out.insert("Config", std::mem::take(&mut changes));
    }
    let have = part(container, "HostConfig");
    for key in HOST {
        if DAEMONS.contains(key) && !host.contains(key) {
            continue;
        }
        compare(&mut changes, key, have.get(key), &host.get(key).cloned().unwrap_or_default());
    }
    if !changes.is_empty() {
        out.insert("HostConfig", changes);
    }
    out
}

fn compare(changes: &mut Map, key: &str, have: Option<&Value>, want: &Value) {
    let have = have.cloned().unwrap_or_default();
    let (old, new) = (plain(key, &have), plain(key, want));
    if old == new || empty(&old) && empty(&new) {
        return;
    }
    let change: Map = [("old", have), ("new", want.clone())].into_iter().collect();
    changes.insert(key, change);
}

/// Tells whether a value says nothing.
fn empty(value: &Value) -> bool {
    !value.truthy()
}

/// Returns what the image and the request make of a key of `Config` together.
fn expected(key: &str, config: &Map, image: &Map) -> Value {
    let asked = config.get(key).filter(|value| !value.is_null());
    let theirs = image.get(key).cloned().unwrap_or_default();
    match (key, asked) {
        ("Env", asked) => {
            let own = asked.and_then(Value::as_list).unwrap_or_default();
            let name =
                |line: &Value| line.as_str().and_then(|line| line.split('=').next()).unwrap_or_default().to_owned();
            let mut all = own.to_vec();
            for line in theirs.as_list().unwrap_or_default() {
                if !own.iter().any(|mine| name(mine) == name(line)) {
                    all.push(line.clone());
                }
            }
            all.into()
        }
        ("Labels" | "ExposedPorts" | "Volumes", asked) => {
            let mut all = theirs.as_map().cloned().unwrap_or_default();
            all.0.extend(asked.and_then(Value::as_map).cloned().unwrap_or_default());
            if all.is_empty() { Value::Null } else { all.into() }
        }
        // Another entry point makes the image's words senseless.
        ("Cmd", None) if config.get("Entrypoint").is_some_and(Value::truthy) => Value::Null,
        (_, Some(asked)) => asked.clone(),
        (_, None) => theirs,
    }
}

/// Brings a value into the one form in which two of them can be compared.
fn plain(key: &str, value: &Value) -> Value {
    let sorted = |lines: Vec<String>| {
        let mut lines = lines;
        lines.sort();
        lines.dedup();
        Value::from(lines)
    };
    let lines = || value.as_list().unwrap_or_default().iter().map(python::str);
    match key {
        "Env" | "Dns" | "DnsSearch" | "DnsOptions" | "ExtraHosts" | "GroupAdd" | "SecurityOpt" | "VolumesFrom" => {
            if key == "Dns" { value.clone() } else { sorted(lines().collect()) }
        }
        "Binds" => sorted(lines().map(|line| line.strip_suffix(":rw").unwrap_or(&line).to_owned()).collect()),
        "CapAdd" | "CapDrop" => {
            let short = |line: String| line.to_uppercase().trim_start_matches("CAP_").to_owned();
            sorted(lines().map(short).collect())
        }
        // `/other:/web/alias` is the link to `other` as `alias`.
        "Links" => sorted(
            lines()
                .map(|line| {
                    let (to, alias) = line.split_once(':').unwrap_or((&line, &line));
                    format!("{}:{}", to.trim_start_matches('/'), alias.rsplit('/').next().unwrap_or_default())
                })
                .collect(),
        ),
        "NetworkMode" => match value.as_str().unwrap_or_default() {
            special if special == "none" || special == "host" || special.starts_with("container:") => special.into(),
            // Which networks it is plugged into is compared apart.
            _ => Value::Null,
        },
        "RestartPolicy" => match value.get("Name").and_then(Value::as_str).unwrap_or_default() {
            "" | "no" => Value::Null,
            name => {
                let count = value.get("MaximumRetryCount").and_then(Value::as_int).unwrap_or(0);
                format!("{name}:{count}").into()
            }
        },
        "PortBindings" => {
            let mut all = vec![];
            for (port, rows) in value.as_map().into_iter().flatten() {
                for row in rows.as_list().unwrap_or_default() {
                    let text = |key: &str| row.get(key).map(python::str).unwrap_or_default();
                    let ip = text("HostIp").replace("0.0.0.0", "");
                    let number = text("HostPort");
                    let number = if number == "0" { String::new() } else { number };
                    all.push(format!("{ip}:{number}:{}", python::str(port)));
                }
            }
            sorted(all)
        }
        "Ulimits" | "Devices" => sorted(
            value
                .as_list()
                .unwrap_or_default()
                .iter()
                .map(|row| {
                    let mut parts: Vec<String> = row
                        .as_map()
                        .into_iter()
                        .flatten()
                        .map(|(k, v)| format!("{}={}", python::str(k), python::str(v)))
                        .collect();
                    parts.sort();
                    parts.join(",")
                })
                .collect(),
        ),
        "LogConfig" => {
            let config = value.get("Config").cloned().filter(Value::truthy).unwrap_or_default();
            let row: Map =
                [("Type", value.get("Type").cloned().unwrap_or_default()), ("Config", config)].into_iter().collect();
            row.into()
        }
        _ => value.clone(),
    }
}

/// Returns what differs in the networks that a container is plugged into, in Salt's form: `wanted` is what
/// `networks` declares, each with its options.
pub fn networks(container: Option<&Value>, wanted: &Map) -> Map {
    let settings = container.and_then(|container| container.get("NetworkSettings"));
    let have =
        settings.and_then(|settings| settings.get("Networks")).and_then(Value::as_map).cloned().unwrap_or_default();
    let id = container.and_then(|container| container.get("Id")).and_then(Value::as_str).unwrap_or_default();
    let mut out = Map::new();
    let mut put = |network: &str, key: &str, old: Value, new: Value| {
        let mut row = out.get(network).and_then(Value::as_map).cloned().unwrap_or_default();
        let change: Map = [("old", old), ("new", new)].into_iter().collect();
        row.insert(key, change);
        out.insert(network, row);
    };
    for (network, options) in wanted {
        let name = python::str(network);
        let address =
            ["ipv4_address", "ipv6_address"].map(|key| options.get(key).filter(|v| v.truthy()).map(python::str));
        let aliases = sorted_words(options.get("aliases"));
        let Some(now) = have.get_value(network) else {
            let kind = if address.iter().any(Option::is_some) { "static" } else { "automatic" };
            put(&name, "IPConfiguration", "not connected".into(), kind.into());
            if !aliases.is_empty() {
                put(&name, "Aliases", Value::Null, aliases.into());
            }
            continue;
        };
        let ipam = now.get("IPAMConfig");
        let old = ["IPv4Address", "IPv6Address"]
            .map(|key| ipam.and_then(|ipam| ipam.get(key)).filter(|v| v.truthy()).map(python::str));
        if old != address {
            let row = |[v4, v6]: [Option<String>; 2]| {
                let rows = [("IPv4Address", v4), ("IPv6Address", v6)];
                let map: Map = rows.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
                if map.is_empty() { Value::Null } else { map.into() }
            };
            put(&name, "IPAMConfig", row(old), row(address));
        }
        // The daemon adds the container's own short name.
        let mut known = sorted_words(now.get("Aliases"));
        known.retain(|alias| !id.starts_with(alias.as_str()) || alias.is_empty());
        if known != aliases {
            put(&name, "Aliases", known.into(), aliases.into());
        }
    }
    for (network, now) in have.iter().filter(|(network, _)| wanted.get_value(network).is_none()) {
        let name = python::str(network);
        let mut told = false;
        for key in ["IPAddress", "Gateway"] {
            if let Some(old) = now.get(key).filter(|value| value.truthy()) {
                put(&name, key, old.clone(), Value::Null);
                told = true;
            }
        }
        if !told {
            put(&name, "IPConfiguration", "automatic".into(), "not connected".into());
        }
    }
    out
}

fn sorted_words(value: Option<&Value>) -> Vec<String> {
    let mut words = crate::fns::lvm::listed(value);
    words.sort();
    words
}

#[cfg(test)]
mod tests {
    use super::{differences, networks};
    use crate::docker::body::wanted;
    use corpus_core::{Map, Value};

    fn json(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn what_the_image_and_the_daemon_give_is_no_difference() {
        let image = json(r#"{"Config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "1"}}}"#);
        let container = json(
            r#"{"Config": {"Env": ["A=1", "PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "1"}, "Hostname": "3f", "User": ""},
                "HostConfig": {"Binds": ["/a:/b:rw"], "NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
                "ShmSize": 67108864, "CapAdd": ["CAP_NET_ADMIN"], "PidsLimit": null, "Dns": []}}"#,
        );
        let args: Map = [("env", Value::from("A=1")), ("binds", "/a:/b".into()), ("cap_add", "net_admin".into())]
            .into_iter()
            .collect();
        let (config, host) = wanted(&args).expect("good");
        assert_eq!(differences(&container, &image, &config, &host), Map::new());
        let (config, host) = wanted(&[("env", Value::from("A=2"))].into_iter().collect()).expect("good");
        let found = differences(&container, &image, &config, &host);
        let keys =
            |part: &str| found.get(part).and_then(Value::as_map).map(|map| map.keys().cloned().collect::<Vec<_>>());
        assert_eq!(keys("Config"), Some(vec!["Env".into()]));
        assert_eq!(keys("HostConfig"), Some(vec!["Binds".into(), "CapAdd".into()]));
    }

    #[test]
    fn networks_are_those_that_are_declared() {
        let container = json(
            r#"{"Id": "abcdef123456", "NetworkSettings": {"Networks": {"bridge": {"IPAMConfig": null, "Aliases": null},
                "app": {"IPAMConfig": {"IPv4Address": "10.9.0.2"}, "Aliases": ["abcdef", "web"]}}}}"#,
        );
        let wanted = json(r#"{"app": {"ipv4_address": "10.9.0.2", "aliases": ["web"]}}"#);
        let found = networks(Some(&container), wanted.as_map().expect("a map"));
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), vec![Value::from("bridge")]);
    }
}
