//! `nftables.*` with the real `nft` in a network of its own: what is declared is there, a second run finds it so.

use crate::support::{Said, Tree, is_root};
use std::process::Command;

const PRESENT: &str = "
filter: {nftables.table_present: []}
input:
  nftables.chain_present: [{table_type: filter}, {hook: input}, {priority: 0}]
web: {nftables.chain_present: []}
deny:
  nftables.set_policy: [{chain: input}, {policy: drop}]
ssh:
  nftables.append: [{chain: input}, {proto: tcp}, {dport: 22}, {connstate: new}, {jump: accept}]
known:
  nftables.append: [{chain: input}, {if: lo}, {connstate: 'related,established'}, {counter: True}, {jump: accept}]
ports:
  nftables.insert: [{chain: input}, {proto: tcp}, {dports: '80,443'}, {source: 10.0.0.0/8}, {jump: jump web}]
ping:
  nftables.append: [{chain: web}, {icmp-type: echo-request}, {jump: accept}]
";

const ABSENT: &str = "
ssh:
  nftables.delete: [{chain: input}, {proto: tcp}, {dport: 22}, {connstate: new}, {jump: accept}]
ports:
  nftables.delete: [{chain: input}, {proto: tcp}, {dports: '80,443'}, {source: 10.0.0.0/8}, {jump: jump web}]
web: {nftables.chain_absent: []}
";

#[test]
fn rules_are_what_is_declared() {
    if !is_root() || Command::new("nft").arg("--version").output().is_err() {
        println!("skipped: no nft here, or not root");
        return;
    }
    let tree = Tree::new();
    tree.file("salt/present.sls", PRESENT).file("salt/absent.sls", ABSENT);
    // All runs in one network, whose rules are gone with it.
    let corpus = tree.corpus(&["--local", "--out=json", "state.apply"]);
    let words: Vec<String> = corpus.get_args().map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let run = format!("{} {}", corpus.get_program().to_string_lossy(), words.join(" "));
    let script = format!(
        "for what in 'present test=True' present present absent absent; do {run} $what queue=True > $TREE/said || true; cat $TREE/said; echo; echo ====; \
         nft list ruleset 2>&1; echo ====; done"
    );
    let mut command = Command::new("unshare");
    command.args(["-n", "sh", "-c", &script.replace("$TREE", &tree.path().display().to_string())]);
    let said = Said::of(command.env("NO_COLOR", "1").output().expect("unshare starts")).expect(0);
    let parts: Vec<&str> = said.out.split("====").collect();
    let changed = |part: usize| -> Vec<String> {
        let said: serde_json::Value =
            serde_json::from_str(parts[part]).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let records = said["local"].as_object().unwrap_or_else(|| panic!("{said}")).clone();
        for record in records.values() {
            assert_ne!(record["result"], false, "{record}");
        }
        let changed = records.values().filter(|record| record["changes"].as_object().is_some_and(|c| !c.is_empty()));
        changed.map(|record| record["__id__"].to_string()).collect()
    };
    assert_eq!((changed(0).len(), parts[1].trim()), (8, ""), "a dry run tells and does nothing");
    assert_eq!(changed(2).len(), 8);
    for there in [
        "type filter hook input priority filter; policy drop;",
        "ct state new tcp dport 22 accept",
        "iifname \"lo\" ct state { established, related } counter",
        "ip saddr 10.0.0.0/8 tcp dport { 80, 443 } jump web",
        "icmp type echo-request accept",
    ] {
        assert!(parts[3].contains(there), "{there}: {}", parts[3]);
    }
    assert_eq!(changed(4), Vec::<String>::new(), "a second run changes nothing");
    assert_eq!(changed(6).len(), 3);
    assert!(!parts[7].contains("dport") && !parts[7].contains("web") && parts[7].contains("iifname"), "{}", parts[7]);
    assert_eq!(changed(8), Vec::<String>::new());
}
