//! Which block of a template is open where the parser gave up, for Jinja's own words on the matter.

/// What is wrong, and the block that should have been closed: the place of its word and the word.
pub(crate) struct Block {
    pub message: String,
    pub open: Option<(u32, String)>,
}

/// Tags with what may follow within the block, in Jinja's order.
const FOLLOW: &[(&str, &str)] = &[
    ("if", "'elif' or 'else' or 'endif'"),
    ("for", "'endfor' or 'else'"),
    ("macro", "'endmacro'"),
    ("call", "'endcall'"),
    ("filter", "'endfilter'"),
    ("block", "'endblock'"),
    ("with", "'endwith'"),
    ("raw", "'endraw'"),
    ("load_yaml", "'endload'"),
    ("load_json", "'endload'"),
    ("load_text", "'endload'"),
];

/// Explains the parser's message if it is about blocks that are not closed, or closed by the wrong tag.
pub(crate) fn at_fault(source: &str, message: &str, at: u32) -> Option<Block> {
    let ended = message.starts_with("unexpected end of template");
    let unknown = message.strip_prefix("Encountered unknown tag '").and_then(|rest| rest.split_once('\''));
    let word = unknown.map(|(word, _)| word);
    if !ended && !word.is_some_and(|word| word.starts_with("end") || ["else", "elif"].contains(&word)) {
        return None;
    }
    let until = if ended { source.len() } else { (at as usize).min(source.len()) };
    let open = open_at(source, until);
    let head =
        word.map_or("Unexpected end of template.".to_owned(), |word| format!("Encountered unknown tag '{word}'."));
    let Some((start, tag)) = open else { return Some(Block { message: head, open: None }) };
    let follow = FOLLOW.iter().find(|(name, _)| *name == tag).map_or("", |(_, follow)| follow);
    let one = !follow.contains(" or ");
    let tags = if one { "tag" } else { "tags" };
    let message = format!(
        "{head} Jinja was looking for the following {tags}: {follow}. The innermost block that needs to be closed is \
         '{tag}'."
    );
    Some(Block { message, open: Some((start, tag.to_owned())) })
}

/// Returns the innermost block that is open at a place.
fn open_at(source: &str, until: usize) -> Option<(u32, &str)> {
    let mut open: Vec<(u32, &str)> = vec![];
    let mut at = 0;
    while let Some(found) = source.get(at..until).and_then(|rest| rest.find("{%")).map(|i| at + i) {
        // A comment is no tag.
        if let Some(comment) = source[at..found].rfind("{#").map(|i| at + i)
            && !source[comment..found].contains("#}")
        {
            at = source[comment..].find("#}").map_or(until, |i| comment + i + 2);
            continue;
        }
        let body = source[found + 2..].trim_start_matches(['-', '+']).trim_start();
        let start = source.len() - body.len();
        let len = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
        let tag = &body[..len];
        let inner = body.split("%}").next().unwrap_or_default();
        if start >= until {
            break;
        }
        if tag.starts_with("end") {
            let closes = |name: &str| tag == "endload" && name.starts_with("load_") || tag[3..] == *name;
            if open.last().is_some_and(|(_, name)| closes(name)) {
                open.pop();
            }
        } else if FOLLOW.iter().any(|(name, _)| *name == tag) {
            open.push((start as u32, tag));
        } else if tag == "set" && !inner.contains('=') {
            open.push((start as u32, "set"));
        }
        at = start + len;
    }
    open.pop()
}
