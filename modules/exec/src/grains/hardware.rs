//! Processors, memory, firmware, disks and graphics, from `/proc` and `/sys`.

use super::{exists, text};
use corpus_core::host::Look;
use corpus_core::value::{Map, Value};
use std::path::Path;

/// Adds the grains of the hardware.
pub fn add(host: &dyn Look, grains: &mut Map) {
    cpu(&text(host, "/proc/cpuinfo").unwrap_or_default(), grains);
    let meminfo = text(host, "/proc/meminfo").unwrap_or_default();
    for (grain, line) in [("mem_total", "MemTotal:"), ("swap_total", "SwapTotal:")] {
        let kib = meminfo.lines().find_map(|l| l.strip_prefix(line)?.split_whitespace().next()?.parse::<i64>().ok());
        if let Some(kib) = kib {
            grains.insert(grain, kib / 1024);
        }
    }
    firmware(host, grains);
    disks(host, grains);
    gpus(host, grains);
    if let Some(cmdline) = text(host, "/proc/cmdline") {
        grains.insert("kernelparams", kernelparams(&cmdline));
    }
    if let Some(mdstat) = text(host, "/proc/mdstat") {
        let mut devices: Vec<String> = mdstat
            .lines()
            .filter(|l| !l.starts_with("Personalities : ") && !l.starts_with("unused devices:"))
            .filter_map(|l| Some(l.split_once(" : ")?.0.to_owned()))
            .collect();
        devices.sort();
        grains.insert("mdadm", devices);
    }
    let vars = ["/sys/firmware/efi/efivars", "/sys/firmware/efi/vars"].into_iter().find(|p| exists(host, p));
    grains.insert("efi", vars.is_some());
    let secure = vars.is_some_and(|folder| {
        let names = host.list(Path::new(folder)).unwrap_or_default();
        let name = names.iter().find(|n| n.starts_with("SecureBoot-"));
        name.and_then(|n| host.read(&Path::new(folder).join(n)).ok()).is_some_and(|bytes| bytes.last() == Some(&1))
    });
    grains.insert("efi-secure-boot", secure);
    grains.insert("fibre_channel_host", exists(host, "/sys/class/fc_host"));
    grains.insert("zfs_support", exists(host, "/sys/module/zfs"));
}

fn cpu(cpuinfo: &str, grains: &mut Map) {
    let (mut count, mut model, mut flags) = (0i64, "Unknown".to_owned(), Vec::<&str>::new());
    for line in cpuinfo.lines() {
        let Some((key, rest)) = line.split_once(':') else { continue };
        let value = rest.split(':').next().unwrap_or_default().trim();
        match key.trim() {
            "processor" => count += 1,
            "# processors" => count = value.parse().unwrap_or(count),
            "vendor_id" | "model name" | "cpu" => model = value.to_owned(),
            "flags" | "Features" => flags = value.split_whitespace().collect(),
            "Processor" => {
                model = value.split('-').next().unwrap_or_default().to_owned();
                count = 1;
            }
            _ => {}
        }
    }
    grains.insert("num_cpus", count);
    grains.insert("cpu_model", model);
    grains.insert("cpu_flags", flags);
}

fn firmware(host: &dyn Look, grains: &mut Map) {
    for (grain, file) in [
        ("biosversion", "bios_version"),
        ("biosvendor", "bios_vendor"),
        ("boardname", "board_name"),
        ("productname", "product_name"),
        ("manufacturer", "sys_vendor"),
        ("biosreleasedate", "bios_date"),
        ("uuid", "product_uuid"),
        ("serialnumber", "product_serial"),
    ] {
        if let Some(value) = text(host, &format!("/sys/class/dmi/id/{file}")) {
            let value = value.trim();
            grains.insert(grain, if grain == "uuid" { value.to_lowercase() } else { value.to_owned() });
        }
    }
    // Boards without a BIOS describe themselves in the device tree.
    for (grain, file) in [("productname", "model"), ("serialnumber", "serial-number")] {
        if !grains.contains(grain)
            && let Some(value) = text(host, &format!("/proc/device-tree/{file}"))
        {
            grains.insert(grain, value.trim_matches(['\0', '\n', ' ']));
        }
    }
}

