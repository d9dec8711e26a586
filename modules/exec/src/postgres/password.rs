//! Passwords as PostgreSQL keeps them: `md5…`, and the verifiers of SCRAM-SHA-256 (RFC 5803).

use corpus_core::digest::{base64, unbase64};
use md5::Md5;
use sha2::{Digest, Sha256};

/// How a password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As the server's own setting says.
    Server,
    Md5,
    Scram,
}

impl Method {
    /// Reads Salt's `encrypted`.
    pub fn of(word: Option<&str>) -> Option<Self> {
        match word {
            None | Some("True" | "true" | "md5") => Some(Self::Md5),
            Some("False" | "false") => Some(Self::Server),
            Some("scram-sha-256") => Some(Self::Scram),
            Some(_) => None,
        }
    }
}

const ROUNDS: u32 = 4096;

fn encoded(password: &str) -> bool {
    (password.starts_with("md5") && password.len() == 35) || password.starts_with("SCRAM-SHA-256$")
}

fn md5_of(role: &str, password: &str) -> String {
    format!("md5{}", corpus_core::digest::hex(&Md5::digest(format!("{password}{role}").as_bytes())))
}

/// Returns what is sent to the server.
pub fn encode(role: &str, password: &str, method: Method) -> std::io::Result<String> {
    Ok(match method {
        _ if encoded(password) => password.to_owned(),
        Method::Server => password.to_owned(),
        Method::Md5 => md5_of(role, password),
        Method::Scram => {
            let mut salt = [0; 16];
            rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
            scram(password, &salt, ROUNDS)
        }
    })
}

/// Tells whether what the server keeps is this password, kept by this method.
pub fn matches(role: &str, password: &str, kept: &str, method: Method) -> bool {
    if kept == password {
        return true;
    }
    if encoded(password) {
        return false;
    }
    let by_scram = || {
        let mut parts = kept.strip_prefix("SCRAM-SHA-256$")?.splitn(2, ':');
        let rounds = parts.next()?.parse().ok()?;
        let salt = unbase64(parts.next()?.split('$').next()?)?;
        Some(scram(password, &salt, rounds) == kept)
    };
    let by_md5 = || kept == md5_of(role, password);
    match method {
        Method::Md5 => by_md5(),
        Method::Scram => by_scram().unwrap_or(false),
        Method::Server => by_md5() || by_scram().unwrap_or(false),
    }
}

fn scram(password: &str, salt: &[u8], rounds: u32) -> String {
    // PBKDF2 with one block, as long as the digest.
    let mut block = hmac(password.as_bytes(), &[salt, &[0, 0, 0, 1]].concat());
    let mut salted = block;
    for _ in 1..rounds {
        block = hmac(password.as_bytes(), &block);
        salted.iter_mut().zip(block).for_each(|(all, one)| *all ^= one);
    }
    let stored: [u8; 32] = Sha256::digest(hmac(&salted, b"Client Key")).into();
    let server = hmac(&salted, b"Server Key");
    format!("SCRAM-SHA-256${rounds}:{}${}:{}", base64(salt), base64(&stored), base64(&server))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut padded = [0; 64];
    if key.len() > 64 {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let keyed = |pad: u8| Sha256::new().chain_update(padded.map(|byte| byte ^ pad));
    let inner = keyed(0x36).chain_update(text).finalize();
    keyed(0x5c).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_and_no_other() {
        for method in [Method::Md5, Method::Scram] {
            let kept = encode("frank", "s3cret", method).expect("random bytes");
            assert!(matches("frank", "s3cret", &kept, method), "{kept}");
            assert!(matches("frank", "s3cret", &kept, Method::Server));
            assert!(!matches("frank", "other", &kept, method));
            assert_eq!(encode("frank", &kept, method).expect("no bytes"), kept);
        }
    }

    #[test]
    fn computes_what_others_do() {
        // RFC 7677: user `user`, password `pencil`.
        let salt = unbase64("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let all = scram("pencil", &salt, 4096);
        let want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                    wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(all, want);
    }
}
