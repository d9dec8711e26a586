//! The real machine: files are old or new, never partial; programs run as who, where and as long as told.

use corpus_core::host::{Act, Command, HostErrorKind, Look};
use corpus_core::plan::{Attrs, Content, Effect, Observed, Owner};
use corpus_exec::real::Real;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

fn write(path: &Path, bytes: impl Into<Vec<u8>>, attrs: Attrs) -> Effect {
    Effect::WriteFile { path: path.into(), content: Content::Bytes(bytes.into()), attrs, backup: None }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn leftovers(folder: &Path) -> Vec<String> {
    Real::new().list(folder).expect("the folder is there").into_iter().filter(|n| n.starts_with(".corpus-")).collect()
}

fn sh(line: &str) -> bool {
    std::process::Command::new("/bin/sh").args(["-c", line]).status().expect("there is a shell").success()
}

#[test]
fn writes_keep_or_set_attributes_and_follow_links() {
    let dir = tempfile::tempdir().unwrap();
    let host = Real::new();
    let file = dir.path().join("f");
    host.perform(&write(&file, "one", Attrs::default())).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o644);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4750)).unwrap();
    host.perform(&write(&file, "two", Attrs::default())).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o4750);
    host.perform(&write(&file, "three", Attrs { mode: Some(0o600), ..Attrs::default() })).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o600);
    let link = dir.path().join("l");
    symlink("f", &link).unwrap();
    let effect = Effect::WriteFile {
        path: link.clone(),
        content: Content::Bytes(b"four".to_vec()),
        attrs: Attrs::default(),
        backup: Some(dir.path().join("bak")),
    };
    host.perform(&effect).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"four");
    assert_eq!(fs::read(dir.path().join("bak")).unwrap(), b"three");
    let unknown = Attrs { user: Some(Owner::Name("no-such-user-here".into())), ..Attrs::default() };
    assert!(host.perform(&write(&file, "x", unknown)).is_err());
    assert!(host.perform(&write(dir.path(), "x", Attrs::default())).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"four");
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

#[test]
fn a_killed_writer_leaves_the_old_file_or_the_new_one() {
    // The child is this very test, told to write for ever.
    if let Ok(path) = std::env::var("CORPUS_TEST_WRITE") {
        for i in 0.. {
            let letter = if i % 2 == 0 { b'a' } else { b'b' };
            Real::new().perform(&write(Path::new(&path), vec![letter; 300_000], Attrs::default())).unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    fs::write(&file, vec![b'a'; 300_000]).unwrap();
    for round in 0..12u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_leaves_the_old_file_or_the_new_one"])
            .env("CORPUS_TEST_WRITE", &file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(20_000 + round * 7_319));
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = fs::read(&file).unwrap();
        assert_eq!(bytes.len(), 300_000);
        assert!(bytes.iter().all(|b| *b == bytes[0]), "a mixture in round {round}");
    }
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().display().to_string();
    if !is_root() || !sh(&format!("mount -t tmpfs -o size=256k none {at}")) {
        return;
    }
    let host = Real::new();
    let file = dir.path().join("f");
    host.perform(&write(&file, "old", Attrs::default())).unwrap();
    let error = host.perform(&write(&file, vec![0; 1 << 20], Attrs::default())).unwrap_err();
    let seen = (fs::read(&file).unwrap(), leftovers(dir.path()));
    assert!(sh(&format!("umount -l {at}")));
    assert_eq!(error.kind, HostErrorKind::NoSpace);
    assert_eq!(seen, (b"old".to_vec(), vec![]));
}

#[test]
fn a_mounted_file_is_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let (under, file) = (dir.path().join("under"), dir.path().join("f"));
    fs::write(&under, "old and longer").unwrap();
    fs::write(&file, "hidden").unwrap();
    if !is_root() || !sh(&format!("mount --bind {} {}", under.display(), file.display())) {
        return;
    }
    let done = Real::new().perform(&write(&file, "new", Attrs { mode: Some(0o640), ..Attrs::default() }));
    let seen = (fs::read(&under).unwrap(), fs::metadata(&under).unwrap().mode() & 0o777, leftovers(dir.path()));
    assert!(sh(&format!("umount -l {}", file.display())));
    done.unwrap();
    assert_eq!(seen, (b"new".to_vec(), 0o640, vec![]));
}

