//! Pushes that must be refused, by git's own client and byte by byte; and odd ones that must not.

use super::host::{Project, clean, host};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A push that must be refused: how it is called, what it pushes, and a word of the refusal.
type Hostile = (&'static str, Vec<String>, &'static str);

/// Trees that no checkout should ever meet.
fn hostile_trees(p: &Project) -> Vec<Hostile> {
    let blob = p.object("blob", b"x");
    let hook = p.object("blob", b"#!/bin/sh\ntouch /tmp/pwned\n");
    let hooks = p.tree(&[("40000", b"hooks", &p.tree(&[("100755", b"pre-receive", &hook)]))]);
    let link = |target: &str| p.object("blob", target.as_bytes());
    let modules = |text: &str| p.object("blob", text.as_bytes());
    let file = |name: &[u8]| p.tree(&[("100644", name, &blob)]);
    let mode = |mode: &str, id: &str| p.tree(&[(mode, b"thing", id)]);
    let deep = (0..100).fold(file(b"f"), |below, _| p.tree(&[("40000", b"d", &below)]));
    let bomb = (0..10).fold(file(b"f"), |below, _| {
        let names: Vec<String> = (0..10).map(|n| format!("d{n}")).collect();
        p.tree(&names.iter().map(|name| ("40000", name.as_bytes(), below.as_str())).collect::<Vec<_>>())
    });
    let long = (0..20).fold(file(b"f"), |below, _| p.tree(&[("40000", &[b'd'; 250], &below)]));
    let names: Vec<String> = (0..100_000).map(|n| format!("f{n:06}")).collect();
    let many = p.tree(&names.iter().map(|name| ("100644", name.as_bytes(), blob.as_str())).collect::<Vec<_>>());
    let zeros = p.object("blob", &vec![0; 2_500_000]);
    // Hard to compress, so that it is as long on the wire.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(1_900_000)
    .collect();
    let more: Vec<u8> = noise.iter().map(|byte| byte ^ 0x5a).collect();
    let heavy = p.tree(&[("100644", b"a", &p.object("blob", &noise)), ("100644", b"b", &p.object("blob", &more))]);
    let url = "[submodule \"m\"]\n\tpath = m\n\turl = -u./pwned\n";
    let climbing = "[submodule \"../../pwned\"]\n\tpath = m\n\turl = https://example.org/x\n";
    let with_modules =
        |text: &str| p.tree(&[("100644", b".gitmodules", &modules(text)), ("160000", b"m", &p.rev("HEAD"))]);
    let trees = [
        ("a .git directory with hooks", p.tree(&[("40000", b".git", &hooks)]), "git"),
        ("a .git file", file(b".git"), "git"),
        (".GIT", p.tree(&[("40000", b".GIT", &hooks)]), "git"),
        (".Git deep inside", p.tree(&[("40000", b"a", &p.tree(&[("40000", b".Git", &hooks)]))]), "git"),
        ("git~1", p.tree(&[("40000", b"git~1", &hooks)]), "git"),
        ("GIT~2", p.tree(&[("40000", b"GIT~2", &hooks)]), "git"),
        (".git with a space", file(b".git "), "git"),
        (".git with dots", file(b".git..."), "git"),
        (".git with an invisible letter", file(".g\u{200c}it".as_bytes()), "git"),
        ("a stream of .git", file(b".git::$INDEX_ALLOCATION"), "git"),
        ("a backslash", file(b"a\\.git\\config"), "git"),
        ("..", p.tree(&[("40000", b"..", &file(b"pwned"))]), ""),
        (".", p.tree(&[("40000", b".", &file(b"pwned"))]), ""),
        ("a path for a name", file(b"../../pwned"), ""),
        ("an absolute name", file(b"/tmp/pwned"), ""),
        ("a line break", file(b"a\nb"), "control character"),
        ("a terminal's command", file(b"\x1b]0;pwned\x07"), "control character"),
        ("a terminal's command of another kind", file("a\u{9b}2Jpwned".as_bytes()), "control character"),
        ("letters from right to left", file("pwned\u{202e}txt.sls".as_bytes()), "control character"),
        (
            "recipes that the application writes",
            p.tree(&[("120000", b".salt", &link("../data/pwned"))]),
            "recipes are not taken",
        ),
        ("a very long name", file(&[b'n'; 300]), "255 is the most"),
        ("a pipe", mode("10644", &blob), "mode"),
        ("a disk", mode("60644", &blob), "mode"),
        ("a device", mode("20644", &blob), "mode"),
        ("a set-uid file", mode("104755", &blob), "mode"),
        ("a file that is a directory", mode("100644", &hooks), ""),
        ("the same name twice", p.tree(&[("100644", b"a", &blob), ("40000", b"a", &hooks)]), ""),
        ("names out of order", p.tree(&[("100644", b"b", &blob), ("100644", b"a", &blob)]), ""),
        ("an absolute link", mode("120000", &link("/etc/shadow")), "absolute"),
        ("a link out of the tree", mode("120000", &link("../../../etc/shadow")), "out of the tree"),
        ("a link to the neighbour", mode("120000", &link("../git/project.git/config")), "out of the tree"),
        (
            "a link through a directory's link",
            p.tree(&[
                ("40000", b"a", &p.tree(&[("40000", b"b", &file(b"f"))])),
                ("120000", b"d", &link("a/b/../..")),
                ("120000", b"e", &link("d/../pwned")),
            ]),
            "out of the tree",
        ),
        ("a file below a link", p.tree(&[("120000", b"a", &link("/tmp")), ("40000", b"a", &file(b"pwned"))]), ""),
        ("a link in circles", p.tree(&[("120000", b"a", &link("b")), ("120000", b"b", &link("a"))]), "circles"),
        ("a link into .git", mode("120000", &link(".git/hooks")), "not taken"),
        ("a link without a target", mode("120000", &link("")), ""),
        (".gitmodules as a link", p.tree(&[("120000", b".gitmodules", &link("f"))]), "symbolic link"),
        (".gitattributes as a link", p.tree(&[("120000", b".gitattributes", &link("f"))]), "symbolic link"),
        ("a submodule with an option for a url", with_modules(url), "gitmodules"),
        ("a submodule that climbs", with_modules(climbing), "gitmodules"),
        ("directories without an end", deep, "deeper than 64"),
        ("a bomb of directories", bomb, "unfolds to"),
        ("a path that no system takes", long, "bytes in the longest path"),
        ("very many files in one directory", many, "20000 files are the most"),
        ("a huge file of nothing", mode("100644", &zeros), "2000000 is the most"),
        ("a heavy push", heavy, ""),
    ];
    trees
        .into_iter()
        .map(|(name, tree, word)| (name, vec![format!("{}:refs/heads/main", p.on_top(&tree))], word))
        .collect()
}

