//! Which distribution this is: `os`, `os_family` and their kin, from the files that distributions keep.

use super::{exists, names, text};
use corpus_core::host::Look;
use corpus_core::value::{Map, Value};
use std::path::Path;

/// Adds the grains of the operating system.
pub fn add(host: &dyn Look, cpuarch: &str, grains: &mut Map) {
    let release = os_release(host);
    let found = describe(host, &release);
    let os = found.str("os").unwrap_or_default().to_owned();
    let family = found.str("os_family").unwrap_or_default().to_owned();
    let osrelease = found.str("osrelease").unwrap_or_default().to_owned();
    for (key, value) in found {
        grains.0.insert(key, value);
    }
    grains.insert("osarch", osarch(&family, cpuarch));
    if !osrelease.is_empty() {
        let parts: Vec<Value> =
            osrelease.split('.').map(|p| p.parse::<i64>().map_or_else(|_| Value::str(p), Value::from)).collect();
        let name = if ["Debian", "Raspbian", "AlmaLinux"].contains(&&*os) {
            os.clone()
        } else {
            grains.str("osfullname").unwrap_or_default().to_owned()
        };
        let finger = if ["Ubuntu", "Pop", "NixOS"].contains(&&*os) {
            osrelease.clone()
        } else {
            parts.first().map(corpus_core::python::str).unwrap_or_default()
        };
        if let Some(major @ Value::Int(_)) = parts.first() {
            grains.insert("osmajorrelease", major.clone());
        }
        grains.insert("osrelease_info", parts);
        grains.insert("osfinger", format!("{name}-{finger}"));
    }
    add_selinux(host, grains);
    if host.which("systemctl").is_some() && host.which("localectl").is_some() {
        grains.insert("systemd", systemd(host));
    }
    grains.insert("init", init(host));
    grains.insert("transactional", host.which("transactional-update").is_some());
}

/// Reads `/etc/os-release`: shell assignments.
fn os_release(host: &dyn Look) -> Vec<(String, String)> {
    let read = |path| text(host, path);
    let content = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
    content
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(key, _)| !key.starts_with('#'))
        .map(|(key, value)| (key.trim().to_owned(), unquoted(value.trim())))
        .collect()
}

fn unquoted(value: &str) -> String {
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
    let Some(inner) = quote.and_then(|q| value.strip_prefix(q)?.strip_suffix(q)) else { return value.to_owned() };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

/// Names the distribution as Salt does, its traditional names included.
fn describe(host: &dyn Look, release: &[(String, String)]) -> Map {
    let get = |key: &str| release.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty());
    let id = get("ID").unwrap_or("linux").to_owned();
    let mut lsb = lsb_release(host);
    let mut fullname = get("NAME").map(|n| n.trim().to_owned());
    if lsb.str("lsb_distrib_id").is_none() && !release.is_empty() {
        for (key, value) in [
            ("lsb_distrib_id", get("NAME").map(str::trim)),
            ("lsb_distrib_release", get("VERSION_ID")),
            ("lsb_distrib_codename", get("VERSION_CODENAME").or(get("PRETTY_NAME"))),
        ] {
            if let Some(value) = value {
                lsb.insert(key, value);
            }
        }
    }
    let name = fullname.clone().or(lsb.str("lsb_distrib_id").map(str::to_owned)).unwrap_or_else(|| "Linux".into());
    let mut os = os_name(&name, &id);
    let suse = get("CPE_NAME").is_some_and(|cpe| {
        let vendor = cpe.trim_start_matches("cpe:").trim_start_matches("2.3:").split(':').nth(1).unwrap_or("");
        ["suse", "opensuse"].contains(&&*vendor.to_lowercase())
    });
    if suse {
        os = "SUSE".into();
        match get("NAME") {
            Some("openSUSE Leap") => fullname = Some("Leap".into()),
            Some("openSUSE Tumbleweed") => fullname = Some("Tumbleweed".into()),
            _ => {}
        }
    }
    if ["Rocky", "AlmaLinux", "AstraLinuxSE"].contains(&&*os)
        && let Some(inner) =
            lsb.str("lsb_distrib_codename").and_then(|c| Some(c.split_once('(')?.1.split(')').next()?.to_owned()))
    {
        lsb.insert("lsb_distrib_codename", inner);
    }
    // Old CentOS tells its minor version only here.
    let old_centos = lsb.str("lsb_distrib_codename").is_some_and(|c| c.starts_with("CentOS Linux "));
    let exact = old_centos.then(|| text(host, "/etc/centos-release")).flatten().and_then(|line| {
        line.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned)
    });
    if exact.is_some() {
        lsb.remove("lsb_distrib_release");
    }
    let debian_version = || text(host, "/etc/debian_version").map(|v| v.trim().to_owned());
    let version = exact
        .or_else(|| lsb.str("lsb_distrib_release").map(|v| v.trim().to_owned()))
        .or_else(|| get("VERSION_ID").map(str::to_owned))
        .or_else(|| if os == "Debian" { debian_version() } else { None })
        .unwrap_or_default();
    let codename = lsb.str("lsb_distrib_codename").map(str::trim).filter(|c| !c.is_empty());
    let mut codename = codename.or(get("VERSION_CODENAME")).unwrap_or_default().to_owned();
    if codename.contains("Red Hat") {
        codename = parenthesised(get("VERSION").unwrap_or_default()).unwrap_or_default();
    }
    let mut grains = lsb;
    let family = names::FAMILIES.iter().find(|(name, _)| *name == os).map_or(&*os, |(_, family)| family).to_owned();
    grains.insert("os_family", family);
    grains.insert("osfullname", fullname.unwrap_or(name));
    grains.insert("osrelease", version);
    grains.insert("oscodename", codename);
    grains.insert("os", os);
    if let (Some(product), Some(version)) = (get("SUSE_SUPPORT_PRODUCT"), get("SUSE_SUPPORT_PRODUCT_VERSION")) {
        let pretty = get("SUSE_PRETTY_NAME").map_or_else(|| format!("{product} {version}"), str::to_owned);
        grains.insert("oscodename", pretty);
        grains.insert("osrelease", version);
    }
    grains
}

