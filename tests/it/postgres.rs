//! `postgres_*` on a real server, which the test starts itself; skipped where there is none.

use crate::support::{Tree, is_root};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A server of its own: socket, port and data in the folder.
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
}

fn as_postgres(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program).args(args);
    command.current_dir("/").output().expect("setpriv starts")
}

impl Server {
    pub fn start(folder: PathBuf) -> Option<Self> {
        Self::start_with(folder, "-c listen_addresses=", |_| {})
    }

    /// Starts one with further options; `prepare` gets the folder of the data.
    pub fn start_with(folder: PathBuf, options: &str, prepare: impl Fn(&Path)) -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let programs = versions.map(|entry| entry.path().join("bin")).find(|path| path.join("initdb").exists())?;
        if !is_root() {
            return None;
        }
        std::fs::create_dir_all(&folder).expect("a folder");
        assert!(Command::new("chown").arg("postgres").arg(&folder).status().expect("chown starts").success());
        for path in folder.ancestors().filter(|path| path.starts_with("/var/tmp/")) {
            assert!(Command::new("chmod").arg("a+x").arg(path).status().expect("chmod starts").success());
        }
        let server = Self { programs, folder };
        let (data, socket) = (server.at("data"), server.at(""));
        let made = as_postgres(&server.programs.join("initdb"), &["-D", &data, "-A", "trust"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        prepare(Path::new(&data));
        let options = format!("-k {socket} -p 5599 {options}");
        let log = server.at("log");
        let started = Command::new("setpriv")
            .args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"])
            .arg(server.programs.join("pg_ctl"))
            .args(["-D", &data, "-o", &options, "-l", &log, "-w", "start"])
            .current_dir("/")
            .stdout(std::process::Stdio::null())
            .status()
            .expect("pg_ctl starts");
        assert!(started.success(), "{}", std::fs::read_to_string(&log).unwrap_or_default());
        Some(server)
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    pub fn ask(&self, database: &str, sql: &str) -> String {
        let args = ["-h", &self.at(""), "-p", "5599", "-d", database, "-Atc", sql];
        let output = as_postgres(Path::new("psql"), &args);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        as_postgres(&self.programs.join("pg_ctl"), &["-D", &self.at("data"), "-m", "immediate", "stop"]);
    }
}

const PRESENT: &str = "\
{% macro c() %}
    - db_host: $TREE/pg/
    - db_port: 5599
{% endmacro %}
admins:
  postgres_group.present:
    - createdb: True
    {{- c() }}
frank:
  postgres_user.present:
    - password: s3'cret
    - groups: admins
    - valid_until: '2030-01-01 00:00:00'
    {{- c() }}
we\"ird:
  postgres_user.present:
    - password: p\\w
    - encrypted: scram-sha-256
    {{- c() }}
shop:
  postgres_database.present:
    - owner: frank
    {{- c() }}
stock:
  postgres_schema.present:
    - dbname: shop
    - owner: we\"ird
    {{- c() }}
may:
  postgres_privileges.present:
    - name: frank
    - object_name: stock
    - object_type: schema
    - privileges: [USAGE]
    - maintenance_db: shop
    {{- c() }}
";

const ABSENT: &str = "\
{% macro c() %}
    - db_host: $TREE/pg/
    - db_port: 5599
{% endmacro %}
may:
  postgres_privileges.absent:
    - name: frank
    - object_name: stock
    - object_type: schema
    - privileges: [USAGE]
    - maintenance_db: shop
    {{- c() }}
stock:
  postgres_schema.absent:
    - dbname: shop
    {{- c() }}
shop:
  postgres_database.absent:
    {{- c() }}
{% for name in ['frank', 'we\"ird'] %}
{{ name }}:
  postgres_user.absent:
    {{- c() }}
{% endfor %}
admins:
  postgres_group.absent:
    {{- c() }}
";

#[test]
fn converges_a_real_server() {
    let tree = Tree::new();
    let Some(server) = Server::start(tree.path().join("pg")) else {
        println!("skipped: no PostgreSQL server here, or not root");
        return;
    };
    tree.file("salt/present.sls", PRESENT).file("salt/absent.sls", ABSENT);
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname IN ('frank', 'we\"ird', 'admins')";

    tree.local(&["state.apply", "present", "test=True"]).expect(0);
    assert_eq!(server.ask("postgres", roles), "0", "a dry run changes nothing");

    let said = tree.local(&["state.apply", "present"]).expect(0);
    assert!(said.out.contains("(changed=6)"), "{}", said.out);
    assert!(!said.out.contains("s3'cret") && !said.out.contains("SCRAM"), "{}", said.out);
    let kept = "SELECT rolpassword = 'md5' || md5('s3''cretfrank') FROM pg_authid WHERE rolname = 'frank'";
    assert_eq!(server.ask("postgres", kept), "t");
    let scram = "SELECT rolpassword LIKE 'SCRAM-SHA-256$4096:%' FROM pg_authid WHERE rolname = 'we\"ird'";
    assert_eq!(server.ask("postgres", scram), "t");
    assert_eq!(server.ask("shop", "SELECT has_schema_privilege('frank', 'stock', 'USAGE')"), "t");

    let said = tree.local(&["state.apply", "present"]).expect(0);
    assert!(!said.out.contains("changed="), "{}", said.out);

    tree.local(&["state.apply", "absent"]).expect(0);
    assert_eq!(server.ask("postgres", roles), "0");
    let said = tree.local(&["state.apply", "absent"]).expect(0);
    assert!(!said.out.contains("changed="), "{}", said.out);
}
