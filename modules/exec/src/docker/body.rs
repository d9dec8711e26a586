//! From Salt's arguments of a container to the API's request, and what differs between that and a container that is
//! there. Salt finds differences by making a second container; here what is asked for is laid over what the image
//! says, which needs no hands.

use crate::fns::cmd::split;
use crate::fns::lvm::listed;
use crate::lxc::spec::bytes;
use corpus_core::{ExecError, Map, Value, python};

/// Where an argument goes in the request.
#[derive(Clone, Copy)]
enum At {
    Config(&'static str),
    Host(&'static str),
}

/// How an argument is read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Path,
    Int,
    Bool,
    Bytes,
    /// A list, or words with commas between.
    Words,
    /// A list of words, or a line as a shell reads it.
    Line,
    /// A mapping, a list of mappings or of `key=value`.
    Pairs,
}

/// Salt's arguments that need nothing but their kind.
const PLAIN: &[(&str, At, Kind)] = &[
    ("command", At::Config("Cmd"), Kind::Line),
    ("domainname", At::Config("Domainname"), Kind::Text),
    ("entrypoint", At::Config("Entrypoint"), Kind::Line),
    ("hostname", At::Config("Hostname"), Kind::Text),
    ("labels", At::Config("Labels"), Kind::Pairs),
    ("mac_address", At::Config("MacAddress"), Kind::Text),
    ("network_disabled", At::Config("NetworkDisabled"), Kind::Bool),
    ("stdin_open", At::Config("OpenStdin"), Kind::Bool),
    ("stop_signal", At::Config("StopSignal"), Kind::Text),
    ("stop_timeout", At::Config("StopTimeout"), Kind::Int),
    ("tty", At::Config("Tty"), Kind::Bool),
    ("user", At::Config("User"), Kind::Text),
    ("working_dir", At::Config("WorkingDir"), Kind::Path),
    ("auto_remove", At::Host("AutoRemove"), Kind::Bool),
    ("blkio_weight", At::Host("BlkioWeight"), Kind::Int),
    ("cap_add", At::Host("CapAdd"), Kind::Words),
    ("cap_drop", At::Host("CapDrop"), Kind::Words),
    ("cgroup_parent", At::Host("CgroupParent"), Kind::Text),
    ("cgroupns", At::Host("CgroupnsMode"), Kind::Text),
    ("cpu_period", At::Host("CpuPeriod"), Kind::Int),
    ("cpu_quota", At::Host("CpuQuota"), Kind::Int),
    ("cpu_shares", At::Host("CpuShares"), Kind::Int),
    ("cpuset_cpus", At::Host("CpusetCpus"), Kind::Text),
    ("cpuset_mems", At::Host("CpusetMems"), Kind::Text),
    ("dns", At::Host("Dns"), Kind::Words),
    ("dns_opt", At::Host("DnsOptions"), Kind::Words),
    ("dns_search", At::Host("DnsSearch"), Kind::Words),
    ("group_add", At::Host("GroupAdd"), Kind::Words),
    ("init", At::Host("Init"), Kind::Bool),
    ("ipc_mode", At::Host("IpcMode"), Kind::Text),
    ("isolation", At::Host("Isolation"), Kind::Text),
    ("mem_limit", At::Host("Memory"), Kind::Bytes),
    ("mem_reservation", At::Host("MemoryReservation"), Kind::Bytes),
    ("mem_swappiness", At::Host("MemorySwappiness"), Kind::Int),
    ("memswap_limit", At::Host("MemorySwap"), Kind::Bytes),
    ("network_mode", At::Host("NetworkMode"), Kind::Text),
    ("oom_kill_disable", At::Host("OomKillDisable"), Kind::Bool),
    ("oom_score_adj", At::Host("OomScoreAdj"), Kind::Int),
    ("pid_mode", At::Host("PidMode"), Kind::Text),
    ("pids_limit", At::Host("PidsLimit"), Kind::Int),
    ("privileged", At::Host("Privileged"), Kind::Bool),
    ("publish_all_ports", At::Host("PublishAllPorts"), Kind::Bool),
    ("read_only", At::Host("ReadonlyRootfs"), Kind::Bool),
    ("runtime", At::Host("Runtime"), Kind::Text),
    ("security_opt", At::Host("SecurityOpt"), Kind::Words),
    ("shm_size", At::Host("ShmSize"), Kind::Bytes),
    ("storage_opt", At::Host("StorageOpt"), Kind::Pairs),
    ("sysctls", At::Host("Sysctls"), Kind::Pairs),
    ("userns_mode", At::Host("UsernsMode"), Kind::Text),
    ("uts_mode", At::Host("UTSMode"), Kind::Text),
    ("volume_driver", At::Host("VolumeDriver"), Kind::Text),
    ("volumes_from", At::Host("VolumesFrom"), Kind::Words),
];

/// Arguments with a form of their own, read by [`special`].
const SPECIAL: &[&str] = &[
    "binds",
    "cpus",
    "devices",
    "environment",
    "extra_hosts",
    "healthcheck",
    "links",
    "log_driver",
    "log_opt",
    "log_config",
    "port_bindings",
    "ports",
    "restart_policy",
    "tmpfs",
    "ulimits",
    "volumes",
];

/// What the Docker command line calls the arguments.
const ALIASES: &[(&str, &str)] = &[
    ("add_host", "extra_hosts"),
    ("bind", "binds"),
    ("cmd", "command"),
    ("cpuset", "cpuset_cpus"),
    ("device", "devices"),
    ("dns_option", "dns_opt"),
    ("env", "environment"),
    ("expose", "ports"),
    ("health", "healthcheck"),
    ("interactive", "stdin_open"),
    ("ipc", "ipc_mode"),
    ("label", "labels"),
    ("link", "links"),
    ("memory", "mem_limit"),
    ("memory_swap", "memswap_limit"),
    ("network", "network_mode"),
    ("net", "network_mode"),
    ("pid", "pid_mode"),
    ("publish", "port_bindings"),
    ("publish_all", "publish_all_ports"),
    ("restart", "restart_policy"),
    ("rm", "auto_remove"),
    ("sysctl", "sysctls"),
    ("security_opts", "security_opt"),
    ("ulimit", "ulimits"),
    ("user_ns_mode", "userns_mode"),
    ("volume", "volumes"),
    ("workdir", "working_dir"),
];

fn invalid(name: &str, why: impl std::fmt::Display) -> ExecError {
    ExecError::failed(format!("docker: argument `{name}`: {why}"))
}

/// Returns the request's `Config` and `HostConfig` for Salt's arguments. One that is none is refused.
pub fn wanted(args: &Map) -> Result<(Map, Map), ExecError> {
    let (mut config, mut host) = (Map::new(), Map::new());
    let mut seen: Vec<(&str, String)> = vec![];
    for (key, value) in args {
        let given = python::str(key);
        let name = ALIASES.iter().find(|(alias, _)| *alias == given).map_or(given.as_str(), |(_, name)| name);
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == name) {
            return Err(invalid(name, format!("is given twice, as `{other}` and `{given}`")));
        }
        if value.is_null() {
            continue;
        }
        if let Some((known, at, kind)) = PLAIN.iter().find(|(known, ..)| *known == name) {
            let value = read(name, *kind, value)?;
            match at {
                At::Config(key) => config.insert(*key, value),
                At::Host(key) => host.insert(*key, value),
            };
            seen.push((known, given));
        } else if let Some(known) = SPECIAL.iter().find(|known| **known == name) {
            special(known, value, &mut config, &mut host)?;
            seen.push((known, given));
        } else {
            let all = PLAIN.iter().map(|(name, ..)| *name).chain(SPECIAL.iter().copied());
            let near = corpus_core::suggest::nearest(&given, all.chain(ALIASES.iter().map(|(alias, _)| *alias)));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Err(ExecError::failed(format!("docker: unknown argument `{given}`{near}")));
        }
    }
    if host.get("PublishAllPorts").is_some_and(Value::truthy) && host.contains("PortBindings") {
        return Err(invalid("port_bindings", "Cannot be used when publish_all_ports=True"));
    }
    if host.str("NetworkMode") == Some("host") && config.contains("Hostname") {
        return Err(invalid("hostname", "Cannot be used when network_mode=True"));
    }
    Ok((config, host))
}

