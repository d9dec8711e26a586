//! Connections: LDAP, LDAPS, StartTLS, a local socket; simple binds and SASL EXTERNAL; searches page by page.

use corpus_tls::{Check, Options};
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{LdapConn, LdapConnSettings, ResultEntry, SearchEntry};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use ldap3::Scope;

/// Who we are to the directory.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Bind {
    #[default]
    Anonymous,
    Simple {
        dn: String,
        password: String,
    },
    /// Whom the connection itself says: the client's certificate, or the user at the other end of a local socket.
    External,
}

impl std::fmt::Debug for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Simple { dn, .. } => write!(f, "Simple({dn}, ***)"),
            Self::External => f.write_str("External"),
        }
    }
}

/// Where a directory is and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Servers that hold the same; the first that answers is taken: `ldap://`, `ldaps://`, `ldapi://`.
    pub uris: Vec<String>,
    pub starttls: bool,
    /// Take any certificate.
    pub no_verify: bool,
    pub authorities: Option<PathBuf>,
    /// Certificate and key of the client.
    pub identity: Option<(PathBuf, PathBuf)>,
    pub bind: Bind,
    /// For the connection, and for each answer.
    pub timeout: Duration,
    /// How many entries a page has; 0 asks for all at once.
    pub page: i32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uris: vec!["ldap://localhost:389".into()],
            starttls: false,
            no_verify: false,
            authorities: None,
            identity: None,
            bind: Bind::Anonymous,
            timeout: Duration::from_secs(10),
            page: 500,
        }
    }
}

/// Why the directory did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    #[error("{uri} cannot be reached: {why}")]
    Down { uri: String, why: String },
    #[error("TLS with {uri}: {why}")]
    Tls { uri: String, why: String },
    /// The server said no: its code, Salt's and OpenLDAP's word for it, and what else it said.
    #[error("{what}: {word} (code {code}){more}")]
    Refused { what: String, code: u32, word: &'static str, more: String },
    #[error("the filter `{0}` is malformed")]
    Filter(String),
    #[error("{0}")]
    Usage(String),
}

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub dn: String,
    /// In the server's spelling. Values that are no text are left out.
    pub attrs: BTreeMap<String, Vec<String>>,
}

impl Found {
    /// Returns the values of an attribute; its case does not matter.
    pub fn values(&self, name: &str) -> &[String] {
        let found = self.attrs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values)
    }

    /// Returns the first value of an attribute.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }
}

/// A connection, bound.
pub struct Directory {
    conn: LdapConn,
    uri: String,
    timeout: Duration,
    page: i32,
}

/// The control of password policies (draft-behera-ldap-password-policy): asks the server to say why it refuses.
const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

impl Directory {
    /// Connects and binds.
    pub fn open(settings: &Settings) -> Result<Self, LdapError> {
        let mut directory = Self::connect(settings)?;
        directory.bind(&settings.bind)?;
        Ok(directory)
    }

