//! Against a real slapd on ports of its own: people and their accounts, TLS with the right and the wrong authority, the
//! modes of `pillar_ldap`. Skipped, saying so, where there is no slapd.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests count as tests")]

use corpus_core::{Call, Caller, Data, ExecError, Map, Value};
use corpus_ldap::{Account, AuthError, Bind, Directory, LdapError, People, Scope, Settings};
use corpus_pillar::arguments::Entry;
use corpus_pillar::{Ask, PillarSource};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

struct Slapd {
    dir: PathBuf,
    plain: u16,
    tls: u16,
    child: Child,
}

const CONF: &str = "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )
pidfile $DIR/pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
TLSCACertificateFile $DIR/ca.pem
TLSCertificateFile $DIR/leaf.pem
TLSCertificateKeyFile $DIR/leaf.key
TLSVerifyClient try
sizelimit size.soft=3 size.hard=100 size.prtotal=unlimited
authz-regexp cn=machine cn=reader,dc=x
authz-regexp gidNumber=.*,cn=peercred,cn=external,cn=auth cn=reader,dc=x
database mdb
maxsize 67108864
suffix dc=x
rootdn cn=root,dc=x
rootpw root-pw
directory $DIR/db
index objectClass,uid eq
overlay ppolicy
ppolicy_default cn=policy,dc=x
ppolicy_use_lockout
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=cn=reader,dc=x read by users read by anonymous auth
";

const TREE: &str = "\
dn: dc=x
objectClass: dcObject
objectClass: organization
dc: x
o: x

dn: cn=policy,dc=x
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3

dn: cn=reader,dc=x
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reader-pw

dn: ou=people,dc=x
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=x
objectClass: organizationalUnit
ou: groups

dn: cn=staff,ou=groups,dc=x
objectClass: groupOfNames
cn: staff
member: uid=ann,ou=people,dc=x

dn: cn=web,ou=groups,dc=x
objectClass: posixGroup
cn: web
gidNumber: 1
memberUid: ann

dn: cn=it,ou=groups,dc=x
objectClass: device
cn: it
description: ntpserver=ntp.x
description: no pair
ou: vhost=www.a
ou: vhost=www.b

";

fn person(uid: &str, more: &str) -> String {
    format!(
        "dn: uid={uid},ou=people,dc=x\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\nobjectClass: ldapPublicKey\n\
         uid: {uid}\ncn: {uid}\nsn: {uid}\nuserPassword: {uid}-pw\n{more}\n"
    )
}

