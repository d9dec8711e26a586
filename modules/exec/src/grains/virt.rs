//! What the machine runs on: `virtual` and `virtual_subtype`, in Salt's words, from the traces that
//! containers and hypervisors leave.

use super::{exists, text};
use corpus_core::host::Look;
use corpus_core::value::Map;
use std::path::Path;

/// Adds `virtual`, and `virtual_subtype` where there is one.
pub fn add(host: &dyn Look, grains: &mut Map) {
    let (kind, subtype) = container(host).unwrap_or_else(|| hypervisor(host, grains));
    grains.insert("virtual", kind);
    if let Some(subtype) = subtype.or_else(|| chroot(host)) {
        if kind == "physical" {
            grains.insert("virtual", "virtual");
        }
        grains.insert("virtual_subtype", subtype);
    }
}

type Found = (&'static str, Option<String>);

fn container(host: &dyn Look) -> Option<Found> {
    let environ = text(host, "/proc/1/environ").unwrap_or_default();
    let told = environ.split('\0').find_map(|v| v.strip_prefix("container=")).map(str::to_owned);
    let told = told.or_else(|| text(host, "/run/systemd/container")).unwrap_or_default();
    let cgroup = text(host, "/proc/1/cgroup").unwrap_or_default();
    let has = |marks: &[&str]| marks.iter().any(|m| cgroup.contains(m));
    let subtype = match told.trim() {
        "lxc" | "lxc-libvirt" => "LXC",
        "docker" => "Docker",
        "podman" => "Podman",
        "systemd-nspawn" => return Some(("systemd-nspawn", None)),
        "openvz" => return Some(("openvzve", None)),
        _ if has(&[":/lxc/", ":/lxc.payload"]) => "LXC",
        _ if has(&[":/system.slice/docker", ":/docker/", ":/docker-ce/"]) => "Docker",
        _ if exists(host, "/run/.containerenv") => "Podman",
        _ if exists(host, "/.dockerenv") => "Docker",
        _ if has(&[":/kubepods/"]) => return Some(("virtual", Some("kubernetes".into()))),
        _ if has(&[":/libpod_parent/"]) => return Some(("virtual", Some("libpod".into()))),
        _ if exists(host, "/proc/vz/version") => return Some(("openvzhn", None)),
        _ if exists(host, "/proc/vz/veinfo") => return Some(("openvzve", None)),
        _ => return None,
    };
    Some(("container", Some(subtype.into())))
}

fn hypervisor(host: &dyn Look, grains: &Map) -> Found {
    let of = |grain: &str| grains.str(grain).unwrap_or_default().to_owned();
    let (vendor, product, bios) = (of("manufacturer"), of("productname"), of("biosvendor"));
    let board = text(host, "/sys/class/dmi/id/board_vendor").unwrap_or_default();
    let clocks = text(host, "/sys/devices/system/clocksource/clocksource0/available_clocksource").unwrap_or_default();
    let marks = [&vendor, &product, &bios, &board].map(|s| s.trim().to_owned()).join("\n");
    let has = |word: &str| marks.contains(word);
    let kvm = clocks.contains("kvm-clock");
    if let Some(xen) = xen(host, &product) {
        return xen;
    }
    match () {
        () if has("Amazon EC2") => ("Nitro", Some(format!("Amazon EC2 ({product})"))),
        () if has("VirtualBox") || has("innotek GmbH") => ("VirtualBox", None),
        () if has("VMware") || has("VMW") => ("VMware", None),
        () if has("RHEV Hypervisor") => ("kvm", Some("rhev".into())),
        () if has("oVirt") => ("kvm", Some("ovirt".into())),
        () if has("Nutanix") && has("AHV") => ("kvm", Some("Nutanix AHV".into())),
        () if has("Google Compute Engine") || product.contains("Google") => ("gce", None),
        () if has("BHYVE") => ("bhyve", None),
        () if has("Parallels") => ("Parallels", None),
        () if has("Microsoft Corporation") && has("Virtual Machine") => ("VirtualPC", None),
        () if kvm || has("KVM") || has("OpenStack") || has("KubeVirt") || has("SeaBIOS") => ("kvm", None),
        () if has("QEMU") || has("Bochs") => ("qemu", None),
        () if clocks.contains("hyperv") => ("VirtualPC", None),
        () if exists(host, "/proc/sysinfo") && text(host, "/proc/sysinfo").is_some_and(|t| t.contains("KVM")) => {
            ("kvm", None)
        }
        () => ("physical", None),
    }
}

fn xen(host: &dyn Look, product: &str) -> Option<Found> {
    if !["/proc/sys/xen", "/sys/bus/xen", "/proc/xen"].iter().any(|p| exists(host, p)) {
        return None;
    }
    let subtype = if exists(host, "/proc/xen/xsd_kva") {
        "Xen Dom0"
    } else if product == "HVM domU" {
        "Xen HVM DomU"
    } else if let Some(capabilities) = text(host, "/proc/xen/capabilities") {
        if capabilities.contains("control_d") { "Xen Dom0" } else { "Xen PV DomU" }
    } else if exists(host, "/sys/bus/xen/drivers/xenconsole") {
        "Xen PV DomU"
    } else {
        return None;
    };
    Some(("xen", Some(subtype.into())))
}

/// Tells whether process 1 sees another root than this one.
fn chroot(host: &dyn Look) -> Option<String> {
    let own = host.stat(Path::new("/")).ok()??;
    let first = host.stat(Path::new("/proc/1/root/.")).ok()??;
    ((own.ino, own.dev) != (first.ino, first.dev)).then(|| "chroot".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    #[test]
    fn recognises_containers_and_hypervisors() {
        for (file, content, dmi, kind, subtype) in [
            ("/.dockerenv", "", [""; 2], "container", Some("Docker")),
            ("/proc/1/environ", "A=b\0container=lxc\0", [""; 2], "container", Some("LXC")),
            ("/proc/1/cgroup", "0::/docker/abc\n", [""; 2], "container", Some("Docker")),
            ("/x", "", ["VMware, Inc.", "VMware Virtual Platform"], "VMware", None),
            ("/x", "", ["innotek GmbH", "VirtualBox"], "VirtualBox", None),
            ("/x", "", ["Amazon EC2", "t3.micro"], "Nitro", Some("Amazon EC2 (t3.micro)")),
            ("/x", "", ["Dell Inc.", "PowerEdge R740"], "physical", None),
            (
                "/sys/devices/system/clocksource/clocksource0/available_clocksource",
                "tsc kvm-clock\n",
                ["QEMU", "Standard PC"],
                "kvm",
                None,
            ),
        ] {
            let fake = Fake::new();
            fake.add_file(file, content, 0o644);
            let mut grains: Map = [("manufacturer", dmi[0]), ("productname", dmi[1])].into_iter().collect();
            add(&fake, &mut grains);
            assert_eq!((grains.str("virtual"), grains.str("virtual_subtype")), (Some(kind), subtype), "{file} {dmi:?}");
        }
    }
}