/// Refs, options and commits that are none.
fn hostile_refs(p: &Project) -> Vec<Hostile> {
    let head = p.rev("HEAD");
    let tree = p.rev("HEAD^{tree}");
    let blob = p.object("blob", b"y");
    let bad = |text: &str| {
        format!("+{}:refs/heads/main", p.object("commit", format!("tree {tree}\n{text}\n\nx\n").as_bytes()))
    };
    let tag = p.object("tag", format!("object {head}\ntype commit\ntag x\ntagger a <a@b> 1 +0000\n\nx\n").as_bytes());
    let one = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let at = |name: &str| vec![format!("{head}:{name}")];
    let option = |option: &str| one(&[option, "fresh:main"]);
    let (who, by) = ("author a <a@b> 1 +0000", "committer a <a@b> 1 +0000");
    vec![
        ("the deployed branch deleted", one(&[":refs/heads/main"]), "cannot be deleted"),
        ("all branches pruned", one(&["--prune", "refs/none/*:refs/heads/*"]), "cannot be deleted"),
        ("a replacement of an object", at(&format!("refs/replace/{head}")), "only branches"),
        ("notes", at("refs/notes/commits"), "only branches"),
        ("a place of ours", at("refs/corpus/deployed"), "only branches"),
        ("a remote's branch", at("refs/remotes/origin/main"), "only branches"),
        ("a branch that a terminal obeys", at("refs/heads/a\u{9b}2J"), "control character"),
        ("a branch like an option", at("refs/heads/a/--upload-pack=pwned"), "dash"),
        ("very many refs", (0..250).map(|n| format!("{head}:refs/heads/many{n}")).collect(), "200 is the most"),
        ("a branch that is a tree", vec![format!("{tree}:refs/heads/tree")], "a branch is a commit"),
        ("a branch that is a file", vec![format!("+{blob}:refs/heads/main")], "a branch is a commit"),
        ("a tag for a branch", vec![format!("+{tag}:refs/heads/main")], "a branch is a commit"),
        ("a commit without a mail", vec![bad(&format!("author a 1 +0000\n{by}"))], "missingEmail"),
        ("a commit with no author", vec![bad(by)], "missingAuthor"),
        (
            "a commit beyond all time",
            vec![bad(&format!("author a <a@b> {} +0000\n{by}", "9".repeat(30)))],
            "badDateOverflow",
        ),
        ("a history that does not follow", vec![bad(&format!("{who}\n{by}")).replace('+', "")], "non-fast-forward"),
        ("an option nobody knows", option("-oplam"), "did you mean `plan`"),
        ("an option with a command", option("-oonly=$(touch /tmp/pwned)"), "no name for"),
        ("an option that climbs", option("-oonly_steps=../../pwned"), "no name for"),
        ("very many options", (0..20).map(|_| "-overbose".into()).chain(["fresh:main".into()]).collect(), "at most 16"),
    ]
}