fn parenthesised(text: &str) -> Option<String> {
    Some(text.split_once('(')?.1.split(')').next()?.to_owned())
}

/// Salt's `os`: the traditional short name if there is one, else the name without "Linux".
fn os_name(fullname: &str, id: &str) -> String {
    match (id, fullname) {
        ("astra", "Astra Linux (Orel)") => return "AstraLinuxCE".into(),
        ("astra", "Astra Linux (Smolensk)") => return "AstraLinuxSE".into(),
        _ => {}
    }
    let lower = fullname.to_lowercase();
    let plain = [" gnu/linux", " linux"].iter().fold((fullname.to_owned(), lower), |(name, lower), word| {
        match lower.find(word).filter(|_| name.len() == lower.len()) {
            Some(at) => {
                let keep = |s: &str| format!("{}{}", &s[..at], &s[at + word.len()..]);
                (keep(&name), keep(&lower))
            }
            None => (name, lower),
        }
    });
    let plain = plain.0.trim().to_owned();
    let short: String = plain.to_lowercase().chars().filter(|c| *c != ' ').take(10).collect();
    names::OS.iter().find(|(key, _)| *key == short).map_or(plain, |(_, name)| (*name).to_owned())
}

/// Reads `/etc/lsb-release`: `lsb_distrib_id`, `_release`, `_codename`, `_description`.
fn lsb_release(host: &dyn Look) -> Map {
    let mut out = Map::new();
    for line in text(host, "/etc/lsb-release").unwrap_or_default().lines() {
        if let Some((key, value)) = line.split_once('=')
            && ["DISTRIB_ID", "DISTRIB_RELEASE", "DISTRIB_CODENAME", "DISTRIB_DESCRIPTION"].contains(&key)
        {
            out.insert(format!("lsb_{}", key.to_lowercase()), value.trim_matches(['"', '\'']).trim_end());
        }
    }
    out
}

/// What the package manager calls this architecture.
fn osarch(family: &str, cpuarch: &str) -> String {
    // A 32-bit system may run on a 64-bit kernel.
    let small = elf_class("/bin/sh") == Some(1);
    let name = match (family, cpuarch, small) {
        ("Debian", "x86_64" | "i386" | "i486" | "i586" | "i686", true) => "i386",
        ("Debian", "aarch64", true) | ("Debian", "armv7l" | "armv8l", _) => "armhf",
        ("Debian", "x86_64", _) => "amd64",
        ("Debian", "aarch64", _) => "arm64",
        ("Debian", "armv5tel" | "armv6l", _) => "armel",
        ("Debian", "ppc64le", _) => "ppc64el",
        ("Debian", "loongarch64", _) => "loong64",
        ("Debian", "mips64", _) => "mips64el",
        ("RedHat" | "Suse", "armv7l", _) => "armv7hl",
        _ => cpuarch,
    };
    name.to_owned()
}

fn elf_class(path: &str) -> Option<u8> {
    use std::io::Read;
    let mut head = [0; 5];
    std::fs::File::open(path).ok()?.read_exact(&mut head).ok()?;
    head.starts_with(b"\x7fELF").then_some(head[4])
}

