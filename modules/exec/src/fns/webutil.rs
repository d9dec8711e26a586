//! `webutil.*`: files of `htpasswd`. Passwords go to its standard input.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{ExecDef, ExecFn, Map, Output, Value};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "webutil.useradd",
        args: "(pwfile, user, password, opts='', runas=None)",
        doc: "Sets the password of a user.",
        run: ExecFn::Write(|call, act, _| {
            let file = call.need(0, "pwfile")?;
            let options = call.text(3, "opts").unwrap_or_default();
            let mut command = set(act.as_look(), &file, &call.need(1, "user")?, &call.need(2, "password")?, &options);
            command.runas = call.text(4, "runas");
            Ok(all(&ask::run(act, command)?))
        }),
    },
    ExecDef {
        name: "webutil.userdel",
        args: "(pwfile, user, runas=None, all_results=False)",
        doc: "Takes a user out.",
        run: ExecFn::Write(|call, act, _| {
            let file = call.need(0, "pwfile")?;
            if !ask::exists(act.as_look(), &file) {
                return Ok("Error: The specified htpasswd file does not exist".into());
            }
            let mut command = Command::new(["htpasswd", "-D", &file, &call.need(1, "user")?]);
            command.runas = call.text(2, "runas");
            let output = ask::run(act, command)?;
            if call.flag(3, "all_results", false) {
                return Ok(all(&output));
            }
            Ok(output.stderr_text().lines().map(str::to_owned).collect::<Vec<_>>().into())
        }),
    },
    ExecDef {
        name: "webutil.verify",
        args: "(pwfile, user, password, opts='', runas=None)",
        doc: "Tells whether a user has a password.",
        run: ExecFn::Read(|call, look, _| {
            let (file, user) = (call.need(0, "pwfile")?, call.need(1, "user")?);
            let runas = call.text(4, "runas");
            Ok(verify(look, &file, &user, &call.need(2, "password")?, runas.as_deref())?.into())
        }),
    },
];

fn all(output: &Output) -> Value {
    let text = |text: String| Value::from(text.trim_end());
    [
        ("pid", Value::from(output.pid)),
        ("retcode", output.code.into()),
        ("stdout", text(output.stdout_text())),
        ("stderr", text(output.stderr_text())),
    ]
    .into_iter()
    .collect::<Map>()
    .into()
}

/// Tells whether a file lists a user.
pub fn listed(look: &dyn Look, file: &str, user: &str) -> HostResult<bool> {
    let text = ask::text(look, file)?.unwrap_or_default();
    Ok(text.lines().any(|line| line.split_once(':').is_some_and(|(name, _)| name == user)))
}

/// Makes the command that sets a password; the file is made if it is missing.
pub fn set(look: &dyn Look, file: &str, user: &str, password: &str, options: &str) -> Command {
    let create = if ask::exists(look, file) { "" } else { "c" };
    let mut command = Command::new(["htpasswd", &format!("-i{options}{create}"), file, user]).stdin(password);
    command.secret = true;
    command
}

/// Tells whether a user has a password.
pub fn verify(look: &dyn Look, file: &str, user: &str, password: &str, runas: Option<&str>) -> HostResult<bool> {
    let mut command = Command::new(["htpasswd", "-vi", file, user]).stdin(password);
    command.secret = true;
    command.runas = runas.map(str::to_owned);
    Ok(ask::exists(look, file) && look.query(&command)?.ok())
}
