//! The renderers `gpg` and `age`: encrypted texts in rendered data, or in text on its way to YAML, become what they say.
//! Who decrypts is handed in: nothing here knows a program or a key.

use corpus_core::node::NodeKind;
use corpus_core::{Node, Pos, Value};

/// What a message was encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    Gpg,
    Age,
}

impl Cipher {
    /// Returns the renderer's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gpg => "gpg",
            Self::Age => "age",
        }
    }

    /// Returns the lines around an armoured message.
    fn armour(self) -> (&'static str, &'static str) {
        match self {
            Self::Gpg => ("-----BEGIN PGP MESSAGE-----", "-----END PGP MESSAGE-----"),
            Self::Age => ("-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"),
        }
    }
}

/// Decrypts armoured messages.
pub trait Decrypt: Send + Sync {
    /// Decrypts one message; `None` leaves it as it is. The error says why not, and holds nothing of the content.
    fn decrypt(&self, cipher: Cipher, message: &str) -> Result<Option<Vec<u8>>, String>;
}

/// Decrypts every message in a value.
pub fn decrypt_value(value: &Value, cipher: Cipher, by: &dyn Decrypt) -> Result<Value, String> {
    let mut node = Node::from_value(value, Pos::default());
    decrypt(&mut node, cipher, by).map_err(|(_, why)| why)?;
    Ok(node.to_value())
}

/// Decrypts every message in the values of the data; the error has the place of the value.
pub(crate) fn decrypt(node: &mut Node, cipher: Cipher, by: &dyn Decrypt) -> Result<(), (Pos, String)> {
    match &mut node.kind {
        NodeKind::Scalar(Value::Str(text)) if text.contains(cipher.armour().0) => {
            *text = plain(text, cipher, by).map_err(|(_, why)| (node.pos, why))?.text.into();
            Ok(())
        }
        NodeKind::Scalar(_) => Ok(()),
        NodeKind::Seq(items) => items.iter_mut().try_for_each(|item| decrypt(item, cipher, by)),
        NodeKind::Map(entries) => entries.iter_mut().try_for_each(|(_, value)| decrypt(value, cipher, by)),
    }
}

/// A text whose messages were replaced.
pub(crate) struct Plain {
    pub text: String,
    /// Where each message stood, and how long what it says is: start, end, length.
    pub cuts: Vec<(usize, usize, usize)>,
}

/// Replaces the messages of a text; the error has the offset of the message. Salt: line feeds at the end go, as a block of
/// YAML would add one.
pub(crate) fn plain(text: &str, cipher: Cipher, by: &dyn Decrypt) -> Result<Plain, (usize, String)> {
    let (begin, finish) = cipher.armour();
    let mut out = Plain { text: String::new(), cuts: vec![] };
    let (mut at, mut found) = (0, false);
    while let Some(start) = text[at..].find(begin).map(|i| at + i) {
        let Some(end) = text[start..].find(finish).map(|i| start + i + finish.len()) else { break };
        found = true;
        let message = &text[start..end];
        out.text += &text[at..start];
        let before = out.text.len();
        // Within a block of YAML each line is indented, which is no armour.
        let lines: Vec<&str> = message.split(['\n']).flat_map(|line| line.split("\\n")).map(str::trim).collect();
        match by.decrypt(cipher, &(lines.join("\n") + "\n")).map_err(|why| (start, why))? {
            Some(bytes) => {
                let said = String::from_utf8(bytes);
                out.text += &said.map_err(|_| (start, "the message holds bytes that are no UTF-8 text".to_owned()))?;
            }
            None => out.text += message,
        }
        out.cuts.push((start, end, out.text.len() - before));
        at = end;
    }
    out.text += &text[at..];
    if found {
        out.text.truncate(out.text.trim_end_matches('\n').len());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says `<n>` for a message of n characters.
    struct Length;

    impl Decrypt for Length {
        fn decrypt(&self, cipher: Cipher, message: &str) -> Result<Option<Vec<u8>>, String> {
            let (begin, end) = cipher.armour();
            let body = message.trim().trim_start_matches(begin).trim_end_matches(end).trim();
            match body {
                "keep" => Ok(None),
                "bytes" => Ok(Some(vec![0xff])),
                "broken" => Err("it is broken".into()),
                _ => Ok(Some(format!("<{}>\n", body.len()).into_bytes())),
            }
        }
    }

    fn armoured(body: &str) -> String {
        let (begin, end) = Cipher::Gpg.armour();
        format!("{begin}\n{body}\n{end}")
    }

    fn read(text: &str) -> Result<String, String> {
        plain(text, Cipher::Gpg, &Length).map(|plain| plain.text).map_err(|(_, why)| why)
    }

    #[test]
    fn messages_within_a_text_are_replaced() {
        let cases = [
            (armoured("four"), "<4>"),
            (format!("{}\n", armoured("four")), "<4>"),
            (format!("a {} b {}", armoured("x"), armoured("yy")), "a <1>\n b <2>"),
            (armoured("four").replace('\n', "\\n"), "<4>"),
            ("no message\n".into(), "no message\n"),
            (armoured("four").replace('\n', "\n    "), "<4>"),
            ("-----BEGIN PGP MESSAGE----- without an end\n".into(), "-----BEGIN PGP MESSAGE----- without an end\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(read(&text).unwrap(), expected, "{text}");
        }
        assert_eq!(read(&armoured("keep")).unwrap(), armoured("keep"));
        assert!(read(&armoured("bytes")).is_err());
    }

    #[test]
    fn errors_have_the_place_of_the_value() {
        let mut node = corpus_core::yaml::parse(&format!(
            "a:\n  - b: 1\n  - c: \"{}\"\n",
            armoured("broken").replace('\n', "\\n")
        ))
        .unwrap();
        assert_eq!(decrypt(&mut node, Cipher::Gpg, &Length).unwrap_err(), (Pos::new(3, 8), "it is broken".into()));
    }
}