fn read(name: &str, kind: Kind, value: &Value) -> Result<Value, ExecError> {
    let text = python::str(value);
    Ok(match kind {
        Kind::Text => text.into(),
        Kind::Path if text.starts_with('/') => text.into(),
        Kind::Path => return Err(invalid(name, format!("'{text}' is not an absolute path"))),
        Kind::Int => {
            text.trim().parse::<i64>().map_err(|_| invalid(name, format!("'{text}' is not an integer")))?.into()
        }
        Kind::Bool => value.truthy().into(),
        Kind::Bytes if text.trim() == "-1" => (-1).into(),
        Kind::Bytes => bytes(&text).ok_or_else(|| invalid(name, format!("'{text}' is no size, such as 512M")))?.into(),
        Kind::Words => listed(Some(value)).into(),
        Kind::Line => match value {
            Value::List(words) => words.iter().map(python::str).collect::<Vec<_>>().into(),
            _ => split(&text)?.into(),
        },
        Kind::Pairs => pairs(name, value)?.into(),
    })
}

/// Reads a mapping in any of the ways that Salt takes; all its values are texts.
pub fn pairs(name: &str, value: &Value) -> Result<Map, ExecError> {
    let mut out = Map::new();
    let items: Vec<Value> = match value {
        Value::Map(_) => vec![value.clone()],
        Value::List(items) => items.to_vec(),
        text => listed(Some(text)).into_iter().map(Value::from).collect(),
    };
    for item in &items {
        match item {
            Value::Map(map) => {
                for (key, value) in &**map {
                    out.insert(python::str(key), if value.is_null() { String::new() } else { python::str(value) });
                }
            }
            text => {
                let text = python::str(text);
                let (key, value) = text.split_once('=').unwrap_or((&text, ""));
                if key.is_empty() {
                    return Err(invalid(name, format!("'{text}' is no key=value")));
                }
                out.insert(key, value);
            }
        }
    }
    Ok(out)
}

