//! The overlay of a dry run: what it shows after effects is what the machine will show.
#![cfg(feature = "fake")]

use corpus_core::fake::Fake;
use corpus_core::overlay::{self, Overlay};
use corpus_core::{Attrs, Command, Content, Effect, FileKind, HostError, Look, Prediction, Step};
use std::path::Path;

fn machine() -> Fake {
    let host = Fake::new();
    host.add_dir("/run/lock", 0o755);
    host.add_dir("/var", 0o755);
    host.add_link("/var/run", "../run");
    host.add_file("/run/pid", "1", 0o600);
    host.add_link("/loop", "/loop");
    host.add_link("/dangling", "/nowhere/x");
    host
}

fn write(path: &str, text: &str) -> Effect {
    Effect::WriteFile { path: path.into(), content: Content::Bytes(text.into()), attrs: Attrs::default(), backup: None }
}

fn mkdir(path: &str) -> Effect {
    Effect::Mkdir { path: path.into(), attrs: Attrs { mode: Some(0o700), ..Attrs::default() } }
}

fn read(look: &dyn Look, path: &str) -> Result<String, HostError> {
    look.read(Path::new(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn a_file_is_one_file_by_all_its_names() {
    let host = machine();
    let layer = Overlay::new(&host);
    for (effect, seen) in [
        (write("/var/run/a", "new"), ["/run/a", "/var/run/a"]),
        (write("/run/pid", "2"), ["/var/run/pid", "/run/pid"]),
        (mkdir("/var/run/d"), ["/run/d", "/var/run/d"]),
        (write("/run/d/x", "deep"), ["/var/run/d/x", "/run/d/../d/x"]),
    ] {
        layer.apply(&effect).expect("a good effect");
        let kinds = seen.map(|path| layer.stat(Path::new(path)).ok().flatten().map(|meta| meta.kind));
        assert_eq!(kinds[0], kinds[1], "{effect:?}");
        assert!(kinds[0].is_some(), "{effect:?}");
    }
    assert_eq!(read(&layer, "/run/pid").as_deref(), Ok("2"));
    assert_eq!(layer.list(Path::new("/var/run")), Ok(["a", "d", "lock", "pid"].map(String::from).to_vec()));
    layer.apply(&Effect::Remove { path: "/var/run/d".into() }).expect("removed");
    assert_eq!(layer.lstat(Path::new("/run/d/x")), Ok(None));
    assert_eq!(read(&host, "/run/pid").as_deref(), Ok("1"), "the machine below is as it was");
}

#[test]
fn refuses_what_the_machine_would_refuse() {
    let host = machine();
    for (effect, why) in [
        (write("/no/such/file", ""), "not found"),
        (write("/run/pid/x", ""), "Not a directory"),
        (write("/run/lock", ""), "Is a directory"),
        (write("/dangling", ""), "not found"),
        (write("/loop", ""), "Too many levels of symbolic links"),
        (mkdir("/run/pid"), "File exists"),
        (Effect::Rename { from: "/no".into(), to: "/run/y".into() }, "not found"),
    ] {
        let error = Overlay::new(&host).apply(&effect).expect_err("refused");
        assert!(error.to_string().contains(why), "{effect:?}: {error}");
    }
}

#[test]
fn directories_keep_their_content() {
    let host = machine();
    let layer = Overlay::new(&host);
    layer.apply(&mkdir("/run")).expect("there already");
    assert_eq!(read(&layer, "/run/pid").as_deref(), Ok("1"));
    layer.apply(&Effect::Rename { from: "/run".into(), to: "/moved".into() }).expect("moved");
    assert_eq!(layer.list(Path::new("/moved")), Ok(["lock", "pid"].map(String::from).to_vec()));
    assert_eq!(read(&layer, "/moved/pid").as_deref(), Ok("1"));
    assert_eq!(layer.lstat(Path::new("/run")), Ok(None));
    assert_eq!(layer.stat(Path::new("/var/run")), Ok(None), "the link dangles now");
}

#[test]
fn what_nobody_knows_is_said_to_be_unknown() {
    let host = machine();
    let layer = Overlay::new(&host);
    let predicts = vec![Prediction::Path("/srv".into()), Prediction::Path("/run/lock".into())];
    layer.absorb(&Step { effect: Effect::Exec(Command::default()), predicts, must_succeed: true });
    for path in ["/srv/tree/file", "/run/lock/file"] {
        let error = read(&layer, path).expect_err("unknown");
        assert!(overlay::is_unknown(&error.why), "{error}");
        assert!(!error.is_missing());
    }
    let kind = |path: &str| layer.stat(Path::new(path)).ok().flatten().map(|meta| meta.kind);
    assert_eq!((kind("/run/lock"), kind("/srv")), (Some(FileKind::Dir), Some(FileKind::Other)));
    assert!(layer.list(Path::new("/srv")).is_err_and(|error| overlay::is_unknown(&error.why)));
}
