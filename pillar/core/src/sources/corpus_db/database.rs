//! The file: its format, its sections, and how a machine is looked up in them.

use corpus_core::{Diagnostic, Map, Node, Value, merge, python, suggest};
use corpus_render::RenderedSls;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sections that mean something to the original; others are kept and not read.
const SECTIONS: &[&str] = &[
    "backup_configuration_map",
    "backup_configurations",
    "backup_excluded",
    "backup_manual_hosts",
    "backup_server_configurations",
    "backup_server_map",
    "backup_servers",
    "baremetal_hosts",
    "cloud_cn_attrs",
    "cloud_settings",
    "cloud_vm_attrs",
    "cnames",
    "configurations",
    "default_allowed_ips_names",
    "dhcpd_conf",
    "dnames",
    "dns_resolvers",
    "dns_search",
    "dns_serials",
    "dns_servers",
    "firewalld_overrides",
    "format",
    "hosts",
    "ip6s",
    "ip6s_map",
    "ip6sfo",
    "ip6sfo_map",
    "ips",
    "ips_map",
    "ipsfo",
    "ipsfo_map",
    "keys_map",
    "ldap_configurations",
    "ldap_maps",
    "mail_configurations",
    "managed_alias_zones",
    "managed_dns_zones",
    "ms_iptables_overrides",
    "mx_map",
    "network_settings",
    "non_managed_hosts",
    "non_supervised_hosts",
    "notes",
    "passwords_map",
    "pkgmgr_conf",
    "removed_keys_map",
    "rrs_raw",
    "rrs_srv",
    "rrs_ttls",
    "rrs_txt",
    "shorewall_overrides",
    "snmpd_settings",
    "ssh_groups",
    "ssh_hosts",
    "ssl",
    "ssl_certs",
    "standalone_hosts",
    "sudoers_map",
    "supervision_configurations",
    "sysadmins_keys_map",
    "vms",
];

/// The kinds of guests that can run here; the original knew more, and ran none of them.
pub const KINDS: &[&str] = &["lxc", "kvm", "docker", "saltify"];

/// A database that has the right format.
pub struct Database {
    pub file: Arc<str>,
    root: Map,
    /// Guest to kind and compute node.
    pub guests: BTreeMap<String, (String, String)>,
}

/// A machine of the inventory.
pub struct Machine {
    pub id: String,
    /// Its kind and compute node, if it is a guest.
    pub guest: Option<(String, String)>,
    /// Its guests with their kinds.
    pub guests: Vec<(String, String)>,
    pub managed: bool,
}

impl Database {
    /// Checks what was read: one wrong section and nothing of it is used.
    pub fn check(rendered: &RenderedSls, file: &str) -> Result<Self, Diagnostic> {
        let wrong = |node: &Node, message: String| {
            Diagnostic::error(format!("{file}: {message}"))
                .at(rendered.locate(node.pos), "")
                .with_excerpts(&|file, line| rendered.source_line(file, line))
        };
        let node = &rendered.node;
        let Some(entries) = node.as_map() else {
            return Err(wrong(node, format!("expected a mapping of sections, found {}", node.type_name())));
        };
        match node.get("format") {
            Some(format) if format.to_value() == Value::Int(1) && format.type_name() == "int" => {}
            Some(format) => return Err(wrong(format, "`format` must be the number 1".into())),
            None => return Err(wrong(node, "`format: 1` is missing".into())),
        }
        for (key, value) in entries {
            let name = python::str(&key.to_value());
            if name != "format" && value.as_map().is_none() && value.as_seq().is_none() {
                let message = format!("the section `{name}` must be a mapping or a list, found {}", value.type_name());
                return Err(wrong(value, message));
            }
            if !SECTIONS.contains(&name.as_str()) {
                let hint = suggest::did_you_mean(&name, SECTIONS.iter().copied());
                tracing::warn!(
                    "{file}: the section `{name}` means nothing here{}",
                    hint.map_or(String::new(), |h| format!("; {h}"))
                );
            }
        }
        let Value::Map(root) = node.to_value() else { return Err(wrong(node, "expected a mapping".into())) };
        let mut database = Self { file: file.into(), root: Arc::unwrap_or_clone(root), guests: BTreeMap::new() };
        database.read_guests().map_err(|message| wrong(node.get("vms").unwrap_or(node), message))?;
        Ok(database)
    }

