//! Rules of `iptables` and `ip6tables`: written from a declaration's words as Salt writes them, asked for and saved.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::overlay::is_unknown;
use corpus_core::{Data, Effect, Map, Value, keywords, python};
use std::path::{Path, PathBuf};

/// One table of one family.
#[derive(Clone, Debug)]
pub struct Table {
    pub family: String,
    pub table: String,
}

impl Table {
    /// Makes it of what was declared; the usual is `filter` of `ipv4`.
    pub fn of(table: Option<String>, family: Option<String>) -> Self {
        let or = |given: Option<String>, usual: &str| given.filter(|s| !s.is_empty()).unwrap_or_else(|| usual.into());
        Self { family: or(family, "ipv4"), table: or(table, "filter") }
    }

    /// Returns the program.
    pub fn program(&self) -> &'static str {
        if self.family == "ipv6" { "ip6tables" } else { "iptables" }
    }

    /// Makes a command: `-A INPUT …`.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new([self.program(), "--wait", "-t", &self.table]);
        command.argv.extend(words.iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned()));
        command
    }

    /// Makes a command about a rule.
    pub fn about(&self, verb: &str, chain: &str, position: &str, rule: &str) -> Command {
        let mut command = self.command(&[verb, chain, position]);
        command.argv.extend(split(rule));
        command
    }

    /// Writes a command as Salt's comments show it.
    pub fn shown(&self, look: &dyn Look, verb: &str, chain: &str, position: &str, rule: &str) -> String {
        let program = look.which(self.program()).unwrap_or_else(|| self.program().into());
        let line = format!("{} --wait -t {} {verb} {chain} {position} {rule}", program.display(), self.table);
        line.trim().to_owned()
    }

    /// Tells whether a rule is there.
    pub fn has(&self, look: &dyn Look, chain: &str, rule: &str) -> HostResult<bool> {
        Ok(look.query(&self.about("-C", chain, "", rule))?.ok())
    }

    /// Returns the table as `iptables-save` writes it.
    pub fn dump(&self, look: &dyn Look) -> HostResult<String> {
        ask::output(look, &Command::new([format!("{}-save", self.program()).as_str(), "-t", &self.table]))
    }

    /// Returns the policy of a chain, `-` for one without; `None` if there is no such chain.
    pub fn policy(&self, look: &dyn Look, chain: &str) -> HostResult<Option<String>> {
        let mark = format!(":{chain} ");
        let dump = self.dump(look)?;
        let line = dump.lines().find_map(|line| line.strip_prefix(&mark));
        Ok(line.map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()))
    }

    /// Returns how many rules a chain has, or the table with an empty name.
    pub fn count(&self, look: &dyn Look, chain: &str) -> HostResult<usize> {
        let mark = if chain.is_empty() { "-A ".to_owned() } else { format!("-A {chain} ") };
        Ok(self.dump(look)?.lines().filter(|line| line.starts_with(&mark)).count())
    }
}

/// Where a distribution reads its rules from at boot.
pub fn saved_at(data: &Data, family: &str) -> Option<PathBuf> {
    let grain = |key: &str| data.grains.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let six = family == "ipv6";
    let path = match (grain("os_family").as_str(), grain("os").as_str()) {
        ("RedHat", _) => ["/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables"],
        ("Arch" | "Void", _) => ["/etc/iptables/iptables.rules", "/etc/iptables/ip6tables.rules"],
        ("Debian", _) => ["/etc/iptables/rules.v4", "/etc/iptables/rules.v6"],
        (_, "Gentoo") => ["/var/lib/iptables/rules-save", "/var/lib/ip6tables/rules-save"],
        ("Suse", _) => ["/etc/sysconfig/scripts/SuSEfirewall2-custom"; 2],
        (_, "Alpine") => ["/etc/iptables/rules-save", "/etc/iptables/rules6-save"],
        _ => return None,
    };
    Some(path[usize::from(six)].into())
}

/// Tells whether a file holds the rules of this machine, counters apart.
pub fn is_saved(look: &dyn Look, path: &Path, family: &str) -> HostResult<bool> {
    let program = if family == "ipv6" { "ip6tables-save" } else { "iptables-save" };
    let rules = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(['*', ':', '-']));
        lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
    };
    let kept = match ask::text(look, path) {
        // A step before this one saves what it leaves.
        Err(error) if is_unknown(&error.why) => return Ok(true),
        kept => kept?.unwrap_or_default(),
    };
    Ok(rules(&ask::output(look, &Command::new([program]))?) == rules(&kept))
}

