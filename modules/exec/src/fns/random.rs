//! `random.*`: chance, from the kernel's own source; with a seed, the numbers of Python's generator.

use super::hashutil;
use corpus_core::random::Random;
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value, digest};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ExecDef {
        name: "random.get_str",
        args: "(length=20, chars=None, lowercase=True, uppercase=True, digits=True, punctuation=True, whitespace=False, printable=False)",
        doc: "Returns a random text.",
        run: ExecFn::Data(get_str),
    },
    ExecDef {
        name: "random.hash",
        args: "(value, algorithm='sha512')",
        doc: "Returns a text's digest.",
        run: ExecFn::Data(hash),
    },
    ExecDef {
        name: "random.str_encode",
        args: "(value, encoder='base64')",
        doc: "Writes base64.",
        run: ExecFn::Data(str_encode),
    },
    ExecDef {
        name: "random.rand_int",
        args: "(start=1, end=10, seed=None)",
        doc: "Returns a random number, both ends included.",
        run: ExecFn::Data(rand_int),
    },
    ExecDef {
        name: "random.seed",
        args: "(range=10, hash=None)",
        doc: "Returns a number that is always the same for a minion.",
        run: ExecFn::Data(seed),
    },
    ExecDef {
        name: "random.shuffle",
        args: "(value, seed=None)",
        doc: "Returns a list in another order.",
        run: ExecFn::Data(shuffle),
    },
    ExecDef {
        name: "random.sample",
        args: "(value, size, seed=None)",
        doc: "Returns some items of a list.",
        run: ExecFn::Data(sample),
    },
    ExecDef {
        name: "random.shadow_hash",
        args: "(crypt_salt=None, password=None, algorithm='sha512')",
        doc: "Returns a password hash for /etc/shadow (sha512).",
        run: ExecFn::Data(shadow_hash),
    },
];

const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

fn bytes(count: usize) -> Vec<u8> {
    let mut out = vec![0; count];
    let mut at = 0;
    while at < count {
        match rustix::rand::getrandom(&mut out[at..], rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => at += n,
            Err(rustix::io::Errno::INTR) => {}
            // Every kernel since 3.17 has it; without chance there is nothing sane to answer.
            Err(_) => break,
        }
    }
    out
}

/// Returns a number below a bound, all equally likely.
fn below(bound: u64) -> u64 {
    if bound <= 1 {
        return 0;
    }
    let limit = u64::MAX - u64::MAX % bound;
    for _ in 0..1000 {
        let raw = bytes(8).try_into().map_or(0, u64::from_ne_bytes);
        if raw < limit {
            return raw % bound;
        }
    }
    0
}

fn pick(from: &[char], length: usize) -> String {
    (0..length).filter_map(|_| from.get(usize::try_from(below(from.len() as u64)).unwrap_or(0))).collect()
}

/// Returns random letters and digits.
pub(crate) fn letters(length: usize) -> String {
    pick(&('a'..='z').chain('A'..='Z').chain('0'..='9').collect::<Vec<_>>(), length)
}

fn get_str(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let length = number(call, 0, "length", 20)?;
    let length = usize::try_from(length).ok().filter(|n| (1..=1 << 20).contains(n));
    let length = length.ok_or_else(|| call.invalid("length", "must be between 1 and 1048576"))?;
    let mut set: Vec<char> = match call.text(1, "chars") {
        Some(chars) => chars.chars().collect(),
        None => {
            let all = call.flag(7, "printable", false);
            let parts: [(bool, Vec<char>); 5] = [
                (call.flag(2, "lowercase", true), ('a'..='z').collect()),
                (call.flag(3, "uppercase", true), ('A'..='Z').collect()),
                (call.flag(4, "digits", true), ('0'..='9').collect()),
                (call.flag(5, "punctuation", true), PUNCTUATION.chars().collect()),
                (call.flag(6, "whitespace", false), " \t\n\r\u{b}\u{c}".chars().collect()),
            ];
            parts.into_iter().filter(|(on, _)| *on || all).flat_map(|(_, set)| set).collect()
        }
    };
    set.sort_unstable();
    set.dedup();
    if set.is_empty() {
        return Err(call.invalid("chars", "there is no letter to choose from"));
    }
    Ok(pick(&set, length).into())
}