fn disks(host: &dyn Look, grains: &mut Map) {
    let (mut disks, mut ssds) = (vec![], vec![]);
    for name in host.list(Path::new("/sys/block")).unwrap_or_default() {
        let at = format!("/sys/block/{name}");
        if host.read_link(Path::new(&at)).is_ok_and(|to| to.starts_with("../devices/virtual/")) {
            continue;
        }
        match text(host, &format!("{at}/queue/rotational")).as_deref().map(str::trim) {
            Some("0") => ssds.push(name),
            Some("1") => disks.push(name),
            _ => {}
        }
    }
    grains.insert("disks", disks);
    grains.insert("ssds", ssds);
}

fn gpus(host: &dyn Look, grains: &mut Map) {
    let folder = Path::new("/sys/bus/pci/devices");
    let mut gpus = vec![];
    for name in host.list(folder).unwrap_or_default() {
        let read = |file: &str| text(host, &format!("/sys/bus/pci/devices/{name}/{file}")).unwrap_or_default();
        // Class 03: display controllers.
        if !read("class").starts_with("0x03") {
            continue;
        }
        let (vendor, device) = (read("vendor"), read("device"));
        let (vendor, device) = (vendor.trim().trim_start_matches("0x"), device.trim().trim_start_matches("0x"));
        let word = match vendor {
            "10de" => "nvidia",
            "1002" | "1022" => "amd",
            "8086" => "intel",
            "102b" => "matrox",
            "1a03" => "aspeed",
            "15ad" => "vmware",
            "1013" => "cirrus",
            _ => "unknown",
        };
        let model = model(host, vendor, device).unwrap_or_else(|| format!("{vendor}:{device}"));
        let gpu: Map = [("vendor", Value::from(word)), ("model", model.into())].into_iter().collect();
        gpus.push(Value::from(gpu));
    }
    grains.insert("num_gpus", gpus.len());
    grains.insert("gpus", gpus);
}

/// Looks a device's name up in the list that `lspci` uses.
fn model(host: &dyn Look, vendor: &str, device: &str) -> Option<String> {
    let list = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"].into_iter().find_map(|p| text(host, p))?;
    let mut lines = list.lines().skip_while(|l| !l.starts_with(vendor)).skip(1);
    let line = lines.by_ref().take_while(|l| l.starts_with(['\t', '#'])).find(|l| l[1..].starts_with(device))?;
    Some(line.trim().split_once("  ")?.1.to_owned())
}

/// Splits the kernel's command line; words without `=`, or with several, have no value.
fn kernelparams(cmdline: &str) -> Vec<Value> {
    let mut words = vec![];
    let (mut word, mut quote, mut any) = (String::new(), None, false);
    for c in cmdline.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => (quote, any) = (Some(c), true),
            (None, c) if c.is_whitespace() => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            (_, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    let pair = |word: &String| {
        let parts: Vec<&str> = word.split('=').collect();
        let value = if parts.len() == 2 { Value::str(parts[1]) } else { Value::Null };
        Value::from(vec![Value::str(parts[0]), value])
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_command_line() {
        let seen = Value::from(kernelparams("root=/dev/vda1 ro quiet x=a=b dyndbg=\"file a +p\"\n"));
        let expected = "[['root', '/dev/vda1'], ['ro', None], ['quiet', None], ['x', None], ['dyndbg', 'file a +p']]";
        assert_eq!(corpus_core::python::repr(&seen), expected);
    }

    #[test]
    fn counts_processors_on_several_architectures() {
        for (cpuinfo, count, model, flags) in [
            (
                "processor\t: 0\nvendor_id\t: X\nmodel name\t: Fast\nflags\t\t: a b\n\nprocessor\t: 1\nmodel name\t: Fast\n",
                2,
                "Fast",
                2,
            ),
            (
                "processor\t: 0\ncpu\t\t: POWER9 (architected), altivec supported\n",
                1,
                "POWER9 (architected), altivec supported",
                0,
            ),
            ("vendor_id       : IBM/S390\n# processors    : 2\n", 2, "IBM/S390", 0),
            ("processor : 0\nFeatures : half thumb\n", 1, "Unknown", 2),
            ("", 0, "Unknown", 0),
        ] {
            let mut grains = Map::new();
            cpu(cpuinfo, &mut grains);
            assert_eq!(grains.get("num_cpus"), Some(&Value::Int(count)));
            assert_eq!(grains.str("cpu_model"), Some(model));
            assert_eq!(grains.get("cpu_flags").and_then(Value::as_list).map(<[_]>::len), Some(flags));
        }
    }
}