    /// Connects to the first server that answers.
    pub fn connect(settings: &Settings) -> Result<Self, LdapError> {
        let mut last = LdapError::Usage("no server is named".into());
        for uri in &settings.uris {
            match connect(settings, uri) {
                Ok(conn) => {
                    return Ok(Self { conn, uri: uri.clone(), timeout: settings.timeout, page: settings.page });
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    /// Binds; an error says what the server said.
    pub fn bind(&mut self, bind: &Bind) -> Result<(), LdapError> {
        let (what, result) = match bind {
            Bind::Anonymous => return Ok(()),
            Bind::Simple { dn, password } => return self.simple_bind(dn, password).map(|_| ()),
            Bind::External => ("SASL EXTERNAL", self.conn.with_timeout(self.timeout).sasl_external_bind()),
        };
        let result = result.map_err(|error| self.lost(&error))?;
        refused(what, &result)
    }

    /// Binds by name and password; returns what the server's password policy says beside it.
    pub(crate) fn simple_bind(&mut self, dn: &str, password: &str) -> Result<Option<Policy>, LdapError> {
        // RFC 4513: without a password this would be an anonymous bind, which succeeds.
        if password.is_empty() || dn.is_empty() {
            return Err(LdapError::Usage("a bind needs a name and a password".into()));
        }
        let control = ldap3::controls::RawControl { ctype: PASSWORD_POLICY.into(), crit: false, val: None };
        let conn = self.conn.with_controls(vec![control]).with_timeout(self.timeout);
        let result = conn.simple_bind(dn, password).map_err(|error| self.lost(&error))?;
        let policy = result.ctrls.iter().find(|control| control.1.ctype == PASSWORD_POLICY);
        let policy = policy.and_then(|control| Policy::read(control.1.val.as_deref()?));
        match refused(&format!("the bind as {dn}"), &result) {
            Ok(()) => Ok(policy),
            // The word of the policy is the better one.
            Err(LdapError::Refused { what, code, word, more }) => match policy.and_then(|policy| policy.error) {
                Some(error) => Err(LdapError::Refused { what, code, word, more: format!("{more}; {}", error.word()) }),
                None => Err(LdapError::Refused { what, code, word, more }),
            },
            Err(other) => Err(other),
        }
    }

    /// Searches; all pages are read.
    pub fn search(
        &mut self,
        base: &str,
        scope: Scope,
        filter: &str,
        attrs: &[String],
    ) -> Result<Vec<Found>, LdapError> {
        let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        if self.page > 0 {
            adapters.push(Box::new(PagedResults::new(self.page)));
        }
        let (uri, timeout) = (self.uri.clone(), self.timeout);
        let lost = |error: &ldap3::LdapError| match error {
            ldap3::LdapError::FilterParsing => LdapError::Filter(filter.to_owned()),
            error => down(&uri, error, timeout),
        };
        let conn = self.conn.with_timeout(timeout);
        let mut stream =
            conn.streaming_search_with(adapters, base, scope, filter, attrs.to_vec()).map_err(|error| lost(&error))?;
        let mut found = Vec::new();
        while let Some(entry) = stream.next().map_err(|error| lost(&error))? {
            found.extend(read(entry));
        }
        let result = stream.result();
        // 4: the server has a limit on entries; a part would pass for the whole.
        match refused(&format!("the search below {base}"), &result) {
            Err(LdapError::Refused { code: 32, .. }) => Ok(vec![]),
            Err(why) => Err(why),
            Ok(()) => Ok(found),
        }
    }

    fn lost(&self, error: &ldap3::LdapError) -> LdapError {
        down(&self.uri, error, self.timeout)
    }
}

/// Reads an entry; `None` for one that the library cannot read.
fn read(entry: ResultEntry) -> Option<Found> {
    if entry.is_ref() || entry.is_intermediate() {
        return None;
    }
    // The library panics on what is no entry; a server must not end a process.
    let entry = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| SearchEntry::construct(entry))).ok()?;
    Some(Found { dn: entry.dn, attrs: entry.attrs.into_iter().collect() })
}

fn connect(settings: &Settings, uri: &str) -> Result<LdapConn, LdapError> {
    let encrypted = settings.starttls || uri.starts_with("ldaps://");
    let mut options = LdapConnSettings::new()
        .set_conn_timeout(settings.timeout)
        .set_starttls(settings.starttls && !uri.starts_with("ldaps://"));
    if encrypted && !uri.starts_with("ldapi://") {
        let check = if settings.no_verify { Check::Nothing } else { Check::Everything };
        let tls = Options { check, authorities: settings.authorities.clone(), identity: settings.identity.clone() };
        let config =
            corpus_tls::client(&tls).map_err(|error| LdapError::Tls { uri: uri.to_owned(), why: error.to_string() })?;
        options = options.set_config(Arc::new(config));
    }
    LdapConn::with_settings(options, uri).map_err(|error| down(uri, &error, settings.timeout))
}

/// Says why a server is away. What TLS refuses is told apart: it is no network's fault.
fn down(uri: &str, error: &ldap3::LdapError, timeout: Duration) -> LdapError {
    let uri = uri.to_owned();
    match error {
        ldap3::LdapError::Timeout { .. } => {
            LdapError::Down { uri, why: format!("no answer within {} seconds", timeout.as_secs()) }
        }
        ldap3::LdapError::LdapResult { result } => LdapError::Refused {
            what: format!("StartTLS with {uri}"),
            code: result.rc,
            word: word(result.rc),
            more: more(&result.text),
        },
        error => {
            let why = error.to_string();
            let tls = ["certificate", "Certificate", "tls", "TLS", "handshake"].iter().any(|word| why.contains(word));
            if tls { LdapError::Tls { uri, why } } else { LdapError::Down { uri, why } }
        }
    }
}

fn refused(what: &str, result: &ldap3::LdapResult) -> Result<(), LdapError> {
    match result.rc {
        0 => Ok(()),
        code => Err(LdapError::Refused { what: what.to_owned(), code, word: word(code), more: more(&result.text) }),
    }
}

fn more(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

/// The words of the result codes (RFC 4511).
fn word(code: u32) -> &'static str {
    match code {
        1 => "operations error",
        2 => "protocol error",
        3 => "time limit exceeded",
        4 => "size limit exceeded",
        7 => "authentication method not supported",
        8 => "strong authentication required",
        10 => "referral",
        11 => "administrative limit exceeded",
        13 => "confidentiality required",
        16 => "no such attribute",
        19 => "constraint violation",
        32 => "no such object",
        34 => "invalid DN",
        48 => "inappropriate authentication",
        49 => "invalid credentials",
        50 => "insufficient access",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling to perform",
        _ => "refused",
    }
}

/// What the password policy of a server said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    pub error: Option<PolicyError>,
}

/// The errors of the draft, as far as a bind can have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyError {
    PasswordExpired,
    Locked,
    MustChange,
}

