//! Executable modules on this machine: kept by digest, asked for what they have, called in JSON through standard input
//! and output. No shell; arguments, pillar and grains never stand in argv or the environment.

use crate::disk::private_dir;
use corpus_core::digest::hex;
use corpus_core::exec::{Call, Data};
use corpus_core::{Act, Command, ExecError, Map, ModuleFile, ModuleFunction, ModuleInfo, Output, Source, Value};
use corpus_exec::retcode;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long a module may take to say what it has.
const DESCRIBE_S: u64 = 15;
/// How long a call may take, unless the function says another time.
const CALL_S: u64 = 60;
/// How much of what a module printed is shown.
const SHOWN: usize = 200;

/// The modules that the master told of.
pub struct Modules {
    folder: PathBuf,
    known: RwLock<Arc<Vec<Module>>>,
}

struct Module {
    info: ModuleInfo,
    program: PathBuf,
}

/// What a module answers to `{"describe": true}`.
#[derive(Deserialize)]
struct Described {
    functions: BTreeMap<String, ModuleFunction>,
}

/// What a module answers to a call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default, deserialize_with = "given")]
    result: Option<Value>,
    error: Option<String>,
    retcode: Option<i32>,
}

/// Tells `"result": null` from no result.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Modules {
    /// Makes the store below a cache directory.
    pub fn new(cache: &Path) -> Self {
        Self { folder: cache.join("modules"), known: RwLock::default() }
    }

    fn known(&self) -> Arc<Vec<Module>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the modules here, in place of those that were, and asks each what it has.
    pub fn sync(&self, files: &[ModuleFile], source: &dyn Source, host: &dyn Act) -> Vec<ModuleInfo> {
        let taken: Vec<Module> = files.iter().map(|file| self.take(file, source, host)).collect();
        let infos = taken.iter().map(|module| module.info.clone()).collect();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(taken);
        infos
    }

    fn take(&self, file: &ModuleFile, source: &dyn Source, host: &dyn Act) -> Module {
        let folder = self.folder.join(hex(&file.file.sha256));
        let program = folder.join(&file.name);
        let kept = keep(&folder, &program, file, source);
        let functions = kept.and_then(|()| described(file, &folder, &program, host));
        Module { info: ModuleInfo { file: file.clone(), functions }, program }
    }

    /// Names the functions.
    pub fn names(&self) -> Vec<String> {
        let known = self.known();
        let functions = |module: &Module| {
            let of = module.info.functions.iter().flatten();
            of.map(|(name, _)| format!("{}.{name}", module.info.file.name)).collect::<Vec<_>>()
        };
        known.iter().flat_map(functions).collect()
    }

    /// Tells whether a module has the function, or cannot say.
    pub fn has(&self, fun: &str) -> bool {
        fun.split_once('.').is_some_and(|(module, name)| {
            self.known().iter().any(|known| known.info.file.name == module && known.info.has(name))
        })
    }

    /// Tells whether a function of a module does not promise to change nothing.
    pub fn may_write(&self, fun: &str) -> bool {
        let Some((module, name)) = fun.split_once('.') else { return false };
        let known = self.known();
        let module = known.iter().find(|known| known.info.file.name == module);
        module.is_some_and(|module| module.info.function(name).is_some_and(|function| !function.reads))
    }

    /// Calls a function; `None` if no module has its name. What the module wrote to its standard error is beside the answer.
    pub fn call(
        &self,
        call: &Call,
        host: &dyn Act,
        data: &Data,
        test: bool,
    ) -> Option<Result<(Value, String), ExecError>> {
        let (name, fun) = call.fun.split_once('.')?;
        let known = self.known();
        let module = known.iter().find(|module| module.info.file.name == name)?;
        Some(module.call(fun, call, host, data, test).map_err(|why| ExecError::Failed(format!("{}: {why}", call.fun))))
    }
}

impl Module {
    fn call(&self, fun: &str, call: &Call, host: &dyn Act, data: &Data, test: bool) -> Result<(Value, String), String> {
        let path = &self.info.file.path;
        let functions = self.info.functions.as_ref().map_err(Clone::clone)?;
        let Some(function) = self.info.function(fun) else {
            let names: Vec<&str> = functions.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("{path} has no function `{fun}`; it has: {}", names.join(", ")));
        };
        let mut opts = Map::new();
        opts.insert("test", test);
        opts.insert("id", &*data.id);
        opts.insert("saltenv", &*data.saltenv);
        let mut request = Map::new();
        request.insert("fun", fun);
        request.insert("args", call.args.clone());
        request.insert("kwargs", Value::map(call.kwargs.clone()));
        request.insert("grains", data.grains.clone());
        if function.pillar {
            request.insert("pillar", data.pillar.clone());
        }
        request.insert("opts", Value::map(opts));
        let output = run(path, &self.program, &request, function.timeout.unwrap_or(CALL_S), host)?;
        let log = output.stderr_text().trim_end().to_owned();
        let answer = answer(path, &output)?;
        retcode::set(answer.retcode.unwrap_or(0));
        match (answer.result, answer.error) {
            (_, Some(error)) => {
                // A call that failed is a 1, unless the module says another.
                retcode::set(answer.retcode.unwrap_or(1));
                Err(error)
            }
            (Some(value), None) => Ok((value, log)),
            (None, None) => Err(format!("{path} answered with neither `result` nor `error`")),
        }
    }
}

