//! The pillar sources `postgres` and `sqlite3` with real databases.

use crate::postgres::Server;
use crate::support::Tree;
use std::path::Path;
use std::process::Command;

const TABLE: &str =
    "CREATE TABLE p (minion text, a text, b text, c text, n integer, j jsonb, d date, x numeric, l int[]);
INSERT INTO p VALUES ('it', 'web', 'port', 'http', 80, '{\"k\": [1, null]}', '2024-02-03', 1.5, '{1,2}'),
 ('it', 'web', 'port', 'https', 443, NULL, NULL, 3, NULL), ('db', 'no', 'no', 'no', 1, NULL, NULL, 0, NULL);";

fn configure(tree: &Tree, setting: &str) {
    tree.file("etc/minion", &format!("id: it\ncorpus_cachedir: $TREE/cache\n{setting}"));
}

fn pillar(tree: &Tree) -> serde_json::Value {
    tree.local(&["pillar.items", "--out=json"]).expect(0).json()["local"].clone()
}

#[test]
fn postgres_gives_pillar() {
    let tree = Tree::new();
    let certs = tree.path().join("certs");
    let tls = certificates(&certs);
    let options = if tls { "-c listen_addresses=127.0.0.1 -c ssl=on" } else { "-c listen_addresses=" };
    let started = Server::start_with(tree.path().join("pg"), options, |data| {
        for (from, to) in [("leaf.pem", "server.crt"), ("leaf.key", "server.key")].iter().filter(|_| tls) {
            std::fs::copy(certs.join(from), data.join(to)).expect("a copy");
            let to = data.join(to).display().to_string();
            for words in [["chown", "postgres", &to], ["chmod", "600", &to]] {
                assert!(Command::new(words[0]).args(&words[1..]).status().expect("it starts").success());
            }
        }
        let rules = "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).expect("a file");
    });
    let Some(server) = started else {
        println!("skipped: no PostgreSQL server here, or not root");
        return;
    };
    server.ask("postgres", TABLE);
    let connection = "postgres: {host: $TREE/pg/, port: 5599, user: postgres, db: postgres}\n";
    configure(
        &tree,
        &format!(
            "{connection}ext_pillar:\n  - postgres:\n    - SELECT a, b, c, n FROM p WHERE minion = %s ORDER BY n\n    \
             - query: SELECT 'docs', j FROM p WHERE minion = %s AND j IS NOT NULL;\n    \
             - {{query: 'SELECT c, d, x, l FROM p WHERE minion = %s ORDER BY n', depth: 1, ignore_null: True}}\n"
        ),
    );
    let expected = serde_json::json!({
        "web": {"port": {"http": 80, "https": 443}},
        "docs": {"k": [1, null]},
        "http": {"d": "2024-02-03", "x": 1.5, "l": [1, 2]},
        "https": {"x": 3},
    });
    assert_eq!(pillar(&tree), expected);
    let told = tree.local(&["pillar.explain", "docs", "--out=json"]).expect(0).json()["local"].clone();
    assert!(told["from"][0].as_str().expect("a text").contains("query `SELECT 'docs', j FROM p"), "{told}");

    // The id is a parameter: what it looks like does not matter.
    let evil = "x'; DROP TABLE p; --";
    tree.local(&["--id", evil, "pillar.items"]).expect(0);
    assert_eq!(server.ask("postgres", "SELECT count(*) FROM p"), "3");

    configure(&tree, &format!("{connection}ext_pillar:\n  - postgres: ['SELECT a, nope FROM p WHERE minion = %s']\n"));
    let error = pillar(&tree)["_errors"][0].as_str().expect("a text").to_owned();
    assert!(error.contains("SELECT a, nope FROM p") && error.contains("column \"nope\" does not exist"), "{error}");
    configure(
        &tree,
        &format!(
            "corpus_pillar_timeout: 2\n{connection}ext_pillar:\n  - postgres: ['SELECT %s::text, pg_sleep(60)::text']\n"
        ),
    );
    let error = pillar(&tree)["_errors"][0].as_str().expect("a text").to_owned();
    assert!(error.contains("no answer within 2 seconds") || error.contains("statement timeout"), "{error}");
    configure(
        &tree,
        "postgres: {host: 127.0.0.1, port: 1, pass: s3cret-c4nary}\next_pillar:\n  - postgres: [SELECT 1]\n",
    );
    let said = tree.local(&["pillar.items", "--out=json"]).expect(0);
    assert!(said.out.contains("PostgreSQL 127.0.0.1:1, database salt") && said.out.contains("refused"), "{}", said.out);
    assert!(!said.out.contains("s3cret") && !said.err.contains("s3cret"));
    if tls {
        speaks_tls(&tree);
    } else {
        println!("TLS is skipped: there is no openssl to make certificates with");
    }
}

