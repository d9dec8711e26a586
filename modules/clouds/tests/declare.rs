//! Declarations become guests: layers, ports, the original's tree; and mistakes are told with their places, all of them.

use corpus_clouds::Drivers;
use corpus_clouds::declare::{Declared, Source, read};
use corpus_clouds::spec::Protocol;
use std::path::Path;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    place
}

fn declared(place: &Path) -> Result<Declared, String> {
    let text =
        |errors: Vec<corpus_core::Diagnostic>| errors.iter().map(|error| error.to_text(None)).collect::<String>();
    let clouds = read(place).map_err(text)?;
    clouds.declared(&[], &Drivers::default(), &Source::open).map_err(text)
}

const PROVIDERS: &str = "lxc1:\n  driver: lxc\n  target: node1\n  bridge: br5\n";

#[test]
fn layers_lie_on_each_other() {
    let place = folder(&[
        ("cloud.providers.d/a.conf", PROVIDERS),
        (
            "cloud.profiles",
            "web:\n  provider: lxc1\n  memory: 512M\n  size: small\nbig:\n  extends: web\n  memory: 1G\n",
        ),
        (
            "cloud.map",
            "web: [web1]\nbig:\n  - web2:\n      node: node2\n      ports: {http: 80, dns: {port: 53, protocol: [tcp, udp]}}\n",
        ),
        ("cloud.maps.d/more.map", "web:\n  web3: {bridge: br6, deploy: false, cpu: 0.5}\n"),
    ]);
    let all = declared(place.path()).expect("a declaration").guests;
    assert_eq!(all.keys().collect::<Vec<_>>(), ["web1", "web2", "web3"]);
    let (one, two, three) = (&all["web1"], &all["web2"], &all["web3"]);
    assert_eq!((one.node.as_str(), one.memory, one.disk), ("node1", Some(512 << 20), Some(5 << 30)));
    assert_eq!(one.options.str("bridge"), Some("br5"));
    assert_eq!((two.node.as_str(), two.memory), ("node2", Some(1 << 30)));
    let names: Vec<&str> = two.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["ssh", "http", "dns"]);
    assert_eq!(two.ports[2].protocols, [Protocol::Tcp, Protocol::Udp]);
    assert_eq!(
        (three.options.str("bridge"), three.cpu, three.options.contains("deploy")),
        (Some("br6"), Some(500), false)
    );
    assert!(one.place.ends_with("cloud.map:1:7"), "{}", one.place);
}

#[test]
fn the_original_tree_is_read() {
    let place = folder(&[(
        "database.yaml",
        "format: 1\nvms:\n  lxc:\n    node1: [web1, db1]\n  docker:\n    node2: [app1]\ncloud_settings:\n  lxc: {bridge: lxcbr9}\n\
         cloud_cn_attrs:\n  node1: {excluded_ports: [40001], port_range_start: 41000}\ncloud_vm_attrs:\n  default: {autostart: false}\n  \
         web1:\n    domains: [www.example.org]\n    ports:\n      - {name: http, port: 80, hostPort: 8080}\n      - {name: many, portRange: '9000:9009'}\n    \
         vt: lxc\n    users: [root]\n  app1: {image: 'debian:12'}\n",
    )]);
    let all = declared(place.path()).expect("a declaration");
    let (web, app) = (&all.guests["web1"], &all.guests["app1"]);
    assert_eq!((web.node.as_str(), web.autostart, web.options.str("bridge")), ("node1", false, Some("lxcbr9")));
    assert_eq!(web.domains, ["web1", "www.example.org"]);
    let ports: Vec<_> = web.ports.iter().map(|port| (port.name.as_str(), port.port, port.count, port.host)).collect();
    assert_eq!(ports, [("ssh", 22, 1, None), ("http", 80, 1, Some(8080)), ("many", 9000, 10, Some(9000))]);
    assert_eq!((app.driver.as_str(), app.node.as_str(), app.image.as_deref()), ("docker", "node2", Some("debian:12")));
    let node = &all.nodes["node1"];
    assert_eq!((&node.excluded_ports[..], node.port_range), (&[40_001][..], (41_000, 60_000)));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let place = folder(&[
        ("cloud.providers", PROVIDERS),
        ("cloud.profiles", "web: {provider: lxc1}\n"),
        ("cloud.map", "web:\n  - web1: {memory: much}\n  - web2: {bridg: x}\n  - -x\nnope: [web3]\n"),
    ]);
    let wrong = declared(place.path()).expect_err("mistakes");
    for word in [
        "cloud.map:2:12",
        "`much` is no size",
        "cloud.map:3:12",
        "did you mean `bridge`",
        "cloud.map:4:5",
        "cannot name a machine",
        "cloud.map:5:1",
        "no profile `nope`",
    ] {
        assert!(wrong.contains(word), "{word}\n{wrong}");
    }
}

#[test]
fn row_54_no_port_is_wired_directly_to_a_guest() {
    let place = folder(&[
        ("cloud.providers", "d: {driver: docker, target: n1}\n"),
        ("cloud.profiles", "web: {provider: d, image: app}\n"),
        ("cloud.map", "web:\n  - web1: {port_bindings: ['80:80']}\n  - web2: {network_mode: host}\n"),
    ]);
    let wrong = declared(place.path()).expect_err("mistakes");
    for word in ["cloud.map:2:12", "cloud.map:3:12", "the node maps its `ports`, the proxy serves its `domains`"] {
        assert!(wrong.contains(word), "{word}\n{wrong}");
    }
}