/// Returns the effects that save the rules, the file old or new at every moment.
pub fn save(path: &Path, family: &str) -> [Effect; 2] {
    let program = if family == "ipv6" { "ip6tables-save" } else { "iptables-save" };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".corpus-{name}"));
    let command = Command::new([program, "-f", &fresh.to_string_lossy()]);
    [Effect::Exec(command), Effect::Rename { from: fresh, to: path.to_owned() }]
}

/// Splits a line into words as a shell does, quotes only.
pub fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut open, mut quote) = (vec![], String::new(), false, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(end), c) if c == end => quote = None,
            (Some('"'), '\\') | (None, '\\') => word.extend(chars.next()),
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => (quote, open) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (None, c) => word.push(c),
        }
    }
    if open || !word.is_empty() {
        words.push(word);
    }
    words
}

/// Words that are no part of a rule.
const APART: &[&str] = &["name", "table", "chain", "family", "position", "save", "command", "full", "policy"];

/// Takes a word's value out of what is given.
fn take(given: &mut Map, key: &str) -> Option<Value> {
    given.remove(key).map(|value| if value.is_null() { Value::from("None") } else { value })
}

/// Takes the mark of a negation off a value.
fn negated(value: &str) -> (&'static str, String) {
    if !value.starts_with('!') && !value.starts_with("not") {
        return ("", value.to_owned());
    }
    let mut plain = value.to_owned();
    for mark in ["! ", "!", "not ", "not"] {
        plain = plain.replace(mark, "");
    }
    ("! ", plain)
}

