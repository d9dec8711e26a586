//! What `selinux.*` share.

use corpus_core::{PlanCx, StateError, Value, python};
use corpus_exec::fns::selinux::{self, Context, Port};

/// Refuses to go on where the tools of SELinux are not there.
pub fn tools(cx: &PlanCx<'_>) -> Result<(), StateError> {
    for (program, package) in [
        ("semanage", "policycoreutils-python-utils"),
        ("setsebool", "policycoreutils"),
        ("semodule", "policycoreutils"),
    ] {
        cx.program(program, package)?;
    }
    Ok(())
}

/// Names the fact of a file specification.
pub fn fact(name: &str, filetype: &str) -> String {
    format!("selinux:fcontext:{filetype}:{name}")
}

/// Finds what the policy has for a file specification; the second value is whether anything is there for it.
pub fn find(
    cx: &PlanCx<'_>,
    name: &str,
    code: &str,
    wanted: &[Option<&str>; 3],
) -> Result<(Option<Context>, bool), StateError> {
    let filetype = selinux::filetype(code).map_err(StateError::failed)?;
    let mut all = selinux::contexts(cx.host)?;
    let any = all.iter().any(|entry| entry.filespec == name && entry.filetype == filetype);
    let at = all.iter().position(|entry| entry.is(name, Some(filetype), wanted));
    Ok((at.map(|at| all.swap_remove(at)), any))
}

/// A port of a declaration.
pub struct Spec {
    pub protocol: String,
    pub port: String,
}

impl Spec {
    /// Reads it of the name, or of what is given apart.
    pub fn of(name: &str, protocol: &Option<String>, port: &Option<Value>) -> Result<Self, StateError> {
        let port = port.as_ref().filter(|port| !port.is_null()).map(python::str);
        let (protocol, port) = selinux::port_spec(name, protocol.clone(), port).map_err(StateError::failed)?;
        Ok(Self { protocol, port })
    }

    /// Names the fact of a port.
    pub fn fact(&self) -> String {
        format!("selinux:port:{}:{}", self.protocol, self.port)
    }

    /// Finds what the policy has for it.
    pub fn find(&self, cx: &PlanCx<'_>, kind: Option<&str>) -> Result<Option<Port>, StateError> {
        match cx.host.predicted(&self.fact()) {
            Some(found) => {
                let port = |sel_type: &str| Port {
                    sel_type: sel_type.into(),
                    protocol: self.protocol.clone(),
                    port: self.port.clone(),
                };
                Ok(found.as_str().filter(|found| kind.is_none_or(|kind| kind == *found)).map(port))
            }
            None => Ok(selinux::ports(cx.host)?.into_iter().find(|entry| entry.is(kind, &self.protocol, &self.port))),
        }
    }

    /// Shows what Salt's comments say of it.
    pub fn said(
        name: &str,
        there: &str,
        kind: Option<&str>,
        protocol: &Option<String>,
        port: &Option<Value>,
    ) -> String {
        let text = |value: Option<String>| value.unwrap_or_else(|| "None".into());
        format!(
            "SELinux policy for \"{name}\" already {there} with specified sel_type \"{}\", protocol \"{}\" and port \"{}\".",
            text(kind.map(str::to_owned)),
            text(protocol.clone()),
            text(port.as_ref().map(python::str)),
        )
    }
}

/// Returns a port as `changes` show it.
pub fn shown(port: Option<&Port>) -> Value {
    port.map(Port::shown).into()
}
