//! `*.settings`: what a machine has where, for recipes that ask by the names of the original.

use crate::functions::cx;
use crate::utils::{found, stored_password};
use corpus_core::{Call, Caller, Data, ExecError, Map, Value};
use corpus_master::{Session, TemplateCaller};
use std::sync::Arc;

type Answer = Result<Value, ExecError>;

/// What `*.settings` says, and what pillar, grains and configuration change of it: `makina-states.<where>.<name>.<key>`.
pub fn settings(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let module = call.fun.split('.').next().unwrap_or_default().trim_start_matches("mc_");
    let mut out = Map::new();
    for (key, value) in built_in(module, session, data) {
        let places = ["http", "db", "php", "queue", "dns"].map(|place| format!("services.{place}"));
        let wheres = ["localsettings", "services"].map(str::to_owned).into_iter().chain(places);
        let paths = wheres.map(|place| format!("makina-states.{place}.{module}.{key}"));
        let own = paths.filter_map(|path| found(session, data, &path)).next();
        out.insert(key, own.unwrap_or(value));
    }
    Ok(out.into())
}

fn built_in(module: &str, session: &Arc<Session>, data: &Arc<Data>) -> Vec<(String, Value)> {
    let cx = cx(session);
    let bundle = session.corpus.engine.roots().roots("base").last().cloned().unwrap_or_default();
    let (reset, projects) = (bundle.join("bin/reset-perms"), cx.projects.display().to_string());
    let root = |path: &str| cx.projects.with_file_name(path).display().to_string();
    let reset = reset.display().to_string();
    let family = data.grains.get("os_family").and_then(Value::as_str).unwrap_or("Debian");
    let codename = data.grains.get("oscodename").and_then(Value::as_str).unwrap_or_default();
    let web = if family == "Debian" { "www-data" } else { "nginx" };
    let all = |list: Vec<(&str, Value)>| list.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let running = session.shared.as_ref().map(|shared| shared.get());
    let own_group = running.as_ref().and_then(|cfg| cfg.get("group")?.as_str().map(str::to_owned));
    let texts: Vec<(&str, &str)> = match module {
        "php" => return all(php(session, data, web)),
        "pgsql" => return all(postgresql(session, data)),
        "dbsmartbackup" => return all(backups()),
        "slapd" => return all(slapd(session, data)),
        "rabbitmq" => return all(rabbitmq(session, data)),
        "locations" => {
            let (srv, apps) = (root(""), root("apps"));
            let srv = srv.trim_end_matches('/');
            let all = [
                ("root_dir", ""),
                ("conf_dir", "/etc"),
                ("var_dir", "/var"),
                ("var_lib_dir", "/var/lib"),
                ("var_log_dir", "/var/log"),
                ("var_spool_dir", "/var/spool"),
                ("var_run_dir", "/run"),
                ("var_tmp_dir", "/var/tmp"),
                ("var_cache_dir", "/var/cache"),
                ("tmp_dir", "/tmp"),
                ("home_dir", "/home"),
                ("users_home_dir", "/home/users"),
                ("root_home_dir", "/root"),
                ("initd_dir", "/etc/init.d"),
                ("upstart_dir", "/etc/init"),
                ("systemd_dir", "/etc/systemd/system"),
                ("bin_dir", "/usr/bin"),
                ("sbin_dir", "/usr/sbin"),
                ("lbin_dir", "/usr/local/bin"),
                ("lsbin_dir", "/usr/local/sbin"),
                ("lib_dir", "/lib"),
                ("share_dir", "/usr/share"),
                ("usr_dir", "/usr"),
                ("sudoersd_dir", "/etc/sudoers.d"),
                ("srv_dir", srv),
                ("prefix", srv),
                ("projects_dir", &projects),
                ("apps_dir", &apps),
                ("resetperms", &reset),
            ];
            return all.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        }
        // Who edits together are the members of the project's group, where there is a project.
        "usergroup" => vec![
            ("group", own_group.as_deref().unwrap_or("editor")),
            ("groupId", "65753"),
            ("defaultSysadmin", "sysadmin"),
        ],
        "apache" => vec![
            ("httpd_user", web),
            ("httpd_group", web),
            ("basedir", "/etc/apache2"),
            ("confdir", "/etc/apache2/conf-available"),
            ("vhostdir", "/etc/apache2/sites-available"),
            ("logdir", "/var/log/apache2"),
            ("serveradmin_mail", "webmaster@localhost"),
        ],
        "nginx" => vec![
            ("user", web),
            ("basedir", "/etc/nginx"),
            ("confdir", "/etc/nginx/conf.d"),
            ("vhostdir", "/etc/nginx/sites-available"),
            ("logdir", "/var/log/nginx"),
            ("loglevel", "crit"),
            ("default_vhost", "True"),
            ("client_max_body_size", "0"),
        ],
        "nodejs" => {
            vec![("prefix", "/srv/apps/node"), ("version", "system"), ("bin", "/usr/bin/node"), ("npm", "/usr/bin/npm")]
        }
        "python" => vec![("python", "/usr/bin/python3"), ("bin", "/usr/bin/python3")],
        "pkgs" => vec![("installmode", "installed"), ("dist", codename), ("udist", codename), ("ubuntu_lts", codename)],
        "logrotate" => vec![("days", "30"), ("rotate", "30"), ("confdir", "/etc/logrotate.d")],
        "www" => vec![("doc_root", "/var/www/html"), ("socket_directory", "/run/php"), ("upload_max_filesize", "250M")],
        "mysql" => {
            vec![
                ("user", "mysql"),
                ("port", "3306"),
                ("host", "localhost"),
                ("sockpath", "/run/mysqld/mysqld.sock"),
                // Root is let in by the socket, without a password.
                ("conn_host", "localhost"),
                ("conn_user", "root"),
                ("conn_pass", ""),
                ("root_passwd", ""),
                ("character_set", "utf8mb4"),
                ("collate", "utf8mb4_general_ci"),
            ]
        }
        "redis" => vec![("host", "localhost"), ("port", "6379")],
        _ => vec![("locale", "C.UTF-8")],
    };
    texts.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

type Settings = Vec<(&'static str, Value)>;

fn php(session: &Arc<Session>, data: &Arc<Data>, web: &str) -> Settings {
    let version = newest("/etc/php").or_else(|| to_come(session, data, "php-fpm")).unwrap_or_else(|| "8.2".to_owned());
    let names = [
        "cli",
        "common",
        "curl",
        "dev",
        "fpm",
        "gd",
        "gmp",
        "imagick",
        "imap",
        "intl",
        "ldap",
        "mbstring",
        "memcached",
        "mysql",
        "pear",
        "pgsql",
        "redis",
        "soap",
        "sqlite3",
        "tidy",
        "xdebug",
        "xml",
        "zip",
        "apcu",
    ];
    let mut packages: Map = names.iter().map(|name| (*name, Value::from(format!("php-{name}")))).collect();
    // What is a package of its own no more.
    for (old, today) in
        [("json", "php-common"), ("main", "php-fpm"), ("mysqlnd", "php-mysql"), ("sqlite", "php-sqlite3")]
    {
        packages.insert(old, today);
    }
    vec![
        ("fpm_user", web.into()),
        ("fpm_group", web.into()),
        ("fpm_sockets_dir", "/run/php".into()),
        ("confdir", "/etc/php".into()),
        ("etcdir", format!("/etc/php/{version}").into()),
        ("service", format!("php{version}-fpm").into()),
        ("php_ver", version.as_str().into()),
        ("version", version.into()),
        ("packages", packages.into()),
    ]
}

/// Nothing is backed up by the machine itself: there is no type for which recipes could configure it.
fn backups() -> Settings {
    vec![
        ("backup_path_prefix", "/srv/backups".into()),
        ("keep_lasts", "1".into()),
        ("keep_days", "2".into()),
        ("types", Value::list(Vec::<Value>::new())),
    ]
}

fn postgresql(session: &Arc<Session>, data: &Arc<Data>) -> Settings {
    let version = newest("/usr/lib/postgresql").or_else(|| to_come(session, data, "postgresql"));
    let version = version.unwrap_or_else(|| "system".to_owned());
    vec![
        ("user", "postgres".into()),
        ("default_user", "postgres".into()),
        ("port", "5432".into()),
        ("host", "localhost".into()),
        ("versions", vec![version.clone()].into()),
        ("version", version.into()),
        ("xenial_onward", true.into()),
    ]
}

fn slapd(session: &Arc<Session>, data: &Arc<Data>) -> Settings {
    let call = Call::new("mc_utils.generate_stored_password", vec!["slapd_root".into()]);
    let password = stored_password(&call, session, data).unwrap_or_default();
    let dn = found(session, data, "makina-states.services.dns.slapd.dn").as_ref().map(corpus_core::python::str);
    let dn = dn.unwrap_or_else(|| "dc=localdomain".to_owned());
    vec![
        ("root_dn", format!("cn=admin,{dn}").into()),
        ("dn", dn.into()),
        ("root_pw", password),
        ("mode", "master".into()),
        ("uris", "ldapi:/// ldap:///".into()),
    ]
}

fn rabbitmq(session: &Arc<Session>, data: &Arc<Data>) -> Settings {
    let call = Call::new("mc_utils.generate_stored_password", vec!["rabbitmq_admin".into()]);
    let password = stored_password(&call, session, data).unwrap_or_default();
    let own: Map =
        [("admin", Value::from("admin")), ("password", password), ("port", 5672.into())].into_iter().collect();
    vec![("rabbitmq", own.into())]
}

/// Names the newest version that a directory of versions has.
fn newest(dir: &str) -> Option<String> {
    let names = std::fs::read_dir(dir).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let numbered = |name: &String| -> Option<Vec<u32>> { name.split('.').map(|part| part.parse().ok()).collect() };
    names.filter_map(|name| numbered(&name).map(|number| (number, name))).max().map(|(_, name)| name)
}

/// Names the version of a package that would be installed: `8.2` of `2:8.2+93`.
fn to_come(session: &Arc<Session>, data: &Arc<Data>, package: &str) -> Option<String> {
    let call = Call::new("pkg.latest_version", vec![package.into()]);
    let version = TemplateCaller::new(session.clone(), data.clone()).call(&call).ok()?;
    let version = version.as_str()?.rsplit(':').next()?.split(['+', '-', '~']).next()?.to_owned();
    (!version.is_empty()).then_some(version)
}