impl PolicyError {
    fn word(self) -> &'static str {
        match self {
            Self::PasswordExpired => "the password has expired",
            Self::Locked => "the account is locked",
            Self::MustChange => "the password must be changed",
        }
    }
}

impl Policy {
    /// Reads `SEQUENCE { warning [0] …, error [1] ENUMERATED }`.
    fn read(value: &[u8]) -> Option<Self> {
        let [0x30, length, rest @ ..] = value else { return None };
        let mut rest = rest.get(..usize::from(*length))?;
        let mut policy = Self::default();
        while let [tag, length, tail @ ..] = rest {
            let body = tail.get(..usize::from(*length))?;
            if *tag == 0x81 {
                policy.error = match body {
                    [0] => Some(PolicyError::PasswordExpired),
                    [1] => Some(PolicyError::Locked),
                    [2] => Some(PolicyError::MustChange),
                    _ => None,
                };
            }
            rest = tail.get(usize::from(*length)..)?;
        }
        Some(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_password_policies() {
        let error = |bytes: &[u8]| Policy::read(bytes).and_then(|policy| policy.error);
        assert_eq!(error(&[0x30, 3, 0x81, 1, 1]), Some(PolicyError::Locked));
        assert_eq!(error(&[0x30, 8, 0xa0, 3, 0x80, 1, 5, 0x81, 1, 0]), Some(PolicyError::PasswordExpired));
        assert_eq!(error(&[0x30, 0]), None);
        for broken in [&[][..], &[0x30], &[0x30, 9, 0x81], &[0x30, 3, 0x81, 9, 1]] {
            assert_eq!(error(broken), None);
        }
    }

    #[test]
    fn no_password_is_shown() {
        let bind = Bind::Simple { dn: "cn=x".into(), password: "s3cret".into() };
        assert!(!format!("{:?}", Settings { bind, ..Settings::default() }).contains("s3cret"));
    }
}
