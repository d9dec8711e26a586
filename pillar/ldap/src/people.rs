//! The directory for people: who they are, whether their password is right, in which groups they are, with which keys they
//! come.

use crate::account::{ATTRIBUTES, Account};
use crate::client::{Directory, Found, LdapError, Scope, Settings};
use ldap3::{dn_escape, ldap_escape};

/// Where people and groups are in a directory.
#[derive(Clone, Debug)]
pub struct People {
    /// The server, and as whom to look people up.
    pub settings: Settings,
    pub user_base: String,
    /// `{user}` stands for the name.
    pub user_filter: String,
    /// The attribute with the name.
    pub user_name: String,
    pub group_base: String,
    /// `{user}` and `{dn}` stand for the name and the entry of the person.
    pub group_filter: String,
    pub group_name: String,
    pub key_attribute: String,
}

impl Default for People {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            user_base: String::new(),
            user_filter: "(uid={user})".into(),
            user_name: "uid".into(),
            group_base: String::new(),
            group_filter: "(|(memberUid={user})(member={dn})(uniqueMember={dn}))".into(),
            group_name: "cn".into(),
            key_attribute: "sshPublicKey".into(),
        }
    }
}

/// A person of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub dn: String,
    pub name: String,
    pub mail: Option<String>,
    /// `cn`, or what else the entry calls them.
    pub full_name: Option<String>,
    pub keys: Vec<String>,
    pub account: Account,
}

/// Why somebody is not let in. What is told to them should not tell an unknown name from a wrong password.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("there is no user '{0}'")]
    UnknownUser(String),
    #[error("'{0}' is the name of several entries: {1}")]
    Ambiguous(String, String),
    #[error("the password of '{0}' is wrong")]
    WrongPassword(String),
    #[error("the account of '{0}' is locked")]
    Locked(String),
    #[error("the account of '{0}' has expired")]
    Expired(String),
    #[error("the password of '{0}' has expired")]
    PasswordExpired(String),
    /// The directory's fault, not theirs.
    #[error(transparent)]
    Directory(#[from] LdapError),
}

impl People {
    /// Finds a person by name.
    pub fn find(&self, user: &str) -> Result<Option<Person>, AuthError> {
        let mut directory = Directory::open(&self.settings)?;
        self.find_in(&mut directory, user)
    }

    fn find_in(&self, directory: &mut Directory, user: &str) -> Result<Option<Person>, AuthError> {
        if user.is_empty() {
            return Ok(None);
        }
        let filter = self.user_filter.replace("{user}", &ldap_escape(user));
        let mut found = directory.search(&self.user_base, Scope::Subtree, &filter, &self.attributes())?;
        if found.len() > 1 {
            let names: Vec<String> = found.into_iter().map(|entry| entry.dn).collect();
            return Err(AuthError::Ambiguous(user.to_owned(), names.join("; ")));
        }
        Ok(found.pop().map(|entry| self.person(user, &entry)))
    }