/// What git's own client would not send: commands and a pack, byte by byte.
fn raw_push(p: &Project, commands: &[String], pack: &[u8]) -> String {
    let mut bytes = vec![];
    for (at, command) in commands.iter().enumerate() {
        let more = if at == 0 { "\0report-status side-band-64k" } else { "" };
        bytes.extend(format!("{:04x}{command}{more}", command.len() + more.len() + 4).bytes());
    }
    bytes.extend(b"0000");
    bytes.extend(pack);
    let mut ssh = Command::new("ssh");
    ssh.args(p.host.ssh_words())
        .arg(format!("{}-user@{}", p.name, p.host.address()))
        .arg("git-receive-pack 'project.git'");
    let mut child = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ssh");
    // The far side may hang up before it has taken all.
    let _ = child.stdin.take().expect("a pipe").write_all(&bytes);
    let output = child.wait_with_output().expect("ssh");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A pack of two objects: sixteen megabytes of nothing, and what has them 200 times.
fn unfolding() -> Vec<u8> {
    let script = "import hashlib, struct, sys, zlib\n\
        def size(kind, n):\n b = [kind << 4 | n & 15]; n >>= 4\n while n: b[-1] |= 128; b.append(n & 127); n >>= 7\n return bytes(b)\n\
        def number(n):\n b = [n & 127]; n >>= 7\n while n: b[-1] |= 128; b.append(n & 127); n >>= 7\n return bytes(b)\n\
        base = bytes(1 << 24); times = 200; most = 0xffffff\n\
        delta = number(len(base)) + number(times * most) + b'\\xf0\\xff\\xff\\xff' * times\n\
        pack = b'PACK' + struct.pack('>II', 2, 2) + size(3, len(base)) + zlib.compress(base)\n\
        pack += size(7, len(delta)) + hashlib.sha1(b'blob %d\\0' % len(base) + base).digest() + zlib.compress(delta)\n\
        sys.stdout.buffer.write(pack + hashlib.sha1(pack).digest())\n";
    let output = Command::new("python3").args(["-c", script]).output().expect("python3");
    assert!(output.status.success() && output.stdout.len() < 100_000, "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn pack(p: &Project, objects: &[&str]) -> Vec<u8> {
    let mut git = p.command(&["pack-objects", "--stdout", "-q"]);
    let mut child = git.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("git");
    child.stdin.take().expect("a pipe").write_all((objects.join("\n") + "\n").as_bytes()).expect("it is taken");
    child.wait_with_output().expect("git").stdout
}

#[test]
fn hostile_bytes_are_refused_and_change_nothing() {
    let p = host_or_skip!().project("bytes");
    let old = p.commit("say good");
    p.push(&["main"]).expect(0);
    let blob = p.object("blob", b"x");
    let tree = p.tree(&[("100644", b"", &blob)]);
    let nameless = p.on_top(&tree);
    let wrong = p.tree(&[("40000", b"d", &blob)]);
    let no_tree = p.on_top(&wrong);
    let good = p.on_top(&p.rev("HEAD^{tree}"));
    let whole = pack(&p, &[&good]);
    let commit = |more: &str| {
        let text =
            format!("tree {}\n{more}author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n", p.rev("HEAD^{tree}"));
        p.object("commit", text.as_bytes())
    };
    let (root, orphan) = (commit(""), commit(&format!("parent {}\n", "x".repeat(40))));
    let to = |old: &str, new: &str, name: &str| vec![format!("{old} {new} {name}")];
    let main = "refs/heads/main";
    let cases: Vec<(&str, Vec<String>, Vec<u8>)> = vec![
        ("a tree with no name", to(&old, &nameless, main), pack(&p, &[&nameless, &tree, &blob])),
        ("a directory that is a file", to(&old, &no_tree, main), pack(&p, &[&no_tree, &wrong, &blob])),
        ("a commit whose tree is missing", to(&old, &nameless, main), pack(&p, &[&nameless])),
        ("no pack at all", to(&old, &good, main), vec![]),
        ("garbage for a pack", to(&old, &good, main), b"PACK\0\0\0\x02\xff\xff\xff\xffgarbage".to_vec()),
        ("half a pack", to(&old, &good, main), whole[..whole.len() / 2].to_vec()),
        (
            "a pack with another sum",
            to(&old, &good, main),
            [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat(),
        ),
        ("a commit that is not in the pack", to(&old, &"1".repeat(40), main), whole.clone()),
        ("another old id, and another history", to(&"2".repeat(40), &root, main), pack(&p, &[&root])),
        ("a commit with a parent that is none", to(&old, &orphan, main), pack(&p, &[&orphan])),
        ("a ref that climbs", to(&"0".repeat(40), &good, "refs/heads/../../pwned"), whole.clone()),
        ("an absolute ref", to(&"0".repeat(40), &good, "/tmp/pwned"), whole.clone()),
        ("HEAD", to(&old, &good, "HEAD"), whole.clone()),
        ("a ref with a line break", to(&"0".repeat(40), &good, "refs/heads/a\nb"), whole.clone()),
        ("a lock for a ref", to(&"0".repeat(40), &good, "refs/heads/pwned.lock"), whole.clone()),
        ("the same ref twice", [to(&old, &good, main), to(&old, &old, main)].concat(), whole.clone()),
        ("no command", vec!["nonsense".into()], whole.clone()),
        ("a few bytes that unfold to gigabytes", to(&old, &good, main), unfolding()),
        ("an option of two lines", vec![format!("{} {} {main}\0push-options", old, good)], {
            let option = "only=install\nonly=rollback";
            [format!("{:04x}{option}0000", option.len() + 4).as_bytes(), &whole].concat()
        }),
        ("a shallow history", [vec![format!("shallow {good}")], to(&old, &good, main)].concat(), whole.clone()),
    ];
    let before = p.refs();
    for (name, commands, pack) in cases {
        let began = std::time::Instant::now();
        let said = raw_push(&p, &commands, &pack);
        assert!(began.elapsed().as_secs() < 30, "{name} takes too long");
        assert!(name != "a few bytes that unfold to gigabytes" || said.contains("emory"), "{said:?}");
        let taken = said.contains(&format!("ok {main}"));
        assert!(!taken && p.deployed("project") == [old.as_str()], "{name}: {said:?}");
    }
    assert_eq!(p.refs(), before);
    assert!(clean(p.host));
    // The same way, with nothing wrong: so it was not the way that was refused.
    let said = raw_push(&p, &to(&old, &good, main), &whole);
    assert!(said.contains(&format!("ok {main}")), "{said:?}");
    assert_eq!(p.main(), good);
}

#[test]
fn hostile_pushes_are_refused_and_change_nothing() {
    let p = host_or_skip!().project("evil");
    p.commit("say good");
    p.push(&["main"]).expect(0);
    let fresh = p.on_top(&p.rev("HEAD^{tree}"));
    p.git(&["branch", "fresh", &fresh]).expect(0);
    let before = (p.refs(), p.deployed("project"));
    let cases: Vec<Hostile> = hostile_trees(&p).into_iter().chain(hostile_refs(&p)).collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, words, word)) = cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let said = p.push(&words.iter().map(String::as_str).collect::<Vec<_>>());
                    assert!(said.code != 0, "{name} was taken: {}", said.err);
                    assert!(said.err.contains(word) && said.err.contains("rejected]"), "{name}: {}", said.err);
                    assert!(!said.err.contains('\x1b'), "{name}: {}", said.err);
                }
            });
        }
    });
    assert_eq!((p.refs(), p.deployed("project")), before);
    assert!(clean(p.host), "something was left behind");
    // What git kept apart is gone: the repository is as small as it was.
    let size = p.host.inside("du -sk /srv/projects/evil/git/project.git | cut -f1").out;
    assert!(size.trim().parse::<u64>().is_ok_and(|size| size < 1000), "{size}");
    p.push(&["fresh:main"]).expect(0);
}

