//! Colours, when somebody can see them.

/// The colours in use.
#[derive(Clone, Copy)]
pub enum Colour {
    Green,
    Cyan,
    Red,
    Yellow,
}

/// Colours text, or leaves it alone.
#[derive(Clone, Copy)]
pub struct Painter {
    /// Whether to colour at all.
    pub on: bool,
}

impl Painter {
    /// Decides: a flag beats `NO_COLOR`, which beats the terminal.
    pub fn decide(force: bool, never: bool, terminal: bool) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { on: force || (!never && !no_color && terminal) }
    }

    /// Returns the text in a colour.
    pub fn with(&self, colour: Colour, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Green => "0;32",
            Colour::Cyan => "0;36",
            Colour::Red => "0;31",
            Colour::Yellow => "0;1;33",
        };
        format!("\x1b[{code}m{text}\x1b[0;0m")
    }
}
