//! The drivers, each a file.

pub mod docker;
pub mod ec2;
pub mod lxc;
pub mod saltify;

use crate::driver::{Asked, DriverError, GuestDriver, GuestPlan, Kind, Step};
use crate::hands::{Chunk, Place};
use crate::spec::{GuestSpec, size};
use crate::store::Store;
use corpus_core::{Map, Value, python, suggest};

/// What can be a guest's driver, by name.
pub struct Drivers(Vec<Box<dyn GuestDriver>>);

impl Default for Drivers {
    fn default() -> Self {
        Self(vec![
            Box::new(lxc::Lxc),
            Box::new(docker::Docker),
            Box::new(saltify::Saltify),
            Box::new(ec2::Ec2::new(ec2::Means::of(Default::default(), &Store::new("")))),
        ])
    }
}

/// What the mission names and nothing here drives.
const NOT_BUILT: &[&str] =
    &["kvm", "xen", "vserver", "openstack", "openshift", "heroku", "nova", "gce", "proxmox", "libvirt"];

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

    /// Names those that are known of and not there, as they may be declared one day.
    pub fn not_built(&self) -> impl Iterator<Item = &'static str> {
        NOT_BUILT.iter().copied().filter(|kind| !self.0.iter().any(|driver| driver.kind() == *kind))
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

/// The machine that a guest's node is.
pub(crate) fn place(asked: &Asked<'_>) -> Place {
    Place::Minion(asked.node.id.clone())
}

/// A plan of one state on the guest's node.
pub(crate) fn one_state(asked: &Asked<'_>, chunk: Chunk) -> Result<GuestPlan, DriverError> {
    Ok(GuestPlan { steps: vec![Step::Run { at: place(asked), chunks: vec![chunk] }] })
}

/// What has no state is a function that the walker's `module.run` calls.
pub(crate) fn function(asked: &Asked<'_>, fun: &str, args: &[(&str, Value)]) -> Result<GuestPlan, DriverError> {
    let one = |(key, value): (&Value, &Value)| Value::map([(key.clone(), value.clone())].into_iter().collect());
    let all = named(asked.want, args);
    let call: Map = [(fun, Value::list(all.iter().map(one).collect()))].into_iter().collect();
    one_state(asked, Chunk::new(format!("{fun} {}", asked.want.id), "module.run", call))
}

/// A plan that runs a command inside, by a function of the node.
pub(crate) fn ask(asked: &Asked<'_>, fun: &str, argv: &[String]) -> Result<GuestPlan, DriverError> {
    let args = vec![asked.want.id.as_str().into(), argv.to_vec().into()];
    Ok(GuestPlan { steps: vec![Step::Ask { at: place(asked), fun: fun.into(), args, kwargs: Map::new() }] })
}

/// Arguments, the guest's name first.
pub(crate) fn named(want: &GuestSpec, args: &[(&str, Value)]) -> Map {
    let mut all: Map = [("name", want.id.as_str())].into_iter().collect();
    for (key, value) in args {
        all.insert(*key, value.clone());
    }
    all
}

/// Processors, as states take them.
pub(crate) fn cores(millis: u32) -> Value {
    Value::Float(f64::from(millis) / 1000.0)
}