/// Writes a rule as Salt does: matches first, the jump and its options last.
pub fn rule(words: &Map) -> Result<String, String> {
    let mut given: Map = words
        .iter()
        .filter(|(key, _)| {
            key.as_str().is_none_or(|key| !APART.contains(&key) && (key == "timeout" || !keywords::is_engine_word(key)))
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if let Some(target) = given.remove("target") {
        given.insert("jump", target);
    }
    let mut rule: Vec<String> = vec![];
    let plain = |given: &mut Map, rule: &mut Vec<String>, key: &str, flag: &str| {
        let Some(value) = take(given, key) else { return false };
        let (not, value) = negated(&python::str(&value));
        rule.push(format!("{not}{flag} {value}"));
        true
    };
    plain(&mut given, &mut rule, "if", "-i");
    plain(&mut given, &mut rule, "of", "-o");
    let policy = given.str("match") == Some("policy");
    if !policy && let Some(proto) = given.remove("proto") {
        given.insert("protocol", proto);
    }
    let protocol = plain(&mut given, &mut rule, "protocol", "-p");
    matches(&mut given, &mut rule, policy);
    if given.contains("connstate") {
        once(&mut rule, "-m state");
        plain(&mut given, &mut rule, "connstate", "--state");
    }
    plain(&mut given, &mut rule, "dport", "--dport");
    plain(&mut given, &mut rule, "sport", "--sport");
    for key in ["dports", "sports"] {
        let Some(value) = take(&mut given, key) else { continue };
        if !rule.iter().any(|part| part == "-m multiport") {
            rule.push("-m multiport".into());
            if !protocol {
                return Err("protocol must be specified".into());
            }
        }
        let listed = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        let ports: Vec<_> = listed.iter().map(|port| negated(&python::str(port))).collect();
        if ports.iter().any(|(not, _)| !not.is_empty()) {
            rule.push("!".into());
        }
        let ports: Vec<String> = ports.into_iter().map(|(_, port)| port).collect();
        rule.push(format!("--{key} {}", ports.join(",")));
    }
    if let Some(text) = take(&mut given, "comment") {
        once(&mut rule, "-m comment");
        rule.push(format!("--comment \"{}\"", python::str(&text)));
    }
    if given.get("set").is_some_and(Value::truthy) {
        plain(&mut given, &mut rule, "set", "--match-set");
    }
    let jump = jumps(&mut given);
    for (key, value) in &given {
        let key = python::str(key);
        let (not, value) = negated(&if value.is_null() { String::new() } else { python::str(value) });
        let flag = if key.chars().count() == 1 { "-" } else { "--" };
        let space = if value.is_empty() { "" } else { " " };
        rule.push(format!("{not}{flag}{key}{space}{value}"));
    }
    rule.extend(jump);
    Ok(rule.join(" "))
}

fn once(rule: &mut Vec<String>, part: &str) {
    if !rule.iter().any(|have| have == part) {
        rule.push(part.into());
    }
}

/// Writes `match` and `match-set`.
fn matches(given: &mut Map, rule: &mut Vec<String>, policy: bool) {
    if let Some(value) = take(given, "match") {
        let listed: Vec<String> = match &value {
            Value::List(items) => items.iter().map(python::str).collect(),
            one => python::str(one).split(',').map(str::to_owned).collect(),
        };
        for name in listed {
            rule.push(format!("-m {name}"));
            if ["pknock", "quota2", "recent"].contains(&name.trim())
                && let Some(name) = take(given, "name_")
            {
                rule.push(format!("--name {}", python::str(&name)));
            }
        }
        if policy && let Some(proto) = take(given, "proto") {
            let (not, proto) = negated(&python::str(&proto));
            rule.push(format!("{not}--proto {proto}"));
        }
    }
    if let Some(value) = take(given, "match-set") {
        let listed = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        for set in listed {
            let (not, set) = negated(&python::str(&set));
            rule.push(format!("-m set {not}--match-set {set}"));
        }
    }
}

/// Takes out what belongs to the jump, in Salt's order.
fn jumps(given: &mut Map) -> Vec<String> {
    let mut out = vec![];
    for key in JUMP.split_whitespace() {
        let Some(value) = given.remove(key) else { continue };
        let text = if value.is_null() { String::new() } else { python::str(&value) };
        out.push(match text.as_str() {
            "" => format!("--{key}"),
            text if text.contains(char::is_whitespace) => format!("--{key} \"{text}\""),
            text => format!("--{key} {text}"),
        });
    }
    out
}

/// The options of targets.
const JUMP: &str = "j jump add-set and-mark and-tos checksum-fill clamp-mss-to-pmtu clustermac ctevents ctmask del-set \
    ecn-tcp-remove exist expevents gateway hash-init hashmode helper label local-node log-ip-options log-level \
    log-prefix log-tcp-options log-tcp-sequence log-uid map-set mask mss new nfmask nflog-group nflog-prefix \
    nflog-range nflog-threshold nodst notrack on-ip on-port or-mark or-tos persistent queue-balance queue-bypass \
    queue-num random random-fully rateest-ewmalog rateest-interval rateest-name reject-with restore restore-mark \
    sack-perm save-mark selctx set-class set-dscp set-dscp-class set-mark set-mss set-tos set-xmark strip-options \
    timeout timestamp to to-destination to-ports to-source total-nodes tproxy-mark ttl-dec ttl-inc ttl-set type \
    ulog-cprange ulog-nlgroup ulog-prefix ulog-qthreshold wscale xor-mark xor-tos zone zone-orig zone-reply dst-pfx \
    hl-dec hl-inc hl-set hmark-dport-mask hmark-dst-prefix hmark-mod hmark-offset hmark-proto-mask hmark-rnd \
    hmark-spi-mask hmark-sport-mask hmark-src-prefix hmark-tuple led-always-blink led-delay led-trigger-id \
    queue-cpu-fanout src-pfx to-port addr and-mask delude honeypot or-mask prefix reset reuse set-mac shift static \
    tarpit tname ttl";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(words: &[(&str, Value)]) -> Result<String, String> {
        rule(&words.iter().map(|(k, v)| (*k, v.clone())).collect())
    }

    #[test]
    fn writes_rules_as_salt_does() {
        let web = [
            ("name", "x".into()),
            ("chain", "INPUT".into()),
            ("jump", "ACCEPT".into()),
            ("match", "state".into()),
            ("connstate", "NEW".into()),
            ("dport", 80.into()),
            ("proto", "tcp".into()),
            ("source", "! 10.0.0.0/8".into()),
            ("save", true.into()),
        ];
        let text = "-p tcp -m state --state NEW --dport 80 ! --source 10.0.0.0/8 --jump ACCEPT";
        assert_eq!(written(&web).as_deref(), Ok(text));
        let log = [
            ("proto", "tcp".into()),
            ("dports", vec!["80", "443"].into()),
            ("jump", "LOG".into()),
            ("log-prefix", "a b".into()),
            ("comment", "two words".into()),
            ("syn", Value::Null),
        ];
        let text = "-p tcp -m multiport --dports 80,443 -m comment --comment \"two words\" --syn --jump LOG --log-prefix \"a b\"";
        assert_eq!(written(&log).as_deref(), Ok(text));
        assert!(split(text).contains(&"two words".to_owned()));
        assert_eq!(written(&[("dports", 80.into())]), Err("protocol must be specified".into()));
    }
}
