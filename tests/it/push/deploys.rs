//! What deploys, what does not, and what the pusher is told.

use super::host::{alone, clean, corpus_host, host};
use crate::support::Said;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

#[test]
fn row_38_a_failed_deployment_leaves_the_branch_and_tells_the_pusher() {
    let p = host_or_skip!().project("shop");
    let one = p.commit("say served\\033[2J\\033[32mgreen\\033[0m");
    let said = p.push(&["main"]).expect(0);
    for line in ["[push] deploying shop at", "by alice", "[archive] project deploy", "[install] served", "[push] done"]
    {
        assert!(said.err.contains(line), "{line}: {}", said.err);
    }
    assert!(said.err.contains("\x1b[32mgreen\x1b[0m") && !said.err.contains("\x1b[2J"), "{}", said.err);
    let two = p.commit("fail line 3 of app.sls");
    let said = p.push(&["main"]).expect(1);
    assert!(
        said.err.contains("[install] line 3 of app.sls") && said.err.contains("! [remote rejected]"),
        "{}",
        said.err
    );
    assert_eq!((p.main(), p.deployed("project")), (one.clone(), vec![one.clone()]));
    // The same commit once more is another try, and a repaired one goes through.
    assert!(p.push(&["main"]).expect(1).err.contains("[install] line 3"));
    let three = p.commit("sleep 1.5");
    let said = p.push(&["main"]).expect(0);
    assert!(said.err.contains("[install] still at work, 1 s"), "{}", said.err);
    assert_eq!((p.main(), p.deployed("project")), (three.clone(), vec![one.clone(), three.clone()]));
    // A plan says what it would do; neither side takes the branch for moved.
    p.git(&["remote", "add", "o", &p.url("project")]).expect(0);
    p.git(&["fetch", "-q", "o"]).expect(0);
    p.commit("say planned");
    let said = p.git(&["push", "-o", "plan", "o", "main"]).expect(0);
    assert!(said.err.contains("[archive] project plan") && said.err.contains("refs/plan/shown"), "{}", said.err);
    assert_eq!((p.main(), p.rev("o/main"), p.deployed("project").len()), (three.clone(), three.clone(), 2));
    p.commit("fail planned");
    p.git(&["push", "-o", "plan", "o", "main"]).expect(1);
    // Others are stored, and said not to deploy.
    let said = p.push(&["main:feature", "main~1:refs/tags/v1"]).expect(0);
    assert!(said.err.contains("stored, not deployed; this project deploys `main`"), "{}", said.err);
    assert!(p.refs().contains("refs/heads/feature") && p.refs().contains("refs/tags/v1"));
    let said = p.push(&[":feature", ":refs/tags/v1"]).expect(0);
    assert!(said.err.contains("[deleted]") && !two.is_empty());
    assert_eq!(p.deployed("project").len(), 2);
}

#[test]
fn rows_43_and_47_both_repositories_take_a_push_also_a_forced_one() {
    let p = host_or_skip!().project("forced");
    let one = p.commit("say one");
    p.push(&["main"]).expect(0);
    p.git(&["commit", "-q", "--amend", "-m", "rewritten"]).expect(0);
    let said = p.push(&["main"]).expect(1);
    assert!(said.err.contains("[rejected]"), "{}", said.err);
    assert_eq!(p.main(), one);
    p.push(&["-f", "main"]).expect(0);
    assert_eq!((p.main(), p.deployed("project").len()), (p.rev("HEAD"), 2));
    let said = p.git(&["push", &p.url("pillar"), "main"]).expect(0);
    assert!(said.err.contains("the pillar of forced") && said.err.contains("[archive] pillar deploy"), "{}", said.err);
    assert_eq!(p.deployed("pillar"), [p.rev("HEAD")]);
    // And they can be cloned, by those who may push.
    let clone = p.tree.path().join("clone");
    p.git(&["clone", "-q", &p.url("project"), clone.to_str().expect("a path")]).expect(0);
    assert!(clone.join("deploy").exists());
}

