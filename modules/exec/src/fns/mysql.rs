//! `mysql.*`: databases, accounts, grants and queries, through the client program.

use crate::ask;
use crate::mysql::grant::Grant;
use crate::mysql::{Given, Login, Server, account, create_database, ident, native};
use corpus_core::{Act, Call, Data, ExecDef, ExecError, ExecFn, Look, Map, Value, python};

/// The functions of this module. Each takes the arguments of the connection by name: `connection_host`,
/// `connection_user`, `connection_pass`, `connection_port`, `connection_db`, `connection_unix_socket`,
/// `connection_default_file`, `connection_charset`.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "mysql.version",
        args: "(**connection_args)",
        doc: "Returns the server's version.",
        run: ExecFn::Read(|call, look, data| Ok(server(call, look, data).version(look)?.into())),
    },
    ExecDef {
        name: "mysql.query",
        args: "(database, query, **connection_args)",
        doc: "Returns the columns and rows of a query.",
        run: ExecFn::Write(query),
    },
    ExecDef {
        name: "mysql.query_kept",
        args: "(database, query, output=None, grain=None, key=None, **connection_args)",
        doc: "Puts a query and keeps its answer in a file, or in a grain (`output='grain'`).",
        run: ExecFn::Write(query_kept),
    },
    ExecDef {
        name: "mysql.db_list",
        args: "(**connection_args)",
        doc: "Lists the databases.",
        run: ExecFn::Read(|call, look, data| {
            let rows =
                server(call, look, data).rows(look, "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")?;
            Ok(rows.iter().filter_map(|row| row.get("name").cloned()).collect::<Vec<_>>().into())
        }),
    },
    ExecDef {
        name: "mysql.db_exists",
        args: "(name, **connection_args)",
        doc: "Tells whether a database is there.",
        run: ExecFn::Read(|call, look, data| {
            Ok(server(call, look, data).database(look, &call.need(0, "name")?)?.is_some().into())
        }),
    },
    ExecDef {
        name: "mysql.db_get",
        args: "(name, **connection_args)",
        doc: "Returns a database's character set and collation.",
        run: ExecFn::Read(|call, look, data| {
            Ok(server(call, look, data).database(look, &call.need(0, "name")?)?.unwrap_or_default().into())
        }),
    },
    ExecDef {
        name: "mysql.db_create",
        args: "(name, character_set=None, collate=None, **connection_args)",
        doc: "Makes a database; false if it is there.",
        run: ExecFn::Write(|call, act, data| {
            let (name, server) = (call.need(0, "name")?, server(call, act.as_look(), data));
            if server.database(act.as_look(), &name)?.is_some() {
                return Ok(false.into());
            }
            let (charset, collate) = (call.text(1, "character_set"), call.text(2, "collate"));
            write(act, &server, &create_database(&name, charset.as_deref(), collate.as_deref()))
        }),
    },
    ExecDef {
        name: "mysql.db_remove",
        args: "(name, **connection_args)",
        doc: "Removes a database; false if there is none.",
        run: ExecFn::Write(|call, act, data| {
            let (name, server) = (call.need(0, "name")?, server(call, act.as_look(), data));
            if server.database(act.as_look(), &name)?.is_none() {
                return Ok(false.into());
            }
            write(act, &server, &format!("DROP DATABASE {}", ident(&name)))
        }),
    },
    ExecDef {
        name: "mysql.user_list",
        args: "(**connection_args)",
        doc: "Lists the accounts.",
        run: ExecFn::Read(|call, look, data| {
            let rows = server(call, look, data).rows(look, "SELECT User, Host FROM mysql.user")?;
            Ok(rows.into_iter().map(Value::from).collect::<Vec<_>>().into())
        }),
    },
    ExecDef {
        name: "mysql.user_exists",
        args: "(user, host='localhost', password=None, password_hash=None, passwordless=False, unix_socket=False, **connection_args)",
        doc: "Tells whether an account is there, with a password if one is given.",
        run: ExecFn::Read(|call, look, data| {
            let user = server(call, look, data).user(look, &call.need(0, "user")?, &host(call, 1))?;
            let right = match (call.text(2, "password"), call.text(3, "password_hash")) {
                _ if call.flag(4, "passwordless", false) && call.flag(5, "unix_socket", false) => user.by_socket(),
                _ if call.flag(4, "passwordless", false) => user.kept.is_empty(),
                (Some(password), _) => user.kept == native(&password),
                (None, Some(hash)) => user.kept == hash,
                (None, None) => true,
            };
            Ok((user.there && right).into())
        }),
    },
    ExecDef {
        name: "mysql.user_create",
        args: "(user, host='localhost', password=None, password_hash=None, allow_passwordless=False, unix_socket=False, **connection_args)",
        doc: "Makes an account; false if it is there.",
        run: ExecFn::Write(|call, act, data| user(call, act, data, "CREATE")),
    },
    ExecDef {
        name: "mysql.user_chpass",
        args: "(user, host='localhost', password=None, password_hash=None, allow_passwordless=False, unix_socket=False, **connection_args)",
        doc: "Sets the password of an account; false if there is none.",
        run: ExecFn::Write(|call, act, data| user(call, act, data, "ALTER")),
    },
    ExecDef {
        name: "mysql.user_remove",
        args: "(user, host='localhost', **connection_args)",
        doc: "Removes an account; false if there is none.",
        run: ExecFn::Write(|call, act, data| {
            let (name, host, server) = (call.need(0, "user")?, host(call, 1), server(call, act.as_look(), data));
            if !server.user(act.as_look(), &name, &host)?.there {
                return Ok(false.into());
            }
            write(act, &server, &format!("DROP USER {}", account(&name, &host)))
        }),
    },
    ExecDef {
        name: "mysql.user_grants",
        args: "(user, host='localhost', **connection_args)",
        doc: "Lists the grants of an account; false if there is none.",
        run: ExecFn::Read(|call, look, data| {
            let lines = server(call, look, data).grants(look, &call.need(0, "user")?, &host(call, 1))?;
            Ok(if lines.is_empty() { false.into() } else { lines.into() })
        }),
    },
    ExecDef {
        name: "mysql.grant_exists",
        args: GRANT,
        doc: "Tells whether something is granted.",
        run: ExecFn::Read(|call, look, data| {
            let lines = server(call, look, data).grants(look, &call.need(2, "user")?, &host(call, 3))?;
            Ok(grant(call)?.listed(&lines).into())
        }),
    },
    ExecDef {
        name: "mysql.grant_add",
        args: GRANT,
        doc: "Grants something.",
        run: ExecFn::Write(|call, act, data| write(act, &server(call, act.as_look(), data), &grant(call)?.add(""))),
    },
    ExecDef {
        name: "mysql.grant_revoke",
        args: GRANT,
        doc: "Revokes something.",
        run: ExecFn::Write(|call, act, data| write(act, &server(call, act.as_look(), data), &grant(call)?.revoke())),
    },
];