fn add_selinux(host: &dyn Look, grains: &mut Map) {
    if host.which("selinuxenabled").is_none() {
        return;
    }
    let enforce = text(host, "/sys/fs/selinux/enforce");
    let mut selinux = Map::new();
    selinux.insert("enabled", enforce.is_some());
    if host.which("getenforce").is_some() {
        let word = match enforce.as_deref().map(str::trim) {
            Some("1") => "Enforcing",
            Some(_) => "Permissive",
            None => "Disabled",
        };
        selinux.insert("enforced", word);
    }
    grains.insert("selinux", selinux);
}

/// What `systemctl --version` says, read from the library that it is built on.
fn systemd(host: &dyn Look) -> Map {
    let mut version = "UNDEFINED".to_owned();
    let mut features = String::new();
    let folders = [
        "/usr/lib/systemd",
        "/lib/systemd",
        "/usr/lib64/systemd",
        "/usr/lib/x86_64-linux-gnu/systemd",
        "/usr/lib/aarch64-linux-gnu/systemd",
    ];
    let library = folders.iter().find_map(|folder| {
        let names = host.list(Path::new(folder)).ok()?;
        let name = names.into_iter().find(|n| n.starts_with("libsystemd-shared-") && n.ends_with(".so"))?;
        Some(Path::new(folder).join(name))
    });
    if let Some(path) = library {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digits = name.trim_start_matches("libsystemd-shared-");
        version = digits.chars().take_while(char::is_ascii_digit).collect();
        features = std::fs::File::open(&path).and_then(features_of).unwrap_or_default();
    }
    [("version", version), ("features", features)].into_iter().collect()
}

