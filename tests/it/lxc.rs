//! `lxc.*` on real LXC, with guests of busybox that boot in a moment; skipped where there is no LXC or no root.

use crate::support::{Tree, busybox_into, is_root};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{}: {e}", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn has(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|out| out.status.success())
}

/// A machine's guests: their directory, a bridge of their own, and the file system that they start from.
struct Node {
    tree: Tree,
    bridge: &'static str,
    mounted: Option<PathBuf>,
    /// The files that say which ids guests may have, as they were.
    ids: [(&'static str, Option<Vec<u8>>); 2],
}

impl Node {
    fn new(bridge: &'static str, on_btrfs: bool) -> Option<Self> {
        let tools = ["lxc-start", "busybox", "rsync", "nft", "ip", "mkfs.btrfs"];
        if !is_root() || !tools.iter().all(|tool| has(tool)) {
            eprintln!("skipped: needs root and {}", tools.join(", "));
            return None;
        }
        let tree = Tree::new();
        let lxc = tree.path().join("lxc");
        std::fs::create_dir(&lxc).expect("a folder");
        let mut node = Self {
            tree,
            bridge,
            mounted: None,
            ids: ["/etc/subuid", "/etc/subgid"].map(|file| (file, std::fs::read(file).ok())),
        };
        if on_btrfs {
            let image = node.tree.path().join("pool.img");
            let file = std::fs::File::create(&image).expect("a file");
            file.set_len(512 << 20).expect("a length");
            run(&["mkfs.btrfs", "-q", &image.display().to_string()]);
            run(&["mount", "-o", "loop", &image.display().to_string(), &lxc.display().to_string()]);
            node.mounted = Some(lxc.clone());
        }
        let dir = lxc.display();
        node.tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: $TREE/cache\nlxc.root_path: {dir}\n"));
        let bases = if on_btrfs { lxc.join(".bases") } else { node.tree.path().join("bases") };
        node.base(&bases, on_btrfs);
        Some(node)
    }

    /// Makes a base as `lxc.base` leaves one, out of one program.
    fn base(&self, bases: &Path, on_btrfs: bool) {
        let home = bases.join("box-0123456789abcdef");
        std::fs::create_dir_all(&home).expect("a folder");
        let rootfs = home.join("rootfs");
        if on_btrfs {
            run(&["btrfs", "-q", "subvolume", "create", &rootfs.display().to_string()]);
        }
        for folder in ["bin", "sbin", "etc", "proc", "sys", "dev", "root", "tmp"] {
            std::fs::create_dir_all(rootfs.join(folder)).expect("a folder");
        }
        busybox_into(&rootfs);
        for applet in ["sh", "cat", "df", "dd", "mkdir", "mv", "chmod", "dirname", "rm", "ip", "hostname", "sync"] {
            std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).expect("a link");
        }
        std::os::unix::fs::symlink("../bin/busybox", rootfs.join("sbin/init")).expect("a link");
        let server = "/bin/busybox nc -ll -p 22 -e /bin/busybox echo SSH-2.0-box";
        std::fs::write(rootfs.join("etc/inittab"), format!("::respawn:{server}\n")).expect("a file");
        std::os::unix::fs::symlink("box-0123456789abcdef", bases.join("box")).expect("a link");
    }

    fn sls(&self, guest: &str) -> &Self {
        let text = format!(
            "{br}:\n  lxc.bridge_present:\n    - address: 10.93.0.1/16\ng1:\n  lxc.present:\n    - base: box\n    - bridge: {br}\n    \
             - lxc_conf: [{{lxc.signal.halt: SIGKILL}}]\n    - running: true\n{guest}",
            br = self.bridge
        );
        self.tree.file("salt/node.sls", &text);
        self
    }

    fn apply(&self, more: &[&str], code: i32) -> Value {
        let mut words = vec!["state.apply", "node", "--out=json"];
        words.extend(more);
        let mut said = self.tree.local(&words).expect(code).json();
        said["local"].take()
    }

    fn call(&self, words: &[&str]) -> Value {
        let mut all = words.to_vec();
        all.push("--out=json");
        self.tree.local(&all).expect(0).json()["local"].take()
    }

    fn refused(&self, words: &[&str]) -> String {
        let said = self.tree.local(words);
        assert_ne!(said.code, 0, "{}", said.out);
        said.out + &said.err
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let root = self.tree.path().join("lxc").display().to_string();
        for guest in ["g1", "g2"] {
            let _ = Command::new("lxc-stop").args(["-P", &root, "-n", guest, "-k"]).output();
        }
        let _ = Command::new("ip").args(["link", "del", self.bridge]).output();
        let _ = Command::new("nft").args(["delete", "table", "ip", &format!("corpus_{}", self.bridge)]).output();
        for (file, before) in self.ids.iter().filter(|_| self.mounted.is_some()) {
            let _ = match before {
                Some(bytes) => std::fs::write(file, bytes),
                None => std::fs::remove_file(file),
            };
        }
        if let Some(path) = &self.mounted {
            let _ = Command::new("umount").arg("-l").arg(path).output();
        }
    }
}

fn changes(said: &Value) -> Vec<Value> {
    said.as_object().expect("states").values().map(|state| state["changes"].clone()).collect()
}

fn quiet(said: &Value) {
    for state in said.as_object().expect("states").values() {
        assert_eq!((&state["result"], &state["changes"]), (&json!(true), &json!({})), "{state}");
    }
}

#[test]
fn a_guest_from_declaration_to_nothing() {
    let Some(node) = Node::new("citlxc0", false) else { return };
    let bases = node.tree.path().join("bases").display().to_string();
    let guest = |more: &str| {
        format!(
            "    - bases: {bases}\n    - address: 10.93.0.3/16\n    - this_port: 40001\n    - owner: it\n    \
             - authorized_keys: [ssh-ed25519 AAAAkey it]\n{more}"
        )
    };
    node.sls(&guest("    - memory: 64M\n    - cpus: 0.5\n"));
    // A dry run tells what the run does; a second run has nothing to do.
    let dry = node.apply(&["test=True"], 0);
    let run_it = node.apply(&[], 0);
    assert_eq!(changes(&dry), changes(&run_it));
    quiet(&node.apply(&[], 0));
    let info = node.call(&["lxc.info", "g1"]);
    let expected = json!({"state": "running", "backing": "overlayfs", "address": "10.93.0.3/16", "memory": 64 << 20, "cpus": 0.5,
        "this_port": "40001", "owner": "it", "ips": ["10.93.0.3"], "authorized_keys": ["ssh-ed25519 AAAAkey it"]});
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&info[key], value, "{key}");
    }
    assert_eq!(node.call(&["lxc.wait_ssh", "g1"])["address"], "10.93.0.3");
    assert_eq!(node.call(&["lxc.run", "g1", "cat /root/.ssh/authorized_keys; hostname"]), "ssh-ed25519 AAAAkey it\ng1");

    // What differs is followed, at once where that is possible.
    node.sls(&guest("    - memory: 32M\n    - cpus: 0\n    - this_host: node1\n"));
    let dry = node.apply(&["test=True"], 0);
    let run_it = node.apply(&[], 0);
    assert_eq!(changes(&dry), changes(&run_it));
    assert_eq!(node.call(&["lxc.limits", "g1"]), json!({"memory": 32 << 20, "cpus": null}));
    assert_eq!(node.call(&["lxc.run", "g1", "cat /this_host"]), "node1");
    quiet(&node.apply(&[], 0));
    // So is what somebody changed by hand.
    node.call(&["lxc.set_parameter", "g1", "memory.limit_in_bytes", "48M"]);
    node.call(&["lxc.stop", "g1", "kill=True"]);
    node.apply(&[], 0);
    assert_eq!(node.call(&["lxc.state", "g1"]), "running");
    quiet(&node.apply(&[], 0));

    assert_eq!(node.call(&["lxc.freeze", "g1"])["state"], json!({"old": "running", "new": "frozen"}));
    assert!(node.refused(&["lxc.start", "g1"]).contains("is frozen, use lxc.unfreeze"));
    assert_eq!(node.call(&["lxc.info", "g1"])["state"], "frozen");
    node.call(&["lxc.unfreeze", "g1"]);

    let mac = node.call(&["lxc.info", "g1"])["mac"].clone();
    node.call(&["lxc.run", "g1", "echo one >/root/x"]);
    assert_eq!(node.call(&["lxc.snapshot", "g1", "comment=first"]), json!({"name": "snap0"}));
    node.call(&["lxc.run", "g1", "echo two >/root/x"]);
    assert_eq!(node.call(&["lxc.snapshots", "g1"])[0]["comment"], "first");
    assert_eq!(node.call(&["lxc.restore", "g1", "snap0"])["state"], json!({"old": "running", "new": "running"}));
    assert_eq!(node.call(&["lxc.run", "g1", "cat /root/x"]), "one");
    assert_eq!(node.call(&["lxc.info", "g1"])["mac"], mac, "it is the same guest");
    assert!(node.refused(&["lxc.restore", "g1", "snap7"]).contains("has no snapshot `snap7`; it has snap0"));
    assert!(node.refused(&["lxc.resize", "g1", "1G"]).contains("stands on overlayfs, which cannot limit its disk"));
    assert!(node.refused(&["lxc.bridge_remove", "citlxc0"]).contains("is in use by"));
    assert!(node.refused(&["lxc.base_remove", "box", &format!("bases={bases}")]).contains("carries guests"));

    // Another of the same, then nothing of either.
    node.call(&["lxc.stop", "g1"]);
    node.call(&["lxc.clone", "g2", "orig=g1", "snapshot=True", "address=10.93.0.4/16"]);
    node.call(&["lxc.start", "g2"]);
    assert_eq!(node.call(&["lxc.run", "g2", "hostname; cat /root/x"]), "g2\none");
    node.tree.file(
        "salt/node.sls",
        "g1:\n  lxc.absent\ng2:\n  lxc.absent:\n    - stop: true\ncitlxc0:\n  lxc.bridge_absent\n",
    );
    node.apply(&[], 0);
    quiet(&node.apply(&[], 0));
    assert!(node.call(&["lxc.base_remove", "box", &format!("bases={bases}")]).as_bool().expect("a bool"));
    let left = |folder: &str| std::fs::read_dir(node.tree.path().join(folder)).expect("a folder").count();
    assert_eq!((left("lxc"), left("bases")), (0, 0));
    let here = node.tree.path().display().to_string();
    assert!(!std::fs::read_to_string("/proc/mounts").expect("mounts").contains(&here));
    assert!(!run(&["ip", "link"]).contains("citlxc0") && !run(&["nft", "list", "tables"]).contains("citlxc0"));
}