fn run(dir: &PathBuf, script: &str) -> bool {
    let output = Command::new("sh").args(["-ec", script]).current_dir(dir).output().unwrap();
    if !output.status.success() {
        println!("{}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

const CERTIFICATES: &str = "
new='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
for ca in ca other; do openssl req -x509 $new -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.pem; done
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > ext
for name in leaf machine; do
  openssl req $new -subj /CN=$name -keyout $name.key -out $name.csr
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.pem
done";

fn start() -> Option<Slapd> {
    if !PathBuf::from("/usr/sbin/slapd").exists() {
        println!("skipped: there is no slapd on this machine (package slapd)");
        return None;
    }
    let dir = tempfile::Builder::new().prefix("corpus-slapd-").tempdir().unwrap().keep();
    std::fs::create_dir(dir.join("db")).unwrap();
    assert!(run(&dir, CERTIFICATES));
    std::fs::write(dir.join("conf"), CONF.replace("$DIR", dir.to_str().unwrap())).unwrap();
    let mut tree = TREE.to_owned();
    tree += &person("ann", "mail: ann@x\nsshPublicKey: ssh-ed25519 AAAA ann@desk\nshadowExpire: -1\n");
    tree += &person("old", "shadowExpire: 1\nsshPublicKey: ssh-ed25519 BBBB old@desk\n");
    tree += &person("stale", "shadowLastChange: 1\nshadowMax: 30\n");
    tree += &person("odd*(", "");
    for n in 0..9 {
        tree += &person(&format!("many{n}"), "");
    }
    std::fs::write(dir.join("tree"), tree).unwrap();
    assert!(run(&dir, "/usr/sbin/slapadd -q -f conf -l tree"));
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (plain, tls) = (port(), port());
    let socket = dir.join("socket").display().to_string().replace('/', "%2F");
    let urls = format!("ldap://127.0.0.1:{plain}/ ldaps://127.0.0.1:{tls}/ ldapi://{socket}/");
    let mut command = Command::new("/usr/sbin/slapd");
    command.arg("-f").arg(dir.join("conf")).args(["-h", &urls, "-d", "0"]).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let since = Instant::now();
    while TcpStream::connect(("127.0.0.1", tls)).is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "slapd does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(Slapd { dir, plain, tls, child })
}

/// One server for all tests; the last thing that ends it is the end of this process.
fn slapd() -> Option<&'static Slapd> {
    static SLAPD: OnceLock<Option<Slapd>> = OnceLock::new();
    let slapd = SLAPD.get_or_init(|| {
        let slapd = start()?;
        // Statics are never dropped: a shell that waits for this process takes the server down.
        let watch = format!(
            "while kill -0 {} 2>/dev/null; do sleep 0.2; done; kill {}; rm -rf {}",
            std::process::id(),
            slapd.child.id(),
            slapd.dir.display()
        );
        let mut watcher = Command::new("setsid");
        watcher.args(["-f", "sh", "-c", &watch]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watcher.status().unwrap().success());
        Some(slapd)
    });
    slapd.as_ref()
}

impl Slapd {
    fn settings(&self) -> Settings {
        Settings {
            uris: vec![format!("ldaps://127.0.0.1:{}", self.tls)],
            authorities: Some(self.dir.join("ca.pem")),
            bind: Bind::Simple { dn: "cn=reader,dc=x".into(), password: "reader-pw".into() },
            timeout: Duration::from_secs(5),
            page: 2,
            ..Settings::default()
        }
    }

    fn starttls(&self) -> Settings {
        Settings { uris: vec![format!("ldap://127.0.0.1:{}", self.plain)], starttls: true, ..self.settings() }
    }

    fn people(&self) -> People {
        People {
            settings: self.settings(),
            user_base: "ou=people,dc=x".into(),
            group_base: "ou=groups,dc=x".into(),
            ..People::default()
        }
    }
}

#[test]
fn people_come_in_or_are_told_why_not() {
    let Some(slapd) = slapd() else { return };
    let people = slapd.people();
    let ann = people.authenticate("ann", "ann-pw").unwrap();
    assert_eq!((ann.dn.as_str(), ann.mail.as_deref()), ("uid=ann,ou=people,dc=x", Some("ann@x")));
    assert_eq!(people.groups(&ann).unwrap(), ["staff", "web"]);
    assert_eq!(people.ssh_keys("ann").unwrap(), ["ssh-ed25519 AAAA ann@desk"]);
    assert!(matches!(people.authenticate("ann", "wrong"), Err(AuthError::WrongPassword(_))));
    // Without a password a server takes a bind for an anonymous one and says yes.
    assert!(matches!(people.authenticate("ann", ""), Err(AuthError::WrongPassword(_))));
    assert!(matches!(people.authenticate("nobody", "x"), Err(AuthError::UnknownUser(_))));
    assert!(matches!(people.authenticate("", "x"), Err(AuthError::UnknownUser(_))));
    // Names are no patterns and no filters.
    for name in ["*", "an*", "ann)(uid=*", "ann\0", "uid=ann"] {
        assert!(matches!(people.authenticate(name, "ann-pw"), Err(AuthError::UnknownUser(_))), "{name}");
    }
    assert_eq!(people.authenticate("odd*(", "odd*(-pw").unwrap().name, "odd*(");
    assert!(matches!(people.authenticate("old", "old-pw"), Err(AuthError::Expired(_))));
    assert!(people.ssh_keys("old").unwrap().is_empty(), "an account that has expired has no keys");
    assert!(matches!(people.authenticate("stale", "stale-pw"), Err(AuthError::PasswordExpired(_))));

    // Three wrong passwords lock; the right one is then of no use, and the lock is what is told.
    for _ in 0..3 {
        let _ = people.authenticate("many8", "wrong");
    }
    assert!(matches!(people.authenticate("many8", "many8-pw"), Err(AuthError::Locked(_))));
    assert_eq!(people.find("many8").unwrap().unwrap().account, Account::Locked);
    // As the configuration says it.
    let setting = serde_json::json!({
        "uri": slapd.settings().uris[0], "ca_file": slapd.dir.join("ca.pem"), "binddn": "cn=reader,dc=x",
        "bindpw": "reader-pw", "dn": "dc=x",
    });
    let configured = corpus_ldap::people(&serde_json::from_value(setting).unwrap()).unwrap();
    assert_eq!(configured.groups(&configured.authenticate("ann", "ann-pw").unwrap()).unwrap(), ["staff", "web"]);
    for (setting, expected) in [
        (serde_json::json!({"user_bse": "x"}), "did you mean `user_base`?"),
        (serde_json::json!({"user_filter": "(uid=x)"}), "must have `{user}`"),
    ] {
        let why = corpus_ldap::people(&serde_json::from_value(setting).unwrap()).unwrap_err();
        assert!(why.to_text(None).contains(expected), "{}", why.to_text(None));
    }
    let ambiguous = People { user_filter: "(uid=many*)".into(), ..people };
    assert!(matches!(ambiguous.find("many"), Err(AuthError::Ambiguous(..))));
}

#[test]
fn tls_by_all_ways_and_not_with_the_wrong_authority() {
    let Some(slapd) = slapd() else { return };
    for settings in [slapd.settings(), slapd.starttls()] {
        let mut directory = Directory::open(&settings).unwrap();
        // More than the server gives at once: page by page.
        let found = directory.search("ou=people,dc=x", Scope::Subtree, "(uid=many*)", &["uid".into()]).unwrap();
        assert_eq!(found.len(), 9);
        assert!(directory.search("ou=nowhere,dc=x", Scope::Subtree, "(uid=*)", &[]).unwrap().is_empty());
        assert!(matches!(directory.search("dc=x", Scope::Subtree, "(uid=", &[]), Err(LdapError::Filter(_))));

        let wrong = Settings { authorities: Some(slapd.dir.join("other.pem")), ..settings.clone() };
        assert!(matches!(Directory::open(&wrong), Err(LdapError::Tls { .. })), "{:?}", Directory::open(&wrong).err());
        let unknown = Settings { authorities: Some(slapd.dir.join("nothing.pem")), ..settings.clone() };
        assert!(matches!(Directory::open(&unknown), Err(LdapError::Tls { .. })));
        let any = Settings { no_verify: true, ..wrong };
        assert!(Directory::open(&any).is_ok());
        let who = Bind::Simple { dn: "cn=reader,dc=x".into(), password: "no".into() };
        let refused = Directory::open(&Settings { bind: who, ..settings.clone() }).err().unwrap();
        assert!(matches!(refused, LdapError::Refused { code: 49, .. }), "{refused}");
    }
    let whole = Settings { page: 0, ..slapd.settings() };
    let why = Directory::open(&whole).unwrap().search("dc=x", Scope::Subtree, "(uid=many*)", &[]).unwrap_err();
    assert!(why.to_string().contains("size limit exceeded"), "a part is no answer: {why}");
}

#[test]
fn external_says_who_we_are() {
    let Some(slapd) = slapd() else { return };
    let identity = Some((slapd.dir.join("machine.pem"), slapd.dir.join("machine.key")));
    let certificate = Settings { bind: Bind::External, identity, ..slapd.settings() };
    let socket = slapd.dir.join("socket").display().to_string().replace('/', "%2F");
    let socket = Settings { uris: vec![format!("ldapi://{socket}")], bind: Bind::External, ..slapd.settings() };
    for settings in [certificate, socket] {
        let mut directory = Directory::open(&settings).unwrap();
        let found = directory.search("ou=people,dc=x", Scope::OneLevel, "(uid=ann)", &["mail".into()]).unwrap();
        assert_eq!(found[0].value("MAIL"), Some("ann@x"));
    }
}

#[test]
fn a_directory_that_is_down_is_no_wrong_password() {
    let Some(slapd) = slapd() else { return };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let down = format!("ldap://127.0.0.1:{nobody}");
    let mut people = slapd.people();
    people.settings.uris = vec![down.clone()];
    match people.authenticate("ann", "ann-pw") {
        Err(AuthError::Directory(why @ LdapError::Down { .. })) => assert!(why.to_string().contains(&down), "{why}"),
        other => panic!("{other:?}"),
    }
    // One that takes the connection and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    people.settings.uris = vec![format!("ldap://127.0.0.1:{}", silent.local_addr().unwrap().port())];
    people.settings.timeout = Duration::from_secs(1);
    let began = Instant::now();
    assert!(matches!(people.authenticate("ann", "ann-pw"), Err(AuthError::Directory(LdapError::Down { .. }))));
    assert!(began.elapsed() < Duration::from_secs(4));
    // The next server of the list is asked.
    people.settings = Settings { uris: vec![down, slapd.settings().uris.remove(0)], ..slapd.settings() };
    assert!(people.authenticate("ann", "ann-pw").is_ok());
}

struct Nothing;

impl Caller for Nothing {
    fn call(&self, call: &Call) -> Result<Value, ExecError> {
        Err(ExecError::NotFound(call.fun.clone()))
    }
    fn has(&self, _: &str) -> bool {
        false
    }
    fn names(&self) -> Vec<String> {
        vec![]
    }
}

fn ask(id: &str) -> Ask {
    let grains: Map = [("id", id), ("team", "staff")].into_iter().collect();
    Ask {
        data: Arc::new(Data { id: id.into(), grains: grains.into(), ..Data::default() }),
        saltenv: "base".into(),
        pillarenv: None,
        caller: Arc::new(Nothing),
        explain: true,
        trust: Default::default(),
        deadline: Instant::now() + Duration::from_secs(10),
    }
}

fn source(name: &str, value: Value) -> Arc<dyn PillarSource> {
    corpus_ldap::make(&Entry { index: 0, name: name.into(), value }).unwrap().unwrap()
}

#[test]
fn searches_become_pillar() {
    let Some(slapd) = slapd() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ldap.yaml");
    let common = format!(
        "&c {{server: 127.0.0.1, port: {}, tls: true, ca_file: {}, binddn: 'cn=reader,dc=x', bindpw: reader-pw, page_size: 2",
        slapd.plain,
        slapd.dir.join("ca.pem").display()
    );
    let config = format!(
        "own: {common}, dn: 'ou=groups,dc=x', filter: '(cn={{{{ id }}}})', attrs: [description], lists: [ou]}}\n\
         team:\n  <<: *c\n  mode: map\n  filter: (cn={{{{ team }}}})\n  attrs: [cn, dn]\n  lists: [member]\n\
         people:\n  <<: *c\n  mode: dict\n  dn: ou=people,dc=x\n  filter: (uid=many[01])\n  dict_key_attr: uid\n\
         \u{20} attrs: [cn]\n  lists: []\n\
         search_order: [own, team, people]\n"
    );
    std::fs::write(&file, config.replace("(uid=many[01])", "(|(uid=many0)(uid=many1))")).unwrap();
    let ldap = source("pillar_ldap", file.to_str().unwrap().into());
    for _ in 0..2 {
        let given = ldap.load(&ask("it")).unwrap();
        let expected = serde_json::json!({
            "ntpserver": "ntp.x", "vhost": ["www.a", "www.b"],
            "team": [{"dn": "cn=staff,ou=groups,dc=x", "cn": "staff", "member": ["uid=ann,ou=people,dc=x"]}],
            "people": {"many0": [{"cn": "many0"}], "many1": [{"cn": "many1"}]},
        });
        assert_eq!(serde_json::to_value(&given.pillar).unwrap(), expected);
        let places: Vec<String> = given.pieces.iter().map(|piece| format!("{piece:?}")).collect();
        assert_eq!(places[0], "Piece(own: cn=it,ou=groups,dc=x)");
        assert_eq!(places[2], "Piece(people: 2 entries)");
    }
    // In the configuration itself: `%s` is the id, and never more than that.
    let search = |filter: &str, mode: &str| {
        let search: Value = serde_json::from_value(serde_json::json!({
            "search_order": ["s"],
            "s": {"uri": format!("ldaps://127.0.0.1:{}", slapd.tls), "ca_file": slapd.dir.join("ca.pem"), "mode": mode,
                  "binddn": "cn=reader,dc=x", "bindpw": "reader-pw", "dn": "ou=groups,dc=x", "filter": filter, "attrs": ["cn"]},
        }))
        .unwrap();
        source("ldap", search)
    };
    let found = search("(cn=%s)", "map").load(&ask("it")).unwrap().pillar;
    assert_eq!(serde_json::to_value(&found).unwrap(), serde_json::json!({"s": [{"cn": "it"}]}));
    assert!(search("(cn=%s)", "map").load(&ask("*")).unwrap().pillar.is_empty());
    let why = search("(cn=%s)", "mapp").load(&ask("it")).unwrap_err();
    assert!(why.message.contains("mode 'mapp' is none of"), "{}", why.message);
}

#[test]
fn a_pillar_that_cannot_be_had_is_an_error() {
    let Some(slapd) = slapd() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ldap.yaml");
    let load = |text: String| {
        std::fs::write(&file, text).unwrap();
        source("pillar_ldap", file.to_str().unwrap().into()).load(&ask("it")).unwrap_err().to_text(None)
    };
    let one = |more: &str| {
        format!("s: {{server: 127.0.0.1, port: {}, filter: '(cn=it)', {more}}}\nsearch_order: [s]\n", slapd.plain)
    };
    for (text, expected) in [
        ("s: {}\n".to_owned(), "search_order is missing"),
        ("search_order: [x]\nxs: {}\n".to_owned(), "there is no search 'x'"),
        (one("bindd: x"), "did you mean `binddn`?"),
        (one("binddn: cn=x"), "has no `bindpw`"),
        (one("binddn: 'cn=reader,dc=x', bindpw: s3cret-c4nary"), "invalid credentials (code 49)"),
        (one("tls: true, ca_file: /nowhere"), "no certificate can be read from /nowhere"),
        (one("scope: 5"), "scope '5' is none of"),
        (one("sasl: gssapi"), "sasl 'gssapi' is not built"),
        ("s: {{ oops }\n".to_owned(), "ldap.yaml:1"),
        ("- 1\n".to_owned(), "it must be a mapping"),
    ] {
        let said = load(text);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