#[test]
fn a_deployment_goes_on_without_its_pusher_and_the_newest_push_wins() {
    let host = host_or_skip!();
    let p = host.project("gone");
    let one = p.commit("wait /tmp/go-one");
    let mut pusher = p.command(&["push", &p.url("project"), "main"]);
    // A group of its own, so that git and its ssh go together.
    let mut pusher = pusher.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("git");
    let log = |words: String| move || host.inside("cat /var/log/push.log").out.contains(&words);
    host.until("it begins", &log(format!("asks for {} of gone", &one[..8])));
    let group = format!("-{}", pusher.id());
    assert!(Command::new("kill").args(["-9", "--", &group]).status().expect("kill").success());
    pusher.wait().expect("it ends");
    assert_eq!(p.main(), "");
    let push = |revision: &str| {
        let mut git = p.command(&["push", &p.url("project"), &format!("{revision}:refs/heads/main")]);
        git.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git")
    };
    let two = p.commit("say two");
    let older = push(&two);
    host.until("it waits", &log(format!("asks for {} of gone", &two[..8])));
    let three = p.commit("say three");
    let newer = push(&three);
    host.until("it waits", &log(format!("asks for {} of gone", &three[..8])));
    let older = Said::of(older.wait_with_output().expect("git")).expect(1);
    assert!(older.err.contains("waiting for the deployment of") && older.err.contains("a newer push"), "{}", older.err);
    // The first commit once more joins what is under way; so does one who only looks.
    let again = push(&one);
    let looks = std::thread::spawn(|| host.ssh(&[], "gone", &["attach"]));
    host.until("it joins", &|| {
        host.inside("cat /var/log/push.log").out.matches(&format!("asks for {} of gone", &one[..8])).count() == 2
    });
    host.inside("touch /tmp/go-one").expect(0);
    Said::of(again.wait_with_output().expect("git")).expect(0);
    let looked = looks.join().expect("ssh").expect(0);
    assert!(looked.out.contains("[push] deploying gone") || looked.out.contains("[archive]"), "{}", looked.out);
    Said::of(newer.wait_with_output().expect("git")).expect(0);
    assert_eq!((p.main(), p.deployed("project")), (three.clone(), vec![one, three]));
    // A service that was killed is told from one that says no.
    let broken = host.inside("mv /run/corpus/push.sock /run/corpus/away");
    let four = p.commit("say four");
    let said = p.push(&["main"]);
    host.inside("mv /run/corpus/away /run/corpus/push.sock").expect(0);
    broken.expect(0);
    assert!(said.expect(1).err.contains("the deployment service does not answer"));
    p.push(&["main"]).expect(0);
    assert_eq!(p.main(), four);
}

#[test]
fn a_service_that_is_killed_leaves_the_old_release_and_its_branch() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("killed");
    let push = ["HEAD:refs/heads/master"];
    std::fs::write(p.work.join("version"), "one").expect("a file");
    let one = p.commit("say one");
    p.push(&push).expect(0);
    // Killed in the middle of a recipe, when the new tree is in its place already.
    std::fs::write(p.work.join("version"), "two").expect("a file");
    std::fs::write(p.work.join(".salt/020_slow.sls"), "slow:\n  cmd.run:\n    - name: touch /tmp/slow; sleep 60\n")
        .expect("a file");
    p.commit("say two");
    let url = p.url("project");
    let mut pusher = p.command(&["push", &url, push[0]]);
    let pusher = pusher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git");
    host.until("it is in the recipe", &|| host.inside("test -e /tmp/slow").code == 0);
    host.inside("kill -9 $(cat /run/push.pid)").expect(0);
    let said = Said::of(pusher.wait_with_output().expect("git")).expect(1);
    assert!(said.err.contains("the deployment service is gone"), "{}", said.err);
    host.serve();
    let version = || host.inside("cat /srv/projects/killed/project/version").out;
    let refs = p.refs();
    assert!(refs.contains(&format!("{one}\trefs/heads/master")), "{refs}");
    assert_eq!(version(), "one", "{}", host.inside("tail -5 /var/log/push.log").out);
    // And the next push goes its way.
    std::fs::remove_file(p.work.join(".salt/020_slow.sls")).expect("a file");
    p.commit("say three");
    p.push(&push).expect(0);
    assert_eq!((version().as_str(), p.refs().contains(&p.rev("HEAD"))), ("two", true));
}