fn special(name: &str, value: &Value, config: &mut Map, host: &mut Map) -> Result<(), ExecError> {
    let words = || listed(Some(value));
    match name {
        "environment" => {
            let all = pairs(name, value)?;
            let lines: Vec<String> =
                all.iter().map(|(k, v)| format!("{}={}", python::str(k), python::str(v))).collect();
            config.insert("Env", lines);
        }
        "volumes" | "binds" => volumes(name, value, config, host)?,
        "ports" => open(config, &words().iter().map(|word| port(name, word)).collect::<Result<Vec<_>, _>>()?),
        "port_bindings" => publish(value, config, host)?,
        "cpus" => {
            let text = python::str(value);
            let cpus: f64 = text.parse().map_err(|_| invalid(name, format!("'{text}' is no number of processors")))?;
            host.insert("NanoCpus", (cpus * 1e9).round() as i64);
        }
        "restart_policy" => {
            let text = python::str(value);
            let (policy, count) = text.split_once(':').unwrap_or((&text, "0"));
            let count: i64 =
                count.parse().map_err(|_| invalid(name, format!("Retry count '{count}' is non-numeric")))?;
            let row: Map = [("Name", Value::from(policy)), ("MaximumRetryCount", count.into())].into_iter().collect();
            host.insert("RestartPolicy", row);
        }
        "devices" => {
            let rows = words().into_iter().map(|word| {
                let mut parts = word.split(':');
                let on_host = parts.next().unwrap_or_default().to_owned();
                let inside = parts.next().map_or_else(|| on_host.clone(), str::to_owned);
                let may = parts.next().unwrap_or("rwm");
                let row = [("PathOnHost", on_host.as_str()), ("PathInContainer", &inside), ("CgroupPermissions", may)];
                Value::from(row.into_iter().collect::<Map>())
            });
            host.insert("Devices", rows.collect::<Vec<_>>());
        }
        "extra_hosts" => {
            let lines: Vec<String> = match value {
                Value::Map(map) => map.iter().map(|(k, v)| format!("{}:{}", python::str(k), python::str(v))).collect(),
                _ => words(),
            };
            host.insert("ExtraHosts", lines);
        }
        "links" => {
            let lines: Vec<String> = match value {
                Value::Map(map) => map.iter().map(|(k, v)| format!("{}:{}", python::str(k), python::str(v))).collect(),
                _ => words()
                    .into_iter()
                    .map(|word| if word.contains(':') { word } else { format!("{word}:{word}") })
                    .collect(),
            };
            host.insert("Links", lines);
        }
        "log_driver" | "log_opt" => {
            let mut row = host.get("LogConfig").and_then(Value::as_map).cloned().unwrap_or_default();
            match name {
                "log_driver" => row.insert("Type", python::str(value)),
                _ => row.insert("Config", pairs(name, value)?),
            };
            host.insert("LogConfig", row);
        }
        "log_config" => _ = host.insert("LogConfig", value.clone()),
        "tmpfs" => {
            let mut out = Map::new();
            match value {
                Value::Map(map) => out = (**map).clone(),
                _ => {
                    for word in words() {
                        let (path, options) = word.split_once(':').unwrap_or((&word, ""));
                        out.insert(path, options);
                    }
                }
            }
            host.insert("Tmpfs", out);
        }
        "ulimits" => host_ulimits(name, value, host)?,
        "healthcheck" => _ = config.insert("Healthcheck", healthcheck(value)?),
        _ => {}
    }
    Ok(())
}