/// Looks in the library's constants first: they are a tenth of it.
fn features_of(mut library: std::fs::File) -> std::io::Result<String> {
    use std::io::{Seek, SeekFrom};
    if let Some(start) = constants(&mut library) {
        library.seek(SeekFrom::Start(start))?;
        let found = built_with(&library)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    library.rewind()?;
    built_with(&library)
}

/// Returns where the section `.rodata` begins in an ELF file of 64 bits, lowest byte first.
fn constants(library: &mut std::fs::File) -> Option<u64> {
    use std::os::unix::fs::FileExt;
    let read = |at: u64, length: usize| {
        let mut bytes = vec![0; length];
        library.read_exact_at(&mut bytes, at).ok().map(|()| bytes)
    };
    let number = |bytes: &[u8], at: usize, size: usize| {
        Some(bytes.get(at..at + size)?.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let head = read(0, 64)?;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let [size, count, names] = [0x3a, 0x3c, 0x3e].map(|at| usize::from(u16::from_le_bytes([head[at], head[at + 1]])));
    if size != 64 {
        return None;
    }
    let sections = read(number(&head, 0x28, 8)?, size * count)?;
    let sections: Vec<&[u8]> = sections.chunks_exact(size).collect();
    let names = sections.get(names)?;
    let names = read(number(names, 0x18, 8)?, usize::try_from(number(names, 0x20, 8)?).ok().filter(|n| *n < 1 << 16)?)?;
    let named = |section: &&&[u8]| {
        let at = number(section, 0, 4).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
        names.get(at..).is_some_and(|name| name.starts_with(b".rodata\0"))
    };
    number(sections.iter().find(named)?, 0x18, 8)
}

/// Finds `+PAM -AUDIT …` in a library of some megabytes, a piece at a time.
fn built_with(mut library: impl std::io::Read) -> std::io::Result<String> {
    const PIECE: usize = 64 * 1024;
    /// What may be cut in two by the end of a piece, and is looked at again with the next one.
    const LONGEST: usize = 2 * 1024;
    let mut bytes = vec![0; PIECE + LONGEST];
    let mut kept = 0;
    loop {
        let n = library.read(&mut bytes[kept..])?;
        let have = &bytes[..kept + n];
        let marked = |at: &usize| *at > 0 && b"+-".contains(&have[at - 1]);
        if let Some(at) = memchr::memmem::find_iter(have, b"PAM ").find(marked) {
            match memchr::memchr(0, &have[at..]) {
                Some(end) => return Ok(String::from_utf8_lossy(&have[at - 1..at + end]).into_owned()),
                None if n == 0 => return Ok(String::from_utf8_lossy(&have[at - 1..]).into_owned()),
                None => {}
            }
        }
        if n == 0 {
            return Ok(String::new());
        }
        let (start, end) = (have.len().saturating_sub(LONGEST), have.len());
        bytes.copy_within(start..end, 0);
        kept = end - start;
    }
}

/// Names the init system.
fn init(host: &dyn Look) -> String {
    if exists(host, "/run/systemd/system") {
        return "systemd".into();
    }
    let cmdline = text(host, "/proc/1/cmdline").unwrap_or_default().replace('\0', " ");
    let words: Vec<&str> = cmdline.split_whitespace().collect();
    let Some(first) = words.first() else { return "unknown".into() };
    let program = host.which(first).unwrap_or_default();
    if program.ends_with("bin/init") {
        let bytes = host.read(&program).unwrap_or_default().to_ascii_lowercase();
        let known = ["upstart", "sysvinit", "systemd"];
        return known
            .into_iter()
            .filter_map(|word| Some((memchr::memmem::find(&bytes, word.as_bytes())?, word)))
            .min()
            .map_or("unknown", |(_, word)| word)
            .to_owned();
    }
    for name in ["supervisord", "dumb-init", "tini"] {
        if host.which(name).is_some_and(|path| words.iter().any(|w| Path::new(w) == path)) {
            return name.into();
        }
    }
    if words == ["runit"] || words.contains(&"/sbin/my_init") { "runit".into() } else { "unknown".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corpus_core::fake::Fake;

    /// Files of real distributions, and what Salt 3008 makes of them.
    #[test]
    fn names_distributions_as_salt_does() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let ubuntu = "PRETTY_NAME=\"Ubuntu 24.04 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"24.04\"\nVERSION=\"24.04 LTS (Noble Numbat)\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n";
        let rocky = "NAME=\"Rocky Linux\"\nVERSION=\"9.4 (Blue Onyx)\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\n";
        let centos = "NAME=\"CentOS Linux\"\nVERSION=\"7 (Core)\"\nID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"\nCPE_NAME=\"cpe:/o:centos:centos:7\"\n";
        let leap = "NAME=\"openSUSE Leap\"\nVERSION=\"15.5\"\nID=\"opensuse-leap\"\nVERSION_ID=\"15.5\"\nPRETTY_NAME=\"openSUSE Leap 15.5\"\nCPE_NAME=\"cpe:/o:opensuse:leap:15.5\"\n";
        let fedora = "NAME=\"Fedora Linux\"\nVERSION=\"40 (Server Edition)\"\nID=fedora\nVERSION_ID=40\nVERSION_CODENAME=\"\"\nPRETTY_NAME=\"Fedora Linux 40 (Server Edition)\"\n";
        let alpine = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n";
        for (release, os, family, fullname, version, finger) in [
            (debian, "Debian", "Debian", "Debian GNU/Linux", "12", "Debian-12"),
            (ubuntu, "Ubuntu", "Debian", "Ubuntu", "24.04", "Ubuntu-24.04"),
            (rocky, "Rocky", "RedHat", "Rocky Linux", "9.4", "Rocky Linux-9"),
            (centos, "CentOS", "RedHat", "CentOS Linux", "7.9.2009", "CentOS Linux-7"),
            (leap, "SUSE", "Suse", "Leap", "15.5", "Leap-15"),
            (fedora, "Fedora", "RedHat", "Fedora Linux", "40", "Fedora Linux-40"),
            (alpine, "Alpine", "Alpine", "Alpine Linux", "3.19.1", "Alpine Linux-3"),
        ] {
            let fake = Fake::new();
            fake.add_file("/etc/os-release", release, 0o644);
            fake.add_file("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n", 0o644);
            let mut grains = Map::new();
            add(&fake, "x86_64", &mut grains);
            let seen = ["os", "os_family", "osfullname", "osrelease", "osfinger"].map(|k| grains.str(k).unwrap_or("-"));
            assert_eq!(seen, [os, family, fullname, version, finger]);
        }
    }

    #[test]
    fn what_systemd_was_built_with_is_found_wherever_it_is_cut() {
        let words = b"+PAM +AUDIT -SELINUX default-hierarchy=unified";
        for before in [0, 1, 64 * 1024 - 3, 66 * 1024 - 1, 66 * 1024 - 46, 66 * 1024 - 47, 200_000] {
            let library = [&vec![b'x'; before][..], &b"PAM \0"[..], &words[..], b"\0rest"].concat();
            assert_eq!(built_with(&library[..]).unwrap().as_bytes(), words, "{before}");
        }
        assert_eq!(built_with(&b"none of it"[..]).unwrap(), "");
    }

    #[test]
    fn rocky_has_its_codename_and_ubuntu_its_lsb_file() {
        let fake = Fake::new();
        fake.add_file("/etc/os-release", "NAME=Ubuntu\nID=ubuntu\nVERSION_ID=24.04\nVERSION_CODENAME=noble\n", 0o644);
        let lsb = "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\nDISTRIB_CODENAME=noble\nDISTRIB_DESCRIPTION=\"Ubuntu 24.04 LTS\"\n";
        fake.add_file("/etc/lsb-release", lsb, 0o644);
        let mut grains = Map::new();
        add(&fake, "x86_64", &mut grains);
        assert_eq!(grains.str("lsb_distrib_description"), Some("Ubuntu 24.04 LTS"));
        assert_eq!(grains.str("oscodename"), Some("noble"));
        assert_eq!(grains.get("osrelease_info"), Some(&vec![Value::from(24), 4.into()].into()));
    }
}
