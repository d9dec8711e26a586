//! Keys from a directory: sshd asks corpus, corpus asks slapd, and who is in the project's group may push.

use crate::support::{Said, Tree, is_root};
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Host {
    dir: PathBuf,
    net: String,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.lab(&["down"]);
    }
}

const SLAPD: &str = "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )
pidfile /run/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 67108864
suffix dc=x
rootdn cn=root,dc=x
rootpw root-pw
directory /run/ldap
access to * by dn.exact=cn=root,dc=x write by * none
";

const SETUP: &str = r#"
set -e; umask 022
rm -rf /srv/projects /srv/salt /srv/pillar /etc/salt /etc/corpus; mkdir -p /srv/salt /srv/pillar /run/ldap
for k in ann bob old; do ssh-keygen -q -t ed25519 -N '' -C $k -f /root/$k; done
person() { printf 'dn: uid=%s,ou=people,dc=x\nobjectClass: inetOrgPerson\nobjectClass: shadowAccount\nobjectClass: ldapPublicKey\nuid: %s\ncn: %s\nsn: %s\nshadowExpire: %s\nsshPublicKey: %s\n\n' $1 $1 $1 $1 $2 "$(cat /root/$1.pub)"; }
{
    printf 'dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\ndc: x\no: x\n\n'
    for ou in people groups; do printf 'dn: ou=%s,dc=x\nobjectClass: organizationalUnit\nou: %s\n\n' $ou $ou; done
    person ann -1; person bob -1; person old 1
    printf 'dn: cn=shop-push,ou=groups,dc=x\nobjectClass: groupOfNames\ncn: shop-push\nmember: uid=ann,ou=people,dc=x\nmember: uid=old,ou=people,dc=x\nmember: uid=gone,ou=people,dc=x\n'
} >/root/tree
/usr/sbin/slapadd -q -f /root/slapd.conf -l /root/tree
/usr/sbin/slapd -f /root/slapd.conf -h ldap://127.0.0.1:3890
printf 'uri: ldap://127.0.0.1:3890\nuser_base: ou=people,dc=x\ngroup_base: ou=groups,dc=x\nbinddn: cn=root,dc=x\nbindpw: root-pw\npush_group: "{project}-push"\ncache_seconds: 2\n' >/etc/corpus-directory.yaml
chmod 600 /etc/corpus-directory.yaml
printf '{"directory": "/etc/corpus-directory.yaml"}' >/etc/corpus-push.json
corpus --local mc_project.init_project shop >/dev/null
corpus projects.install
corpus projects.authorize shop keyless ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
/usr/sbin/sshd -f /etc/ssh/sshd_config.d/corpus-push.conf -p 2222 -h /etc/ssh/lab_host_key -o PidFile=none -E /var/log/push-sshd.log
setsid corpus projects.serve </dev/null >/var/log/push.log 2>&1 &
"#;