#[test]
fn odd_but_harmless_pushes_are_taken_as_what_they_are() {
    let p = host_or_skip!().project("odd");
    p.commit("say one");
    let hook = p.object("blob", b"#!/bin/sh\ntouch /tmp/pwned\n");
    let hooks = p.tree(&[("100755", b"post-receive", &hook), ("100755", b"pre-receive", &hook)]);
    let attributes = p.object("blob", b"* filter=evil diff=evil merge=evil\n");
    let lfs = p.object("blob", b"[filter \"evil\"]\n\tsmudge = touch /tmp/pwned\n");
    let deploy = p.object("blob", b"say fine\n");
    let tree = p.tree(&[
        ("100755", b"$(touch \xc2\xa7pwned)", &hook),
        ("100644", b"--upload-pack=touch pwned", &deploy),
        ("100644", b".gitattributes", &attributes),
        ("100644", b".gitconfig", &lfs),
        ("40000", b".githooks", &hooks),
        ("100644", b";touch pwned;", &deploy),
        ("100644", b"`touch pwned`", &deploy),
        ("100644", b"deploy", &deploy),
        ("40000", b"hooks", &hooks),
        ("120000", b"uploads", &p.object("blob", b"../data/uploads")),
        ("160000", b"vendor", &p.rev("HEAD")),
    ]);
    let commit = p.on_top(&tree);
    let said = p
        .push(&[&format!("{commit}:refs/heads/main"), &format!("{commit}:refs/heads/$(touch${{IFS}}pwned)")])
        .expect(0);
    assert!(said.err.contains("vendor: a submodule") && said.err.contains("[install] fine"), "{}", said.err);
    assert!(p.refs().contains("refs/heads/$(touch${IFS}pwned)"));
    assert_eq!(p.deployed("project"), [commit]);
    assert!(clean(p.host));
}

