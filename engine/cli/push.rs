//! The verbs of a push. They come before the grammar of targets and functions: git and sshd start them, by name.

use corpus_master::Overrides;
use corpus_project::push::{self, Conf, Deployer, Kept, Live, Program, Pusher};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Does what a verb of a push asks for; `None` if the command line is none of these.
pub fn answer() -> Option<u8> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let text: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or("\u{fffd}")).collect();
    let done = match text[..] {
        [own] if push::is_hook(Path::new(own)).is_some() => hook(push::is_hook(Path::new(own)).unwrap_or_default()),
        // A login shell is started as `-git-shell`, or with `-c` and the forced command.
        [own, ref rest @ ..]
            if own.rsplit('/').next().is_some_and(|own| own.trim_start_matches('-') == "git-shell") =>
        {
            login(rest)
        }
        [_, "git-shell", ref rest @ ..] => git_shell(rest, &original().unwrap_or_default()),
        [_, "project-hook", "look", reference, new] => look(reference, new),
        [_, "project-hook", name] => hook(name),
        [_, "projects.serve"] => serve(),
        [_, "projects.install"] => install(),
        [_, "projects.authorize", project, who, ref key @ ..] if !key.is_empty() => {
            authorize(project, who, Some(&key.join(" ")))
        }
        [_, "projects.keys", user, ref key @ ..] if key.is_empty() || key.len() == 2 => keys(user, key),
        [_, "projects.revoke", project, who] => authorize(project, who, None),
        [_, "projects.attach" | "mc_project.attach", project] => {
            Conf::load().and_then(|conf| push::attach(&conf, project, &mut std::io::stdout()))
        }
        [_, "projects.cancel", project] => Conf::load().and_then(|conf| {
            let who = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default();
            push::cancel(&conf, project, &who, &mut std::io::stdout())
        }),
        [_, verb, ..] if verb.starts_with("projects.") && usage(verb).is_some() => {
            eprintln!("error: `corpus {verb}` takes {}", usage(verb).unwrap_or_default());
            return Some(64);
        }
        _ => return None,
    };
    Some(match done {
        Ok(code) => code,
        Err(why) => {
            eprintln!("error: {why}");
            1
        }
    })
}

fn usage(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "projects.serve" | "projects.install" => "no argument",
        "projects.attach" | "projects.cancel" => "the name of a project",
        "projects.authorize" => "a project, a person, and the person's public key",
        "projects.revoke" => "a project and a person",
        "projects.keys" => "the name of a project's user, and a key's type and body or neither",
        _ => return None,
    })
}

/// What the client sent, where sshd forces another command.
fn original() -> Option<String> {
    // What is not text is no command that is known, and must not be taken for none.
    std::env::var_os("SSH_ORIGINAL_COMMAND").map(|text| text.to_string_lossy().into_owned())
}

fn login(words: &[&str]) -> Result<u8, String> {
    match words {
        [] => git_shell(&[], ""),
        ["-c", command] => {
            let mut words = command.split(' ');
            let own = words.next().and_then(|own| own.rsplit('/').next());
            // Our own forced command: its words are root's, and the client's are in the variable. A client could send
            // the same words itself, where nothing is forced: they open nothing that its user does not have.
            if own == Some("corpus") && words.next() == Some("git-shell") {
                return git_shell(&words.collect::<Vec<_>>(), &original().unwrap_or_default());
            }
            git_shell(&[], command)
        }
        _ => Err("there is no shell here: git push, fetch and clone".into()),
    }
}

fn git_shell(words: &[&str], command: &str) -> Result<u8, String> {
    let conf = Conf::load()?;
    let (mut project, mut who) = (None, "");
    for word in words {
        match word.split_once('=') {
            Some(("project", name)) => project = Some(name),
            Some(("who", name)) => who = name,
            _ => return Err(format!("`git-shell` takes project=NAME and who=NAME, not `{}`", word.escape_debug())),
        }
    }
    push::git_shell(&conf, project, who, command)
}

fn hook(name: &str) -> Result<u8, String> {
    let conf = Conf::load()?;
    match name {
        "pre-receive" => push::pre_receive(&conf, &mut std::io::stdin().lock()).map(|()| 0),
        "proc-receive" => {
            push::proc_receive(&conf, &mut std::io::stdin().lock(), &mut std::io::stdout().lock()).map(|()| 0)
        }
        other => Err(format!("`{}` is no hook of a project", other.escape_debug())),
    }
}

fn look(reference: &str, new: &str) -> Result<u8, String> {
    let sight = push::worker::look(&Conf::load()?, reference, new)?;
    serde_json::to_writer(std::io::stdout(), &sight).map_err(|error| error.to_string())?;
    Ok(0)
}

fn serve() -> Result<u8, String> {
    let conf = Conf::load()?;
    let filter = std::env::var("CORPUS_LOG").ok().and_then(|level| level.parse().ok());
    let filter: Targets = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time();
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| error.to_string())?;
    }
    let deployer = deployer(&conf);
    let socket = conf.socket.display().to_string();
    push::serve(conf, deployer, &stop).map_err(|error| format!("{socket}: {error}"))?;
    Ok(0)
}