#[test]
fn row_087_what_passes_its_tests_is_deployed_by_the_robot_that_ran_them() {
    let host = host_or_skip!();
    let _one = alone();
    let p = host.project("robot");
    // The team's own repository, with a robot that tests what comes in, and pushes on what is good.
    let central = p.tree.path().join("central.git");
    p.git(&["init", "-q", "--bare", &central.to_string_lossy()]).expect(0);
    let robot = format!(
        "#!/bin/sh\nwhile read -r old new ref; do\n[ $ref = refs/heads/ci ] || continue\nwork=$(mktemp -d)\n\
         git --work-tree=$work checkout -q -f $new\nif (cd $work && sh ./test.sh); then git push {} $new:refs/heads/main\n\
         else echo 'tests failed: not deployed'; fi\nrm -rf $work\ndone\n",
        p.url("project")
    );
    let hook = central.join("hooks/post-receive");
    std::fs::write(&hook, robot).expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let team =
        |branch: &str| p.git(&["push", &central.to_string_lossy(), &format!("HEAD:refs/heads/{branch}")]).expect(0);
    std::fs::write(p.work.join("test.sh"), "exit 1\n").expect("a file");
    p.commit("say one");
    assert!(team("ci").err.contains("tests failed: not deployed"));
    assert_eq!((p.main(), p.deployed("project")), (String::new(), vec![]));
    std::fs::write(p.work.join("test.sh"), "exit 0\n").expect("a file");
    let good = p.commit("say two");
    team("elsewhere");
    assert_eq!(p.main(), "", "only the robot's branch is tested");
    let said = team("ci").err;
    assert!(said.contains("[install] two") && said.contains("[push] done"), "the report comes back: {said}");
    assert_eq!((p.main(), p.deployed("project")), (good.clone(), vec![good]));
}

#[test]
fn row_076_and_104_a_project_is_made_cloned_pushed_broken_and_mended() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("demo");
    let write =
        |text: &str| std::fs::write(p.work.join(".salt/010_site.sls"), format!("site:\n{text}\n")).expect("a file");
    let managed = |version: &str| {
        let file = "  file.managed:\n    - name: /srv/site.txt\n    - contents: ";
        write(&format!("{file}{version}"));
        std::fs::write(p.work.join("version"), version).expect("a file");
        p.commit(&format!("say {version}"))
    };
    let master = || {
        p.refs().lines().find_map(|line| line.strip_suffix("\trefs/heads/master").map(str::to_owned)).expect("a branch")
    };
    let inside = |path: &str| host.inside(&format!("cat {path}")).out.trim().to_owned();
    managed("one");
    let plan = p.push(&["-oplan", "HEAD:refs/heads/master"]).expect(0);
    assert!(plan.err.contains("/srv/site.txt") || plan.err.contains("~ site"), "{}", plan.err);
    assert!(host.inside("test -e /srv/site.txt").code != 0, "a plan moves nothing");
    let one = p.rev("HEAD");
    assert_ne!(master(), one);
    let said = p.push(&["HEAD:refs/heads/master"]).expect(0);
    for step in ["[archive]", "[release_sync]", "[install]", "[fixperms]", "[notify]", "alice@laptop"] {
        assert!(said.err.contains(step), "{step}: {}", said.err);
    }
    assert_eq!(
        (master(), inside("/srv/site.txt"), inside("/srv/projects/demo/project/version")),
        (one.clone(), "one".into(), "one".into())
    );
    // A release that fails: the pusher sees where, and the old one serves.
    managed("two");
    write(
        "  file.managed:\n    - name: /srv/site.txt\n    - contents: two\nbroken:\n  cmd.run:\n    - name: exit 7\n    - require:\n      - file: site",
    );
    p.commit("say broken");
    let said = p.push(&["HEAD:refs/heads/master"]).expect(1);
    assert!(
        said.err.contains("010_site.sls:6") && said.err.contains("rejected] HEAD -> master (failed in install"),
        "{}",
        said.err
    );
    assert_eq!((master(), inside("/srv/projects/demo/project/version")), (one, "one".into()));
    // Hooks of somebody else's making do not last.
    host.inside("cd /usr/local/lib/corpus/hooks; printf '#!/bin/sh\\ntouch /tmp/pwned\\n' >post-receive; chmod 755 post-receive").expect(0);
    let three = managed("three");
    let said = p.push(&["HEAD:refs/heads/master"]).expect(0);
    assert!(said.err.contains("put right: removed"), "{}", said.err);
    assert_eq!(
        (master(), inside("/srv/site.txt"), inside("/srv/projects/demo/project/version")),
        (three, "three".into(), "three".into())
    );
    assert!(clean(host));
    // The pillar: brought up to date, not deployed.
    p.git(&["fetch", "-q", &p.url("pillar"), "master"]).expect(0);
    p.git(&["checkout", "-q", "-b", "pillar", "FETCH_HEAD"]).expect(0);
    let file = p.work.join("init.sls");
    let text = std::fs::read_to_string(&file).expect("the pillar");
    std::fs::write(file, text + "# more\n").expect("a file");
    p.git(&["commit", "-qam", "more"]).expect(0);
    let said = p.git(&["push", &p.url("pillar"), "pillar:master"]).expect(0);
    assert!(said.err.contains("brought up to date") && !said.err.contains("[install]"), "{}", said.err);
    assert!(inside("/srv/projects/demo/pillar/init.sls").ends_with("# more"));
}