/// Makes an authority and a server's certificate for `localhost`; false where there is no openssl.
pub fn certificates(dir: &Path) -> bool {
    std::fs::create_dir_all(dir).expect("a folder");
    let script = "set -e
for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
  -subj /CN=$ca -keyout $ca.key -out $ca.pem; done
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout leaf.key -out leaf.csr
printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > ext
openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem";
    let output = Command::new("sh").args(["-c", script]).current_dir(dir).output().expect("sh starts");
    output.status.success()
}

/// The same server by TLS, checked as libpq's `sslmode` says.
fn speaks_tls(tree: &Tree) {
    let ask = |host: &str, more: &str| {
        configure(
            tree,
            &format!(
                "postgres: {{host: {host}, port: 5599, user: postgres, db: postgres{more}}}\n\
                 ext_pillar:\n  - postgres: [\"SELECT 'tls', ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()\"]\n"
            ),
        );
        pillar(tree).to_string()
    };
    let yes = r#"{"tls":true}"#;
    assert_eq!(ask("localhost", ""), yes, "as libpq does when it is not told");
    assert_eq!(ask("localhost", ", sslmode: verify-full, sslrootcert: $TREE/certs/ca.pem"), yes);
    assert_eq!(ask("127.0.0.1", ", sslmode: verify-ca, sslrootcert: $TREE/certs/ca.pem"), yes);
    let error = ask("127.0.0.1", ", sslmode: verify-full, sslrootcert: $TREE/certs/ca.pem");
    assert!(error.contains("not valid for name"), "{error}");
    let error = ask("localhost", ", sslmode: verify-full, sslrootcert: $TREE/certs/other.pem");
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
    let error = ask("localhost", ", sslmode: disable");
    assert!(error.contains("no encryption"), "{error}");
}

#[test]
fn sqlite_gives_pillar() {
    let tree = Tree::new();
    let setting = "sqlite3: {database: $TREE/p.db}\next_pillar:\n  - sqlite3:\n      main: \
                   {query: 'SELECT a, b, n FROM p WHERE minion = ? ORDER BY n', with_lists: '2'}\n";
    configure(&tree, setting);
    let error = pillar(&tree)["_errors"][0].as_str().expect("a text").to_owned();
    assert!(error.contains("p.db") && error.contains("unable to open"), "{error}");
    assert!(!tree.path().join("p.db").exists(), "nothing is made");
    let make = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.executescript(sys.argv[2])";
    let sql = "CREATE TABLE p (minion, a, b, n); INSERT INTO p VALUES ('it', 'web', 'ports', 80), ('it', 'web', 'ports', 443), \
               ('db', 'web', 'ports', 1);";
    let made = Command::new("python3").args(["-c", make]).arg(tree.path().join("p.db")).arg(sql).status();
    if !made.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3 to make a database with");
        return;
    }
    assert_eq!(pillar(&tree), serde_json::json!({"main": {"web": {"ports": [80, 443]}}}));
}
