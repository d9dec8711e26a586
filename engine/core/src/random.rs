//! Python's `random.Random`: the Mersenne Twister, seeded and drawn from as Python does it, so that a seed gives the
//! numbers that it gives in Salt.

use crate::value::Value;
use sha2::{Digest, Sha512};

const N: usize = 624;
const M: usize = 397;

/// A generator that was given a seed.
pub struct Random {
    state: [u32; N],
    next: usize,
}

impl Random {
    /// Makes a generator of a seed; `None` for what Python does not take as one (lists and mappings).
    pub fn seeded(seed: &Value) -> Option<Self> {
        let bytes = match seed {
            Value::Bool(on) => vec![u8::from(*on)],
            Value::Int(n) => n.unsigned_abs().to_be_bytes().to_vec(),
            // Python takes the float's hash: for a whole one, that number.
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => (x.abs() as u64).to_be_bytes().to_vec(),
            Value::Str(text) => {
                let mut bytes = text.as_bytes().to_vec();
                bytes.extend_from_slice(&Sha512::digest(text.as_bytes()));
                bytes
            }
            _ => return None,
        };
        // A big number, in words of 32 bits, the lowest first.
        let mut key: Vec<u32> =
            bytes.rchunks(4).map(|word| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte))).collect();
        while key.len() > 1 && key.last() == Some(&0) {
            key.pop();
        }
        Some(Self::by_array(&key))
    }

    fn by_array(key: &[u32]) -> Self {
        let mut state = [0_u32; N];
        state[0] = 19_650_218;
        for i in 1..N {
            state[i] = 1_812_433_253_u32.wrapping_mul(state[i - 1] ^ (state[i - 1] >> 30)).wrapping_add(i as u32);
        }
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_664_525);
            state[i] = (state[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            i = Self::step(&mut state, i);
            j = (j + 1) % key.len();
        }
        for _ in 0..N - 1 {
            let mixed = (state[i - 1] ^ (state[i - 1] >> 30)).wrapping_mul(1_566_083_941);
            state[i] = (state[i] ^ mixed).wrapping_sub(i as u32);
            i = Self::step(&mut state, i);
        }
        state[0] = 0x8000_0000;
        Self { state, next: N }
    }

    fn step(state: &mut [u32; N], i: usize) -> usize {
        if i + 1 < N {
            return i + 1;
        }
        state[0] = state[N - 1];
        1
    }

    fn word(&mut self) -> u32 {
        if self.next >= N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn bits(&mut self, count: u32) -> u64 {
        if count <= 32 {
            return u64::from(self.word() >> (32 - count));
        }
        let low = u64::from(self.word());
        low | u64::from(self.word() >> (64 - count)) << 32
    }

    /// Returns a number below a bound: `randrange(bound)`.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let count = u64::BITS - bound.leading_zeros();
        loop {
            let drawn = self.bits(count);
            if drawn < bound {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `random.seed(seed); [random.randrange(n) for n in …]`, by Python 3.12.
    #[test]
    fn draws_pythons_numbers() {
        for (seed, wanted) in [
            (Value::from("web01"), [0, 6, 0, 188, 209_167_711, 8_402_807_001]),
            (Value::from(""), [0, 9, 13, 397, 3_233_484_678, 7_972_509_721]),
            (Value::from(0), [0, 6, 2, 265, 2_087_043_557, 7_859_158_368]),
            (Value::from(-123_456_789_012_i64), [0, 0, 16, 143, 1_794_965_889, 7_608_856_769]),
        ] {
            let mut random = Random::seeded(&seed).unwrap();
            let drawn: Vec<u64> = [1, 10, 60, 1000, 1 << 32, 10_000_000_000].map(|n| random.below(n)).into();
            assert_eq!(drawn, wanted, "{seed:?}");
        }
        assert!(Random::seeded(&Value::list(vec![])).is_none());
    }
}
