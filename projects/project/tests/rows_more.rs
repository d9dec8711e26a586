//! Rows 53 and 70, and what a deployment tells to people elsewhere: by mail and by webhook, to servers that are real
//! enough for curl, and to none.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{FAILS, Place, tree, writes};
use corpus_core::{Call, Map, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

fn call(place: &Place, fun: &str, args: Vec<Value>) -> Value {
    let facts = place.cx().facts().unwrap();
    let def = corpus_project::FUNCTIONS.iter().copied().flatten().find(|def| def.name == fun).unwrap();
    (def.run)(&Call::new(fun, args), &facts.session, &facts.data).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn row_053_what_must_not_be_lost_is_kept_without_the_caches() {
    let place = Place::new("prod");
    let kept = call(&place, "mc_project.persistent", vec!["foo".into()]);
    let list = |key: &str| -> Vec<String> {
        kept.get(key).unwrap().as_list().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let data = place.layout().data.display().to_string();
    assert!(["/etc", "/var", data.as_str()].iter().all(|path| list("include").contains(&(*path).to_owned())));
    assert!(
        list("exclude").contains(&"/var/cache".to_owned())
            && list("exclude").contains(&"/var/lib/apt/lists".to_owned())
    );

    // The same on a machine that is small enough.
    let machine = |path: &str| place.path(&format!("machine/{path}"));
    for path in ["etc/shop.conf", "var/lib/shop/db", "var/cache/apt/big.deb"] {
        std::fs::create_dir_all(machine(path).parent().unwrap()).unwrap();
        std::fs::write(machine(path), path).unwrap();
    }
    std::fs::write(place.layout().data.join("upload"), "mine").unwrap();
    let words =
        |paths: &[&str]| Value::from(paths.iter().map(|path| machine(path).display().to_string()).collect::<Vec<_>>());
    let set: Map =
        [("backup_include", words(&["etc", "var"])), ("backup_exclude", words(&["var/cache"]))].into_iter().collect();
    call(&place, "mc_project.set_configuration", vec!["foo".into(), set.into()]);
    let to = place.path("kept.tar");
    call(&place, "mc_project.backup", vec!["foo".into(), to.display().to_string().into()]);
    let out = place.path("out");
    std::fs::create_dir(&out).unwrap();
    assert!(std::process::Command::new("tar").arg("-xf").arg(&to).current_dir(&out).status().unwrap().success());
    let back = |path: std::path::PathBuf| std::fs::read_to_string(out.join(path.strip_prefix("/").unwrap())).ok();
    assert_eq!(back(machine("etc/shop.conf")).as_deref(), Some("etc/shop.conf"));
    assert_eq!(back(machine("var/lib/shop/db")).as_deref(), Some("var/lib/shop/db"));
    assert_eq!(back(place.layout().data.join("upload")).as_deref(), Some("mine"));
    assert_eq!(back(machine("var/cache/apt/big.deb")), None);
}

#[test]
fn row_070_the_remotes_are_printed() {
    let place = Place::empty();
    let mut call = Call::new("mc_project.init_project", vec!["foo".into()]);
    call.kwargs.insert("no_user", true);
    let facts = place.cx().facts().unwrap();
    let def = corpus_project::FUNCTIONS.iter().copied().flatten().find(|def| def.name == call.fun).unwrap();
    let said = (def.run)(&call, &facts.session, &facts.data).unwrap();
    let text = said.get("comment").unwrap().as_str().unwrap().to_owned();
    for bare in [&place.layout().project_git, &place.layout().pillar_git] {
        let bare = bare.display().to_string();
        assert!(text.lines().any(|line| line.contains("ssh://") && line.ends_with(&bare)), "{text}");
    }
}

/// A file system of its own, as small as is asked for.
struct Small(tempfile::TempDir);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_that_fills_under_the_archive_or_under_git_costs_the_deployment_and_nothing_else() {
    let small = Small(tempfile::tempdir().unwrap());
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=160m", "small"]).arg(small.0.path()).stderr(std::process::Stdio::null());
    if !mount.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: nothing can be mounted here");
        return;
    }
    let place = Place::within(tempfile::tempdir_in(small.0.path()).unwrap());
    place.init(&[("default_env", "prod".into()), ("archive_margin", 0.into())]);
    place.push(&[(".salt/100_x.sls", &writes("file", "one"))]);
    std::fs::write(place.layout().project.join("big"), vec![7; 20 << 20]).unwrap();
    place.good();
    // The look at the room was good; then somebody else takes it.
    let fill = place.path("fill");
    let hook = format!("fill:\n  cmd.run:\n    - name: dd if=/dev/zero of={} bs=1M || true\n", fill.display());
    let emptied = format!("{hook}leave:\n  cmd.run:\n    - name: truncate -s -8M {}\n", fill.display());
    place.push(&[(".salt/pre_archive.sls", &emptied), (".salt/100_x.sls", &writes("file", "two"))]);
    std::fs::write(place.layout().project.join(".salt/pre_archive.sls"), &emptied).unwrap();
    let before = tree(&place.layout().project);
    let report = place.bad();
    let failed = report.failed.unwrap();
    assert!(failed.step == "archive" && failed.comment.contains("No space left"), "{failed:?}");
    assert_eq!(tree(&place.layout().project), before);
    std::fs::remove_file(fill).unwrap();
    place.push(&[(".salt/pre_archive.sls", "")]);
    std::fs::remove_file(place.layout().project.join(".salt/pre_archive.sls")).unwrap();
    place.good();
    assert_eq!(place.read("project/file"), "two\n");
    assert_eq!(std::fs::metadata(place.layout().project.join("big")).unwrap().len(), 20 << 20);
    // The archive is made; then there is no room for what git brings.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (state >> 58) as u8)
    });
    place.push(&[("noise", &noise.take(6 << 20).collect::<String>()), (".salt/100_x.sls", &writes("file", "three"))]);
    let hook = place.layout().project.join(".salt/post_archive.sls");
    std::fs::write(&hook, emptied.replace("-8M", "-2M")).unwrap();
    let before = tree(&place.layout().project);
    let failed = place.bad().failed.unwrap();
    assert!(failed.step == "release_sync" && failed.comment.contains("No space left"), "{failed:?}");
    assert_eq!((tree(&place.layout().project), place.read("project/file").as_str()), (before, "two\n"));
    std::fs::remove_file(place.path("fill")).unwrap();
    std::fs::remove_file(hook).unwrap();
    place.good();
    assert_eq!(place.read("project/file"), "three\n");
}