fn host_ulimits(name: &str, value: &Value, host: &mut Map) -> Result<(), ExecError> {
    let mut rows = vec![];
    for word in listed(Some(value)) {
        let form =
            || invalid(name, format!("Ulimit definition '{word}' is not in the format type=soft_limit[:hard_limit]"));
        let (kind, limits) = word.split_once('=').ok_or_else(form)?;
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let number = |text: &str| {
            text.trim()
                .parse::<i64>()
                .map_err(|_| invalid(name, format!("Limit '{word}' contains non-numeric value(s)")))
        };
        let row: Map = [("Name", Value::from(kind)), ("Soft", number(soft)?.into()), ("Hard", number(hard)?.into())]
            .into_iter()
            .collect();
        rows.push(Value::from(row));
    }
    host.insert("Ulimits", rows);
    Ok(())
}

/// Reads a check of health: `{test, interval, timeout, retries, start_period}`, times in seconds.
fn healthcheck(value: &Value) -> Result<Value, ExecError> {
    let given = value.as_map().ok_or_else(|| invalid("healthcheck", "must be a mapping with `test`"))?;
    let mut out = Map::new();
    for (key, value) in given {
        let name = python::str(key);
        let text = python::str(value);
        let seconds = || {
            let bad = || invalid("healthcheck", format!("`{name}`: '{text}' is no number of seconds"));
            text.trim_end_matches('s').parse::<f64>().map_err(|_| bad()).map(|s| Value::from((s * 1e9).round() as i64))
        };
        match name.as_str() {
            "test" => {
                let words = match value {
                    Value::List(words) => words.to_vec(),
                    _ => vec!["CMD-SHELL".into(), text.as_str().into()],
                };
                out.insert("Test", words);
            }
            "interval" => _ = out.insert("Interval", seconds()?),
            "timeout" => _ = out.insert("Timeout", seconds()?),
            "start_period" => _ = out.insert("StartPeriod", seconds()?),
            "retries" => _ = out.insert("Retries", read("healthcheck", Kind::Int, value)?),
            _ => {
                return Err(invalid(
                    "healthcheck",
                    format!("`{name}` is none of test, interval, timeout, retries, start_period"),
                ));
            }
        }
    }
    Ok(out.into())
}

/// Reads mounted paths: `/host:/inside[:ro]` is bound, a path alone is a volume of the container's own.
fn volumes(name: &str, value: &Value, config: &mut Map, host: &mut Map) -> Result<(), ExecError> {
    let lines: Vec<String> = match value {
        Value::Map(map) => map
            .iter()
            .map(|(from, to)| {
                let inside = to.get("bind").map_or_else(|| python::str(to), python::str);
                let mode = to.get("mode").map_or_else(String::new, |mode| format!(":{}", python::str(mode)));
                format!("{}:{inside}{mode}", python::str(from))
            })
            .collect(),
        _ => listed(Some(value)),
    };
    let mut binds = host.get("Binds").and_then(Value::as_list).unwrap_or_default().to_vec();
    let mut own = config.get("Volumes").and_then(Value::as_map).cloned().unwrap_or_default();
    for line in lines {
        if line.contains(':') {
            binds.push(line.into());
        } else if line.starts_with('/') {
            own.insert(line, Map::new());
        } else {
            return Err(invalid(name, format!("'{line}' is not an absolute path")));
        }
    }
    if !binds.is_empty() {
        host.insert("Binds", binds);
    }
    if !own.is_empty() {
        config.insert("Volumes", own);
    }
    Ok(())
}

/// Writes a port as the API does, `80/tcp`.
fn port(name: &str, text: &str) -> Result<String, ExecError> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number: u16 =
        number.trim().parse().map_err(|_| invalid(name, format!("'{text}' is no port, such as 80 or 53/udp")))?;
    match protocol {
        "tcp" | "udp" | "sctp" => Ok(format!("{number}/{protocol}")),
        _ => Err(invalid(name, format!("'{text}': '{protocol}' is no protocol"))),
    }
}

fn open(config: &mut Map, ports: &[String]) {
    let mut all = config.get("ExposedPorts").and_then(Value::as_map).cloned().unwrap_or_default();
    for port in ports {
        all.insert(port.as_str(), Map::new());
    }
    config.insert("ExposedPorts", all);
}

