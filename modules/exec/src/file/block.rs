//! `file.blockreplace`: text between two markers.

use super::pattern;

/// The markers, the text between them, and where they go when they are not there.
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub marker_start: String,
    pub marker_end: String,
    pub content: String,
    pub append_if_not_found: bool,
    pub prepend_if_not_found: bool,
    pub insert_before_match: Option<String>,
    pub insert_after_match: Option<String>,
    pub append_newline: Option<bool>,
}

impl Block {
    /// Returns the text with the block in it.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let ways = [
            self.append_if_not_found,
            self.prepend_if_not_found,
            self.insert_before_match.is_some(),
            self.insert_after_match.is_some(),
        ];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err("Only one of append_if_not_found, prepend_if_not_found, insert_before_match, and \
                        insert_after_match is permitted"
                .into());
        }
        let lines = super::lines(text);
        let linesep = if lines.first().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
        let (mut out, mut inside, mut found) = (vec![], false, false);
        for line in &lines {
            if line.contains(&self.marker_start) {
                inside = true;
            } else if inside {
                if let Some(end) = line.find(&self.marker_end) {
                    (inside, found) = (false, true);
                    out.extend(self.body(linesep, &line[end..]));
                }
                continue;
            }
            out.push((*line).to_owned());
        }
        if inside {
            return Err("Unterminated marked block. End of file reached before marker_end.".into());
        }
        if found {
            return Ok(out.concat());
        }
        let mut block = vec![format!("{}{linesep}", self.marker_start)];
        block.extend(self.body(linesep, &self.marker_end));
        let absent = || Err("Cannot edit marked block. Markers were not found in file.".to_owned());
        if self.prepend_if_not_found {
            block.extend(out);
            return Ok(block.concat());
        }
        if self.append_if_not_found {
            if let Some(last) = out.last_mut()
                && !last.ends_with(linesep)
            {
                last.push_str(linesep);
            }
            out.extend(block);
            return Ok(out.concat());
        }
        let Some(regex) = self.insert_before_match.as_ref().or(self.insert_after_match.as_ref()) else {
            return absent();
        };
        let regex = pattern::compile(regex, 0)?;
        match lines.iter().position(|line| pattern::found(&regex, line)) {
            Some(at) => {
                let at = at + usize::from(self.insert_after_match.is_some());
                out.splice(at..at, block);
                Ok(out.concat())
            }
            None => absent(),
        }
    }

    /// Returns the lines after the start marker, the end marker's line included.
    fn body(&self, linesep: &str, end: &str) -> Vec<String> {
        let end = format!("{}{linesep}", end.trim_end_matches(['\r', '\n']));
        let newline = self.append_newline.unwrap_or(!self.content.ends_with('\n'));
        let content = self.content.replace("\r\n", "\n");
        let lines: Vec<&str> = content.split('\n').collect();
        let mut out: Vec<String> = vec![];
        for (i, line) in lines.iter().enumerate() {
            if i + 1 < lines.len() {
                out.push(format!("{line}{linesep}"));
            } else if newline {
                out.push(format!("{line}{linesep}"));
                out.push(end.clone());
            } else {
                out.push(format!("{line}{end}"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_between_markers() {
        let block = |content: &str| Block {
            marker_start: "#>".into(),
            marker_end: "#<".into(),
            content: content.into(),
            ..Block::default()
        };
        let append = Block { append_if_not_found: true, ..block("new") };
        for (what, text, expected) in [
            (block("new\nlines"), "x\n#>\nold\n#<\ny\n", Ok("x\n#>\nnew\nlines\n#<\ny\n")),
            (block("new\n"), "#>\n#<\n", Ok("#>\nnew\n#<\n")),
            (block("a"), "x\n", Err("Cannot edit marked block. Markers were not found in file.")),
            (block("a"), "#>\n", Err("Unterminated marked block. End of file reached before marker_end.")),
            (append, "x", Ok("x\n#>\nnew\n#<\n")),
            (Block { prepend_if_not_found: true, ..block("new") }, "x\n", Ok("#>\nnew\n#<\nx\n")),
            (Block { insert_before_match: Some("^y".into()), ..block("n") }, "x\ny\n", Ok("x\n#>\nn\n#<\ny\n")),
            (Block { insert_after_match: Some("^x".into()), ..block("n") }, "x\ny\n", Ok("x\n#>\nn\n#<\ny\n")),
        ] {
            assert_eq!(what.apply(text), expected.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