#[test]
fn what_the_repository_itself_says_is_not_followed() {
    let host = host_or_skip!();
    let p = host.project("settings");
    // As the application, which is the same user, could have left it.
    host.inside(
        "set -e; cd /srv/projects/settings/git/project.git; H=/home/users/settings-user/hooks; mkdir -p $H; \
         for h in pre-receive post-receive update proc-receive reference-transaction post-update push-to-checkout; do \
           printf '#!/bin/sh\\ntouch /tmp/pwned-%s\\n' $h >$H/$h; chmod 755 $H/$h; done; cp -r $H ./hooks; \
         printf '[core]\\n\\tsshCommand = touch /tmp/pwned-include\\n\\thooksPath = %s\\n' $H >evil.inc; G='git config -f config'; \
         $G core.hooksPath $H; $G core.fsmonitor 'touch /tmp/pwned-monitor'; $G include.path evil.inc; \
         $G uploadpack.packObjectsHook 'touch /tmp/pwned-pack;'; $G core.alternateRefsCommand 'touch /tmp/pwned-refs;'; \
         $G receive.denyDeletes false; $G receive.fsckObjects false; $G transfer.fsckObjects false; $G gpg.program /tmp/pwned; \
         $G receive.maxInputSize 0; $G receive.certNonceSeed x; $G filter.evil.smudge 'touch /tmp/pwned-smudge'; \
         $G receive.procReceiveRefs refs/none; $G core.worktree /srv/projects/settings; \
         chown -R settings-user: . $H; chmod -R a+rX $H /home/users/settings-user",
    )
    .expect(0);
    let one = p.commit("say one");
    assert!(p.push(&["main"]).expect(0).err.contains("[install] one"));
    let tree = p.tree(&[("40000", b".git", &p.rev("HEAD^{tree}"))]);
    assert_ne!(p.push(&[&format!("{}:refs/heads/main", p.on_top(&tree))]).code, 0);
    assert_eq!((p.main(), p.deployed("project")), (one.clone(), vec![one]));
    let clone = p.tree.path().join("clone");
    p.git(&["clone", "-q", &p.url("project"), &clone.to_string_lossy()]).expect(0);
    assert!(clean(host), "{}", host.inside("ls /tmp").out);
}