/// Puts the program where it can be started from, whole and verified, or not at all.
fn keep(folder: &Path, program: &Path, file: &ModuleFile, source: &dyn Source) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be kept as {}: {error}", file.path, program.display());
    if corpus_wire::file_sha256(program) == Some(file.file.sha256) {
        return Ok(());
    }
    let from = source.fetch(&file.file).map_err(|error| format!("{}: {error}", file.path))?;
    if let Some(base) = folder.parent() {
        private_dir(base).map_err(failed)?;
    }
    private_dir(folder).map_err(failed)?;
    let bytes = fs::read(&from).map_err(failed)?;
    if corpus_core::digest::sha256(&bytes) != file.file.sha256 {
        return Err(format!("{} changed while it was brought here: run again", file.path));
    }
    let temporary = folder.join(format!(".{}.{}.part", file.name, std::process::id()));
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(&temporary).map_err(failed)?;
    let written = out.write_all(&bytes).and_then(|()| out.sync_data()).and_then(|()| fs::rename(&temporary, program));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}

/// Asks a module what it has; the same program is not asked twice.
fn described(
    file: &ModuleFile,
    folder: &Path,
    program: &Path,
    host: &dyn Act,
) -> Result<Vec<(String, ModuleFunction)>, String> {
    let place = folder.join("describe.json");
    let read = |text: &[u8]| serde_json::from_slice::<Described>(text);
    if let Some(known) = fs::read(&place).ok().and_then(|text| read(&text).ok()) {
        return Ok(known.functions.into_iter().collect());
    }
    let request: Map = [("describe", Value::Bool(true))].into_iter().collect();
    let output = run(&file.path, program, &request, DESCRIBE_S, host)?;
    if !output.ok() {
        return Err(crashed(&file.path, &output));
    }
    let described = read(&output.stdout).map_err(|error| {
        format!(
            "{} does not describe itself: {error}, in {}; to {{\"describe\": true}} it answers \
             {{\"functions\": {{\"name\": {{\"args\": \"(x)\", \"doc\": \"…\"}}}}}}",
            file.path,
            shown(&output.stdout)
        )
    })?;
    if let Some(bad) = described.functions.keys().find(|name| !is_name(name)) {
        return Err(format!("{} describes a function `{bad}`, which is no name of a function", file.path));
    }
    // Kept only to be quick; without it, the module is asked again.
    let _ = crate::disk::write(&place, &output.stdout);
    Ok(described.functions.into_iter().collect())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Runs the program with a request on its standard input.
fn run(path: &str, program: &Path, request: &Map, seconds: u64, host: &dyn Act) -> Result<Output, String> {
    let input = serde_json::to_vec(request).map_err(|error| format!("{path}: the call is no JSON: {error}"))?;
    let command = Command {
        timeout_s: Some(seconds),
        cwd: Some("/".into()),
        secret: true,
        ..Command::new([program.display().to_string()]).stdin(input)
    };
    let mut tries = 0;
    let output = loop {
        match host.as_look().query(&command) {
            // Another thread's child may hold the file open for writing for a moment, after it was written here.
            Err(error) if error.why.contains("ext file busy") && tries < 50 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(unstartable(path, program, &error.why)),
            Ok(output) => break output,
        }
    };
    if output.timed_out {
        return Err(format!("{path} did not answer within {seconds} s and was ended{}", said(&output)));
    }
    Ok(output)
}

/// Says why a program cannot be started: most often it is the interpreter of its first line.
fn unstartable(path: &str, program: &Path, why: &str) -> String {
    let text = fs::read(program).unwrap_or_default();
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let hint = match std::str::from_utf8(first).ok().and_then(|line| line.strip_prefix("#!")) {
        Some(line) if why.contains("No such file") => format!(": its interpreter `{}` is not there", line.trim()),
        None if why.contains("Exec format") => {
            ": it is neither a program of this machine's kind nor begins with `#!`".into()
        }
        _ if why.contains("denied") => format!(": {} may be on a file system mounted noexec", program.display()),
        _ => String::new(),
    };
    format!("{path} cannot be started{hint} ({why})")
}

fn answer(path: &str, output: &Output) -> Result<Answer, String> {
    match serde_json::from_slice::<Answer>(&output.stdout) {
        Ok(answer) if output.ok() || answer.error.is_some() => Ok(answer),
        _ if !output.ok() => Err(crashed(path, output)),
        Ok(answer) => Ok(answer),
        Err(error) => Err(format!(
            "{path} answered with what is not {{\"result\": …}} or {{\"error\": \"…\"}}: {error}, in {}{}",
            shown(&output.stdout),
            said(output)
        )),
    }
}

fn crashed(path: &str, output: &Output) -> String {
    let how = if output.code > 128 {
        format!("was ended by signal {}", output.code - 128)
    } else {
        format!("ended with exit status {}", output.code)
    };
    format!("{path} {how}{}", said(output))
}

/// Shows the start of what was printed.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.trim() {
        "" => "nothing".into(),
        text if text.chars().count() > SHOWN => format!("`{}…`", text.chars().take(SHOWN).collect::<String>()),
        text => format!("`{text}`"),
    }
}

/// Shows the end of what was written to standard error, where the reason stands.
fn said(output: &Output) -> String {
    let text = output.stderr_text();
    let lines: Vec<&str> = text.trim_end().lines().collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("; its last words: {}", lines[lines.len().saturating_sub(5)..].join("\n"))
}
