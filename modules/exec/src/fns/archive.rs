//! `archive.*`: packing and unpacking, by the machine's own programs.

use crate::ask;
use corpus_core::host::{Act, Command, Look};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    write(
        "archive.tar",
        "(options, tarfile, sources=None, dest=None, cwd=None, runas=None)",
        "Runs `tar` and returns what it printed.",
        |call, act, _| {
            let mut command = Command::new(["tar"]);
            command.argv.push(format!("-{}", call.need(0, "options")?.trim_start_matches('-')));
            command.argv.push(call.need(1, "tarfile")?);
            if let Some(dest) = call.text(3, "dest") {
                command.argv.extend(["-C".into(), dest]);
            }
            command.argv.extend(list(call.arg(2, "sources")));
            lines(act, placed(call, command, 4))
        },
    ),
    write("archive.cmd_unzip", "(zip_file, dest, excludes=None, options=None)", "Unpacks with `unzip`.", unzip),
    write("archive.unzip", "(zip_file, dest, excludes=None, options=None)", "Unpacks a zip file.", unzip),
    write("archive.cmd_zip", "(zip_file, sources, template=None, cwd=None, runas=None)", "Packs with `zip`.", zip),
    write("archive.zip", "(zip_file, sources, template=None, cwd=None, runas=None)", "Packs a zip file.", zip),
    write(
        "archive.gzip",
        "(sourcefile, template=None, runas=None, options=None)",
        "Compresses a file.",
        |call, act, _| packed(call, act, "gzip"),
    ),
    write(
        "archive.gunzip",
        "(gzipfile, template=None, runas=None, options=None)",
        "Decompresses a file.",
        |call, act, _| packed(call, act, "gunzip"),
    ),
    read(
        "archive.list",
        "(name, archive_format=None, options=None)",
        "Lists what is in an archive.",
        |call, look, _| {
            let name = call.need(0, "name")?;
            let format = call.text(1, "archive_format");
            let zipped = format.as_deref() == Some("zip") || (format.is_none() && name.ends_with(".zip"));
            let command = if zipped {
                Command::new(["unzip", "-Z1", &name])
            } else {
                Command::new(["tar", "--list", "-f", &name])
            };
            Ok(ask::output(look, &command)?.lines().map(str::to_owned).collect::<Vec<_>>().into())
        },
    ),
];

type Reader = fn(&Call, &dyn Look, &Data) -> Result<Value, ExecError>;
type Writer = fn(&Call, &dyn Act, &Data) -> Result<Value, ExecError>;

const fn read(name: &'static str, args: &'static str, doc: &'static str, run: Reader) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Read(run) }
}

const fn write(name: &'static str, args: &'static str, doc: &'static str, run: Writer) -> ExecDef {
    ExecDef { name, args, doc, run: ExecFn::Write(run) }
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::List(items)) => items.iter().map(python::str).collect(),
        Some(text) if text.truthy() => python::str(text).split(',').map(|word| word.trim().to_owned()).collect(),
        _ => vec![],
    }
}

fn placed(call: &Call, mut command: Command, cwd: usize) -> Command {
    command.cwd = call.text(cwd, "cwd").map(Into::into);
    command.runas = call.text(99, "runas");
    command
}

fn lines(act: &dyn Act, command: Command) -> Result<Value, ExecError> {
    Ok(ask::must(act, command)?.stdout_text().lines().map(str::to_owned).collect::<Vec<_>>().into())
}

fn unzip(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut command = Command::new(["unzip", "-o"]);
    command.argv.extend(call.text(3, "options").iter().flat_map(|text| text.split_whitespace()).map(str::to_owned));
    command.argv.extend([call.need(0, "zip_file")?, "-d".into(), call.need(1, "dest")?]);
    let excludes = list(call.arg(2, "excludes"));
    if !excludes.is_empty() {
        command.argv.push("-x".into());
        command.argv.extend(excludes);
    }
    lines(act, placed(call, command, 99))
}

fn zip(call: &Call, act: &dyn Act, _: &Data) -> Result<Value, ExecError> {
    let mut command = Command::new(["zip", "-r"]);
    command.argv.push(call.need(0, "zip_file")?);
    command.argv.extend(list(call.arg(1, "sources")));
    lines(act, placed(call, command, 3))
}

fn packed(call: &Call, act: &dyn Act, program: &str) -> Result<Value, ExecError> {
    let name = if program == "gzip" { "sourcefile" } else { "gzipfile" };
    let mut command = Command::new([program]);
    command.argv.extend(call.text(3, "options").iter().flat_map(|text| text.split_whitespace()).map(str::to_owned));
    command.argv.push(call.need(0, name)?);
    lines(act, placed(call, command, 99))
}
