//! One connection: TCP or a channel of a jump host, host key, login. Everything asynchronous is here and in
//! `session.rs`.

use crate::SshError;
use crate::known_hosts::{self, Entry, Verdict};
use crate::proxy;
use crate::route::Stop;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{MethodKind, MethodSet, Preferred, cipher};
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A byte stream to a server: a socket, or a channel through a jump host.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How often a server that hangs up before the login is tried.
const TRIES: u32 = 6;
/// A login may take longer than a connection: slow directories, name look-ups by sshd.
const LOGIN: Duration = Duration::from_secs(30);
/// After this long without a byte the server is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Only one thread at a time adds to a file of known hosts.
static LEARNING: Mutex<()> = Mutex::new(());

pub(crate) type Connection = Handle<Check>;

/// Connects to the last stop, through the others. The first connections must be kept: the last rests on them.
pub(crate) async fn connect(route: &[Stop]) -> Result<Vec<Connection>, SshError> {
    let mut all: Vec<Connection> = Vec::new();
    for stop in route {
        let next = open(stop, all.last()).await?;
        all.push(next);
    }
    Ok(all)
}

async fn open(stop: &Stop, through: Option<&Connection>) -> Result<Connection, SshError> {
    let mut tries = 1;
    loop {
        let mut proxy = None;
        let stream = match (through, &stop.proxy) {
            (None, Some(command)) => {
                let (stream, program) = proxy::start(stop, command)?;
                proxy = Some(program);
                Box::new(stream) as Box<dyn Stream>
            }
            (None, None) => Box::new(dial(stop).await?),
            (Some(jump), _) => Box::new(tunnel(stop, jump).await?),
        };
        let shaken = handshake(stop, stream).await;
        match shaken {
            Ok(mut connection) => {
                let slow = stop.timeout.max(LOGIN);
                match timeout(slow, login(stop, &mut connection)).await {
                    Ok(result) => result?,
                    Err(_) => return Err(late(stop, slow, "logging in")),
                }
                return Ok(connection);
            }
            Err(SshError::Busy { host, port, .. }) if let Some(program) = proxy => {
                return Err(program.died(host, port).await);
            }
            // sshd drops connections at random while many log in (MaxStartups).
            Err(SshError::Busy { .. }) if tries < TRIES => {
                // A random part, so that those who were dropped together do not come back together.
                let random = RandomState::new().hash_one(tries) % 100;
                tokio::time::sleep(Duration::from_millis((60 << tries) + random * u64::from(tries))).await;
                tries += 1;
            }
            Err(SshError::Busy { host, port, .. }) => return Err(SshError::Busy { host, port, tries }),
            Err(error) => return Err(error),
        }
    }
}

fn late(stop: &Stop, after: Duration, doing: &'static str) -> SshError {
    SshError::Timeout { host: stop.host.clone(), port: stop.port, after, doing }
}

async fn dial(stop: &Stop) -> Result<TcpStream, SshError> {
    let (host, port) = (stop.host.clone(), stop.port);
    let found = timeout(stop.timeout, tokio::net::lookup_host((stop.host.as_str(), port))).await;
    let addresses: Vec<_> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(SshError::Dns { host, why: error.to_string() }),
        Err(_) => return Err(late(stop, stop.timeout, "looking up its address")),
    };
    if addresses.is_empty() {
        return Err(SshError::Dns { host, why: "it has none".into() });
    }
    match timeout(stop.timeout, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(socket)) => {
            let _ = socket.set_nodelay(true);
            Ok(socket)
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Err(SshError::Refused { host, port })
        }
        Ok(Err(error)) => Err(SshError::Unreachable { host, port, why: error.to_string() }),
        Err(_) => Err(late(stop, stop.timeout, "connecting")),
    }
}

