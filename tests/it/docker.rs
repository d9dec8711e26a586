//! `docker_*` on a real daemon, which the test starts itself in a network of its own; skipped where there is none.
//! `tests/machine/docker.sh` brings one and runs this.

use crate::support::{Tree, busybox_into, is_root};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const NETNS: &str = "citdocker";

fn has(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|out| out.status.success())
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{}: {e}", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A daemon with one image, of busybox.
struct Daemon {
    tree: Tree,
    process: Child,
}

impl Daemon {
    fn start() -> Option<Self> {
        if !is_root() || !["dockerd", "nsenter", "ip", "busybox"].iter().all(|tool| has(tool)) {
            eprintln!("skipped: needs root, dockerd and busybox");
            return None;
        }
        let tree = Tree::new();
        let here = tree.path().to_owned();
        let at = |name: &str| here.join(name).display().to_string();
        let _ = Command::new("ip").args(["netns", "del", NETNS]).output();
        run(&["ip", "netns", "add", NETNS]);
        run(&["ip", "-n", NETNS, "link", "set", "lo", "up"]);
        let socket = at("docker.sock");
        // `ip netns exec` would hide the control groups.
        let process = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{NETNS}"))
            .args(["dockerd", "--data-root", &at("docker"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
            .args(["-H", &format!("unix://{socket}"), "--bip", "172.30.0.1/24"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("log")).expect("a file"))
            .spawn()
            .expect("dockerd starts");
        let daemon = Self { tree, process };
        let start = Instant::now();
        while !Path::new(&socket).exists() {
            let log = std::fs::read_to_string(daemon.tree.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "dockerd does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon.tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: $TREE/cache\ndocker.url: unix://{socket}\n"));
        let root = daemon.tree.path().join("img/bin");
        std::fs::create_dir_all(&root).expect("a folder");
        busybox_into(&daemon.tree.path().join("img"));
        for applet in ["sh", "cat", "sleep", "echo", "env", "touch", "nc"] {
            std::os::unix::fs::symlink("busybox", root.join(applet)).expect("a link");
        }
        run(&["tar", "-C", &at("img"), "-cf", &at("img.tar"), "."]);
        daemon.call(&["docker.import", &at("img.tar"), "box", "1"]);
        Some(daemon)
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

    /// Applies a declaration: the dry run foretells the changes, but for what only the daemon knows; a second run has
    /// nothing to do.
    fn apply(&self, sls: &str) -> Vec<Value> {
        self.tree.file("salt/it.sls", sls);
        let states = |more: &[&str]| -> Vec<Value> {
            let mut words = vec!["state.apply", "it", "--out=json"];
            words.extend(more);
            let said = self.tree.local(&words).expect(0).json();
            said["local"].as_object().expect("states").values().cloned().collect()
        };
        let (dry, real) = (states(&["test=True"]), states(&[]));
        for (dry, real) in dry.iter().zip(&real) {
            let keys = |state: &Value| -> Vec<String> {
                let all = state["changes"].as_object().expect("changes").keys().cloned();
                all.filter(|key| key != "container_id" && key != "reconnected").collect()
            };
            let told: Vec<_> = keys(dry);
            // Images and runs tell afterwards what they were.
            if !real["__id__"].as_str().is_some_and(|id| id.starts_with("img-") || id.starts_with("run-")) {
                assert_eq!(told, keys(real), "{dry}\n{real}");
            }
            assert_eq!(told.is_empty(), real["changes"] == json!({}), "{dry}\n{real}");
        }
        for state in states(&[]) {
            if !state["__id__"].as_str().is_some_and(|id| id.starts_with("run-")) {
                assert_eq!((&state["result"], &state["changes"]), (&json!(true), &json!({})), "{state}");
            }
        }
        real
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).output();
        let _ = self.process.wait();
        let _ = Command::new("ip").args(["netns", "del", NETNS]).output();
        let here = self.tree.path().display().to_string();
        for line in std::fs::read_to_string("/proc/mounts").unwrap_or_default().lines().rev() {
            if let Some(place) = line.split_whitespace().nth(1).filter(|place| place.starts_with(&here)) {
                let _ = Command::new("umount").args(["-l", place]).output();
            }
        }
    }
}

fn web(more: &str) -> String {
    format!(
        "net:\n  docker_network.present:\n    - subnet: 172.31.9.0/24\ndata:\n  docker_volume.present\nweb:\n  \
         docker_container.running:\n    - image: box:1\n    - command: sleep 1000\n    - stop_timeout: 1\n    \
         - publish: 127.0.0.1:8080:80\n    - binds: data:/data\n    - labels: [role=web]\n{more}"
    )
}

#[test]
fn containers_networks_and_volumes() {
    let Some(daemon) = Daemon::start() else { return };
    let on_net = "    - networks:\n      - net:\n        - ipv4_address: 172.31.9.5\n        - aliases: [w]\n";
    let first =
        daemon.apply(&web(&format!("    - environment: {{A: '1'}}\n    - memory: 64M\n    - cpus: 0.5\n{on_net}")));
    assert_eq!(first[2]["comment"], "Created container 'web'");
    assert_eq!(first[2]["changes"]["state"], json!({"old": null, "new": "running"}));
    let seen = daemon.call(&["docker.inspect_container", "web"]);
    assert_eq!(seen["HostConfig"]["Memory"], 64 << 20);
    assert_eq!(seen["NetworkSettings"]["Networks"]["net"]["IPAddress"], "172.31.9.5");
    assert_eq!(seen["NetworkSettings"]["Networks"].as_object().expect("networks").len(), 1);
    assert_eq!(daemon.call(&["docker.run", "web", "echo $A >/data/x; cat /data/x; echo bad >&2"]), "1\nbad");
    assert_eq!(daemon.call(&["docker.run", "web", r#"["cat"]"#, "stdin=abc"]), "abc");
    assert_eq!(daemon.call(&["docker.retcode", "web", "exit 3"]), 3);

    // What differs is replaced; what is in the volume stays.
    let second = daemon.apply(&web(&format!("    - environment: {{A: '2'}}\n{on_net}")));
    assert_eq!(second[2]["comment"], "Replaced container 'web'");
    let differs = &second[2]["changes"]["container"];
    assert_eq!(differs["Config"]["Env"], json!({"old": ["A=1"], "new": ["A=2"]}));
    assert_eq!(differs["HostConfig"]["Memory"]["old"], 64 << 20);
    assert_eq!(daemon.call(&["docker.run", "web", "cat /data/x; echo $A"]), "1\n2");
    // Networks alone are changed in place, also those that somebody plugged it into.
    let id = daemon.call(&["docker.inspect_container", "web"])["Id"].clone();
    daemon.call(&["docker.connect_container_to_network", "web", "bridge"]);
    let third = daemon.apply(&web("    - environment: {A: '2'}\n    - networks: [net]\n"));
    let comment = third[2]["comment"].as_str().expect("a text");
    assert!(
        comment.contains("Disconnected from network 'bridge'") && comment.contains("Reconnected to network 'net'"),
        "{comment}"
    );
    assert_eq!(daemon.call(&["docker.inspect_container", "web"])["Id"], id);
    // What somebody stopped runs again.
    daemon.call(&["docker.kill", "web"]);
    let fourth = daemon.apply(&web("    - environment: {A: '2'}\n    - networks: [net]\n"));
    assert_eq!(
        fourth[2]["comment"],
        "Container 'web' is already configured as specified. State changed from 'stopped' to 'running'."
    );
    // A network that is replaced keeps its containers.
    let fifth =
        daemon.apply(&web("    - environment: {A: '2'}\n    - networks: [net]\n").replace("172.31.9.0", "172.31.8.0"));
    assert_eq!(fifth[0]["comment"], "Network 'net' was replaced with updated config");
    assert_eq!(fifth[0]["changes"]["reconnected"], json!(["web"]));
    assert_eq!(fifth[2]["changes"], json!({}));

    assert_eq!(daemon.call(&["docker.pause", "web"])["state"], json!({"old": "running", "new": "paused"}));
    daemon.call(&["docker.unpause", "web"]);
    assert_eq!(daemon.call(&["docker.update", "web", "memory=32M"])["changes"]["Memory"]["new"], 32 << 20);
    assert!(daemon.refused(&["docker.rm", "web"]).contains("use force=True"));
    assert!(daemon.refused(&["docker.inspect_container", "nobody"]).contains("Error 404: No such container: nobody"));
    assert!(daemon.refused(&["docker.create", "box:1", "naem=x"]).contains("unknown argument `naem`"));

    let gone = "web:\n  docker_container.absent:\n    - force: true\nnet:\n  docker_network.absent\ndata:\n  docker_volume.absent\n";
    let last = daemon.apply(gone);
    assert_eq!(last[0]["comment"], "Forcibly removed container 'web'");
    assert_eq!(daemon.call(&["docker.ps", "all=True"]), json!({}));

    images(&daemon);
    registry(&daemon);
}

/// Pulled from a real registry, in the daemon's own network; what moved there is pulled again only when that is asked for.
fn registry(daemon: &Daemon) {
    if !has("docker-registry") || !has("docker") {
        assert!(std::env::var_os("CI").is_none(), "docker-registry is missing");
        eprintln!("skipped: no docker-registry");
        return;
    }
    let at = |name: &str| daemon.tree.path().join(name).display().to_string();
    daemon.tree.file(
        "registry.yml",
        "version: 0.1\nstorage: {filesystem: {rootdirectory: $TREE/registry}}\nhttp: {addr: '127.0.0.1:5000'}\n",
    );
    let mut server = Command::new("nsenter")
        .args([&format!("--net=/run/netns/{NETNS}"), "docker-registry", "serve", &at("registry.yml")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the registry starts");
    let name = "127.0.0.1:5000/shop";
    let push = |from: &str| {
        daemon.call(&["docker.tag", from, name, "v1"]);
        let socket = format!("unix://{}", at("docker.sock"));
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let said = Command::new("docker").args(["-H", &socket, "push", "-q", &format!("{name}:v1")]).output();
            let said = said.expect("docker");
            if said.status.success() {
                break;
            }
            assert!(Instant::now() < until, "{}", String::from_utf8_lossy(&said.stderr));
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon.call(&["docker.rmi", &format!("{name}:v1")]);
    };
    push("box:1");
    let image = |more: &str| format!("img-shop:\n  docker_image.present:\n    - name: {name}\n    - tag: v1\n{more}");
    assert_eq!(daemon.apply(&image(""))[0]["comment"], format!("Image '{name}:v1' was pulled"));
    let id = |name: &str| daemon.call(&["docker.inspect_image", name])["Id"].clone();
    assert_eq!(id(&format!("{name}:v1")), id("box:1"));
    push("shop:v1");
    daemon.apply(&image(""));
    assert_eq!(id(&format!("{name}:v1")), id("shop:v1"), "what the registry has now");
    let missing = daemon.refused(&["docker.pull", &format!("{name}:v9")]);
    assert!(missing.contains("not found") || missing.contains("unknown"), "{missing}");
    let _ = server.kill();
    let _ = server.wait();
}

fn images(daemon: &Daemon) {
    let at = |name: &str| daemon.tree.path().join(name).display().to_string();
    daemon.tree.file("build/Dockerfile", "FROM box:1\nARG WHO=nobody\nRUN echo $WHO >/who\nCMD [\"cat\", \"/who\"]\n");
    let build = |more: &str| {
        format!(
            "img-shop:\n  docker_image.present:\n    - name: shop\n    - tag: v1\n    - build: {}\n{more}",
            at("build")
        )
    };
    let built = daemon.apply(&build("    - kwargs: {buildargs: {WHO: me}}\n"));
    assert_eq!(built[0]["comment"], "Image 'shop:v1' was built");
    let ran = "run-it:\n  docker_container.run:\n    - name: once\n    - image: shop:v1\n    - replace: true\n";
    let ran = daemon.apply(ran);
    assert_eq!((&ran[0]["changes"]["Logs"], &ran[0]["changes"]["ExitCode"]), (&json!("me\n"), &json!(0)));
    daemon.tree.file(
        "salt/bad.sls",
        "run-bad:\n  docker_container.run:\n    - image: shop:v1\n    - command: sh -c 'exit 4'\n    - rm: true\n",
    );
    let failed = daemon.tree.local(&["state.apply", "bad", "--out=json"]).expect(2).json();
    let comment = &failed["local"].as_object().expect("states").values().next().expect("one")["comment"];
    assert_eq!(comment, "Container ran and exited with a return code of 4");

    // Saved, away, and loaded again; a container of it follows its name to another image.
    daemon.call(&["docker.save", "shop:v1", &at("shop.tar")]);
    let gone = "once:\n  docker_container.absent\nimg-shop:\n  docker_image.absent:\n    - name: shop:v1\n";
    assert_eq!(daemon.apply(gone)[1]["comment"], "Image shop:v1 was removed");
    let load = format!(
        "img-shop:\n  docker_image.present:\n    - name: shop\n    - tag: v2\n    - load: {}\n",
        at("shop.tar")
    );
    assert_eq!(daemon.apply(&load)[0]["comment"], "Image 'shop:v2' was loaded");
    let web =
        "web:\n  docker_container.running:\n    - image: shop:v2\n    - command: sleep 1000\n    - stop_timeout: 1\n";
    daemon.apply(web);
    daemon.call(&["docker.tag", "box:1", "shop", "v2"]);
    let moved = daemon.apply(web);
    assert_eq!(moved[0]["comment"], "Replaced container 'web'. Container has a new image.");
    assert!(daemon.refused(&["docker.pull", "127.0.0.1:1/nobody:1"]).contains("Error 500"));
    // What cannot be made costs nothing: the old one runs on.
    daemon.tree.file("salt/bad.sls", &format!("{web}    - networks: [nowhere]\n"));
    let said = daemon.tree.local(&["state.apply", "bad"]).expect(2);
    assert!(said.out.contains("The following networks are not present: nowhere"), "{}", said.out);
    assert_eq!(daemon.call(&["docker.state", "web"]), "running");
    daemon.call(&["docker.stop", "web", "timeout=0"]);
    daemon.apply("web:\n  docker_container.stopped\n");
    daemon.apply("web:\n  docker_container.absent\n");
}