    fn read_guests(&mut self) -> Result<(), String> {
        let mut guests: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (kind, nodes) in &self.section("vms") {
            let kind = python::str(kind);
            if !KINDS.contains(&kind.as_str()) {
                return Err(format!(
                    "vms: guests of the kind '{kind}' are not supported; there are: {}",
                    KINDS.join(", ")
                ));
            }
            let Some(nodes) = nodes.as_map() else { return Err(format!("vms: `{kind}` must be a mapping of nodes")) };
            for (node, list) in nodes {
                let node = python::str(node);
                for guest in list.as_list().unwrap_or_default().iter().map(python::str) {
                    let place = (kind.clone(), node.clone());
                    match guests.insert(guest.clone(), place) {
                        Some((kind, other)) if other != node => {
                            return Err(format!("vms: the guest {guest} is on two nodes: {other} ({kind}) and {node}"));
                        }
                        _ => {}
                    }
                }
            }
        }
        self.guests = guests;
        Ok(())
    }

    /// Returns a section that is a mapping.
    pub fn section(&self, name: &str) -> Map {
        self.root.get(name).and_then(Value::as_map).cloned().unwrap_or_default()
    }

    /// Returns the names of a section that is a list or a mapping by name.
    pub fn names(&self, name: &str) -> Vec<String> {
        match self.root.get(name) {
            Some(Value::List(items)) => items.iter().map(python::str).collect(),
            Some(Value::Map(map)) => map.keys().map(python::str).collect(),
            _ => vec![],
        }
    }

    /// Looks a machine up in a section, else `default`; of two mappings the machine's is laid over the default.
    pub fn of(&self, section: &str, id: &str) -> Option<Value> {
        let section = self.root.get(section)?;
        match (section.get("default").cloned(), section.get(id).cloned()) {
            (Some(Value::Map(mut default)), Some(Value::Map(own))) => {
                merge::update(Arc::make_mut(&mut default), &own, false);
                Some(Value::Map(default))
            }
            (default, own) => own.or(default),
        }
    }

    /// Returns a switch of `configurations`.
    pub fn switch(&self, id: &str, name: &str) -> Option<Value> {
        self.of("configurations", id)?.get(name).cloned()
    }

    /// Tells whether a feature is on, which it is unless somebody turned it off.
    pub fn manages(&self, id: &str, feature: &str) -> bool {
        self.switch(id, feature).is_none_or(|value| value.truthy())
    }

    /// Finds a machine; `None` if the database does not know it.
    pub fn machine(&self, id: &str) -> Option<Machine> {
        let guests: Vec<(String, String)> = self
            .guests
            .iter()
            .filter(|(_, (_, node))| node == id)
            .map(|(guest, (kind, _))| (guest.clone(), kind.clone()))
            .collect();
        let guest = self.guests.get(id).cloned();
        let listed = |section: &str| self.names(section).iter().any(|name| name == id);
        let unmanaged = listed("non_managed_hosts");
        let known = guest.is_some()
            || !guests.is_empty()
            || unmanaged
            || ["baremetal_hosts", "standalone_hosts", "configurations"].iter().any(|section| listed(section))
            || self
                .root
                .get("vms")
                .and_then(Value::as_map)
                .is_some_and(|kinds| kinds.values().any(|nodes| nodes.get(id).is_some()));
        (known && id != "default").then(|| Machine { id: id.to_owned(), guest, guests, managed: !unmanaged })
    }

    /// The domains of a machine: its own name, what is said of it, and for a node those of its guests.
    pub fn domains(&self, machine: &Machine) -> Vec<String> {
        let mut domains = vec![machine.id.clone()];
        let section = if machine.guest.is_some() { "cloud_vm_attrs" } else { "cloud_cn_attrs" };
        let said = self.of(section, &machine.id).and_then(|attrs| attrs.get("domains").cloned());
        domains.extend(said.iter().flat_map(|d| d.as_list().unwrap_or_default()).map(python::str));
        for (guest, _) in &machine.guests {
            domains.extend(self.machine(guest).map(|guest| self.domains(&guest)).unwrap_or_default());
        }
        let mut seen = std::collections::BTreeSet::new();
        domains.retain(|domain| seen.insert(domain.clone()));
        domains
    }
}