async fn tunnel(stop: &Stop, jump: &Connection) -> Result<russh::ChannelStream<client::Msg>, SshError> {
    let opened = jump.channel_open_direct_tcpip(stop.host.clone(), stop.port.into(), "127.0.0.1", 0);
    match timeout(stop.timeout, opened).await {
        Ok(Ok(channel)) => Ok(channel.into_stream()),
        Ok(Err(error)) => Err(SshError::Unreachable {
            host: stop.host.clone(),
            port: stop.port,
            why: format!("the jump host says: {error}"),
        }),
        Err(_) => Err(late(stop, stop.timeout, "connecting through the jump host")),
    }
}

/// Exchanges keys and checks the server's.
async fn handshake(stop: &Stop, stream: Box<dyn Stream>) -> Result<Connection, SshError> {
    let entries = known_hosts::entries(&stop.known_hosts, &stop.key_name);
    let defaults = Preferred::default();
    let preferred = Preferred {
        key: Cow::Owned(known_hosts::prefer(&defaults.key, &entries)),
        // Half the work of chacha20 on machines with AES instructions.
        cipher: Cow::Borrowed(&[
            cipher::AES_256_GCM,
            cipher::CHACHA20_POLY1305,
            cipher::AES_256_CTR,
            cipher::AES_128_CTR,
        ]),
        ..defaults
    };
    let config = client::Config { preferred, keepalive_interval: Some(KEEPALIVE), nodelay: true, ..Default::default() };
    let verdict = Arc::new(Mutex::new(None));
    let check = Check { stop: stop.clone(), entries, verdict: verdict.clone() };
    let (host, port) = (stop.host.clone(), stop.port);
    let result = match timeout(stop.timeout, client::connect_stream(Arc::new(config), stream, check)).await {
        Ok(result) => result,
        Err(_) => return Err(late(stop, stop.timeout, "shaking hands")),
    };
    result.map_err(|error| {
        let verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        verdict.unwrap_or_else(|| match error {
            russh::Error::HUP | russh::Error::Disconnect => SshError::Busy { host, port, tries: 1 },
            russh::Error::IO(io) if is_hang_up(&io) => SshError::Busy { host, port, tries: 1 },
            other => SshError::Handshake { host, port, why: other.to_string() },
        })
    })
}

fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::ConnectionReset | K::BrokenPipe | K::ConnectionAborted)
}

/// Checks the server's key.
pub(crate) struct Check {
    stop: Stop,
    entries: Vec<Entry>,
    verdict: Arc<Mutex<Option<SshError>>>,
}

impl client::Handler for Check {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        let judged = self.judge(key);
        let good = judged.is_ok();
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        Ok(good)
    }

    async fn window_adjusted(
        &mut self,
        channel: russh::ChannelId,
        size: u32,
        _: &mut client::Session,
    ) -> Result<(), russh::Error> {
        self.stop.flow.window(channel, size);
        Ok(())
    }
}

impl Check {
    fn judge(&self, key: &PublicKey) -> Result<(), SshError> {
        let Stop { host, port, known_hosts: files, .. } = &self.stop;
        let (host, port) = (host.clone(), *port);
        let (algorithm, fingerprint) = (key.algorithm().to_string(), known_hosts::fingerprint(key));
        let file = files.first().map_or_else(|| "~/.ssh/known_hosts".to_owned(), |file| file.display().to_string());
        match known_hosts::judge(&self.entries, key) {
            Verdict::Known => Ok(()),
            Verdict::Revoked { file, line } => Err(SshError::RevokedKey { host, port, file, line }),
            Verdict::Changed { file, line } => {
                let shown = file.display();
                let name = &self.stop.key_name;
                let command = format!("ssh-keygen -R '{name}' -f {shown} && ssh-keyscan -p {port} {host} >> {shown}");
                let key = format!("{algorithm} {fingerprint}");
                Err(SshError::ChangedKey { host, port, key, file, line, command })
            }
            Verdict::Unknown if self.stop.accept_new => {
                let Some(file) = files.first() else { return Ok(()) };
                let _one = LEARNING.lock().unwrap_or_else(PoisonError::into_inner);
                // Another thread may have met the same host a moment ago.
                match known_hosts::judge(&known_hosts::entries(files, &self.stop.key_name), key) {
                    Verdict::Known => Ok(()),
                    _ => known_hosts::learn(file, &self.stop.key_name, key)
                        .map_err(|why| SshError::KnownHosts { file: file.clone(), why }),
                }
            }
            Verdict::Unknown => {
                let command = format!("ssh-keyscan -p {port} {host} >> {file}");
                Err(SshError::UnknownKey { host, port, algorithm, fingerprint, command })
            }
        }
    }
}