const AWS: &str =
    "aws:\n  driver: ec2\n  id: AKIATEST\n  key: aSecretOfTheProvider\n  location: eu-west-1\n  private_key: /k\n";

/// How an API is reached, and its secret, stay with the provider; Salt's words mean what they do in Salt.
#[test]
fn accounts_are_the_providers_alone() {
    let place = folder(&[
        ("cloud.providers", AWS),
        ("cloud.profiles", "web:\n  provider: aws\n  image: ami-1\n  size: t3.micro\n  ssh_interface: private_ips\n"),
        ("cloud.map", "web: [web1]\n"),
    ]);
    let all = declared(place.path()).expect("declarations");
    let web1 = &all.guests["web1"];
    assert_eq!((web1.node.as_str(), web1.disk), ("aws", None), "`size` is no disk's");
    assert_eq!(web1.options.str("size"), Some("t3.micro"));
    assert_eq!(web1.options.str("ssh_interface"), Some("private_ips"));
    assert!(!format!("{web1:?}").contains("aSecretOfTheProvider") && !web1.options.contains("id"), "{web1:?}");
    let accounts = read(place.path()).map_err(|_| "mistakes").expect("it reads").accounts();
    let accounts = accounts.map_err(|_| "mistakes").expect("accounts");
    assert_eq!(accounts["aws"].region.as_deref(), Some("eu-west-1"));
    assert_eq!(accounts["aws"].keys.as_ref().map(|(id, _)| id.as_str()), Some("AKIATEST"));
    assert!(!format!("{accounts:?}").contains("aSecretOfTheProvider"), "{accounts:?}");
}

#[test]
fn mistakes_in_accounts_name_the_provider() {
    for (text, why) in [
        ("aws:\n  driver: ec2\n  id: AKIATEST\n", "`id` and `key` belong together"),
        ("aws:\n  driver: ec2\n  id: sdb://vault/id\n  key: sdb://vault/key\n", "name an `aws_profile`"),
        ("aws:\n  driver: ec2\n  service_url: example.com\n", "say the whole `endpoint`"),
    ] {
        let place = folder(&[("cloud.providers", text)]);
        let errors = read(place.path()).map_err(|_| "mistakes").expect("it reads").accounts().expect_err("a mistake");
        let text: String = errors.iter().map(|error| error.to_text(None)).collect();
        assert!(text.contains(why) && text.contains("cloud.providers:1:1"), "{text}");
    }
    let role = "aws:\n  driver: ec2\n  id: use-instance-role-credentials\n  key: use-instance-role-credentials\n";
    let place = folder(&[("cloud.providers", role)]);
    let accounts = read(place.path()).map_err(|_| "mistakes").expect("it reads").accounts();
    assert_eq!(accounts.map_err(|_| "mistakes").expect("accounts")["aws"].keys, None);
}

#[test]
fn row_4_one_setting_says_the_driver_and_guests_keep_theirs() {
    let place = folder(&[
        ("cloud", "default_driver: docker\n"),
        ("cloud.profiles", "any: {node: node1, image: 'web:1'}\nold: {node: node1}\n"),
        ("cloud.map", "any: [app1]\nold: [web1]\n"),
    ]);
    let mut clouds = read(place.path()).expect("a configuration");
    clouds.kept.insert("web1".into(), "lxc".into());
    let all = clouds.declared(&[], &Drivers::default(), &Source::open).expect("a declaration").guests;
    assert_eq!((all["app1"].driver.as_str(), all["web1"].driver.as_str()), ("docker", "lxc"));
}

#[test]
fn images_passwords_and_the_original_profiles() {
    use corpus_clouds::spec::Password;
    let place = folder(&[
        (
            "cloud",
            "images:\n  web: {node: build1, suite: bookworm, packages: [nginx-light], bases: /srv/bases}\n  bare:\n",
        ),
        ("cloud.providers", PROVIDERS),
        ("cloud.profiles", "web: {provider: lxc1, base: web, root_password: true}\n"),
        ("cloud.map", "web: [web1]\nms-node1-dir:\n  - db1: {base: bare, root_password: '$6$a$b'}\n  - db2\n"),
    ]);
    let all = declared(place.path()).expect("a declaration").guests;
    let image = all["web1"].built.clone().expect("an image");
    assert_eq!((image.node.as_str(), image.bases.as_deref(), image.args.len()), ("build1", Some("/srv/bases"), 2));
    assert_eq!(all["db1"].built.as_ref().map(|image| image.node.as_str()), Some("local"));
    assert_eq!((all["db2"].node.as_str(), all["db2"].options.str("backing")), ("node1", Some("dir")));
    assert_eq!(all["web1"].root_password, Some(Password::Generated));
    assert_eq!(all["db1"].root_password, Some(Password::Hash("$6$a$b".into())));
    for (file, text, says) in [
        ("cloud", "images: {web: {siute: x}}\n", "cloud:1:1"),
        ("cloud", "images: {web: {siute: x}}\n", "did you mean `suite`"),
        ("cloud", "images: {web: {url: 'http://x', md5: y}}\n", "no archives are published"),
        ("cloud.profiles", "web: {provider: lxc1, root_password: hunter2}\n", "true (one is made and kept"),
    ] {
        let place = folder(&[
            ("cloud.providers", PROVIDERS),
            ("cloud.profiles", "web: {provider: lxc1}\n"),
            ("cloud.map", "web: [web1]\n"),
            (file, text),
        ]);
        let error = declared(place.path()).expect_err(says);
        assert!(error.contains(says), "{says}: {error}");
    }
}