#[test]
fn removes_trees_and_never_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let host = Real::new();
    let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
    fs::create_dir_all(tree.join("a/b")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("keep"), "x").unwrap();
    symlink(&outside, tree.join("a/link")).unwrap();
    symlink(&outside, dir.path().join("top")).unwrap();
    host.perform(&Effect::Remove { path: tree.clone() }).unwrap();
    host.perform(&Effect::Remove { path: format!("{}/top/", dir.path().display()).into() }).unwrap();
    assert!(!tree.exists() && fs::symlink_metadata(dir.path().join("top")).is_err());
    assert!(outside.join("keep").exists());
    for bad in ["", "/", "//", "/..", "/usr/..", "relative", "."] {
        assert!(host.perform(&Effect::Remove { path: bad.into() }).is_err(), "{bad:?}");
    }
}

#[test]
fn links_copies_renames_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let host = Real::new();
    let at = |name: &str| dir.path().join(name);
    host.perform(&Effect::Mkdir { path: at("d"), attrs: Attrs { mode: Some(0o750), ..Attrs::default() } }).unwrap();
    host.perform(&write(&at("d/f"), "x", Attrs { mode: Some(0o600), ..Attrs::default() })).unwrap();
    for target in ["d/f", "elsewhere"] {
        let effect = Effect::Symlink { path: at("l"), target: target.into(), attrs: Attrs::default() };
        host.perform(&effect).unwrap();
        assert_eq!(fs::read_link(at("l")).unwrap(), Path::new(target));
    }
    host.perform(&Effect::Copy { from: at("d"), to: at("e"), preserve: true }).unwrap();
    assert_eq!(fs::metadata(at("e")).unwrap().mode() & 0o777, 0o750);
    assert_eq!(fs::metadata(at("e/f")).unwrap().mode() & 0o777, 0o600);
    assert!(host.perform(&Effect::Copy { from: at("d"), to: at("d/inside"), preserve: false }).is_err());
    for _ in 0..2 {
        host.perform(&Effect::Hardlink { path: at("h"), target: at("d/f") }).unwrap();
    }
    assert_eq!(fs::metadata(at("h")).unwrap().ino(), fs::metadata(at("d/f")).unwrap().ino());
    host.perform(&Effect::Rename { from: at("h"), to: at("i") }).unwrap();
    host.perform(&Effect::Times { path: at("t"), atime: Some(1), mtime: Some(86_400) }).unwrap();
    assert_eq!(host.stat(&at("t")).unwrap().unwrap().mtime, 86_400_000_000_000);
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

fn run(command: Command) -> corpus_core::Output {
    match Real::new().perform(&Effect::Exec(command)).expect("it runs") {
        Observed::Ran(output) => output,
        other => panic!("{other:?}"),
    }
}

#[test]
fn programs_get_input_and_give_output_and_status() {
    let output = run(Command::shell("sh", "cat; echo err >&2; exit 3").stdin("in"));
    assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, &b"in"[..], &b"err\n"[..]));
    let output = run(Command { merge_stderr: true, ..Command::shell("sh", "echo a; echo b >&2; echo c") });
    assert_eq!(output.stdout_text(), "a\nb\nc\n");
    // More than a pipe holds, both ways at once.
    let output = run(Command::new(["cat"]).stdin(vec![b'x'; 3 << 20]));
    assert_eq!(output.stdout.len(), 3 << 20);
    assert_eq!(run(Command::shell("sh", "kill -9 $$")).code, 137);
    let output = run(
        Command { clean_env: true, umask: Some(0o27), ..Command::shell("/bin/sh", "umask; echo $A") }.env("A", "b")
    );
    assert_eq!(output.stdout_text(), "0027\nb\n");
    assert_eq!(run(Command::shell("sh", "echo $LC_ALL")).stdout_text(), "C\n");
    let missing = Real::new().perform(&Effect::Exec(Command::new(["no-such-program-here"]))).unwrap_err();
    assert_eq!((missing.kind, &*missing.why), (HostErrorKind::Missing, "command not found"));
}