fn deployer(conf: &Conf) -> Arc<dyn Deployer> {
    if let Some(words) = conf.deployer.clone() {
        return Arc::new(Program { words, patience: Duration::from_secs(conf.max_seconds) });
    }
    // The configuration is read for each deployment: what an operator changes holds for the next.
    Arc::new(Live(|| {
        let corpus = crate::start(&Overrides { local: true, ..Overrides::default() });
        corpus.map(corpus_project::Cx::new).map_err(|failure| failure.to_string())
    }))
}

fn install() -> Result<u8, String> {
    let conf = Conf::load()?;
    let changed = push::setup::machine(&conf, &push::exe()?)?;
    changed.iter().for_each(|line| eprintln!("{line}"));
    if !changed.is_empty() {
        eprintln!("now: systemctl daemon-reload; systemctl enable --now corpus-push; systemctl reload ssh");
    }
    Ok(0)
}

/// `corpus projects.keys USER [TYPE BODY]`, which sshd asks: the lines of the people whom the directory lets push.
fn keys(user: &str, offered: &[&str]) -> Result<u8, String> {
    let conf = Conf::load()?;
    let Some(path) = &conf.directory else { return Ok(0) };
    // One that is no project's has its keys elsewhere.
    let Some(place) = user.strip_suffix("-user").and_then(|name| conf.place(name).ok()) else { return Ok(0) };
    let Ok((uid, _)) = place.owner() else { return Ok(0) };
    if push::setup::user(uid)?.0 != user {
        return Ok(0);
    }
    let directory = Directory::read(path)?;
    let (people, last) = directory.kept(&conf, &place.name).people(&place.name, || directory.ask(&place.name))?;
    if let Some(why) = last {
        eprintln!("warning: the directory is down, its last answer serves: {why}");
    }
    let exe = push::exe()?;
    for person in people {
        let mut keys: Vec<&str> = person.keys.iter().map(String::as_str).collect();
        keys.retain(|key| offered.is_empty() || key.split_whitespace().take(2).eq(offered.iter().copied()));
        for line in keys.iter().filter_map(|key| push::setup::line(&place, &exe, &person.name, key)) {
            writeln!(std::io::stdout(), "{line}").map_err(|error| error.to_string())?;
        }
    }
    Ok(0)
}

/// Where people are looked up, which group of theirs may push, and how long an answer holds.
struct Directory {
    people: corpus_ldap::People,
    group: String,
    fresh: u64,
    down: u64,
}

impl Directory {
    fn read(path: &Path) -> Result<Self, String> {
        let at = |what: &str| format!("{}: {what}", path.display());
        let meta = std::fs::metadata(path).map_err(|error| at(&error.to_string()))?;
        if meta.uid() != 0 || meta.mode() & 0o077 != 0 {
            return Err(at("it may hold a password: chown root, chmod 600"));
        }
        let text =
            |errors: &[corpus_core::Diagnostic]| -> String { errors.iter().map(|error| error.to_text(None)).collect() };
        let mut setting = corpus_master::read_map(path).map_err(|errors| text(&errors))?;
        // `{project}` stands for the project.
        let group = setting.get("push_group").map_or_else(|| "{project}".to_owned(), corpus_core::python::str);
        let seconds = |key: &str, default: u64| match setting.get(key).map(|value| (value, value.as_int())) {
            None => Ok(default),
            Some((_, Some(n @ 0..=86_400))) => Ok(n.unsigned_abs()),
            Some((value, _)) => {
                let value = corpus_core::python::str(value);
                Err(at(&format!("`{key}` is a number of seconds, at most a day, not `{value}`")))
            }
        };
        let (fresh, down) = (seconds("cache_seconds", 10)?, seconds("down_seconds", 0)?);
        let own = ["push_group", "cache_seconds", "down_seconds"];
        setting.0.retain(|key, _| !key.as_str().is_some_and(|key| own.contains(&key)));
        let people = corpus_ldap::people(&setting).map_err(|error| at(&text(&[error])))?;
        Ok(Self { people, group, fresh, down })
    }

    fn group(&self, project: &str) -> String {
        self.group.replace("{project}", project)
    }

    /// Names the question, so that an answer given under other settings is not taken for one to this.
    fn kept(&self, conf: &Conf, project: &str) -> Kept {
        let question = format!("{:?}\n{}", self.people, self.group(project));
        let about = corpus_core::digest::hex(&corpus_core::digest::sha256(question.as_bytes()));
        let (fresh, down) = (Duration::from_secs(self.fresh), Duration::from_secs(self.down));
        Kept { dir: conf.state.join("keys"), about, fresh, down }
    }

    fn ask(&self, project: &str) -> Result<Vec<Pusher>, String> {
        let people = self.people.members(&self.group(project)).map_err(|error| error.to_string())?;
        Ok(people.into_iter().map(|person| Pusher { name: person.name, keys: person.keys }).collect())
    }
}

fn authorize(project: &str, who: &str, key: Option<&str>) -> Result<u8, String> {
    let place = Conf::load()?.place(project)?;
    let (uid, _) = place.owner()?;
    if uid == 0 {
        return Err(format!("the project `{project}` belongs to root, to whom nobody pushes"));
    }
    let (user, home) = push::setup::user(uid)?;
    if key.is_some() {
        push::setup::pusher(&user)?;
    }
    push::setup::authorize(&place, &home, &push::exe()?, who, key).map(|_| 0)
}