/// Answers one client, and returns what it said.
fn serve(answer: impl FnOnce(TcpStream) -> String + Send + 'static) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, std::thread::spawn(move || answer(listener.accept().unwrap().0)))
}

/// A mail server, as far as a client needs one.
fn smtp(stream: TcpStream) -> String {
    let mut heard = String::new();
    let mut from = BufReader::new(stream.try_clone().unwrap());
    let mut to = stream;
    to.write_all(b"220 lab\r\n").unwrap();
    let mut data = false;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).unwrap() == 0 {
            return heard;
        }
        heard += &line;
        let answer = match line.trim_end() {
            "." if data => {
                data = false;
                "250 taken"
            }
            _ if data => continue,
            "DATA" => {
                data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        to.write_all(format!("{answer}\r\n").as_bytes()).unwrap();
    }
}

/// A web server, for one request.
fn http(mut stream: TcpStream) -> String {
    let mut from = BufReader::new(stream.try_clone().unwrap());
    let (mut heard, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = n.trim().parse().unwrap();
        }
        heard += &line;
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    heard + &String::from_utf8(body).unwrap()
}

#[test]
fn mail_and_webhook_tell_how_it_ended_and_change_nothing_about_it() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("file", "one"))]);
    let (mail_port, mail) = serve(smtp);
    let (hook_port, hook) = serve(http);
    let mut request = place.request();
    let to: Map = [
        ("to", Value::from(vec!["ops@example.org", "boss@example.org"])),
        ("from", "corpus@box.example.org".into()),
        ("smtp", format!("127.0.0.1:{mail_port}").into()),
    ]
    .into_iter()
    .collect();
    request.kwargs.insert("notify_mail", to.clone());
    let url: Map = [
        ("url", Value::from(format!("http://127.0.0.1:{hook_port}/deployed?x=1"))),
        ("header", "X-Token: t0ken".into()),
    ]
    .into_iter()
    .collect();
    request.kwargs.insert("notify_webhook", url.clone());
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    let mail = mail.join().unwrap();
    for part in [
        "MAIL FROM:<corpus@box.example.org>",
        "RCPT TO:<ops@example.org>",
        "RCPT TO:<boss@example.org>",
        "\r\nSubject: deployment ",
        " of foo succeeded\r\n",
        "\r\n\r\n",
        "write-file (file.managed)",
    ] {
        assert!(mail.contains(part), "{part:?}\n{mail}");
    }
    let hook = hook.join().unwrap();
    assert!(hook.starts_with("POST /deployed?x=1 HTTP/1.1\r\n") && hook.contains("\r\nX-Token: t0ken\r\n"), "{hook}");
    let (_, body) = hook.split_once("\r\n\r\n").unwrap();
    let told: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!((told["project"].as_str(), told["result"].as_bool()), (Some("foo"), Some(true)));

    // Nobody listens any more: said, and no failure; and a failure stays one.
    let mut request = place.request();
    request.kwargs.insert("notify_mail", to);
    request.kwargs.insert("notify_webhook", url);
    let report = place.deploy_as(&request);
    assert!(report.ok(), "{}", report.comment);
    assert!(
        report.comment.contains("mail not sent") && report.comment.contains("webhook not called"),
        "{}",
        report.comment
    );
    assert!(!report.step("notify").unwrap().result);
    place.push(&[(".salt/200_y.sls", FAILS)]);
    let report = place.deploy_as(&request);
    assert!(!report.ok() && report.rolled_back && report.failed.unwrap().step == "install");
}

