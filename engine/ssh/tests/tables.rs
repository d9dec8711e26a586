//! The files that people write: roster, client configuration. Data in, hosts and messages out.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::{Map, Node, Pos, Value};
use corpus_ssh::Roster;
use corpus_ssh::config::ClientConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn map(entries: &[(&str, Value)]) -> Value {
    entries.iter().map(|(key, value)| (*key, value.clone())).collect::<Map>().into()
}

#[test]
fn a_roster_is_read_as_salt_reads_it() {
    let defaults: Map = [("user", Value::from("deploy")), ("port", 2222.into())].into_iter().collect();
    let data = map(&[
        ("web1", "10.0.0.1".into()),
        (
            "web2",
            map(&[
                ("host", "web2.example".into()),
                ("user", "root".into()),
                ("port", "22".into()),
                ("sudo", true.into()),
            ]),
        ),
        (
            "db",
            map(&[
                ("passwd", 1234.into()),
                ("priv", "/keys/db".into()),
                ("timeout", 30.into()),
                ("cmd_umask", "0o77".into()),
                ("tty", true.into()),
                ("grains", map(&[("role", "db".into())])),
                ("ssh_options", vec!["ProxyJump=jump", "Compression=yes"].into()),
            ]),
        ),
    ]);
    let (roster, notes) = Roster::parse(&Node::from_value(&data, Pos::new(1, 1)), "/etc/salt/roster", &defaults);
    let shown: Vec<_> =
        roster.hosts.iter().map(|h| (h.id.as_str(), h.host.as_str(), h.user.as_deref(), h.port)).collect();
    assert_eq!(
        shown,
        [
            ("web1", "10.0.0.1", Some("deploy"), Some(2222)),
            ("web2", "web2.example", Some("root"), Some(22)),
            ("db", "db", Some("deploy"), Some(2222))
        ]
    );
    let db = roster.get("db").unwrap();
    assert_eq!((db.passwd.as_deref(), db.timeout, db.umask), (Some("1234"), Some(Duration::from_secs(30)), Some(0o77)));
    assert_eq!(db.private_key, Some(PathBuf::from("/keys/db")));
    assert_eq!(db.grains.str("role"), Some("db"));
    assert!(!format!("{db:?}").contains("1234"), "a password is not printed");
    let notes: Vec<_> = notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes, ["ssh option `Compression` is not built and has no effect"]);
}

#[test]
fn mistakes_in_a_roster_are_all_told() {
    let cases: &[(Value, &str, &str)] = &[
        (map(&[("w", map(&[("hots", "a".into())]))]), "unknown roster key `hots`", "did you mean `host`?"),
        (
            map(&[("w", map(&[("port", 70000.into())]))]),
            "roster key `port` must be a number from 1 to 65535, not `70000`",
            "",
        ),
        (
            map(&[("w", map(&[("port", "ssh".into())]))]),
            "roster key `port` must be a number from 1 to 65535, not `ssh`",
            "",
        ),
        (map(&[("w", vec!["a"].into())]), "roster entry `w` must be a mapping, found a list", ""),
        (map(&[("w", map(&[("user", vec!["a"].into())]))]), "roster key `user` must be text", ""),
        (map(&[("w", map(&[("grains", "a".into())]))]), "roster key `grains` must be a mapping, found a str", ""),
        (map(&[("w", map(&[("ssh_pre_flight", "a.sh".into())]))]), "roster key `ssh_pre_flight` is not built yet", ""),
        (
            map(&[("w", map(&[("cmd_umask", "rwx".into())]))]),
            "roster key `cmd_umask` must be octal, for example '077'",
            "",
        ),
        (
            map(&[("w", map(&[("ssh_options", vec!["Port"].into())]))]),
            "ssh option `Port` must be written `Name=value`",
            "",
        ),
        (vec!["a"].into(), "a roster is a mapping of minion ids, this is a list", ""),
    ];
    for (data, message, hint) in cases {
        let (_, notes) = Roster::parse(&Node::from_value(data, Pos::new(3, 5)), "roster", &Map::new());
        assert_eq!(notes.len(), 1, "{message}: {notes:?}");
        assert_eq!(notes[0].message, *message);
        assert!(hint.is_empty() || notes[0].hints == [*hint], "{notes:?}");
        assert!(notes[0].to_text(None).contains("--> roster:3:5"));
    }
}