/// Reads published ports: `[ip:][host:]inside[/protocol]`, ranges on both sides, or a mapping of inside to outside.
fn publish(value: &Value, config: &mut Map, host: &mut Map) -> Result<(), ExecError> {
    let name = "port_bindings";
    let lines: Vec<String> = match value {
        Value::Map(map) => {
            map.iter().map(|(inside, outside)| format!("{}:{}", python::str(outside), python::str(inside))).collect()
        }
        _ => listed(Some(value)),
    };
    let mut all = Map::new();
    for line in lines {
        let (path, protocol) = line.rsplit_once('/').unwrap_or((&line, "tcp"));
        let mut parts = path.rsplitn(3, ':');
        let (inside, outside, ip) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
        let (inside, outside) =
            (range(name, &line, inside)?, if outside.is_empty() { vec![] } else { range(name, &line, outside)? });
        if !outside.is_empty() && outside.len() != inside.len() {
            return Err(invalid(name, format!("'{line}': as many ports outside as inside")));
        }
        for (number, inside) in inside.iter().enumerate() {
            let key = port(name, &format!("{inside}/{protocol}"))?;
            let out = outside.get(number).map(u16::to_string).unwrap_or_default();
            let ip = ip.unwrap_or_default().trim_matches(['[', ']']);
            let row: Map = [("HostIp", ip), ("HostPort", &out)].into_iter().collect();
            let mut rows = all.get(&key).and_then(Value::as_list).unwrap_or_default().to_vec();
            rows.push(row.into());
            all.insert(key.as_str(), rows);
            open(config, &[key]);
        }
    }
    host.insert("PortBindings", all);
    Ok(())
}

fn range(name: &str, line: &str, text: &str) -> Result<Vec<u16>, ExecError> {
    let bad = || invalid(name, format!("'{line}' is no port to publish, such as 8080:80, 127.0.0.1:8080:80/tcp or 80"));
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to): (u16, u16) = (from.trim().parse().map_err(|_| bad())?, to.trim().parse().map_err(|_| bad())?);
    if from <= to { Ok((from..=to).collect()) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::wanted;
    use corpus_core::{Map, Value};

    fn both(pairs: &[(&str, Value)]) -> Result<String, String> {
        let args: Map = pairs.iter().cloned().collect();
        let (config, host) = wanted(&args).map_err(|error| error.to_string())?;
        Ok(format!("{} {}", corpus_core::python::str(&config.into()), corpus_core::python::str(&host.into())))
    }

    #[test]
    fn reads_salts_arguments() {
        let cases: &[(&str, Value, &str)] = &[
            ("cmd", "sh -c 'a b'".into(), "{'Cmd': ['sh', '-c', 'a b']} {}"),
            ("environment", vec!["A=1"].into(), "{'Env': ['A=1']} {}"),
            ("memory", "64M".into(), "{} {'Memory': 67108864}"),
            ("cpus", 0.5.into(), "{} {'NanoCpus': 500000000}"),
            ("restart", "on-failure:5".into(), "{} {'RestartPolicy': {'Name': 'on-failure', 'MaximumRetryCount': 5}}"),
            ("volumes", vec!["/data", "/a:/b:ro"].into(), "{'Volumes': {'/data': {}}} {'Binds': ['/a:/b:ro']}"),
            (
                "publish",
                "127.0.0.1:8080:80,53/udp".into(),
                "{'ExposedPorts': {'80/tcp': {}, '53/udp': {}}} {'PortBindings': {'80/tcp': [{'HostIp': '127.0.0.1', \
                 'HostPort': '8080'}], '53/udp': [{'HostIp': '', 'HostPort': ''}]}}",
            ),
            ("ulimits", "nofile=1024:2048".into(), "{} {'Ulimits': [{'Name': 'nofile', 'Soft': 1024, 'Hard': 2048}]}"),
        ];
        for (name, value, expected) in cases {
            assert_eq!(both(&[(name, value.clone())]).as_deref(), Ok(*expected), "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let cases: &[(&[(&str, Value)], &str)] = &[
            (&[("publsh", "1".into())], "unknown argument `publsh`; did you mean `publish`?"),
            (&[("publish", "x:80".into())], "'x:80' is no port to publish"),
            (&[("env", "A=1".into()), ("environment", "B=1".into())], "is given twice, as `env` and `environment`"),
            (&[("workdir", "a".into())], "'a' is not an absolute path"),
            (&[("restart", "always:x".into())], "Retry count 'x' is non-numeric"),
        ];
        for (args, says) in cases {
            let error = both(args).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