#[test]
fn recipes_command_no_terminal_and_tell_no_secret() {
    let place = Place::new("prod");
    corpus_core::secret::keep(["hunter2-of-rows-more"]);
    let says =
        "says:\n  cmd.run:\n    - name: printf 'a\\033]0;title\\007b\\033[31mred hunter2-of-rows-more\\n'; exit 3\n";
    place.push(&[(".salt/100_says.sls", says)]);
    let mut heard = common::Heard::default();
    let report = corpus_project::deploy(&place.cx(), &place.request(), &mut heard);
    assert!(!report.ok());
    let folder = place.layout().deployments();
    let mut kept: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| (entry.path().display().to_string(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    kept.push(("the pusher".into(), heard.0.join("\n")));
    assert!(kept.len() >= 3, "{}", kept.len());
    for (who, text) in kept {
        assert!(!text.contains("hunter2") && (text.contains("red ***") || !text.contains("red ")), "{who}: {text}");
        assert!(!text.contains("\x1b]") && !text.contains("\\u001b]") && !text.contains('\x07'), "{who}: {text:?}");
    }
}

#[test]
fn a_python_module_of_the_project_is_named_with_the_way_out() {
    let place = Place::new("prod");
    place.push(&[
        (".salt/_modules/mc_p_shop.py", "def settings():\n    return {}\n"),
        (
            ".salt/100_x.sls",
            "{% set cfg = opts['ms_project'] %}\n{% set s = salt['mc_p_shop.settings']() %}\nx:\n  test.nop\n",
        ),
    ]);
    let failed = place.bad().failed.unwrap();
    assert_eq!((failed.file.as_deref(), failed.line), (Some("makina-projects/foo/100_x.sls"), Some(2)), "{failed:?}");
    for word in ["mc_p_shop.py", "Python", "docs/guide/modules.md"] {
        assert!(failed.comment.contains(word), "{word}: {}", failed.comment);
    }
    // A program of that name does run.
    let program = "#!/bin/sh\nread -r call\ncase $call in\n*describe*) echo '{\"functions\": {\"settings\": {}}}' ;;\n\
                   *) echo '{\"result\": {\"port\": 8042}}' ;;\nesac\n";
    place.push(&[(".salt/_modules/mc_p_shop.py", ""), (".salt/_modules/mc_p_shop", program)]);
    let file = place.path("work-project/.salt/_modules/mc_p_shop");
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let uses = "{% set cfg = opts['ms_project'] %}\nx:\n  file.managed:\n    - name: {{ cfg.data_root }}/port\n    - contents: '{{ salt['mc_p_shop.settings']().port }}'\n";
    place.push(&[(".salt/100_x.sls", uses)]);
    place.good();
    assert_eq!(place.read("data/port"), "8042\n");
}

#[test]
fn what_the_application_writes_into_its_repositorys_configuration_sends_no_release_elsewhere() {
    let place = Place::new("prod");
    place.push(&[(".salt/100_x.sls", &writes("file", "one")), ("code", "one")]);
    place.good();
    let project = place.layout().project;
    let elsewhere = place.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for (key, value) in [
        ("core.worktree", elsewhere.display().to_string()),
        ("core.hooksPath", elsewhere.display().to_string()),
        ("core.fsmonitor", format!("touch {}/pwned", elsewhere.display())),
        ("core.alternateRefsCommand", format!("touch {}/pwned;", elsewhere.display())),
    ] {
        common::git(&project, &["config", "-f", ".git/config", key, &value]);
    }
    place.push(&[("code", "two")]);
    place.good();
    assert_eq!((place.read("project/code").as_str(), std::fs::read_dir(elsewhere).unwrap().count()), ("two", 0));
}
