//! Bonds of interfaces and dial-ups: the settings beyond those that every interface has.

use corpus_core::{Map, Value, python};

/// The settings of a bond, by the names that declarations have for them.
pub const BOND: [&str; 15] = [
    "mode",
    "slaves",
    "miimon",
    "downdelay",
    "updelay",
    "lacp_rate",
    "ad_select",
    "use_carrier",
    "primary",
    "arp_ip_target",
    "arp_interval",
    "hashing-algorithm",
    "xmit_hash_policy",
    "tx_queues",
    "max_bonds",
];

/// The settings of a dial-up that its peer's file has.
pub const PPPOE: [&str; 17] = [
    "user",
    "password",
    "pppoe_iface",
    "noipdefault",
    "usepeerdns",
    "defaultroute",
    "holdoff",
    "maxfail",
    "hide-password",
    "lcp-echo-interval",
    "lcp-echo-failure",
    "connect",
    "noauth",
    "persist",
    "noaccomp",
    "default-asyncmap",
    "linkname",
];

const MODES: [&str; 7] =
    ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];

fn wrong(name: &str, option: &str, expected: &str) -> String {
    format!("Invalid option -- Interface: {name}, Option: {option}, Expected: [{expected}]")
}

/// Reads on and off in all the ways that Salt takes.
fn flag(value: &Value) -> Option<bool> {
    match python::str(value).to_lowercase().as_str() {
        "yes" | "on" | "true" | "1" => Some(true),
        "no" | "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

fn words(value: &Value, between: &str) -> String {
    match value {
        Value::List(items) => items.iter().map(python::str).collect::<Vec<_>>().join(between),
        one => python::str(one),
    }
}

/// Returns the options of a bond in Salt's order, without its slaves.
pub fn bonding(name: &str, given: &Map) -> Result<Vec<(String, String)>, String> {
    let mode = given.get("mode").map(python::str).unwrap_or_default();
    let number = MODES.iter().position(|known| *known == mode).or_else(|| mode.parse().ok().filter(|n| *n < 7));
    let number: usize =
        number.ok_or_else(|| wrong(name, "mode", &format!("0, 1, 2, 3, 4, 5, 6, {}", MODES.join(", "))))?;
    let mut bond = vec![("mode".to_owned(), number.to_string())];
    let whole = |key: &str, usual: &str| -> Result<(String, String), String> {
        let text = given.get(key).map_or_else(|| usual.to_owned(), python::str);
        let text = match (key, text.as_str()) {
            ("lacp_rate", "fast") => "1".to_owned(),
            ("lacp_rate", "slow") => "0".to_owned(),
            _ => text,
        };
        let expected = if key == "lacp_rate" { "fast, 1, slow, 0" } else { "integer" };
        text.parse::<i64>().map_err(|_| wrong(name, key, expected))?;
        Ok((key.to_owned(), text))
    };
    if matches!(number, 0 | 2) {
        let targets = given.get("arp_ip_target").and_then(Value::as_list).unwrap_or_default();
        if !(1..=16).contains(&targets.len()) {
            return Err(wrong(name, "arp_ip_target", "list of ips (up to 16)"));
        }
        bond.push(("arp_ip_target".into(), words(&targets.to_vec().into(), ",")));
        bond.push(whole("arp_interval", "250")?);
    } else {
        for (key, usual) in [("miimon", "100"), ("downdelay", "200"), ("updelay", "0")] {
            bond.push(whole(key, usual)?);
        }
        if number == 4 {
            bond.push(whole("lacp_rate", "0")?);
            bond.push(whole("ad_select", "0")?);
        }
        let primary = given.get("primary").map(|primary| ("primary".to_owned(), python::str(primary)));
        bond.extend(primary.clone().filter(|_| number == 1));
        let carrier = match given.get("use_carrier") {
            None => "on",
            Some(value)
                if flag(value).ok_or_else(|| wrong(name, "use_carrier", "yes, on, true, 1, no, off, false, 0"))? =>
            {
                "1"
            }
            Some(_) => "0",
        };
        bond.push(("use_carrier".into(), carrier.into()));
        bond.extend(primary.filter(|_| matches!(number, 5 | 6)));
    }
    if let Some(policy) = given.get("hashing-algorithm").filter(|_| matches!(number, 2 | 4)).map(python::str) {
        if !["layer2", "layer2+3", "layer3+4"].contains(&policy.as_str()) {
            return Err(wrong(name, "hashing-algorithm", "layer2, layer2+3, layer3+4"));
        }
        bond.push(("xmit_hash_policy".into(), policy));
    }
    Ok(bond)
}

/// Returns the lines of a bond in its stanza, its slaves among them.
pub fn lines(name: &str, given: &Map) -> Result<Vec<String>, String> {
    let slaves = given.get("slaves").filter(|slaves| slaves.truthy());
    let slaves = slaves.ok_or("slaves is a required setting for bond interfaces")?;
    let mut bond = bonding(name, given)?;
    bond.push(("slaves".into(), words(slaves, " ")));
    bond.sort();
    Ok(bond.iter().map(|(key, value)| format!("bond-{key} {value}")).collect())
}

/// Returns what `modprobe` is told of a bond.
pub fn module(name: &str, given: &Map) -> Result<String, String> {
    let options: String = bonding(name, given)?.iter().map(|(key, value)| format!("{key}={value} ")).collect();
    Ok(format!("alias {name} bonding\noptions {name} {options}\n"))
}

/// Returns the file of a dial-up's provider, for `pppd`.
pub fn peer(name: &str, given: &Map) -> Result<String, String> {
    let text = |key: &str| given.get(key).filter(|value| !value.is_null()).map(python::str);
    let on = |key: &str| match given.get(key) {
        None => Ok(true),
        Some(value) => flag(value).ok_or_else(|| wrong(name, key, "yes, on, true, 1, no, off, false, 0")),
    };
    let mut out = String::new();
    let mut put = |line: String| {
        if line.contains('\n') {
            return Err(format!("network.managed: {name}: a setting is one line"));
        }
        out += &format!("{line}\n");
        Ok(())
    };
    let user = text("user").ok_or_else(|| wrong(name, "user", "the account's name"))?;
    put(format!("user {user}"))?;
    if let Some(password) = text("password") {
        put(format!("password {password}"))?;
    }
    put(format!("plugin rp-pppoe.so {}", text("pppoe_iface").unwrap_or_else(|| "eth0".into())))?;
    for key in ["noipdefault", "usepeerdns", "defaultroute"] {
        if on(key)? {
            put(key.into())?;
        }
    }
    for (key, usual) in [("holdoff", "15"), ("maxfail", "0"), ("lcp-echo-interval", "20"), ("lcp-echo-failure", "3")] {
        let value = text(key).unwrap_or_else(|| usual.into());
        if !value.is_empty() {
            put(format!("{key} {value}"))?;
        }
    }
    for key in ["hide-password", "noauth", "persist", "noaccomp"] {
        if on(key)? {
            put(key.into())?;
        }
    }
    put(format!("mtu {}", text("mtu").unwrap_or_else(|| "1492".into())))?;
    if given.get("default-asyncmap").is_some_and(Value::truthy) {
        put("default-asyncmap".into())?;
    }
    for key in ["connect", "linkname"] {
        if let Some(value) = text(key) {
            put(format!("{key} {value}"))?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(json: serde_json::Value) -> Map {
        serde_json::from_value::<Value>(json).ok().and_then(|value| value.as_map().cloned()).unwrap_or_default()
    }

    #[test]
    fn writes_bonds_as_salt_does() {
        let given = map(serde_json::json!({
            "mode": "802.3ad", "slaves": ["eth1", "eth2"], "lacp_rate": "fast", "use_carrier": true,
            "hashing-algorithm": "layer3+4", "miimon": 50,
        }));
        let module = "alias bond0 bonding\noptions bond0 mode=4 miimon=50 downdelay=200 updelay=0 lacp_rate=1 ad_select=0 \
            use_carrier=1 xmit_hash_policy=layer3+4 \n";
        assert_eq!(super::module("bond0", &given).as_deref(), Ok(module));
        let lines = lines("bond0", &given).unwrap_or_default();
        assert_eq!((lines[0].as_str(), lines[5].as_str()), ("bond-ad_select 0", "bond-slaves eth1 eth2"));
        let simple = map(serde_json::json!({"mode": "0", "arp_ip_target": ["10.0.0.1", "10.0.0.2"]}));
        let module = "alias b bonding\noptions b mode=0 arp_ip_target=10.0.0.1,10.0.0.2 arp_interval=250 \n";
        assert_eq!(super::module("b", &simple).as_deref(), Ok(module));
    }

    #[test]
    fn refuses_what_is_no_bond() {
        for (json, named) in [
            (serde_json::json!({"mode": "9"}), "mode"),
            (serde_json::json!({"mode": "0"}), "arp_ip_target"),
            (serde_json::json!({"mode": "1", "miimon": "often"}), "miimon"),
            (serde_json::json!({"mode": "4", "hashing-algorithm": "x"}), "hashing-algorithm"),
        ] {
            assert!(bonding("bond0", &map(json)).is_err_and(|why| why.contains(named)), "{named}");
        }
        assert!(lines("bond0", &map(serde_json::json!({"mode": "1"}))).is_err());
    }
}
