//! The static minion, where there is nothing: no C library, no shell, no package manager.

use crate::support::{Tree, is_root};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn the_minion_runs_in_an_empty_root() {
    let Some(minion) = std::env::var_os("CORPUS_STATIC_MINION") else {
        eprintln!("skipped: CORPUS_STATIC_MINION names no static minion (`make test` builds it)");
        return;
    };
    if !is_root() {
        eprintln!("skipped: chroot needs root");
        return;
    }
    let tree = Tree::new();
    let root = tree.path().join("root");
    for folder in ["etc", "dev", "srv", "tmp", "proc"] {
        std::fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    tree.file("root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").file("root/etc/group", "root:x:0:\n");
    std::fs::copy(&minion, root.join("corpus-minion")).expect("the minion can be copied");
    // The program is started through a wrapper that puts it into the empty root first.
    tree.file("minion.sh", "#!/bin/sh\nshift 3\nexec chroot $TREE/root /corpus-minion serve --cache /tmp/cache\n");
    let wrapper = tree.path().join("minion.sh");
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    tree.file("salt/s.sls", "/srv/app:\n  file.directory: []\n/srv/app/motd:\n  file.managed:\n    - contents: hello from {{ grains.kernel }}\n    - user: root\n    - mode: '0640'\n/srv/link:\n  file.symlink:\n    - target: /srv/app\n");
    let run = || {
        let mut command: Command = tree.corpus(&["--local", "--pipe", "--out=json", "state.apply", "s"]);
        crate::support::Said::of(command.env("CORPUS_MINION", &wrapper).output().expect("the program starts")).expect(0)
    };
    let changed = |said: crate::support::Said| {
        let json = said.json();
        let records = json["local"].as_object().expect("records").clone();
        records.values().filter(|record| record["changes"].as_object().is_some_and(|c| !c.is_empty())).count()
    };
    assert_eq!(changed(run()), 3, "three states change an empty root");
    assert_eq!(std::fs::read_to_string(root.join("srv/app/motd")).expect("the file is there"), "hello from Linux\n");
    assert_eq!(changed(run()), 0, "the second run changes nothing");
}
