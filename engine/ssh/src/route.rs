//! From a roster entry, the client configuration and the command line's options to the list of machines to
//! connect to, jump hosts first.

use crate::config::{ClientConfig, home};
use crate::flow::Flow;
use crate::{Host, SshError, SshOptions};
use std::path::PathBuf;
use std::time::Duration;

/// More jumps than this are a loop.
const JUMPS: usize = 8;

/// One machine to connect to, all questions answered.
#[derive(Clone)]
pub(crate) struct Stop {
    pub host: String,
    pub port: u16,
    pub user: String,
    /// The `ProxyCommand` that leads there, ready for the shell.
    pub proxy: Option<String>,
    /// The name under which its host key is kept.
    pub key_name: String,
    pub known_hosts: Vec<PathBuf>,
    pub accept_new: bool,
    /// Keys that were named: one that cannot be read is an error worth telling.
    pub keys: Vec<PathBuf>,
    /// Keys that are tried when they happen to exist.
    pub usual_keys: Vec<PathBuf>,
    /// The agent's socket.
    pub agent: Option<String>,
    /// Use only the agent's keys that are also among `keys`.
    pub only_named: bool,
    pub password: Option<String>,
    pub passphrase: Option<String>,
    pub timeout: Duration,
    /// What is under way to it.
    pub flow: Flow,
}

/// Returns the machines to pass through, the target last.
pub(crate) fn plan(host: &Host, options: &SshOptions, config: &ClientConfig) -> Result<Vec<Stop>, SshError> {
    let mut route = Vec::new();
    add(host, options, config, true, &mut route)?;
    route.reverse();
    Ok(route)
}

/// Adds a machine and, after it, those that lead to it.
fn add(
    host: &Host,
    options: &SshOptions,
    config: &ClientConfig,
    follow: bool,
    route: &mut Vec<Stop>,
) -> Result<(), SshError> {
    if route.len() > JUMPS {
        return Err(SshError::Config(format!(
            "ProxyJump: {}: more than {JUMPS} jumps, which looks like a loop",
            host.host
        )));
    }
    let own = config.with_first(&host.ssh_options);
    let settings = own.settings(&host.host, host.user.as_deref()).map_err(SshError::Config)?;
    let port = host.port.or(settings.port).unwrap_or(22);
    let address = settings.host_name.clone().unwrap_or_else(|| host.host.clone());
    let user = host.user.clone().or(settings.user).or_else(|| options.user.clone()).unwrap_or_else(login);
    // A machine that is reached through another needs no way of its own.
    let proxy = settings.proxy_command.filter(|command| follow && !command.eq_ignore_ascii_case("none"));
    if proxy.is_some() {
        // OpenSSH: the command is read by a shell, so names are held to be names.
        let plain = |c: char| c.is_alphanumeric() || "._:%@-[]+".contains(c);
        if let Some(odd) = [&address, &host.host, &user].into_iter().find(|name| !name.chars().all(plain)) {
            return Err(SshError::Config(format!("{}: `{odd}` cannot stand in a ProxyCommand", host.host)));
        }
    }
    let proxy = proxy.map(|command| expanded(&command, &address, &host.host, port, &user));
    let use_agent = host.private_key.as_ref().is_some_and(|key| key.as_os_str() == "agent-forwarding");
    let mut keys: Vec<PathBuf> = host.private_key.iter().filter(|_| !use_agent).cloned().collect();
    if keys.is_empty() && !use_agent {
        keys.extend(options.private_key.clone());
    }
    keys.extend(settings.identity_files);
    let usual = ["id_ed25519", "id_ecdsa", "id_rsa"].iter().map(|name| home(&format!("~/.ssh/{name}")));
    let agent = match settings.identity_agent.as_deref() {
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some("SSH_AUTH_SOCK") | None => options.agent.clone(),
        Some(path) => Some(home(path).to_string_lossy().into_owned()),
    };
    route.push(Stop {
        key_name: crate::known_hosts::name(
            settings.host_key_alias.as_deref().unwrap_or(&address),
            match settings.host_key_alias {
                // OpenSSH: an alias stands for itself, whatever the port.
                Some(_) => 22,
                None => port,
            },
        ),
        known_hosts: if settings.user_known_hosts.is_empty() {
            options.known_hosts.clone()
        } else {
            settings.user_known_hosts
        },
        accept_new: settings.accept_new.unwrap_or(false) || options.accept_new_host_keys,
        user,
        proxy,
        usual_keys: if keys.is_empty() && options.usual_keys { usual.collect() } else { vec![] },
        keys,
        agent,
        only_named: settings.identities_only || host.identities_only,
        password: host.passwd.clone(),
        passphrase: host.priv_passwd.clone(),
        timeout: host.timeout.or(settings.connect_timeout).unwrap_or(options.timeout),
        host: address,
        port,
        flow: Flow::default(),
    });
    let jumps = settings.proxy_jump.filter(|jump| !jump.eq_ignore_ascii_case("none"));
    let jumps: Vec<&str> = jumps.iter().filter(|_| follow).flat_map(|list| list.split(',')).collect();
    for (place, text) in jumps.into_iter().enumerate().rev() {
        // In a list, each is reached through the one before it; only the first may have a way of its own.
        add(&jump(text.trim())?, options, config, place == 0, route)?;
    }
    Ok(())
}

/// Replaces the tokens of a `ProxyCommand`.
fn expanded(command: &str, address: &str, asked: &str, port: u16, user: &str) -> String {
    let mut out = String::new();
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        match (c, c == '%') {
            (_, true) => match rest.next() {
                Some('h') => out += address,
                Some('n') => out += asked,
                Some('p') => out += &port.to_string(),
                Some('r') => out += user,
                Some('%') => out.push('%'),
                other => out.extend(std::iter::once('%').chain(other)),
            },
            (c, false) => out.push(c),
        }
    }
    out
}

/// Reads `[user@]host[:port]`, with or without `ssh://`.
fn jump(text: &str) -> Result<Host, SshError> {
    let bad = || SshError::Config(format!("ProxyJump: `{text}` is not [user@]host[:port]"));
    let plain = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = match plain.rsplit_once('@') {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, plain),
    };
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match rest.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(bad());
    }
    let port = port.map(|port| port.parse().map_err(|_| bad())).transpose()?;
    Ok(Host { id: host.to_owned(), host: host.to_owned(), user, port, ..Host::default() })
}

/// Returns the name of this process's user.
pub(crate) fn login() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "root".to_owned())
}
