//! A key pair for each machine, made by ssh-keygen; the private part is shown to nobody.

use crate::store::Store;
use std::process::Command;

/// Finds the pair of a machine, or makes it: the private key's path, and the public key's text.
pub fn pair(store: &Store, id: &str, make: bool) -> Result<Option<(String, String)>, String> {
    let path = store.path("keys").join(id);
    let public = path.with_file_name(format!("{id}.pub"));
    let read = || std::fs::read_to_string(&public).ok().filter(|_| path.is_file());
    if let Some(text) = read() {
        return Ok(Some((path.display().to_string(), text.trim().to_owned())));
    }
    if !make {
        return Ok(None);
    }
    let folder = store.make("keys").map_err(|error| error.to_string())?;
    // Made beside and moved: a pair that was cut off is made again.
    let new = folder.join(format!(".corpus-{id}-{}", std::process::id()));
    let new_public = folder.join(format!(".corpus-{id}-{}.pub", std::process::id()));
    for leftover in [&new, &new_public] {
        let _ = std::fs::remove_file(leftover);
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C"]).arg(format!("corpus:{id}")).arg("-f").arg(&new);
    let done = command.output().map_err(|error| format!("cannot make a key for {id}: ssh-keygen: {error}"))?;
    if !done.status.success() {
        return Err(format!("cannot make a key for {id}: {}", String::from_utf8_lossy(&done.stderr).trim()));
    }
    let moved = std::fs::rename(&new_public, &public).and_then(|()| std::fs::rename(&new, &path));
    moved.map_err(|error| format!("cannot keep the key of {id}: {error}"))?;
    Ok(read().map(|text| (path.display().to_string(), text.trim().to_owned())))
}

/// How long a password is that nobody has to remember; the original's length for guests.
const LONG: usize = 32;

/// Finds the password of a machine's root, or makes it.
pub fn password(store: &Store, id: &str, make: bool) -> Result<Option<String>, String> {
    let path = store.path("passwords").join(id);
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    }
    if !make {
        return Ok(None);
    }
    let fail = |error: String| format!("cannot make a password for {id}: {error}");
    let chance = std::fs::File::open("/dev/urandom").map_err(|error| fail(error.to_string()))?;
    // Letters and digits, each as likely as another.
    let letters = std::io::Read::bytes(std::io::BufReader::new(chance)).map_while(Result::ok);
    let made: String = letters.map(char::from).filter(char::is_ascii_alphanumeric).take(LONG).collect();
    store
        .make("passwords")
        .and_then(|_| store.write_text(&format!("passwords/{id}"), &format!("{made}\n")))
        .map_err(|error| fail(error.to_string()))?;
    Ok(Some(made))
}

/// Makes a host key, private and public half, and leaves neither here.
pub fn host_pair(store: &Store) -> Result<(String, String), String> {
    let name = format!(".host-{}", word(2));
    let made = pair(store, &name, true);
    let private = store.path("keys").join(&name);
    let read = std::fs::read_to_string(&private);
    forget(store, &name);
    let (_, public) = made?.ok_or("no host key was made")?;
    let words: Vec<&str> = public.split_whitespace().take(2).collect();
    let private = read.map_err(|error| format!("cannot read {}: {error}", private.display()))?;
    corpus_core::secret::keep([&private]);
    Ok((private, words.join(" ")))
}

/// Forgets the pair and the password of a machine that is gone.
pub fn forget(store: &Store, id: &str) {
    let _ = std::fs::remove_file(store.path("passwords").join(id));
    for name in [id.to_owned(), format!("{id}.pub")] {
        let _ = std::fs::remove_file(store.path("keys").join(name));
    }
}

/// Returns a word of so many times three bytes of chance.
pub fn word(times: usize) -> String {
    (0..times).flat_map(|_| random()).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns three bytes of chance.
pub fn random() -> [u8; 3] {
    let mut bytes = [0; 3];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes));
    if read.is_err() {
        use std::hash::{BuildHasher, RandomState};
        bytes.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes()[..3]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a folder");
        let store = Store::new(place.path().join("cloud"));
        assert_eq!(pair(&store, "web1", false), Ok(None));
        let (path, public) = pair(&store, "web1", true).expect("a key").expect("a pair");
        assert!(public.starts_with("ssh-ed25519 ") && public.ends_with("corpus:web1"), "{public}");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(pair(&store, "web1", true), Ok(Some((path, public))));
        assert_eq!(password(&store, "web1", false), Ok(None));
        let made = password(&store, "web1", true).expect("a password");
        assert!(made.as_ref().is_some_and(|made| made.len() == 32), "{made:?}");
        assert_eq!(password(&store, "web1", true), Ok(made));
        let mode = std::fs::metadata(store.path("passwords/web1")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        forget(&store, "web1");
        assert_eq!(password(&store, "web1", false), Ok(None));
        assert_eq!(pair(&store, "web1", false), Ok(None));
    }
}
