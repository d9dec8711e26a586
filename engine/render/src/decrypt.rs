//! The renderer `gpg`: encrypted texts in rendered data become what they say. Who decrypts is handed in: nothing here
//! knows a program or a key.

use corpus_core::node::NodeKind;
use corpus_core::{Node, Pos, Value};

/// Decrypts armoured messages.
pub trait Decrypt: Send + Sync {
    /// Decrypts one message; `None` leaves it as it is. The error says why not, and holds nothing of the content.
    fn decrypt(&self, message: &str) -> Result<Option<Vec<u8>>, String>;
}

const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";

/// Decrypts every message in a value.
pub fn decrypt_value(value: &Value, by: &dyn Decrypt) -> Result<Value, String> {
    let mut node = Node::from_value(value, Pos::default());
    decrypt(&mut node, by).map_err(|(_, why)| why)?;
    Ok(node.to_value())
}

/// Decrypts every message in the values of the data; the error has the place of the value.
pub(crate) fn decrypt(node: &mut Node, by: &dyn Decrypt) -> Result<(), (Pos, String)> {
    match &mut node.kind {
        NodeKind::Scalar(Value::Str(text)) if text.contains(BEGIN) => {
            *text = plain(text, by).map_err(|why| (node.pos, why))?.into();
            Ok(())
        }
        NodeKind::Scalar(_) => Ok(()),
        NodeKind::Seq(items) => items.iter_mut().try_for_each(|item| decrypt(item, by)),
        NodeKind::Map(entries) => entries.iter_mut().try_for_each(|(_, value)| decrypt(value, by)),
    }
}

/// Replaces the messages of a text. Salt: line feeds at the end go, as a block of YAML would add one.
fn plain(text: &str, by: &dyn Decrypt) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some(start) = rest.find(BEGIN) {
        let Some(len) = rest[start..].find(END).map(|at| at + END.len()) else { break };
        found = true;
        let message = &rest[start..start + len];
        out += &rest[..start];
        match by.decrypt(&message.replace("\\n", "\n"))? {
            Some(bytes) => {
                out += &String::from_utf8(bytes).map_err(|_| "the message holds bytes that are no UTF-8 text")?;
            }
            None => out += message,
        }
        rest = &rest[start + len..];
    }
    out += rest;
    if found {
        out.truncate(out.trim_end_matches('\n').len());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says `<n>` for a message of n characters.
    struct Length;

    impl Decrypt for Length {
        fn decrypt(&self, message: &str) -> Result<Option<Vec<u8>>, String> {
            let body = message.trim_start_matches(BEGIN).trim_end_matches(END).trim();
            match body {
                "keep" => Ok(None),
                "bytes" => Ok(Some(vec![0xff])),
                "broken" => Err("it is broken".into()),
                _ => Ok(Some(format!("<{}>\n", body.len()).into_bytes())),
            }
        }
    }

    fn armoured(body: &str) -> String {
        format!("{BEGIN}\n{body}\n{END}")
    }

    #[test]
    fn messages_within_a_text_are_replaced() {
        let cases = [
            (armoured("four"), "<4>"),
            (format!("{}\n", armoured("four")), "<4>"),
            (format!("a {} b {}", armoured("x"), armoured("yy")), "a <1>\n b <2>"),
            (armoured("four").replace('\n', "\\n"), "<4>"),
            ("no message\n".into(), "no message\n"),
            (format!("{BEGIN} without an end\n"), "-----BEGIN PGP MESSAGE----- without an end\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(&text, &Length).unwrap(), expected, "{text}");
        }
        assert_eq!(plain(&armoured("keep"), &Length).unwrap(), armoured("keep"));
        assert!(plain(&armoured("bytes"), &Length).is_err());
    }

    #[test]
    fn errors_have_the_place_of_the_value() {
        let mut node =
            crate::yaml::parse(&format!("a:\n  - b: 1\n  - c: \"{}\"\n", armoured("broken").replace('\n', "\\n")))
                .unwrap();
        assert_eq!(decrypt(&mut node, &Length).unwrap_err(), (Pos::new(3, 8), "it is broken".into()));
    }
}
