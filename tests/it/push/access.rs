//! Who is let in, and to what.

use super::host::{clean, host};
use crate::support::Said;
use std::process::{Command, Stdio};

#[test]
fn rows_35_and_86_only_known_keys_and_only_git() {
    let host = host_or_skip!();
    let (p, _other) = (host.project("mine"), host.project("other"));
    p.commit("say one");
    let hello = host.ssh(&[], "mine", &[]).expect(0);
    assert!(
        hello.err.contains("This is the project `mine`") && hello.err.contains("there is no shell"),
        "{}",
        hello.err
    );
    for line in [
        "id",
        "sh",
        "bash -c 'touch /tmp/pwned'",
        "git-receive-pack 'project.git'; touch /tmp/pwned",
        "git-receive-pack '/srv/projects/other/git/project.git'",
        "git-receive-pack '/srv/projects/mine/git/../../other/git/project.git'",
        "git-upload-pack '../other/git/project.git'",
        "git-upload-pack --upload-pack='touch /tmp/pwned' project.git",
        "git-receive-pack --help",
        "git -c core.sshCommand=pwned receive-pack project.git",
        "scp -t /tmp/pwned",
        "rsync --server . /tmp/pwned",
        "/usr/lib/openssh/sftp-server",
        "corpus projects.serve",
        "attach other",
        "git-receive-pack '$(touch /tmp/pwned)'",
        "git-receive-pack 'project.git'\ntouch /tmp/pwned",
    ] {
        let said = host.ssh(&[], "mine", &[line]);
        assert!(said.code == 1 && said.err.contains("error: "), "{line}: {said:?}");
        assert_eq!(said.out, "", "{line}");
    }
    // sshd itself gives them nothing else either.
    let alone = ["-oControlPath=none", "-oControlMaster=no"];
    let said = host.ssh(&[&alone[..], &["-s"]].concat(), "mine", &["sftp"]);
    assert_ne!(said.code, 0, "{said:?}");
    let said = host.ssh(&[&alone[..], &["-W", "127.0.0.1:22"]].concat(), "mine", &[]);
    assert!(said.code != 0 && !said.out.contains("SSH-"), "{said:?}");
    // Variables of the client reach neither git nor the deployment, although this sshd lets all of them in.
    let evil = p.tree.path().join("evil-hooks");
    std::fs::create_dir(&evil).expect("a folder");
    let set: Vec<String> = [
        "GIT_CONFIG_COUNT=1",
        "GIT_CONFIG_KEY_0=core.hooksPath",
        "GIT_CONFIG_VALUE_0=/dev/null",
        "GIT_DIR=/srv/projects/other/git/project.git",
        "GIT_EXEC_PATH=/tmp",
        "GIT_TRACE=/tmp/pwned-trace",
        "GIT_PROTOCOL=version=2:pwned",
        "GIT_OBJECT_DIRECTORY=/tmp/pwned-objects",
        "GIT_QUARANTINE_PATH=/tmp",
        "PATH=/tmp",
        "HOME=/tmp",
        "SHELL=/bin/sh",
        "BASH_ENV=/tmp/pwned-env",
        "ENV=/tmp/pwned-env",
        "LD_LIBRARY_PATH=/tmp",
        "CORPUS_PUSH_WHO=root",
        "SSH_ORIGINAL_COMMAND=id",
    ]
    .iter()
    .map(|pair| format!("-oSetEnv='{pair}'"))
    .collect();
    let set = set.join(" ").replace("' -oSetEnv='", " ");
    // They do arrive, where somebody has a shell.
    let line = set.trim_start_matches("-oSetEnv='").trim_end_matches('\'').to_owned();
    let mut root = Command::new("ssh");
    root.args(alone).args(host.ssh_words()).arg(format!("-oSetEnv={line}")).arg(format!("root@{}", host.address()));
    let said = Said::of(root.arg("/usr/bin/env").stdin(Stdio::null()).output().expect("ssh")).expect(0);
    assert!(
        said.out.contains("GIT_TRACE=/tmp/pwned-trace") && said.out.contains("CORPUS_PUSH_WHO=root"),
        "{}",
        said.out
    );
    let ssh = format!("ssh {} {} {set}", alone.join(" "), host.ssh_words().join(" "));
    let mut push = p.command(&["push", &p.url("project"), "main"]);
    let said = Said::of(push.env("GIT_SSH_COMMAND", ssh).output().expect("git")).expect(0);
    assert!(said.err.contains("deploying mine at") && said.err.contains("by alice"), "{}", said.err);
    assert_eq!(p.deployed("project"), [p.rev("HEAD")]);
    assert!(clean(host));
    // An unknown key is nobody's.
    let key = p.tree.path().join("stranger");
    assert!(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .expect("keygen")
            .success()
    );
    let stranger = |words: &[&str]| {
        let mut ssh = Command::new("ssh");
        ssh.args([
            "-F",
            "/dev/null",
            "-p",
            "2222",
            "-oIdentitiesOnly=yes",
            "-oStrictHostKeyChecking=no",
            "-oBatchMode=yes",
        ]);
        ssh.args(["-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR", "-i"]).arg(&key);
        ssh.arg(format!("mine-user@{}", host.address())).args(words);
        Said::of(ssh.stdin(Stdio::null()).output().expect("ssh"))
    };
    let said = stranger(&[]);
    assert!(said.code == 255 && said.err.contains("Permission denied"), "{said:?}");
    // What is written for sshd is what sshd understands, and holds for these users.
    let lines = "/usr/sbin/sshd -h /etc/ssh/lab_host_key -f /etc/ssh/sshd_config.d/corpus-push.conf";
    let said = host.inside(&format!("{lines} -T -C user=mine-user,host=x,addr=10.0.0.1")).expect(0);
    for line in ["disableforwarding yes", "permittty no", "passwordauthentication no"] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    // One that somebody put there by hand, without a forced command, is let in and gets no shell for all that.
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("a key");
    host.inside(&format!("echo '{}' >>/home/users/mine-user/.ssh/authorized_keys", public.trim())).expect(0);
    let said = stranger(&["touch /tmp/pwned"]);
    assert!(said.code == 1 && said.err.contains("is not something that can be done here"), "{said:?}");
    assert!(stranger(&[]).expect(0).err.contains("there is no shell"));
    assert!(clean(host));
    // Whoever is taken off the list is out, and so is what was not on it.
    host.inside("/usr/local/bin/corpus projects.revoke mine alice").expect(0);
    assert_eq!(stranger(&[]).code, 255);
    assert_eq!(host.ssh(&alone, "mine", &["attach"]).code, 255);
}