    /// What is asked of a person's entry.
    fn attributes(&self) -> Vec<String> {
        let own = [self.user_name.as_str(), &self.key_attribute];
        own.into_iter()
            .chain(["cn", "displayName", "mail"])
            .chain(ATTRIBUTES.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    fn person(&self, user: &str, entry: &Found) -> Person {
        let text = |name: &str| entry.value(name).map(str::to_owned);
        Person {
            dn: entry.dn.clone(),
            name: text(&self.user_name).unwrap_or_else(|| user.to_owned()),
            mail: text("mail"),
            full_name: text("displayName").or_else(|| text("cn")),
            keys: entry.values(&self.key_attribute).iter().map(|key| key.trim().to_owned()).collect(),
            account: Account::of(entry),
        }
    }

    /// Lets somebody in, or says why not: the password is tried by a bind as them, the state of the account is looked at
    /// whatever the server does with it.
    pub fn authenticate(&self, user: &str, password: &str) -> Result<Person, AuthError> {
        let mut directory = Directory::open(&self.settings)?;
        let Some(person) = self.find_in(&mut directory, user)? else {
            return Err(AuthError::UnknownUser(user.to_owned()));
        };
        if password.is_empty() {
            return Err(AuthError::WrongPassword(user.to_owned()));
        }
        let bound = Directory::connect(&self.settings)?.simple_bind(&person.dn, password);
        let name = || user.to_owned();
        match bound {
            Ok(_) => {}
            // A locked account refuses the right password, too; it is the lock that they must hear of.
            Err(LdapError::Refused { code: 49, more, .. }) => {
                // Wrong passwords may just now have locked it.
                let now = self.find_in(&mut directory, user)?.map_or(person.account, |person| person.account);
                return Err(match (reason(&more), now) {
                    (Some(Account::Locked), _) | (None, Account::Locked) => AuthError::Locked(name()),
                    (Some(Account::Expired), _) => AuthError::Expired(name()),
                    (Some(Account::PasswordExpired), _) => AuthError::PasswordExpired(name()),
                    _ => AuthError::WrongPassword(name()),
                });
            }
            Err(why) => return Err(why.into()),
        }
        match person.account {
            Account::Usable => Ok(person),
            Account::Locked => Err(AuthError::Locked(name())),
            Account::Expired => Err(AuthError::Expired(name())),
            Account::PasswordExpired => Err(AuthError::PasswordExpired(name())),
        }
    }

    /// Names the groups of a person.
    pub fn groups(&self, person: &Person) -> Result<Vec<String>, AuthError> {
        let filter = self.group_filter.replace("{user}", &ldap_escape(person.name.as_str()));
        let filter = filter.replace("{dn}", &ldap_escape(person.dn.as_str()));
        let mut directory = Directory::open(&self.settings)?;
        let attrs = [self.group_name.clone()];
        let found = directory.search(&self.group_base, Scope::Subtree, &filter, &attrs)?;
        let mut names: Vec<String> =
            found.iter().filter_map(|group| group.value(&self.group_name).map(str::to_owned)).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Finds the people of a group whose accounts may be used: by name (`memberUid`), or by their entries (`member`).
    pub fn members(&self, group: &str) -> Result<Vec<Person>, AuthError> {
        let mut directory = Directory::open(&self.settings)?;
        let filter = format!("({}={})", self.group_name, ldap_escape(group));
        let attrs = ["memberUid", "member", "uniqueMember"].map(str::to_owned);
        let mut people: Vec<Person> = vec![];
        for group in directory.search(&self.group_base, Scope::Subtree, &filter, &attrs)? {
            for name in group.values("memberUid") {
                people.extend(self.find_in(&mut directory, name)?);
            }
            for dn in group.values("member").iter().chain(group.values("uniqueMember")) {
                let filter = format!("({}=*)", self.user_name);
                // A member that is gone stays in many a group.
                let found = match directory.search(dn, Scope::Base, &filter, &self.attributes()) {
                    Err(LdapError::Refused { code: 32, .. }) => vec![],
                    found => found?,
                };
                people.extend(found.iter().map(|entry| self.person(dn, entry)));
            }
        }
        people.retain(|person| person.account == Account::Usable);
        people.sort_by(|a, b| a.dn.cmp(&b.dn));
        people.dedup_by(|a, b| a.dn == b.dn);
        Ok(people)
    }

    /// Returns the keys with which somebody may come: none if the account may not be used.
    pub fn ssh_keys(&self, user: &str) -> Result<Vec<String>, AuthError> {
        let person = self.find(user)?.filter(|person| person.account == Account::Usable);
        Ok(person.map(|person| person.keys).unwrap_or_default())
    }
}

/// Reads the reason beside `invalid credentials`: a password policy's word, or Active Directory's `data 775`.
fn reason(more: &str) -> Option<Account> {
    let says = |text: &str| more.contains(text);
    if says("account is locked") || says("data 775") || says("data 533") {
        Some(Account::Locked)
    } else if says("data 701") {
        Some(Account::Expired)
    } else if says("password has expired") || says("data 532") || says("data 773") {
        Some(Account::PasswordExpired)
    } else {
        None
    }
}

/// Escapes a text that becomes a part of a name.
pub(crate) fn in_dn(text: &str) -> String {
    dn_escape(text).into_owned()
}

/// Escapes a text that becomes a part of a filter.
pub(crate) fn in_filter(text: &str) -> String {
    ldap_escape(text).into_owned()
}