fn number(call: &Call, place: usize, name: &str, default: i64) -> Result<i64, ExecError> {
    match call.text(place, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| call.invalid(name, "must be a whole number")),
    }
}

fn hash(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let algorithm = call.text(1, "algorithm").unwrap_or_else(|| "sha512".into());
    let found = hashutil::hash(&algorithm, call.need(0, "value")?.as_bytes());
    found.map(Value::from).ok_or_else(|| ExecError::failed("You must specify a valid algorithm."))
}

fn str_encode(call: &Call, _: &Data) -> Result<Value, ExecError> {
    match call.text(1, "encoder").as_deref() {
        None | Some("base64") => Ok(digest::base64(call.need(0, "value")?.as_bytes()).into()),
        Some(_) => Err(call.invalid("encoder", "only base64 is built")),
    }
}

/// Where numbers come from: the kernel, or Python's generator with the seed that was given.
enum Chance {
    Kernel,
    Python(Box<Random>),
}

impl Chance {
    fn of(call: &Call, place: usize) -> Result<Self, ExecError> {
        match call.arg(place, "seed").filter(|seed| !seed.is_null()) {
            None => Ok(Self::Kernel),
            Some(seed) => Random::seeded(seed)
                .map(|random| Self::Python(Box::new(random)))
                .ok_or_else(|| call.invalid("seed", "must be a text or a number")),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        match self {
            Self::Kernel => below(bound),
            Self::Python(random) => random.below(bound),
        }
    }
}

fn rand_int(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let mut chance = Chance::of(call, 2)?;
    let (start, end) = (number(call, 0, "start", 1)?, number(call, 1, "end", 10)?);
    let width = end
        .checked_sub(start)
        .and_then(|w| u64::try_from(w).ok())
        .ok_or_else(|| call.invalid("end", "is before the start"))?;
    Ok(start.wrapping_add(chance.below(width.saturating_add(1)).cast_signed()).into())
}

/// The number that a minion has: always the same, spread over minions.
fn seed(call: &Call, data: &Data) -> Result<Value, ExecError> {
    let range = u64::try_from(number(call, 0, "range", 10)?).ok().filter(|r| *r > 0);
    let range = range.ok_or_else(|| call.invalid("range", "must be above 0"))?;
    let seed = call.arg(1, "hash").filter(|hash| !hash.is_null()).or_else(|| data.grains.get("id"));
    let mut random = Random::seeded(seed.unwrap_or(&Value::Null))
        .ok_or_else(|| call.invalid("hash", "must be a text or a number"))?;
    Ok(random.below(range).into())
}

/// Draws items as `random.sample` does. Salt seeds it with Python's `hash`, which differs from process to process:
/// nobody can say which items a text gives there, only that they stay the same here.
fn drawn(call: &Call, size: Option<usize>, seed_at: usize) -> Result<Value, ExecError> {
    let list = call.arg(0, "value").and_then(Value::as_list).ok_or_else(|| call.invalid("value", "must be a list"))?;
    let size = size.unwrap_or(list.len());
    if size > list.len() {
        return Err(call.invalid("size", "is larger than the list"));
    }
    let mut chance = Chance::of(call, seed_at)?;
    let mut pool = list.to_vec();
    let mut found = Vec::with_capacity(size);
    for _ in 0..size {
        let at = usize::try_from(chance.below(pool.len() as u64)).unwrap_or(0);
        found.push(pool.swap_remove(at));
    }
    Ok(found.into())
}

fn shuffle(call: &Call, _: &Data) -> Result<Value, ExecError> {
    drawn(call, None, 1)
}

fn sample(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let size =
        usize::try_from(number(call, 1, "size", 1)?).map_err(|_| call.invalid("size", "must not be negative"))?;
    drawn(call, Some(size), 2)
}

fn shadow_hash(call: &Call, _: &Data) -> Result<Value, ExecError> {
    let salt = call.text(0, "crypt_salt").filter(|s| !s.is_empty()).unwrap_or_else(|| letters(16));
    let password = call.text(1, "password").unwrap_or_else(|| letters(20));
    match call.text(2, "algorithm").as_deref().unwrap_or("sha512") {
        "sha512" => Ok(sha512_crypt(&password, &salt).into()),
        other => Err(call.invalid("algorithm", format!("`{other}` is not built; there is sha512"))),
    }
}

/// Hashes a password as `crypt(3)` does with `$6$`, 5000 rounds or the salt's own `rounds=`.
pub(crate) fn sha512_crypt(password: &str, salt: &str) -> String {
    use sha2::{Digest, Sha512};
    let salt = salt.strip_prefix("$6$").unwrap_or(salt);
    let (told, salt) = match salt.strip_prefix("rounds=").and_then(|rest| rest.split_once('$')) {
        Some((rounds, salt)) => (rounds.parse::<usize>().ok(), salt),
        None => (None, salt),
    };
    let rounds = told.unwrap_or(5000).clamp(1000, 999_999_999);
    let salt: String = salt.split('$').next().unwrap_or_default().chars().take(16).collect();
    let (key, salt_bytes) = (password.as_bytes(), salt.as_bytes());
    let digest = |parts: &[&[u8]]| -> Vec<u8> {
        let mut hasher = Sha512::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize().to_vec()
    };
    let repeat = |block: &[u8], length: usize| -> Vec<u8> { block.iter().copied().cycle().take(length).collect() };
    let b = digest(&[key, salt_bytes, key]);
    let mut a = [key, salt_bytes, &repeat(&b, key.len())].concat();
    let mut bits = key.len();
    while bits > 0 {
        a.extend_from_slice(if bits & 1 == 1 { &b } else { key });
        bits >>= 1;
    }
    let mut state = digest(&[&a]);
    let p = repeat(&digest(&vec![key; key.len()]), key.len());
    let s = repeat(&digest(&vec![salt_bytes; 16 + usize::from(state[0])]), salt_bytes.len());
    for round in 0..rounds {
        let mut parts: Vec<&[u8]> = vec![if round % 2 == 1 { &p } else { &state }];
        if round % 3 != 0 {
            parts.push(&s);
        }
        if round % 7 != 0 {
            parts.push(&p);
        }
        parts.push(if round % 2 == 1 { &state } else { &p });
        state = digest(&parts);
    }
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut out = String::from("$6$");
    if told.is_some() {
        out.push_str(&format!("rounds={rounds}$"));
    }
    out.push_str(&salt);
    out.push('$');
    let mut push = |bits: u32, count: usize| {
        out.extend((0..count).map(|i| char::from(ALPHABET[(bits >> (6 * i) & 63) as usize])));
    };
    let byte = |i: usize| u32::from(state[i]);
    let (mut x, mut y, mut z) = (0, 21, 42);
    for _ in 0..21 {
        push(byte(x) << 16 | byte(y) << 8 | byte(z), 4);
        (x, y, z) = (y + 1, z + 1, x + 1);
    }
    push(byte(63), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from `openssl passwd -6` and crypt(3).
    #[test]
    fn hashes_passwords_as_crypt_does() {
        for (password, salt, expected) in HASHES {
            assert_eq!(sha512_crypt(password, salt), *expected);
        }
    }

    const HASHES: &[(&str, &str, &str)] = &[
        (
            "secret",
            "saltsalt",
            "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
        ),
        (
            "",
            "abcdefgh12345678",
            "$6$abcdefgh12345678$kXrfyDwJx.UbSJmCvckAh0tf.T9MNYrlSIEDCssrU234OYgFV2hKt/rpc16yxActJCMUaC7B9TjVvlpq61F0S/",
        ),
        (
            "a longer password of more than sixty-four characters, to see the block code work",
            "xy",
            "$6$xy$3YgtPufYpEANShGAipEutiX9BVH0k7naTHKz0KiCM4F1GfsFb5VSzSP8ueAcZt.ZZPQpzxIdW900vU2baaL32.",
        ),
        (
            "Hello world!",
            "rounds=10000$saltstringsaltst",
            "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
        ),
    ];

    #[test]
    fn draws_from_what_is_asked_for() {
        let call = Call {
            kwargs: [("length", Value::from(64)), ("chars", "ab".into())].into_iter().collect(),
            ..Call::default()
        };
        let text = get_str(&call, &Data::default()).unwrap();
        let text = text.as_str().unwrap();
        assert!(text.len() == 64 && text.contains('a') && text.contains('b') && !text.contains('c'));
        assert_ne!(letters(32), letters(32));
    }
}