#[test]
fn time_is_bounded_for_programs_and_what_they_leave_behind() {
    let start = Instant::now();
    let output = run(Command { timeout_s: Some(1), ..Command::shell("sh", "echo early; sleep 60 & sleep 60") });
    assert!(output.timed_out && output.stdout == b"early\n" && start.elapsed() < Duration::from_secs(10));
    let start = Instant::now();
    let output = run(Command::shell("sh", "sleep 30 & echo started"));
    assert!(output.stdout == b"started\n" && start.elapsed() < Duration::from_secs(20));
    let output = run(Command { background: true, ..Command::new(["sleep", "0.1"]) });
    assert!(output.pid > 0);
}

#[test]
fn root_becomes_somebody_else_with_all_groups() {
    if !is_root() || Real::new().user("nobody").unwrap().is_none() {
        return;
    }
    let output = run(Command { runas: Some("nobody".into()), ..Command::shell("sh", "id -u; id -G; echo $USER") });
    let nobody = Real::new().user("nobody").unwrap().unwrap();
    assert_eq!(output.stdout_text(), format!("{}\n{}\nnobody\n", nobody.uid, nobody.gid));
    let unknown = Command { runas: Some("no-such-user-here".into()), ..Command::new(["true"]) };
    assert!(Real::new().perform(&Effect::Exec(unknown)).is_err());
}

#[test]
fn a_spare_content_is_moved_and_others_still_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let (host, bytes) = (Real::new(), vec![7; 3 << 20]);
    let sha256 = corpus_core::digest::sha256(&bytes);
    let kept = dir.path().join("kept");
    let put = |name: &str, spare: bool| {
        let content = Content::File { path: kept.clone(), sha256, size: bytes.len() as u64, spare };
        let attrs = Attrs { mode: Some(0o640), ..Attrs::default() };
        host.perform(&Effect::WriteFile { path: dir.path().join(name), content, attrs, backup: None }).map(drop)
    };
    fs::write(&kept, &bytes).unwrap();
    fs::create_dir(dir.path().join("group")).unwrap();
    fs::set_permissions(dir.path().join("group"), fs::Permissions::from_mode(0o2755)).unwrap();
    // What a directory hands down, only a file that is made there gets.
    put("group/f", true).unwrap();
    assert!(kept.exists() && fs::read(dir.path().join("group/f")).unwrap() == bytes);
    let inode = fs::metadata(&kept).unwrap().ino();
    fs::write(dir.path().join("a"), "old").unwrap();
    put("a", true).unwrap();
    put("b", true).unwrap();
    put("c", false).unwrap();
    for name in ["a", "b", "c"] {
        let path = dir.path().join(name);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640, "{name}");
        assert_eq!(host.sha256(&path).unwrap(), sha256, "{name}");
        assert!(fs::read(&path).unwrap() == bytes, "{name}");
    }
    // Where the file system cannot tell, it was copied.
    let moved = fs::metadata(dir.path().join("a")).unwrap().ino() == inode;
    assert_eq!(kept.exists(), !moved);
    // A digest is remembered as long as nobody touches the file.
    fs::write(dir.path().join("a"), vec![8; 3 << 20]).unwrap();
    assert_ne!(host.sha256(&dir.path().join("a")).unwrap(), sha256);
    if moved {
        assert!(put("d", true).is_err(), "what it was is nowhere any more");
    }
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

#[test]
fn what_is_handed_over_is_the_programs_alone() {
    let hand = |runas: Option<&str>| {
        let mut command = Command::default();
        let (one, two) = (command.hand_over("s3cret one\n"), command.hand_over("two"));
        let look = "cat \"$0\" \"$1\" \"$0\"; stat -L -c '%a %F' \"$0\"; tr '\\0' '\\n' < /proc/$$/cmdline; \
                    tr '\\0' '\\n' < /proc/$$/environ; ulimit -c";
        command.argv = ["sh", "-c", look, &one, &two].map(str::to_owned).to_vec();
        let mut command = command.env("FILE", &one);
        command.runas = runas.map(str::to_owned);
        run(command).stdout_text()
    };
    for runas in [None, Some("nobody").filter(|_| is_root())] {
        let text = hand(runas);
        let rest = text.strip_prefix("s3cret one\ntwos3cret one\n600 regular file\n").expect(&text);
        assert!(!rest.contains("s3cret") && rest.contains("FILE=/proc/self/fd/") && rest.ends_with("\n0\n"), "{rest}");
    }
    // The next program has none of it.
    assert!(!run(Command::shell("sh", "ls -l /proc/self/fd")).stdout_text().contains("handed"));
}
