//! `firewalld.*`: zones and services of firewalld, by `firewall-cmd`.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::value::{Map, Value};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "firewalld.version",
        args: "()",
        doc: "Returns the version of firewalld.",
        run: ExecFn::Read(|_, look, _| Ok(ask::output(look, &command(&["--version"]))?.trim().into())),
    },
    ExecDef {
        name: "firewalld.get_zones",
        args: "(permanent=True)",
        doc: "Lists the zones.",
        run: ExecFn::Read(|_, look, _| Ok(words(look, &["--permanent", "--get-zones"])?.into())),
    },
    ExecDef {
        name: "firewalld.default_zone",
        args: "()",
        doc: "Returns the zone of connections that are in no other.",
        run: ExecFn::Read(|_, look, _| Ok(ask::output(look, &command(&["--get-default-zone"]))?.trim().into())),
    },
    ExecDef {
        name: "firewalld.get_services",
        args: "(permanent=True)",
        doc: "Lists the services that are known.",
        run: ExecFn::Read(|_, look, _| Ok(words(look, &["--permanent", "--get-services"])?.into())),
    },
    ExecDef {
        name: "firewalld.list_all",
        args: "(zone=None, permanent=True)",
        doc: "Describes a zone.",
        run: ExecFn::Read(|call, look, _| Ok(zone(look, &call.need(0, "zone")?)?.into())),
    },
    ExecDef {
        name: "firewalld.list_services",
        args: "(zone=None, permanent=True)",
        doc: "Lists the services of a zone.",
        run: ExecFn::Read(|call, look, _| of_zone(call, look, "services")),
    },
    ExecDef {
        name: "firewalld.list_ports",
        args: "(zone, permanent=True)",
        doc: "Lists the ports of a zone.",
        run: ExecFn::Read(|call, look, _| of_zone(call, look, "ports")),
    },
    ExecDef {
        name: "firewalld.reload_rules",
        args: "()",
        doc: "Takes over what is kept for good.",
        run: ExecFn::Write(|_, act, _: &Data| Ok(ask::must(act, command(&["--reload"]))?.stdout_text().trim().into())),
    },
];

fn of_zone(call: &Call, look: &dyn Look, what: &str) -> Result<Value, ExecError> {
    Ok(zone(look, &call.need(0, "zone")?)?.remove(what).unwrap_or_default())
}

/// Makes a command.
pub fn command(words: &[&str]) -> Command {
    Command::new(["firewall-cmd"].iter().chain(words).copied())
}

/// Returns what a command prints, as words.
pub fn words(look: &dyn Look, of: &[&str]) -> HostResult<Vec<String>> {
    Ok(ask::output(look, &command(of))?.split_whitespace().map(str::to_owned).collect())
}

/// Describes what is kept of a zone: a list for each key of `firewall-cmd --list-all`, dashes and spaces as `_`.
pub fn zone(look: &dyn Look, name: &str) -> HostResult<Map> {
    Ok(read(&ask::output(look, &command(&["--permanent", &format!("--zone={name}"), "--list-all"]))?))
}

fn read(text: &str) -> Map {
    let mut zone = Map::new();
    let mut last = String::new();
    for line in text.lines().skip(1) {
        // Rules and forwarded ports have a line each.
        if let Some(item) = line.strip_prefix('\t') {
            let mut items = zone.get(&last).and_then(Value::as_list).unwrap_or_default().to_vec();
            items.push(item.trim().into());
            zone.insert(last.as_str(), items);
            continue;
        }
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        last = key.replace(['-', ' '], "_");
        let items: Vec<&str> = match last.as_str() {
            "rich_rules" | "forward_ports" => {
                Some(value.trim()).filter(|value| !value.is_empty()).into_iter().collect()
            }
            _ => value.split_whitespace().collect(),
        };
        zone.insert(last.as_str(), items);
    }
    zone
}

/// Writes a rich rule as `firewall-cmd` shows it: values in double quotes.
pub fn rich_rule(rule: &str) -> String {
    let word = |word: &str| match word.split_once('=') {
        Some((key, value)) if !value.starts_with('"') && !value.ends_with('"') => {
            let plain = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
            format!("{key}=\"{plain}\"")
        }
        _ => word.to_owned(),
    };
    rule.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Writes a forwarded port as `firewall-cmd` has it, from Salt's `from:to:protocol[:address]`.
pub fn forward(mapping: &str) -> Option<String> {
    let parts: Vec<&str> = mapping.splitn(4, ':').collect();
    let [from, to, protocol, ref rest @ ..] = parts[..] else { return None };
    Some(format!("port={from}:proto={protocol}:toport={to}:toaddr={}", rest.first().copied().unwrap_or_default()))
}

/// Describes a forwarded port as Salt does.
pub fn forward_shown(text: &str) -> Value {
    let part = |key: &str| {
        let value = text.split(':').find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        // An address of six parts has colons of its own.
        let value = if key == "toaddr" { text.split_once("toaddr=").map(|(_, rest)| rest) } else { value };
        value.unwrap_or_default().to_owned()
    };
    Map::from_iter([
        ("Source port", part("port")),
        ("Destination port", part("toport")),
        ("Protocol", part("proto")),
        ("Destination address", part("toaddr")),
    ])
    .into()
}

/// Returns the texts of a key of a zone.
pub fn texts(zone: &Map, key: &str) -> Vec<String> {
    zone.get(key).and_then(Value::as_list).unwrap_or_default().iter().map(python::str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read() {
        let zone = read(
            "public\n  target: default\n  services: dhcpv6-client ssh\n  ports: 80/tcp\n  masquerade: no\n  forward-ports: \n\
             \tport=80:proto=tcp:toport=8080:toaddr=fe80::1\n  icmp-blocks: \n  rich rules: \n\trule service name=\"snmp\" accept\n",
        );
        assert_eq!(texts(&zone, "services"), ["dhcpv6-client", "ssh"]);
        assert_eq!(texts(&zone, "forward_ports"), [forward("80:8080:tcp:fe80::1").unwrap()]);
        assert_eq!(texts(&zone, "rich_rules"), [rich_rule("rule service name='snmp' accept")]);
        assert_eq!((texts(&zone, "icmp_blocks").len(), texts(&zone, "masquerade")), (0, vec!["no".to_owned()]));
        assert_eq!(
            forward_shown("port=80:proto=tcp:toport=8080:toaddr=fe80::1").get("Destination address"),
            Some(&"fe80::1".into())
        );
        assert_eq!(forward("80"), None);
    }
}