impl Host {
    fn lab(&self, words: &[&str]) -> Said {
        let script = format!("{}/tests/lab/lab.sh", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("bash");
        command.arg(script).args(words).stdin(Stdio::null());
        command
            .env("LAB_DIR", &self.dir)
            .env("LAB_NET", &self.net)
            .env("LAB_TAG", format!("cpk{}", std::process::id() % 60));
        Said::of(command.output().expect("bash"))
    }

    fn inside(&self, line: &str) -> Said {
        self.lab(&["exec", "1", "bash", "-c", line])
    }

    fn ssh(&self, key: &str, words: &str) -> Said {
        self.inside(&format!(
            "ssh -F /dev/null -i /root/{key} -p 2222 -oIdentitiesOnly=yes -oStrictHostKeyChecking=no -oBatchMode=yes \
             -oLogLevel=ERROR shop-user@127.0.0.1 {words}"
        ))
    }
}

#[test]
fn who_may_push_is_what_the_directory_says() {
    if !is_root() || !PathBuf::from("/usr/sbin/slapd").exists() {
        eprintln!("skipped: needs root and slapd");
        return;
    }
    let tree = Tree::new();
    let host = Host { dir: tree.path().join("lab"), net: format!("100.{}", std::process::id() % 60 + 2) };
    host.lab(&["up", "1"]).expect(0);
    let root = host.dir.join("h1/root");
    let mut strip = Command::new("strip");
    strip.arg("-g").arg("-o").arg(root.join("usr/local/bin/corpus")).arg(env!("CARGO_BIN_EXE_corpus"));
    assert!(strip.status().expect("strip").success());
    std::fs::write(root.join("root/slapd.conf"), SLAPD).expect("a file");
    host.inside(SETUP).expect(0);

    let lines = host.inside("corpus projects.keys shop-user").expect(0).out;
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.starts_with("restrict,command=\"/usr/local/bin/corpus git-shell project=shop who=ann\" ssh-ed25519 ")
    );
    for user in ["root", "nobody-user", "bob"] {
        assert_eq!(host.inside(&format!("corpus projects.keys {user}")).expect(0).out, "");
    }
    // In the group; not in it; in it with an account that has expired.
    let said = host.ssh("ann", "");
    assert!(
        said.code == 0 && said.err.contains("you are known here"),
        "{}{}",
        said.err,
        host.inside("cat /var/log/push-sshd.log").out
    );
    for key in ["bob", "old"] {
        let said = host.ssh(key, "");
        assert!(said.code == 255 && said.err.contains("Permission denied"), "{key}: {}", said.err);
    }
    let push = "cd /root; export GIT_SSH_COMMAND='ssh -F /dev/null -i /root/ann -p 2222 -oIdentitiesOnly=yes \
                -oStrictHostKeyChecking=no -oLogLevel=ERROR'; git -c safe.directory='*' clone -q \
                ssh://shop-user@127.0.0.1/srv/projects/shop/git/project.git work && cd work && \
                git -c user.name=a -c user.email=a@b commit -q --allow-empty -m again && git push";
    let said = host.inside(push);
    assert!(said.code == 0 && said.err.contains("by ann"), "{}", said.err);
    // A directory that is down lets nobody in by it, and says why, once its last answer is older than it may be.
    host.inside("kill $(cat /run/slapd.pid)").expect(0);
    let said = host.inside("sleep 2.1; corpus projects.keys shop-user");
    assert!(said.code == 1 && said.out.is_empty() && said.err.contains("127.0.0.1:3890"), "{}{}", said.out, said.err);
    assert!(host.ssh("ann", "").err.contains("Permission denied"));
    // Where it is so set, the last answer serves for so long; who was not in it stays out.
    host.inside("echo 'down_seconds: 600' >>/etc/corpus-directory.yaml").expect(0);
    let said = host.inside("corpus projects.keys shop-user").expect(0);
    assert!(said.out.lines().count() == 1 && said.err.contains("its last answer serves"), "{}{}", said.out, said.err);
    assert_eq!((host.ssh("ann", "").code, host.ssh("bob", "").code), (0, 255));
    assert_eq!(host.inside("stat -c '%U %a' /var/lib/corpus/push/keys{,/*}").out, "root 700\nroot 600\n");
    // Out of the group: not after the seconds that an answer holds.
    host.inside(
        "sleep 2.1; /usr/sbin/slapd -f /root/slapd.conf -h ldap://127.0.0.1:3890; \
         printf 'dn: cn=shop-push,ou=groups,dc=x\nchangetype: modify\ndelete: member\nmember: uid=ann,ou=people,dc=x\n' \
         >/root/out; ldapmodify -H ldap://127.0.0.1:3890 -x -D cn=root,dc=x -w root-pw -f /root/out || \
         { kill $(cat /run/slapd.pid); sleep 1; sed -i '/uid=ann,ou=people,dc=x$/{/^member/d}' /root/tree; \
           rm -f /run/ldap/*; /usr/sbin/slapadd -q -f /root/slapd.conf -l /root/tree; \
           /usr/sbin/slapd -f /root/slapd.conf -h ldap://127.0.0.1:3890; }; sleep 2.1",
    )
    .expect(0);
    assert!(host.ssh("ann", "").err.contains("Permission denied"));
    host.inside("echo 'cache_seconds: soon' >>/etc/corpus-directory.yaml").expect(0);
    let said = host.inside("corpus projects.keys shop-user; sed -i /soon/d /etc/corpus-directory.yaml");
    assert!(said.err.contains("corpus-directory.yaml"), "{}", said.err);
    host.inside("chmod 644 /etc/corpus-directory.yaml").expect(0);
    assert!(host.inside("corpus projects.keys shop-user").err.contains("chmod 600"));
}