/// Proves who we are, with each means at hand until one is taken.
async fn login(stop: &Stop, connection: &mut Connection) -> Result<(), SshError> {
    let mut attempt = Attempt { stop, connection, tried: vec![], offered: None, used: vec![] };
    // Salt: a password in the roster and no key means the password.
    let password_first = stop.password.is_some() && stop.keys.is_empty();
    if (password_first && attempt.password().await?) || attempt.keys().await? || attempt.agent().await? {
        return Ok(());
    }
    if !password_first && attempt.password().await? {
        return Ok(());
    }
    let offered = attempt.offered.iter().flat_map(|set| set.iter()).map(|kind| <&str>::from(kind).to_owned()).collect();
    Err(SshError::Auth {
        user: stop.user.clone(),
        host: stop.host.clone(),
        port: stop.port,
        tried: attempt.tried,
        offered,
    })
}

struct Attempt<'a> {
    stop: &'a Stop,
    connection: &'a mut Connection,
    tried: Vec<String>,
    offered: Option<MethodSet>,
    /// Public halves of keys that were shown already.
    used: Vec<PublicKey>,
}

impl Attempt<'_> {
    /// Tells whether a method is worth trying, as far as the server has told.
    fn takes(&self, kind: MethodKind) -> bool {
        self.offered.as_ref().is_none_or(|set| set.contains(&kind))
    }

    fn note(&mut self, result: Result<AuthResult, russh::Error>) -> Result<bool, SshError> {
        match result {
            Ok(AuthResult::Success) => Ok(true),
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                self.offered = Some(remaining_methods);
                Ok(false)
            }
            Err(_) => Err(self.ended()),
        }
    }

    /// Makes the error for a server that hangs up, which it does after a number of failures.
    fn ended(&mut self) -> SshError {
        let mut tried = std::mem::take(&mut self.tried);
        tried.push("(then the server hung up)".into());
        let Stop { user, host, port, .. } = self.stop;
        SshError::Auth { user: user.clone(), host: host.clone(), port: *port, tried, offered: vec![] }
    }

    async fn keys(&mut self) -> Result<bool, SshError> {
        for path in &self.stop.keys {
            if let Some(done) = self.key(path, true).await? {
                return Ok(done);
            }
        }
        for path in &self.stop.usual_keys {
            if path.exists()
                && let Some(done) = self.key(path, false).await?
            {
                return Ok(done);
            }
        }
        Ok(false)
    }

    /// Tries one key; `None` if it was not taken.
    async fn key(&mut self, path: &Path, named: bool) -> Result<Option<bool>, SshError> {
        if !self.takes(MethodKind::PublicKey) {
            return Ok(None);
        }
        let shown = path.display();
        let key = match load(path, self.stop.passphrase.as_deref()) {
            Ok(key) => key,
            Err(why) => {
                if named || path.exists() {
                    self.tried.push(format!("key {shown} ({why})"));
                }
                return Ok(None);
            }
        };
        self.tried.push(format!("key {shown}"));
        self.used.push(key.public_key().clone());
        let hash = match key.algorithm() {
            Algorithm::Rsa { .. } => {
                let best = self.connection.best_supported_rsa_hash().await;
                best.ok().flatten().unwrap_or(Some(russh::keys::HashAlg::Sha256))
            }
            _ => None,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let result = self.connection.authenticate_publickey(self.stop.user.clone(), key).await;
        Ok(self.note(result)?.then_some(true))
    }

    async fn agent(&mut self) -> Result<bool, SshError> {
        let Some(socket) = self.stop.agent.clone().filter(|_| self.takes(MethodKind::PublicKey)) else {
            return Ok(false);
        };
        let mut agent = match AgentClient::connect_uds(&socket).await {
            Ok(agent) => agent,
            Err(error) => {
                self.tried.push(format!("agent {socket} ({error})"));
                return Ok(false);
            }
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(error) => {
                self.tried.push(format!("agent {socket} ({error})"));
                return Ok(false);
            }
        };
        for identity in identities {
            let AgentIdentity::PublicKey { key, comment } = identity else { continue };
            let allowed = !self.stop.only_named || self.is_named(&key);
            if !allowed || self.used.iter().any(|used| used.key_data() == key.key_data()) {
                continue;
            }
            self.tried.push(format!("agent key {comment}"));
            let hash = match key.algorithm() {
                Algorithm::Rsa { .. } => self.connection.best_supported_rsa_hash().await.ok().flatten().flatten(),
                _ => None,
            };
            let user = self.stop.user.clone();
            match self.connection.authenticate_publickey_with(user, key, hash, &mut agent).await {
                Ok(result) => {
                    if self.note(Ok(result))? {
                        return Ok(true);
                    }
                }
                // The agent would not sign with this key: it may be locked, or want a confirmation.
                Err(russh::AgentAuthError::Key(error)) => {
                    if let Some(last) = self.tried.last_mut() {
                        last.push_str(&format!(" ({error})"));
                    }
                }
                Err(russh::AgentAuthError::Send(_)) => return Err(self.ended()),
            }
        }
        Ok(false)
    }

    /// Tells whether the public half of a key lies beside one of the named files.
    fn is_named(&self, key: &PublicKey) -> bool {
        self.stop.keys.iter().any(|path| {
            let public = std::fs::read_to_string(format!("{}.pub", path.display())).unwrap_or_default();
            PublicKey::from_openssh(&public).is_ok_and(|named| named.key_data() == key.key_data())
        })
    }

    async fn password(&mut self) -> Result<bool, SshError> {
        let Some(password) = self.stop.password.clone() else { return Ok(false) };
        if self.takes(MethodKind::Password) {
            self.tried.push("password".into());
            let result = self.connection.authenticate_password(self.stop.user.clone(), password.clone()).await;
            if self.note(result)? {
                return Ok(true);
            }
        }
        if !self.takes(MethodKind::KeyboardInteractive) {
            return Ok(false);
        }
        self.tried.push("keyboard-interactive".into());
        let user = self.stop.user.clone();
        let mut asked = self.connection.authenticate_keyboard_interactive_start(user, None).await;
        // A server that keeps asking wants more than a password.
        for _ in 0..4 {
            match asked {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(true),
                Ok(KeyboardInteractiveAuthResponse::Failure { remaining_methods, .. }) => {
                    self.offered = Some(remaining_methods);
                    return Ok(false);
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => {
                    let answers =
                        prompts.iter().map(|p| if p.echo { String::new() } else { password.clone() }).collect();
                    asked = self.connection.authenticate_keyboard_interactive_respond(answers).await;
                }
                Err(_) => return Err(self.ended()),
            }
        }
        Ok(false)
    }
}

/// Reads a private key.
fn load(path: &Path, passphrase: Option<&str>) -> Result<PrivateKey, String> {
    use russh::keys::Error;
    match russh::keys::load_secret_key(path, None) {
        Ok(key) => Ok(key),
        Err(Error::KeyIsEncrypted) => match passphrase {
            None => Err("it is encrypted; set `priv_passwd` in the roster, or add it to an agent".into()),
            Some(_) => {
                russh::keys::load_secret_key(path, passphrase).map_err(|_| "`priv_passwd` does not open it".into())
            }
        },
        Err(Error::IO(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
