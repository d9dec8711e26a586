//! `nfs3.*`: directories that are shared over NFS.

use crate::ask;
use corpus_core::host::{Command, HostResult, Look};
use corpus_core::{Act, Call, Data, Effect, ExecDef, ExecError, ExecFn, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "nfs3.list_exports",
        args: "(exports='/etc/exports')",
        doc: "Returns the shared directories, each with who may use it and how.",
        run: ExecFn::Read(|call, look, _| Ok(Exports::read(look, &path(call))?.all().into())),
    },
    ExecDef {
        name: "nfs3.add_export",
        args: "(exports='/etc/exports', path=None, hosts=None, options=None)",
        doc: "Lets hosts use a directory.",
        run: ExecFn::Write(add),
    },
    ExecDef {
        name: "nfs3.del_export",
        args: "(exports='/etc/exports', path=None)",
        doc: "Shares a directory no more.",
        run: ExecFn::Write(|call, act, _| {
            let mut file = Exports::read(act.as_look(), &path(call))?;
            file.set(&call.need(1, "path")?, None);
            act.perform(&file.effect())?;
            Ok(file.all().into())
        }),
    },
    ExecDef {
        name: "nfs3.reload_exports",
        args: "()",
        doc: "Makes the server read the table again.",
        run: ExecFn::Write(|_, act, _| {
            let output = ask::run(act, Command::new(["exportfs", "-r"]))?;
            let stderr = output.stderr_text();
            let out: [(&str, Value); 3] = [
                ("stdout", output.stdout_text().trim_end().into()),
                ("stderr", stderr.trim_end().into()),
                ("result", stderr.trim().is_empty().into()),
            ];
            Ok(out.into_iter().collect::<Map>().into())
        }),
    },
];

fn path(call: &Call) -> String {
    call.text(0, "exports").unwrap_or_else(|| "/etc/exports".into())
}

/// The table of shared directories; lines that stay are kept as they are.
pub struct Exports {
    path: String,
    lines: Vec<String>,
}

fn entry(line: &str) -> Option<(&str, Vec<Value>)> {
    let mut words = line.split_whitespace();
    let path = words.next().filter(|word| !word.starts_with('#'))?;
    let client = |word: &str| -> Value {
        let (hosts, options) = word.split_once('(').unwrap_or((word, ""));
        let options: Vec<&str> = options.trim_end_matches(')').split(',').filter(|o| !o.is_empty()).collect();
        let out: [(&str, Value); 2] = [("hosts", hosts.into()), ("options", options.into())];
        out.into_iter().collect::<Map>().into()
    };
    Some((path, words.take_while(|word| !word.starts_with('#')).map(client).collect()))
}

impl Exports {
    /// Reads a table; empty if there is none.
    pub fn read(look: &dyn Look, path: &str) -> HostResult<Self> {
        let text = ask::text(look, path)?.unwrap_or_default().replace("\\\n", " ");
        Ok(Self { path: path.into(), lines: text.lines().map(str::to_owned).collect() })
    }

    /// Returns all of it.
    pub fn all(&self) -> Map {
        let mut all = Map::new();
        for (path, clients) in self.lines.iter().filter_map(|line| entry(line)) {
            let mut listed = all.get(path).and_then(Value::as_list).unwrap_or_default().to_vec();
            listed.extend(clients);
            all.insert(path, listed);
        }
        all
    }

    /// Sets who may use a directory, or takes it out.
    pub fn set(&mut self, path: &str, clients: Option<&[Value]>) {
        let at = self.lines.iter().position(|line| entry(line).is_some_and(|(have, _)| have == path));
        self.lines.retain(|line| entry(line).is_none_or(|(have, _)| have != path));
        let Some(clients) = clients else { return };
        let client = |client: &Value| {
            let options = client.get("options").and_then(Value::as_list).unwrap_or_default();
            let options: Vec<String> = options.iter().map(python::str).collect();
            format!(" {}({})", client.get("hosts").map(python::str).unwrap_or_default(), options.join(","))
        };
        let line = clients.iter().map(client).fold(path.to_owned(), |line, client| line + &client);
        self.lines.insert(at.unwrap_or(self.lines.len()).min(self.lines.len()), line);
    }

    /// Returns the effect that writes it.
    pub fn effect(&self) -> Effect {
        Effect::text(&self.path, self.lines.iter().map(|line| format!("{line}\n")).collect::<String>())
    }
}

fn add(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut file = Exports::read(act.as_look(), &path(call))?;
    let name = call.need(1, "path")?;
    let options = call.arg(3, "options").and_then(Value::as_list).unwrap_or_default().to_vec();
    let new: [(&str, Value); 2] = [("hosts", call.need(2, "hosts")?.into()), ("options", options.into())];
    let new = Value::from(new.into_iter().collect::<Map>());
    let mut clients = file.all().get(&name).and_then(Value::as_list).unwrap_or_default().to_vec();
    clients.push(new.clone());
    file.set(&name, Some(&clients));
    act.perform(&file.effect())?;
    Ok(new)
}
