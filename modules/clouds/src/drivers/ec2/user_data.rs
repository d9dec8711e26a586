//! What an instance is told at its first boot: who may log in, and the host key by which we know it. The private half of
//! that key is nowhere but there; a tag has the public one.

use std::fmt::Write as _;

/// EC2 takes no more.
const LIMIT: usize = 16 * 1024;

/// Writes it. What the user wants told goes along as a part of its own.
pub fn write(keys: &[String], private: &str, public: &str, also: Option<&str>) -> Result<String, String> {
    let mut ours = String::from(
        "#cloud-config\ndisable_root: false\nssh_deletekeys: true\nssh_genkeytypes: []\nssh_keys:\n  ed25519_private: |\n",
    );
    for line in private.trim_end().lines() {
        let _ = writeln!(ours, "    {line}");
    }
    let _ = writeln!(ours, "  ed25519_public: {public}");
    if !keys.is_empty() {
        ours += "ssh_authorized_keys:\n";
        for key in keys {
            let _ = writeln!(ours, "  - {key}");
        }
    }
    let text = match also.map(str::trim_end).filter(|also| !also.is_empty()) {
        None => ours,
        Some(also) => {
            let kind = match also {
                _ if also.starts_with("#!") => "text/x-shellscript",
                _ if also.starts_with("#cloud-config") => "text/cloud-config",
                _ if also.starts_with("#include") => "text/x-include-url",
                _ => return Err("`userdata` must begin with `#!`, `#cloud-config` or `#include`".into()),
            };
            let edge = "==corpus==";
            let mut whole = format!("Content-Type: multipart/mixed; boundary=\"{edge}\"\nMIME-Version: 1.0\n\n");
            // Ours comes last: of two that say a thing cloud-init takes the later.
            for (kind, text) in [(kind, also), ("text/cloud-config", ours.as_str())] {
                let merge =
                    if kind == "text/cloud-config" { "Merge-Type: dict(replace)+list(append)+str()\n" } else { "" };
                let _ =
                    write!(whole, "--{edge}\nContent-Type: {kind}; charset=\"utf-8\"\n{merge}\n{}\n", text.trim_end());
            }
            let _ = writeln!(whole, "--{edge}--");
            whole
        }
    };
    if text.len() > LIMIT {
        return Err(format!("the user data would be {} bytes, and EC2 takes {LIMIT}", text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";

    #[test]
    fn the_first_boot_is_told_keys() {
        let text = write(&["ssh-ed25519 AAA corpus:web1".into()], PRIVATE, "ssh-ed25519 BBB", None).expect("a text");
        let read = corpus_core::yaml::parse(&text).expect("YAML").to_value();
        assert_eq!(read.traverse("ssh_keys:ed25519_private", ":").and_then(|v| v.as_str()), Some(PRIVATE));
        assert_eq!(read.traverse("ssh_keys:ed25519_public", ":").and_then(|v| v.as_str()), Some("ssh-ed25519 BBB"));
        assert_eq!(read.get("ssh_authorized_keys").and_then(|v| v.as_list()).map(<[_]>::len), Some(1));
    }

    #[test]
    fn what_the_user_says_goes_along() {
        let text = write(&[], PRIVATE, "ssh-ed25519 BBB", Some("#!/bin/sh\ntrue\n")).expect("a text");
        assert!(text.starts_with("Content-Type: multipart/mixed"), "{text}");
        assert!(text.contains("text/x-shellscript") && text.contains("#!/bin/sh\ntrue\n--"), "{text}");
        assert!(write(&[], PRIVATE, "k", Some("hello")).is_err());
        assert!(write(&[], PRIVATE, "k", Some(&format!("#!/bin/sh\n{}", "x".repeat(LIMIT)))).is_err());
    }
}
