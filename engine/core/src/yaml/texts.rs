//! Texts that a document says again and again are made once.

use std::sync::Arc;

/// Short texts that were made lately: a tree says `name`, `require` and `file` thousands of times.
pub struct Texts([Option<Arc<str>>; 128]);

impl Default for Texts {
    fn default() -> Self {
        Self([const { None }; 128])
    }
}

impl Texts {
    const LONGEST: usize = 32;

    /// Makes a text, or gives the one that was made.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return "".into() };
        if bytes.len() > Self::LONGEST {
            return text.into();
        }
        let place = usize::from(*first) * 7 + usize::from(*last) * 31 + bytes.len();
        let known = &mut self.0[place % 128];
        match known {
            Some(known) if **known == *text => known.clone(),
            _ => known.insert(text.into()).clone(),
        }
    }
}