#[test]
fn the_first_match_wins() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.conf"), "Host inc*\n  Port 7\nUser from-include\n").unwrap();
    let text = "# before any Host: for all\nConnectTimeout=4\nInclude *.conf\n\
                Host web1 web2\n  HostName %h.example.org\n  Port 2201\n  IdentityFile /k/one\n\
                Host web* !web9\n\tPort 2299\n  User \"the user\"\n  IdentityFile /k/two\n  IdentitiesOnly yes\n\
                Match user somebody-else\n  Port 1\n\
                Match all\n  ProxyJump bastion:2200\n\
                Host *\n  User nobody\n  StrictHostKeyChecking accept-new\n  UserKnownHostsFile /a /b\n";
    let config = ClientConfig::parse(text, &folder.path().join("config")).unwrap();
    let web1 = config.settings("web1", None).unwrap();
    assert_eq!(web1.host_name.as_deref(), Some("web1.example.org"));
    assert_eq!((web1.port, web1.user.as_deref()), (Some(2201), Some("the user")));
    assert_eq!(web1.identity_files, [Path::new("/k/one"), Path::new("/k/two")]);
    assert_eq!((web1.identities_only, web1.accept_new), (true, Some(true)));
    assert_eq!(web1.proxy_jump.as_deref(), Some("bastion:2200"));
    assert_eq!(web1.user_known_hosts, [Path::new("/a"), Path::new("/b")]);
    assert_eq!(web1.connect_timeout, Some(Duration::from_secs(4)));
    let web9 = config.settings("web9", None).unwrap();
    assert_eq!((web9.port, web9.user.as_deref()), (None, Some("nobody")));
    let included = config.settings("inc1", None).unwrap();
    assert_eq!((included.port, included.user.as_deref()), (Some(7), Some("from-include")));
    // The roster's options come before all of it.
    let first = config.with_first(&[("Port".into(), "9".into()), ("ProxyJump".into(), "none".into())]);
    let web1 = first.settings("web1", None).unwrap();
    assert_eq!((web1.port, web1.proxy_jump.as_deref()), (Some(9), Some("none")));
}

#[test]
fn match_blocks_apply_as_openssh_has_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inner.conf"), "Host db*\nPort 9\n").unwrap();
    let port = |text: &str, host: &str, user: Option<&str>| {
        let config = ClientConfig::parse(text, &folder.path().join("config")).unwrap();
        config.settings(host, user).map(|settings| settings.port)
    };
    for (text, host, user, expected) in [
        ("Match host a,b\nPort 1", "b", None, Some(1)),
        ("Match host a,b\nPort 1", "c", None, None),
        ("Match !host a\nPort 1", "c", None, Some(1)),
        ("Match host *,!c\nPort 1", "c", None, None),
        // `host` is the name as set so far, `originalhost` the one that was asked for.
        ("HostName real\nMatch host real\nPort 1", "a", None, Some(1)),
        ("HostName real\nMatch originalhost real\nPort 1", "a", None, None),
        // What a block sets does not change whether it applies.
        ("Match host a\nHostName real\nPort 1", "a", None, Some(1)),
        ("Match user root\nPort 1", "a", Some("root"), Some(1)),
        ("Match user root\nPort 1", "a", Some("ada"), None),
        ("User root\nMatch user root host a\nPort 1", "a", None, Some(1)),
        ("User root\nMatch user root host a\nPort 1", "b", None, None),
        ("Match user root\nPort 1\nMatch all\nPort 2", "a", Some("ada"), Some(2)),
        // A condition that is not built matters only where it is reached.
        ("Match host x exec true\nPort 1", "a", None, None),
        // An included file stands under what includes it.
        ("Host web\nInclude inner.conf", "db1", None, None),
        ("Host *1\nInclude inner.conf", "db1", None, Some(9)),
    ] {
        assert_eq!(port(text, host, user), Ok(expected), "{text} for {user:?} at {host}");
    }
    let refused = port("Port 3\nMatch exec true\nPort 1", "a", None).unwrap_err();
    assert!(refused.contains("config:2: `Match exec` is not built"), "{refused}");
    let broken = ClientConfig::parse("Match host", Path::new("/c")).unwrap_err();
    assert_eq!(broken, "/c:1: `Match host` needs a pattern");
}

#[test]
fn a_broken_configuration_is_named() {
    let parse = |text: &str| ClientConfig::parse(text, Path::new("/c")).and_then(|config| config.settings("h", None));
    assert_eq!(parse("Port many").unwrap_err(), "ssh configuration: `port many` is not understood");
    assert_eq!(parse("Host \"a\nPort 1").unwrap_err(), "/c:1: a quotation mark is not closed");
    assert_eq!(ClientConfig::read(Path::new("/nonexistent/config")), Ok(ClientConfig::default()));
}