const GRANT: &str = "(grant, database, user, host='localhost', grant_option=False, escape=True, **connection_args)";

fn server(call: &Call, look: &dyn Look, data: &Data) -> Server {
    let text = |key: &str| call.kwargs.get(&format!("connection_{key}")).filter(|v| !v.is_null()).map(python::str);
    let given = Given {
        host: text("host"),
        user: text("user"),
        pass: text("pass"),
        port: text("port"),
        db: text("db"),
        unix_socket: text("unix_socket"),
        default_file: text("default_file"),
        charset: text("charset"),
    };
    Server::of(look, data, given)
}

fn host(call: &Call, place: usize) -> String {
    call.text(place, "host").unwrap_or_else(|| "localhost".into())
}

fn grant(call: &Call) -> Result<Grant, ExecError> {
    let (privileges, database, user) = (call.need(0, "grant")?, call.need(1, "database")?, call.need(2, "user")?);
    let (option, escape) = (call.flag(4, "grant_option", false), call.flag(5, "escape", true));
    Grant::of(&privileges, &database, &user, &host(call, 3), option, escape).map_err(|why| call.invalid("grant", why))
}

fn write(act: &dyn Act, server: &Server, sql: &str) -> Result<Value, ExecError> {
    let output = ask::run(act, server.command(sql))?;
    if output.ok() { Ok(true.into()) } else { Err(ExecError::failed(crate::mysql::refusal(&output).why)) }
}

