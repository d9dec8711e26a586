//! `firewalld.*` with a real firewalld in a network and folders of its own. `firewall-cmd` takes its time: this runs only
//! where `CORPUS_TEST_FIREWALLD` is set, and firewalld and D-Bus are installed.

use crate::support::{Said, Tree, is_root};
use std::process::Command;

const SLS: &str = "
app:
  firewalld.service: [{ports: [8080/tcp, 8443/tcp]}]
inside:
  firewalld.present:
    - services: [app, ssh]
    - ports: [9/udp]
    - sources: [10.9.0.0/16]
    - masquerade: True
    - port_fwd: ['80:8080:tcp', '81:81:tcp:10.9.0.2']
    - rich_rules: [\"rule family=ipv4 source address='10.1.0.0/16' service name=snmp accept\"]
    - block_icmp: [echo-request]
    - default: True
public:
  firewalld.present: [{services: [http]}, {prune_services: True}, {masquerade: False}]
";

const SCRIPT: &str = "
mount -t tmpfs none /run && mkdir -p /run/dbus
cp -a /etc/firewalld $TREE/firewalld && mount --bind $TREE/firewalld /etc/firewalld
bus=$(dbus-daemon --system --fork --print-pid --nopidfile)
firewalld --nofork --nopid > $TREE/log 2>&1 &
trap 'kill $! $bus' EXIT
for i in $(seq 100); do firewall-cmd --state > /dev/null 2>&1 && break; sleep 0.1; done
for what in test=True test=False test=False; do RUN $what > $TREE/said || true; cat $TREE/said; echo; echo ====; done
firewall-cmd --zone=inside --list-all; firewall-cmd --zone=public --list-all; firewall-cmd --get-default-zone
";

#[test]
fn zones_and_services_are_what_is_declared() {
    let there = |program: &str| {
        Command::new("sh").args(["-c", &format!("command -v {program}")]).output().expect("sh").status.success()
    };
    let asked = std::env::var_os("CORPUS_TEST_FIREWALLD").is_some();
    if !asked || !is_root() || !there("firewalld") || !there("firewall-cmd") || !there("dbus-daemon") {
        println!("skipped: CORPUS_TEST_FIREWALLD is not set, no firewalld here, or not root");
        return;
    }
    let tree = Tree::new();
    tree.file("salt/app.sls", SLS);
    let corpus = tree.corpus(&["--local", "--out=json", "state.apply", "app", "queue=True"]);
    let words: Vec<String> = corpus.get_args().map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let run = format!("{} {}", corpus.get_program().to_string_lossy(), words.join(" "));
    let script = SCRIPT.replace("RUN", &run).replace("$TREE", &tree.path().display().to_string());
    let mut command = Command::new("unshare");
    command.args(["-nm", "--propagation", "private", "bash", "-c", &script]).env("NO_COLOR", "1");
    let said = Said::of(command.output().expect("unshare starts")).expect(0);
    let parts: Vec<&str> = said.out.split("====").collect();
    let changes = |part: usize| -> Vec<serde_json::Value> {
        let said: serde_json::Value =
            serde_json::from_str(parts[part]).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let records = said["local"].as_object().unwrap_or_else(|| panic!("{said}")).clone();
        for record in records.values() {
            assert_ne!(record["result"], false, "{record}");
        }
        records
            .values()
            .map(|record| record["changes"].clone())
            .filter(|c| c.as_object().is_some_and(|c| !c.is_empty()))
            .collect()
    };
    assert_eq!(changes(0), changes(1), "what was shown is what was done");
    assert_eq!(changes(1).len(), 3);
    assert_eq!(changes(2), Vec::<serde_json::Value>::new(), "a second run changes nothing");
    for there in [
        "services: app ssh",
        "ports: 9/udp",
        "masquerade: yes",
        "port=81:proto=tcp:toport=81:toaddr=10.9.0.2",
        "rule family=\"ipv4\" source address=\"10.1.0.0/16\" service name=\"snmp\" accept",
        "services: http\n",
        "icmp-blocks: echo-request",
    ] {
        assert!(parts[3].contains(there), "{there}: {}", parts[3]);
    }
    assert!(parts[3].trim().ends_with("inside"), "{}", parts[3]);
}