#[test]
fn a_guest_of_its_own_ids_and_disk() {
    let Some(node) = Node::new("citlxc1", true) else { return };
    let guest = |disk: &str| format!("    - idmap: '700000:65536'\n    - disk: {disk}\n");
    node.sls(&guest("20M"));
    let dry = node.apply(&["test=True"], 0);
    let run_it = node.apply(&[], 0);
    assert_eq!(changes(&dry), changes(&run_it));
    quiet(&node.apply(&[], 0));
    let info = node.call(&["lxc.info", "g1"]);
    assert_eq!((&info["backing"], &info["idmap"]), (&json!("btrfs"), &json!("700000:65536")));
    let status = std::fs::read_to_string(format!("/proc/{}/status", info["pid"])).expect("a process");
    assert!(status.lines().any(|line| line.starts_with("Uid:\t700000\t")), "{status}");

    let fill = "dd if=/dev/zero of=/root/full bs=1M count=30 2>&1; rm -f /root/half; dd if=/dev/zero of=/root/half bs=1M count=5 2>/dev/null; sync";
    let said = node.call(&["lxc.run", "g1", fill]).as_str().unwrap_or_default().to_owned();
    assert!(said.contains("quota exceeded"), "{said}");
    node.call(&["lxc.run", "g1", "rm -f /root/full; dd if=/dev/zero of=/root/half bs=1M count=10 2>/dev/null; sync"]);
    assert!(node.refused(&["lxc.resize", "g1", "5M"]).contains("delete files in it first"));
    node.sls(&guest("60M"));
    node.apply(&[], 0);
    node.call(&["lxc.run", "g1", "dd if=/dev/zero of=/root/full bs=1M count=30"]);

    // A restored guest may hold what it might hold before.
    node.call(&["lxc.snapshot", "g1"]);
    node.call(&["lxc.restore", "g1", "snap0"]);
    assert_eq!(node.call(&["lxc.disk", "g1"])["limit"], json!(60 << 20));
    quiet(&node.apply(&[], 0));
    node.call(&["lxc.destroy", "g1", "stop=True"]);
    let pool = node.tree.path().join("lxc");
    let subvolumes = run(&["btrfs", "subvolume", "list", &pool.display().to_string()]);
    assert_eq!(subvolumes.lines().count(), 1, "only the base is left: {subvolumes}");
}