#[test]
fn the_socket_serves_a_projects_own_user_only() {
    let host = host_or_skip!();
    let (p, _other) = (host.project("own"), host.project("thief"));
    let one = p.commit("say one");
    p.push(&["main"]).expect(0);
    let two = p.commit("say two");
    p.push(&["main:stored"]).expect(0);
    let as_user =
        |user: &str, words: &str| host.inside(&format!("setpriv --reuid={user} --regid={user} --clear-groups {words}"));
    let said = as_user("thief-user", "/usr/local/bin/corpus projects.attach own");
    assert!(said.code == 1 && said.err.contains("may not deploy `own`"), "{said:?}");
    // The frame as the hook sends it, from somebody else, from an owner who was not asked to, and twice.
    let ask = |user: &str, project: &str, old: &str, new: &str| {
        let order = format!(
            r#"{{"version":1,"what":{{"deploy":{{"project":"{project}","kind":"project","reference":"refs/heads/main","old":"{old}","new":"{new}","options":{{"plan":false,"verbose":false,"only":[],"only_steps":[]}},"who":"root"}}}}}}"#
        );
        host.file("tmp-order.json", &order);
        let script = "use Socket; alarm 20; socket(S,AF_UNIX,SOCK_STREAM,0); connect(S,sockaddr_un(q(/run/corpus/push.sock))) or die;                       local $/; open(F,q(/tmp-order.json)); $b=<F>; syswrite(S,pack(q(V),length $b).$b); print <S>;";
        as_user(user, &format!("perl -e '{script}'")).expect(0).out
    };
    assert!(ask("thief-user", "own", &one, &two).contains("may not deploy"));
    assert!(ask("thief-user", "nobody-has-this", &one, &two).contains("may not deploy"));
    assert!(ask("own-user", "own", &one, &"1".repeat(40)).contains("no commit that is in the repository"));
    assert_eq!(p.deployed("project"), [one.as_str()]);
    assert!(ask("own-user", "own", &one, &two).contains(r#""ok":true"#));
    assert!(ask("own-user", "own", &one, &two).contains("deployed already"));
    assert!(ask("own-user", "own", &"0".repeat(40), &one).contains("since this was pushed"));
    assert_eq!((p.deployed("project"), p.main()), (vec![one, two.clone()], two));
}
