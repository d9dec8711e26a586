//! Any box that answers SSH: it is taken in, given its base system, and let go again as it is. Nothing here can make one or
//! end one.

use super::text;
use crate::driver::{Asked, Capabilities, DriverError, Field, GuestDriver, GuestPlan, Kind, Reach, Step, Verb};
use crate::hands::{Chunk, Hands, HandsError, Place};
use crate::spec::{Guest, GuestSpec, Isolation, Node, Status};
use corpus_core::{Call, Map, Value, python};

/// The driver.
pub struct Saltify;

const FIELDS: &[Field] = &[
    Field { name: "ssh_host", kind: Kind::Text, doc: "Its name or address; the id otherwise." },
    Field { name: "ssh_username", kind: Kind::Text, doc: "Who logs in; root otherwise." },
    Field { name: "ssh_port", kind: Kind::Number, doc: "Its port of SSH, 22 otherwise." },
    Field { name: "ssh_keyfile", kind: Kind::Text, doc: "A private key file; either this or `password`." },
    Field { name: "password", kind: Kind::Text, doc: "The password; either this or `ssh_keyfile`." },
    Field { name: "sudo", kind: Kind::Flag, doc: "Become root by sudo." },
    Field { name: "sudo_password", kind: Kind::Text, doc: "The password that sudo asks for, if it is another." },
    Field { name: "no_sudo_password", kind: Kind::Flag, doc: "sudo asks for none." },
    Field { name: "ssh_gateway", kind: Kind::Text, doc: "A host to go through." },
    Field { name: "ssh_gateway_port", kind: Kind::Number, doc: "Its port, 22 otherwise." },
    Field { name: "ssh_gateway_username", kind: Kind::Text, doc: "Who logs in there, root otherwise." },
    Field { name: "ssh_gateway_private_key", kind: Kind::Text, doc: "The key for it." },
    Field { name: "known_hosts", kind: Kind::Text, doc: "The file that has its host key." },
    Field { name: "timeout", kind: Kind::Number, doc: "Seconds to wait for a connection." },
];

const NO_HANDS: &str = "corpus did not make the box; it is only attached";

impl GuestDriver for Saltify {
    fn kind(&self) -> &'static str {
        "saltify"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            isolation: Isolation::Metal,
            verbs: &["create", "restart", "destroy", "exec"],
            not: &[
                ("start", NO_HANDS),
                ("stop", "a box that is off cannot be reached to be started again"),
                ("freeze", NO_HANDS),
                ("snapshot", NO_HANDS),
                ("restore", NO_HANDS),
                ("clone", NO_HANDS),
                ("resize", NO_HANDS),
            ],
            allocates: false,
        }
    }

    fn schema(&self) -> &'static [Field] {
        FIELDS
    }

    fn inspect(&self, node: &Node, known: &[String], hands: &dyn Hands) -> Result<Vec<Guest>, DriverError> {
        let mut guests = vec![];
        for id in known {
            let status = match hands.call(&Place::Minion(id.clone()), &Call::new("test.ping", vec![])) {
                Ok(_) => Status::Running,
                Err(HandsError::Unreachable(_)) => Status::Unreachable,
                Err(error) => return Err(error.into()),
            };
            guests.push(Guest {
                id: id.clone(),
                driver: "saltify".into(),
                node: node.id.clone(),
                status,
                ..Guest::default()
            });
        }
        Ok(guests)
    }

    fn plan(&self, verb: &Verb, asked: &Asked<'_>) -> Result<GuestPlan, DriverError> {
        self.capabilities().allow(self.kind(), verb)?;
        let want = asked.want;
        let at = Place::Minion(want.id.clone());
        Ok(match verb {
            Verb::Present => {
                check(want)?;
                // It is said to be there already.
                GuestPlan { steps: vec![Step::Answers { id: want.id.clone(), patience: 3 }] }
            }
            Verb::Restart => {
                let chunk = Chunk::new(
                    format!("restart {}", want.id),
                    "module.run",
                    [("system.reboot", Value::Null)].into_iter().collect(),
                );
                GuestPlan {
                    steps: vec![
                        Step::Run { at, chunks: vec![chunk] },
                        Step::Answers { id: want.id.clone(), patience: 300 },
                    ],
                }
            }
            // Let go: nothing is done on the box.
            Verb::Destroy => GuestPlan::default(),
            Verb::Exec { argv } => GuestPlan {
                steps: vec![Step::Ask {
                    at,
                    fun: "cmd.run_all".into(),
                    args: vec![argv.clone().into()],
                    kwargs: [("python_shell", false)].into_iter().collect(),
                }],
            },
            other => return Err(DriverError::Refused(format!("saltify cannot {}", other.word()))),
        })
    }

    fn reach(&self, asked: &Asked<'_>) -> Reach {
        let want = asked.want;
        let port = want.options.get("ssh_port").map(python::str).and_then(|port| port.parse().ok()).unwrap_or(22);
        Reach::Direct { host: text(want, "ssh_host").unwrap_or_else(|| want.id.clone()), port }
    }

    fn login(&self, want: &GuestSpec, _: Option<&str>) -> Map {
        let mut login = Map::new();
        login.insert("user", text(want, "ssh_username").unwrap_or_else(|| "root".into()));
        for (from, to) in [("ssh_keyfile", "priv"), ("password", "passwd"), ("timeout", "timeout")] {
            if let Some(value) = want.options.get(from).filter(|value| !value.is_null()) {
                login.insert(to, value.clone());
            }
        }
        if want.options.get("sudo").is_some_and(Value::truthy) {
            login.insert("sudo", true);
        }
        let mut options = vec![];
        if let Some(gateway) = text(want, "ssh_gateway") {
            let user = text(want, "ssh_gateway_username").unwrap_or_else(|| "root".into());
            let port = text(want, "ssh_gateway_port").map_or(String::new(), |port| format!(":{port}"));
            options.push(format!("ProxyJump={user}@{gateway}{port}"));
        }
        if let Some(file) = text(want, "known_hosts") {
            options.push(format!("UserKnownHostsFile={file}"));
        }
        if !options.is_empty() {
            login.insert("ssh_options", options);
        }
        login
    }
}

/// What a declaration must and must not say.
fn check(want: &GuestSpec) -> Result<(), DriverError> {
    let wrong = |why: &str| Err(DriverError::Declaration(format!("{}: {why}", want.id)));
    let has = |key: &str| want.options.get(key).is_some_and(Value::truthy);
    if has("password") && has("ssh_keyfile") {
        return wrong("both `password` and `ssh_keyfile` are given; exactly one says how to log in");
    }
    if has("sudo_password") && has("no_sudo_password") {
        return wrong("`sudo_password` and `no_sudo_password` contradict each other");
    }
    if has("sudo_password") && want.options.get("sudo_password") != want.options.get("password") {
        return wrong("a `sudo_password` other than `password` is not built: sudo is given the login's password");
    }
    if has("ssh_gateway_private_key") {
        return wrong(
            "`ssh_gateway_private_key` is not built: name the gateway's key as IdentityFile in ~/.ssh/config",
        );
    }
    Ok(())
}
