//! The drivers, each a file.

pub mod docker;
pub mod lxc;
pub mod saltify;

use crate::driver::{DriverError, GuestDriver, Kind};
use crate::spec::{GuestSpec, size};
use corpus_core::{Map, Value, python, suggest};

/// What can be a guest's driver, by name.
pub struct Drivers(Vec<Box<dyn GuestDriver>>);

impl Default for Drivers {
    fn default() -> Self {
        Self(vec![Box::new(lxc::Lxc), Box::new(docker::Docker), Box::new(saltify::Saltify)])
    }
}

/// What the mission names and nothing here drives.
const NOT_BUILT: &[&str] =
    &["ec2", "kvm", "xen", "vserver", "openstack", "openshift", "heroku", "nova", "gce", "proxmox", "libvirt"];

impl Drivers {
    /// Adds one, or takes another in place of its namesake.
    pub fn with(mut self, driver: Box<dyn GuestDriver>) -> Self {
        self.0.retain(|other| other.kind() != driver.kind());
        self.0.push(driver);
        self
    }

    /// Finds one.
    pub fn get(&self, kind: &str) -> Result<&dyn GuestDriver, DriverError> {
        if let Some(driver) = self.0.iter().find(|driver| driver.kind() == kind) {
            return Ok(&**driver);
        }
        let known: Vec<&str> = self.0.iter().map(|driver| driver.kind()).collect();
        let hint = suggest::did_you_mean(kind, known.iter().copied()).map_or(String::new(), |hint| format!("; {hint}"));
        let built = if NOT_BUILT.contains(&kind) { "is not built" } else { "is not known" };
        Err(DriverError::Declaration(format!("the driver `{kind}` {built}; there are: {}{hint}", known.join(", "))))
    }

    /// Walks them.
    pub fn iter(&self) -> impl Iterator<Item = &dyn GuestDriver> {
        self.0.iter().map(|driver| &**driver)
    }
}

/// Looks whether the options are the driver's, and of the right kinds; returns the key and what is wrong.
pub fn check_options(driver: &dyn GuestDriver, options: &Map) -> Vec<(String, String)> {
    let fields = driver.schema();
    let mut wrong = vec![];
    for (key, value) in options {
        let key = python::str(key);
        let Some(field) = fields.iter().find(|field| field.name == key) else {
            let hint = suggest::did_you_mean(
                &key,
                fields.iter().map(|field| field.name).chain(crate::declare::COMMON.iter().copied()),
            );
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            wrong.push((key.clone(), format!("`{key}` means nothing to the driver `{}`{hint}", driver.kind())));
            continue;
        };
        let (good, word) = match field.kind {
            Kind::Text => (matches!(value, Value::Str(_) | Value::Int(_) | Value::Float(_)), "text"),
            Kind::Number => (python::str(value).parse::<f64>().is_ok(), "a number"),
            Kind::Flag => (value.as_bool().is_some(), "true or false"),
            Kind::Size => (size(value).is_ok(), "a size, `512M`"),
            Kind::List => (value.as_list().is_some(), "a list"),
            Kind::Map => (value.as_map().is_some(), "a mapping"),
            Kind::Any => (true, ""),
        };
        if !good && !value.is_null() {
            wrong.push((key.clone(), format!("`{key}` must be {word}, found {}", python::repr(value))));
        }
    }
    wrong
}

/// Returns a text option.
pub(crate) fn text(want: &GuestSpec, key: &str) -> Option<String> {
    want.options.get(key).filter(|value| !value.is_null()).map(python::str)
}

/// Puts an option among the arguments of a state, under the state's name for it.
pub(crate) fn pass(want: &GuestSpec, args: &mut Map, keys: &[(&str, &str)]) {
    for (from, to) in keys {
        if let Some(value) = want.options.get(from).filter(|value| !value.is_null()) {
            args.insert(*to, value.clone());
        }
    }
}
