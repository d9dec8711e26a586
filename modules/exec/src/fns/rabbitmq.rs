//! `rabbitmq.*`: accounts, virtual hosts, policies and plugins, through `rabbitmqctl`. Passwords go to its standard
//! input.

use crate::ask;
use corpus_core::host::{Command, HostError, HostErrorKind, HostResult};
use corpus_core::{Act, Call, ExecDef, ExecError, ExecFn, Look, Map, Output, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "rabbitmq.list_users",
        args: "(runas=None)",
        doc: "Returns the accounts with their tags.",
        run: ExecFn::Read(|call, look, _| {
            let all = users(look, call.text(0, "runas").as_deref())?;
            Ok(all.into_iter().map(|(name, tags)| (name, Value::from(tags))).collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "rabbitmq.list_vhosts",
        args: "(runas=None)",
        doc: "Lists the virtual hosts.",
        run: ExecFn::Read(|call, look, _| Ok(vhosts(look, call.text(0, "runas").as_deref())?.into())),
    },
    ExecDef {
        name: "rabbitmq.user_exists",
        args: "(name, runas=None)",
        doc: "Tells whether an account is there.",
        run: ExecFn::Read(|call, look, _| {
            let name = call.need(0, "name")?;
            Ok(users(look, call.text(1, "runas").as_deref())?.iter().any(|(have, _)| *have == name).into())
        }),
    },
    ExecDef {
        name: "rabbitmq.vhost_exists",
        args: "(name, runas=None)",
        doc: "Tells whether a virtual host is there.",
        run: ExecFn::Read(|call, look, _| {
            Ok(vhosts(look, call.text(1, "runas").as_deref())?.contains(&call.need(0, "name")?).into())
        }),
    },
    ExecDef {
        name: "rabbitmq.list_user_permissions",
        args: "(name, runas=None)",
        doc: "Returns what an account may, by virtual host.",
        run: ExecFn::Read(|call, look, _| {
            Ok(permissions(look, &call.need(0, "name")?, call.text(1, "runas").as_deref())?.into())
        }),
    },
    ExecDef {
        name: "rabbitmq.check_password",
        args: "(name, password, runas=None)",
        doc: "Tells whether an account has a password.",
        run: ExecFn::Read(|call, look, _| {
            let (name, password) = (call.need(0, "name")?, call.need(1, "password")?);
            Ok(check_password(look, &name, &password, call.text(2, "runas").as_deref())?.into())
        }),
    },
    ExecDef {
        name: "rabbitmq.add_user",
        args: "(name, password, runas=None)",
        doc: "Makes an account.",
        run: ExecFn::Write(|call, act, _| {
            let command = with_password("add_user", &call.need(0, "name")?, &call.need(1, "password")?);
            said(call, act, command, 2, "Added")
        }),
    },
    ExecDef {
        name: "rabbitmq.delete_user",
        args: "(name, runas=None)",
        doc: "Removes an account.",
        run: ExecFn::Write(|call, act, _| said(call, act, ctl(&["delete_user", &call.need(0, "name")?]), 1, "Deleted")),
    },
    ExecDef {
        name: "rabbitmq.change_password",
        args: "(name, password, runas=None)",
        doc: "Sets the password of an account.",
        run: ExecFn::Write(|call, act, _| {
            let command = with_password("change_password", &call.need(0, "name")?, &call.need(1, "password")?);
            said(call, act, command, 2, "Password Changed")
        }),
    },
    ExecDef {
        name: "rabbitmq.add_vhost",
        args: "(vhost, runas=None)",
        doc: "Makes a virtual host.",
        run: ExecFn::Write(|call, act, _| said(call, act, ctl(&["add_vhost", &call.need(0, "vhost")?]), 1, "Added")),
    },
    ExecDef {
        name: "rabbitmq.delete_vhost",
        args: "(vhost, runas=None)",
        doc: "Removes a virtual host.",
        run: ExecFn::Write(|call, act, _| {
            said(call, act, ctl(&["delete_vhost", &call.need(0, "vhost")?]), 1, "Deleted")
        }),
    },
    ExecDef {
        name: "rabbitmq.set_permissions",
        args: "(vhost, user, conf='.*', write='.*', read='.*', runas=None)",
        doc: "Sets what an account may.",
        run: ExecFn::Write(|call, act, _| {
            let or = |place, name| call.text(place, name).unwrap_or_else(|| ".*".into());
            let (vhost, user) = (call.need(0, "vhost")?, call.need(1, "user")?);
            let command =
                ctl(&["set_permissions", "-p", &vhost, &user, &or(2, "conf"), &or(3, "write"), &or(4, "read")]);
            said(call, act, command, 5, "Permissions Set")
        }),
    },
    ExecDef {
        name: "rabbitmq.list_policies",
        args: "(vhost='/', runas=None)",
        doc: "Returns the policies of a virtual host.",
        run: ExecFn::Read(|call, look, _| {
            let vhost = call.text(0, "vhost").unwrap_or_else(|| "/".into());
            let all = policies(look, &vhost, call.text(1, "runas").as_deref())?;
            Ok([(vhost, Value::from(all))].into_iter().collect::<Map>().into())
        }),
    },
    ExecDef {
        name: "rabbitmq.plugin_is_enabled",
        args: "(name, runas=None)",
        doc: "Tells whether a plugin is enabled.",
        run: ExecFn::Read(|call, look, _| {
            Ok(plugins(look, call.text(1, "runas").as_deref())?.contains(&call.need(0, "name")?).into())
        }),
    },
];

/// Makes a command of `rabbitmqctl`.
pub fn ctl(words: &[&str]) -> Command {
    let mut command = Command::new(["rabbitmqctl"]);
    command.argv.extend(words.iter().map(|word| (*word).to_owned()));
    // Its own warnings about the locale would count as errors.
    command.env("LC_ALL", "C.UTF-8")
}

/// Makes a command that reads a password from its standard input.
pub fn with_password(verb: &str, name: &str, password: &str) -> Command {
    let mut command = ctl(&[verb, name]).stdin(format!("{password}\n"));
    command.secret = true;
    command
}

fn said(call: &Call, act: &dyn Act, mut command: Command, runas: usize, how: &str) -> Result<Value, ExecError> {
    command.runas = call.text(runas, "runas");
    let output = ask::run(act, command)?;
    if !output.ok() {
        return Err(ExecError::failed(failure(&output)));
    }
    Ok([(how, output.stdout_text().trim())].into_iter().collect::<Map>().into())
}

/// Says what went wrong, in Salt's words.
pub fn failure(output: &Output) -> String {
    format!("RabbitMQ command failed: {}", ask::said(output))
}

fn answer(look: &dyn Look, words: &[&str], runas: Option<&str>) -> HostResult<Vec<Map>> {
    let mut command = ctl(words);
    command.argv.extend(["--formatter=json".into(), "-q".into()]);
    command.runas = runas.map(str::to_owned);
    let output = look.query(&command)?;
    if !output.ok() {
        // The server is not there, or not yet: an earlier step may start it.
        let (what, why) = ("ask RabbitMQ".into(), failure(&output));
        return Err(HostError { what, why, kind: HostErrorKind::Missing });
    }
    let text = output.stdout_text();
    let rows: Value = serde_json::from_str(text.trim())
        .map_err(|error| HostError::other("ask RabbitMQ", format!("its answer is no JSON: {error}")))?;
    Ok(rows.as_list().unwrap_or_default().iter().filter_map(Value::as_map).cloned().collect())
}

/// Lists the accounts with their tags.
pub fn users(look: &dyn Look, runas: Option<&str>) -> HostResult<Vec<(String, Vec<String>)>> {
    let row = |row: Map| {
        let tags = row.get("tags").and_then(Value::as_list).unwrap_or_default();
        Some((row.str("user")?.to_owned(), tags.iter().map(corpus_core::python::str).collect()))
    };
    Ok(answer(look, &["list_users"], runas)?.into_iter().filter_map(row).collect())
}

/// Lists the virtual hosts.
pub fn vhosts(look: &dyn Look, runas: Option<&str>) -> HostResult<Vec<String>> {
    let rows = answer(look, &["list_vhosts"], runas)?;
    Ok(rows.iter().filter_map(|row| row.str("name").map(str::to_owned)).collect())
}

fn by(rows: Vec<Map>, key: &str) -> Map {
    let entry = |mut row: Map| Some((row.remove(key)?, Value::from(row)));
    rows.into_iter().filter_map(entry).map(|(name, row)| (corpus_core::python::str(&name), row)).collect()
}

/// Returns what an account may, by virtual host.
pub fn permissions(look: &dyn Look, name: &str, runas: Option<&str>) -> HostResult<Map> {
    Ok(by(answer(look, &["list_user_permissions", name], runas)?, "vhost"))
}

/// Returns the policies of a virtual host by name.
pub fn policies(look: &dyn Look, vhost: &str, runas: Option<&str>) -> HostResult<Map> {
    Ok(by(answer(look, &["list_policies", "-p", vhost], runas)?, "name"))
}

/// Tells whether an account has a password.
pub fn check_password(look: &dyn Look, name: &str, password: &str, runas: Option<&str>) -> HostResult<bool> {
    let mut command = with_password("authenticate_user", name, password);
    command.runas = runas.map(str::to_owned);
    Ok(look.query(&command)?.ok())
}

/// Lists the plugins that are enabled.
pub fn plugins(look: &dyn Look, runas: Option<&str>) -> HostResult<Vec<String>> {
    let mut command = Command::new(["rabbitmq-plugins", "list", "-m", "-e", "-q"]).env("LC_ALL", "C.UTF-8");
    command.runas = runas.map(str::to_owned);
    Ok(ask::output(look, &command)?.split_whitespace().map(str::to_owned).collect())
}
