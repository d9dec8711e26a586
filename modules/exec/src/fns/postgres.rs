//! `postgres.*`: roles, databases and queries, through `psql`.

use crate::ask;
use crate::postgres::password::{self, Method};
use crate::postgres::role::{FLAGS, Wanted};
use crate::postgres::{Given, Server, ident, literal};
use corpus_core::host::{Act, HostError};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Look, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "postgres.version",
        args: "(user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Returns the server's version.",
        run: ExecFn::Read(|call, look, data| Ok(server(call, 0, look, data).version(look).map_err(HostError::from)?)),
    },
    ExecDef {
        name: "postgres.psql_query",
        args: "(query, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Returns the rows of a query, each as a mapping.",
        run: ExecFn::Write(|call, act, data| {
            let look = act.as_look();
            let query = call.need(0, "query")?;
            if commands_psql(&query) {
                return Err(
                    call.invalid("query", "a backslash may only stand within plain quotes: psql takes it as its own")
                );
            }
            let rows = server(call, 1, look, data).rows(look, &query).map_err(HostError::from)?;
            Ok(rows.into_iter().map(Value::from).collect::<Vec<_>>().into())
        }),
    },
    ExecDef {
        name: "postgres.user_list",
        args: "(user=None, host=None, port=None, maintenance_db=None, password=None, runas=None, return_password=False)",
        doc: "Lists the roles and what they may.",
        run: ExecFn::Read(|call, look, data| {
            let with_password = call.flag(6, "return_password", false);
            Ok(server(call, 0, look, data).roles(look, with_password).map_err(HostError::from)?.into())
        }),
    },
    ExecDef {
        name: "postgres.role_get",
        args: "(name, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None, return_password=False)",
        doc: "Describes a role; null if there is none.",
        run: ExecFn::Read(|call, look, data| {
            let with_password = call.flag(7, "return_password", false);
            let all = server(call, 1, look, data).roles(look, with_password).map_err(HostError::from)?;
            Ok(all.get(&call.need(0, "name")?).cloned().unwrap_or_default())
        }),
    },
    ExecDef {
        name: "postgres.user_exists",
        args: "(name, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Tells whether a role is there.",
        run: ExecFn::Read(|call, look, data| {
            Ok(exists(&server(call, 1, look, data), look, &call.need(0, "name")?)?.into())
        }),
    },
    ExecDef { name: "postgres.user_create", args: ROLE, doc: "Makes a user.", run: ExecFn::Write(user_create) },
    ExecDef { name: "postgres.user_update", args: ROLE, doc: "Changes a user.", run: ExecFn::Write(user_update) },
    ExecDef {
        name: "postgres.user_remove",
        args: "(username, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Removes a user; false if there is none.",
        run: ExecFn::Write(role_remove),
    },
    ExecDef { name: "postgres.group_create", args: ROLE, doc: "Makes a group.", run: ExecFn::Write(group_create) },
    ExecDef {
        name: "postgres.group_remove",
        args: "(groupname, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Removes a group; false if there is none.",
        run: ExecFn::Write(role_remove),
    },
    ExecDef {
        name: "postgres.db_list",
        args: "(user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Lists the databases.",
        run: ExecFn::Read(|call, look, data| {
            Ok(server(call, 0, look, data).databases(look).map_err(HostError::from)?.into())
        }),
    },
    ExecDef {
        name: "postgres.db_exists",
        args: "(name, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Tells whether a database is there.",
        run: ExecFn::Read(|call, look, data| {
            let all = server(call, 1, look, data).databases(look).map_err(HostError::from)?;
            Ok(all.contains(&call.need(0, "name")?).into())
        }),
    },
    ExecDef {
        name: "postgres.db_create",
        args: "(name, user=None, host=None, port=None, maintenance_db=None, password=None, tablespace=None, encoding=None, lc_collate=None, lc_ctype=None, owner=None, template=None, runas=None)",
        doc: "Makes a database.",
        run: ExecFn::Write(|call, act, data| {
            let text = |place, name| call.text(place, name);
            let sql = create_database(
                &call.need(0, "name")?,
                &[text(6, "tablespace"), text(10, "owner"), text(11, "template")],
                &[text(7, "encoding"), text(8, "lc_collate"), text(9, "lc_ctype")],
            );
            write(act, &server_at(call, 1, 12, act.as_look(), data), &sql)
        }),
    },
    ExecDef {
        name: "postgres.db_remove",
        args: "(name, user=None, host=None, port=None, maintenance_db=None, password=None, runas=None)",
        doc: "Removes a database.",
        run: ExecFn::Write(|call, act, data| {
            let sql = format!("DROP DATABASE {}", ident(&call.need(0, "name")?));
            write(act, &server(call, 1, act.as_look(), data), &sql)
        }),
    },
    ExecDef {
        name: "postgres.schema_list",
        args: "(dbname, user=None, host=None, port=None, password=None, runas=None)",
        doc: "Lists the schemas of a database.",
        run: ExecFn::Read(|call, look, data| {
            let mut server = server(call, usize::MAX, look, data);
            server.database = call.need(0, "dbname")?;
            Ok(server.schemas(look).map_err(HostError::from)?.into())
        }),
    },
];

const ROLE: &str = "(username, user=None, host=None, port=None, maintenance_db=None, password=None, createdb=None, createroles=None, inherit=None, login=None, encrypted=None, superuser=None, replication=None, rolepassword=None, valid_until=None, groups=None, runas=None)";