fn user(call: &Call, act: &dyn Act, data: &Data, verb: &str) -> Result<Value, ExecError> {
    let (name, host, server) = (call.need(0, "user")?, host(call, 1), server(call, act.as_look(), data));
    let have = server.user(act.as_look(), &name, &host)?;
    let (password, hash) = (call.text(2, "password"), call.text(3, "password_hash"));
    let passwordless = call.flag(4, "allow_passwordless", false);
    if have.there != (verb == "ALTER") || (password.is_none() && hash.is_none() && !passwordless) {
        return Ok(false.into());
    }
    let cleared = (verb == "ALTER" && hash.is_none()).then_some("");
    let login = Login {
        password: password.as_deref().or(cleared),
        password_hash: hash.as_deref(),
        unix_socket: call.flag(5, "unix_socket", false),
        auth_plugin: "",
    };
    let sql = format!("{verb} USER {}{}", account(&name, &host), login.sql(have.mariadb));
    let mut command = server.command(&sql);
    command.secret = true;
    let output = ask::run(act, command)?;
    if output.ok() { Ok(true.into()) } else { Err(ExecError::failed(crate::mysql::refusal(&output).why)) }
}

/// Names the values of each row of an answer.
fn named(answer: &Value) -> Vec<Map> {
    let list = |key: &str| answer.get(key).and_then(Value::as_list).unwrap_or_default();
    let row = |row: &Value| {
        let values = row.as_list().unwrap_or_default().iter().cloned();
        list("columns").iter().cloned().zip(values).collect()
    };
    list("results").iter().map(row).collect()
}

fn query_kept(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let answer = query(call, act, data)?;
    let rows = named(&answer);
    let text: String = rows
        .iter()
        .flat_map(Map::iter)
        .map(|(key, value)| format!("{}:{}\n", python::str(key), python::str(value)))
        .collect();
    let mut shown = answer.as_map().cloned().unwrap_or_default();
    shown.insert("results", rows.into_iter().map(Value::from).collect::<Vec<_>>());
    let shown = Value::from(shown);
    match call.text(2, "output").as_deref() {
        None => {}
        Some("grain") => {
            let grain = call.need(3, "grain")?;
            let name = call.text(4, "key").map_or(grain.clone(), |key| format!("{grain}:{key}"));
            let set = Call::new("grains.set", vec![name.into(), shown.clone(), true.into()]);
            crate::fns::grains::FNS
                .iter()
                .find_map(|def| match def.run {
                    ExecFn::Write(run) if def.name == "grains.set" => Some(run(&set, act, data)),
                    _ => None,
                })
                .transpose()?;
        }
        Some(path) => _ = act.perform(&corpus_core::Effect::text(path, text))?,
    }
    Ok(shown)
}

fn query(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let mut call = call.clone();
    call.kwargs.insert("connection_db", call.need(0, "database")?);
    let rows = server(&call, act.as_look(), data).rows(act.as_look(), &call.need(1, "query")?)?;
    let columns: Vec<Value> = rows.first().map(|row| row.keys().cloned().collect()).unwrap_or_default();
    let mut out = Map::new();
    out.insert("rows returned", rows.len());
    out.insert("columns", columns);
    out.insert(
        "results",
        rows.iter().map(|row| row.values().cloned().collect::<Vec<_>>().into()).collect::<Vec<Value>>(),
    );
    Ok(out.into())
}