#[test]
fn a_deployment_is_cancelled_over_ssh_by_its_own_user_and_nobody_else() {
    let host = host_or_skip!(corpus_host());
    let _one = alone();
    let p = host.made_by_corpus("ended");
    let _other = host.made_by_corpus("other");
    let push = ["HEAD:refs/heads/master"];
    std::fs::write(p.work.join("version"), "one").expect("a file");
    let one = p.commit("say one");
    p.push(&push).expect(0);
    let said = host.ssh(&[], "ended", &["cancel"]);
    assert!(said.code == 1 && said.err.contains("no pushed deployment of `ended` is under way"), "{said:?}");
    std::fs::write(p.work.join("version"), "two").expect("a file");
    let slow = "slow:\n  cmd.run:\n    - name: touch /tmp/ended-began; exec sleep 7654\n";
    std::fs::write(p.work.join(".salt/020_slow.sls"), slow).expect("a file");
    p.commit("say two");
    let mut pusher = p.command(&["push", &p.url("project"), push[0]]);
    let pusher = pusher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git");
    host.until("it is in the recipe", &|| host.inside("test -e /tmp/ended-began").code == 0);
    assert!(host.ssh(&[], "other", &["cancel"]).err.contains("no pushed deployment of `other`"));
    let thief = host.inside("setpriv --reuid=other-user --regid=other-grp --clear-groups corpus projects.cancel ended");
    assert!(thief.code == 1 && thief.err.contains("may not deploy `ended`"), "{thief:?}");
    let said = host.ssh(&[], "ended", &["cancel"]).expect(0);
    assert!(said.out.contains("the previous release is back"), "{said:?}");
    let told = Said::of(pusher.wait_with_output().expect("git")).expect(1);
    assert!(told.err.contains("rejected] HEAD -> master (cancelled by alice@laptop, in install"), "{}", told.err);
    // Whoever looks afterwards is told the same, and nothing runs on.
    let looked = host.ssh(&[], "ended", &["attach"]);
    assert!(looked.code == 3 && looked.out.contains("[push] cancelled by alice@laptop"), "{looked:?}");
    assert_ne!(host.inside("pgrep -f 'sleep 765[4]'").code, 0);
    assert_eq!(host.inside("cat /srv/projects/ended/project/version").out, "one");
    assert!(p.refs().contains(&format!("{one}\trefs/heads/master")));
    std::fs::remove_file(p.work.join(".salt/020_slow.sls")).expect("a file");
    p.commit("say three");
    p.push(&push).expect(0);
}