/// Returns the SQL that makes a database. Names: table space, owner, template; texts: encoding, collation, ctype.
pub fn create_database(name: &str, names: &[Option<String>; 3], texts: &[Option<String>; 3]) -> String {
    let mut sql = format!("CREATE DATABASE {}", ident(name));
    for (word, value) in ["TABLESPACE", "OWNER", "TEMPLATE"].iter().zip(names) {
        if let Some(value) = value {
            sql += &format!(" {word} = {}", ident(value));
        }
    }
    for (word, value) in ["ENCODING", "LC_COLLATE", "LC_CTYPE"].iter().zip(texts) {
        if let Some(value) = value {
            sql += &format!(" {word} = {}", literal(value));
        }
    }
    sql
}

/// Reads a list, or words with commas between.
pub fn words(value: Option<&Value>) -> Vec<String> {
    let listed = match value {
        None | Some(Value::Null) => vec![],
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(value) => python::str(value).split(',').map(|word| word.trim().to_owned()).collect(),
    };
    listed.into_iter().filter(|word: &String| !word.is_empty()).collect()
}

fn server(call: &Call, first: usize, look: &dyn Look, data: &Data) -> Server {
    server_at(call, first, first.saturating_add(5), look, data)
}

fn server_at(call: &Call, first: usize, runas: usize, look: &dyn Look, data: &Data) -> Server {
    let text = |place: usize, name: &str| call.text(first.saturating_add(place), name);
    let given = Given {
        user: text(0, "user"),
        host: text(1, "host"),
        port: text(2, "port"),
        maintenance_db: text(3, "maintenance_db"),
        password: text(4, "password"),
        runas: call.text(runas, "runas"),
    };
    Server::of(look, data, given)
}

fn exists(server: &Server, look: &dyn Look, name: &str) -> Result<bool, ExecError> {
    Ok(server.roles(look, false).map_err(HostError::from)?.contains(name))
}

fn write(act: &dyn Act, server: &Server, sql: &str) -> Result<Value, ExecError> {
    ask::must(act, server.command(sql)).map(|_| true.into())
}

fn user_create(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    role(call, act, data, "CREATE", Some(true))
}

fn user_update(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    role(call, act, data, "ALTER", None)
}

fn group_create(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    role(call, act, data, "CREATE", Some(false))
}

fn role(call: &Call, act: &dyn Act, data: &Data, verb: &str, login: Option<bool>) -> Result<Value, ExecError> {
    let place = if login == Some(false) { "groupname" } else { "username" };
    let name = call.need(0, place)?;
    let server = server_at(call, 1, 16, act.as_look(), data);
    if exists(&server, act.as_look(), &name)? != (verb == "ALTER") {
        return Ok(false.into());
    }
    let mut wanted = Wanted { groups: words(call.arg(15, "groups")), ..Wanted::default() };
    let places = [6, 8, 9, 7, 12, 11];
    for ((slot, (argument, ..)), place) in wanted.flags.iter_mut().zip(FLAGS).zip(places) {
        *slot = call.arg(place, argument).filter(|value| !value.is_null()).map(Value::truthy);
    }
    // Salt: a user logs in, and both inherit.
    if let Some(login) = login {
        wanted.flags[1] = wanted.flags[1].or(Some(true));
        wanted.flags[2] = wanted.flags[2].or(Some(login));
    }
    wanted.valid_until = call.text(14, "valid_until");
    if let Some(secret) = call.text(13, "rolepassword") {
        let method = call.text(10, "encrypted");
        let method = Method::of(method.as_deref()).ok_or_else(|| call.invalid("encrypted", "an unknown method"))?;
        let kept = password::encode(&name, &secret, method)
            .map_err(|error| ExecError::from(HostError::io("draw random bytes", &error)))?;
        wanted.password = Some(kept);
    }
    let mut command = server.command(&wanted.sql(verb, &name));
    command.secret |= wanted.password.is_some();
    Ok(ask::run(act, command)?.ok().into())
}

fn role_remove(call: &Call, act: &dyn Act, data: &Data) -> Result<Value, ExecError> {
    let name = call.text(0, "username").map_or_else(|| call.need(0, "groupname"), Ok)?;
    let server = server(call, 1, act.as_look(), data);
    if !exists(&server, act.as_look(), &name)? {
        return Ok(false.into());
    }
    write(act, &server, &format!("DROP ROLE {}", ident(&name)))
}

/// Tells whether a text may hold a command of psql's own, `\!` say: a backslash outside of plain quotes. Comments and the
/// other kinds of quotes are not followed: beside them any backslash counts.
fn commands_psql(sql: &str) -> bool {
    let mut quote = None;
    let escapes = ["e'", "--", "/*", "$"].iter().any(|mark| sql.to_ascii_lowercase().contains(mark));
    for c in sql.chars() {
        match (quote, c) {
            (_, '\\') if quote.is_none() || escapes => return true,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::commands_psql;

    #[test]
    fn backslashes_outside_of_quotes_are_found() {
        for fine in ["select 1", r"select 'a\b' ~ '\d+'", "select 'it''s'"] {
            assert!(!commands_psql(fine), "{fine}");
        }
        for odd in [
            r"\! id",
            r"select 1 \g |sh",
            r"select 'a' \gexec",
            r"select E'a\'' \! id",
            r"select $$ \! $$",
            "-- it's\n\\! id",
        ] {
            assert!(commands_psql(odd), "{odd}");
        }
    }
}
