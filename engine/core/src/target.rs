//! Which minions are meant: Salt's matchers as pure functions over what is known of a minion.
//!
//! A target is parsed once and asked for every minion. What Salt only logs and takes for "no match" (a bad
//! regular expression, an operator without operands, an unknown nodegroup) is an error of parsing here.

use crate::exec::Data;
use crate::glob;
use crate::python;
use crate::value::{Map, Value};
use fancy_regex::Regex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// How a target's text is to be read; the words of a top file's `match:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetKind {
    #[default]
    Glob,
    Pcre,
    List,
    Grain,
    GrainPcre,
    Pillar,
    PillarPcre,
    PillarExact,
    IpCidr,
    Nodegroup,
    Compound,
    Range,
    Data,
}

/// All kinds with their words.
const KINDS: [(TargetKind, &str); 13] = [
    (TargetKind::Glob, "glob"),
    (TargetKind::Pcre, "pcre"),
    (TargetKind::List, "list"),
    (TargetKind::Grain, "grain"),
    (TargetKind::GrainPcre, "grain_pcre"),
    (TargetKind::Pillar, "pillar"),
    (TargetKind::PillarPcre, "pillar_pcre"),
    (TargetKind::PillarExact, "pillar_exact"),
    (TargetKind::IpCidr, "ipcidr"),
    (TargetKind::Nodegroup, "nodegroup"),
    (TargetKind::Compound, "compound"),
    (TargetKind::Range, "range"),
    (TargetKind::Data, "data"),
];

impl TargetKind {
    /// Returns the kind of a word, `match: grain`.
    pub fn of(word: &str) -> Option<Self> {
        KINDS.iter().find(|(_, w)| *w == word).map(|(kind, _)| *kind)
    }

    /// Returns its word.
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// Returns all words, for hints.
    pub fn words() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(_, word)| *word)
    }
}

/// A parsed target.
#[derive(Debug)]
pub struct Target {
    expr: Expr,
    /// Regular expressions over grains and pillar, compiled when first met: the part of the text that is one
    /// depends on the data.
    regexes: Mutex<HashMap<String, Option<Arc<Regex>>>>,
}

#[derive(Debug)]
enum Expr {
    Glob(String),
    Pcre(Box<Regex>),
    List(Vec<String>),
    Nested { pillar: bool, how: How, path: String, delimiter: String },
    Address(IpAddr),
    Network(IpAddr, u32),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Glob,
    Regex,
    Exact,
}

impl Target {
    /// Parses a target. Nodegroups come from the master's configuration: name to text or to a list of words.
    pub fn parse(text: &str, kind: TargetKind, nodegroups: &Map) -> Result<Self, String> {
        Self::parse_with(text, kind, ":", nodegroups)
    }

    /// Parses a target whose levels of grains and pillar are divided by another delimiter.
    pub fn parse_with(text: &str, kind: TargetKind, delimiter: &str, nodegroups: &Map) -> Result<Self, String> {
        let expr = simple(text, kind, delimiter, nodegroups)?;
        Ok(Self { expr, regexes: Mutex::default() })
    }

    /// Tells whether the minion is meant.
    pub fn matches(&self, data: &Data) -> bool {
        self.eval(&self.expr, data)
    }

    /// Tells whether the answer depends on grains.
    pub fn needs_grains(&self) -> bool {
        any(&self.expr, &|e| matches!(e, Expr::Nested { pillar: false, .. } | Expr::Address(_) | Expr::Network(..)))
    }

    /// Names the grains that the answer depends on.
    pub fn grains(&self) -> Vec<&str> {
        let mut found = Vec::new();
        name_grains(&self.expr, &mut found);
        found
    }

    /// Tells whether the answer depends on pillar.
    pub fn needs_pillar(&self) -> bool {
        any(&self.expr, &|e| matches!(e, Expr::Nested { pillar: true, .. }))
    }

    /// Returns the ids that a list names, so that a master can say which of them it does not know.
    pub fn named_ids(&self) -> Vec<&str> {
        match &self.expr {
            Expr::List(ids) => ids.iter().map(String::as_str).collect(),
            Expr::Glob(id) if !glob::is_glob(id) => vec![id],
            _ => vec![],
        }
    }

    fn eval(&self, expr: &Expr, data: &Data) -> bool {
        match expr {
            Expr::Glob(pattern) => glob::matches(pattern, &data.id),
            Expr::Pcre(regex) => regex.is_match(&*data.id).unwrap_or(false),
            Expr::List(ids) => ids.iter().any(|id| **id == *data.id),
            Expr::Nested { pillar, how, path, delimiter } => {
                let tree = if *pillar { &data.pillar } else { &data.grains };
                Subdict { regexes: &self.regexes, how: *how }.matches(tree, path, delimiter, 0)
            }
            Expr::Address(wanted) => addresses(data, *wanted).any(|a| a == *wanted),
            Expr::Network(net, bits) => addresses(data, *net).any(|a| masked(a, *bits) == *net),
            Expr::Not(inner) => !self.eval(inner, data),
            Expr::And(parts) => parts.iter().all(|part| self.eval(part, data)),
            Expr::Or(parts) => parts.iter().any(|part| self.eval(part, data)),
        }
    }
}

fn any(expr: &Expr, test: &dyn Fn(&Expr) -> bool) -> bool {
    test(expr)
        || match expr {
            Expr::Not(inner) => any(inner, test),
            Expr::And(parts) | Expr::Or(parts) => parts.iter().any(|part| any(part, test)),
            _ => false,
        }
}

fn simple(text: &str, kind: TargetKind, delimiter: &str, nodegroups: &Map) -> Result<Expr, String> {
    let nested = |pillar, how| {
        if !text.contains(delimiter) {
            let what = if pillar { "pillar" } else { "grain" };
            return Err(format!(
                "Got insufficient arguments for {}s match statement from master: `{text}` needs a value, \
                 `{what}{delimiter}value`",
                if pillar { "pillar" } else { "grain" }
            ));
        }
        if how == How::Regex {
            let last = text.rsplit(delimiter).next().unwrap_or(text);
            regex(&last.to_lowercase())?;
        }
        Ok(Expr::Nested { pillar, how, path: text.to_owned(), delimiter: delimiter.to_owned() })
    };
    match kind {
        TargetKind::Glob => Ok(Expr::Glob(text.to_owned())),
        TargetKind::Pcre => regex(text).map(|regex| Expr::Pcre(Box::new(regex))),
        TargetKind::List => Ok(Expr::List(text.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect())),
        TargetKind::Grain => nested(false, How::Glob),
        TargetKind::GrainPcre => nested(false, How::Regex),
        TargetKind::Pillar => nested(true, How::Glob),
        TargetKind::PillarPcre => nested(true, How::Regex),
        TargetKind::PillarExact => nested(true, How::Exact),
        TargetKind::IpCidr => network(text),
        TargetKind::Nodegroup => compound(expand(text, nodegroups, &mut Vec::new())?, nodegroups, text),
        TargetKind::Compound => compound(text.split_whitespace().map(str::to_owned).collect(), nodegroups, text),
        TargetKind::Range => Err(format!("`{text}`: range targets need a range server, which corpus does not ask")),
        TargetKind::Data => {
            Err(format!("`{text}`: the data matcher needs a minion's data store, which corpus has not"))
        }
    }
}

/// Compiles a regular expression with Python's `re.match`: anchored at the start only.
fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(&format!(r"\A(?:{pattern})")).map_err(|error| {
        // The pattern as it was written tells the better position.
        let error = Regex::new(pattern).err().unwrap_or(error);
        format!("invalid regular expression `{pattern}`: {error}")
    })
}

fn name_grains<'a>(expr: &'a Expr, found: &mut Vec<&'a str>) {
    match expr {
        Expr::Nested { pillar: false, path, delimiter, .. } => {
            found.extend(path.split(delimiter.as_str()).next());
        }
        Expr::Address(address) | Expr::Network(address, _) => {
            found.push(if address.is_ipv4() { "ipv4" } else { "ipv6" });
        }
        Expr::Not(inner) => name_grains(inner, found),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| name_grains(part, found)),
        Expr::Glob(_) | Expr::Pcre(_) | Expr::List(_) | Expr::Nested { .. } => {}
    }
}

// ---- compound ------------------------------------------------------------------------------------------------

const OPERATORS: [&str; 5] = ["and", "or", "not", "(", ")"];

enum Word {
    Operator(&'static str),
    Target(Expr),
}

fn compound(words: Vec<String>, nodegroups: &Map, whole: &str) -> Result<Expr, String> {
    let wrong = |why: String| format!("Invalid compound target: {whole}: {why}");
    let mut out: Vec<Word> = Vec::new();
    // A stack, last word first, so that an expanded nodegroup takes its name's place.
    let mut left: Vec<String> = words.into_iter().rev().collect();
    while let Some(word) = left.pop() {
        if let Some(operator) = OPERATORS.iter().find(|o| **o == word) {
            let after_operand = match out.last() {
                None => false,
                Some(Word::Target(_)) => true,
                Some(Word::Operator(o)) => matches!(*o, ")" | "not"),
            };
            // Salt: `a not b` is `a and not b`.
            if *operator == "not" && after_operand {
                out.push(Word::Operator("and"));
            }
            out.push(Word::Operator(operator));
            continue;
        }
        let (engine, delimiter, pattern) = letter(&word);
        let kind = match engine {
            None => TargetKind::Glob,
            Some('G') => TargetKind::Grain,
            Some('P') => TargetKind::GrainPcre,
            Some('I') => TargetKind::Pillar,
            Some('J') => TargetKind::PillarPcre,
            Some('L') => TargetKind::List,
            Some('S') => TargetKind::IpCidr,
            Some('E') => TargetKind::Pcre,
            Some('N') => {
                left.extend(expand(pattern, nodegroups, &mut Vec::new()).map_err(wrong)?.into_iter().rev());
                continue;
            }
            Some(_) => TargetKind::Range,
        };
        out.push(Word::Target(simple(pattern, kind, delimiter, nodegroups).map_err(wrong)?));
    }
    let mut words = out.into_iter().peekable();
    let expr = alternatives(&mut words, 0).map_err(wrong)?;
    match words.next() {
        None => Ok(expr),
        Some(Word::Operator(o)) => Err(wrong(format!("`{o}` has nothing to belong to"))),
        Some(Word::Target(_)) => Err(wrong("two targets need `and` or `or` between them".into())),
    }
}

/// Splits `G@os:Debian` and `G|@os|Debian` into letter, delimiter and pattern.
fn letter(word: &str) -> (Option<char>, &str, &str) {
    let Some(engine) = word.chars().next().filter(|c| "GPIJLNSER".contains(*c)) else { return (None, ":", word) };
    let rest = &word[1..];
    if "GPIJ".contains(engine)
        && let Some(delimiter) = rest.chars().next()
        && let Some(pattern) = rest[delimiter.len_utf8()..].strip_prefix('@').filter(|p| !p.is_empty())
    {
        return (Some(engine), &rest[..delimiter.len_utf8()], pattern);
    }
    match rest.strip_prefix('@').filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => (Some(engine), ":", pattern),
        None => (None, ":", word),
    }
}

type Words = std::iter::Peekable<std::vec::IntoIter<Word>>;

/// Deeper parentheses are nobody's target.
const MAX_DEPTH: usize = 64;

fn take(words: &mut Words, operator: &str) -> bool {
    words.next_if(|w| matches!(w, Word::Operator(o) if *o == operator)).is_some()
}

fn alternatives(words: &mut Words, depth: usize) -> Result<Expr, String> {
    let mut parts = vec![conjunction(words, depth)?];
    while take(words, "or") {
        parts.push(conjunction(words, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::Or(parts) })
}

fn conjunction(words: &mut Words, depth: usize) -> Result<Expr, String> {
    let mut parts = vec![operand(words, depth)?];
    while take(words, "and") {
        parts.push(operand(words, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Expr::And(parts) })
}

fn operand(words: &mut Words, depth: usize) -> Result<Expr, String> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".into());
    }
    match words.next() {
        Some(Word::Target(expr)) => Ok(expr),
        Some(Word::Operator("not")) => Ok(Expr::Not(Box::new(operand(words, depth + 1)?))),
        Some(Word::Operator("(")) => {
            let inner = alternatives(words, depth + 1)?;
            if take(words, ")") { Ok(inner) } else { Err("a `)` is missing".into()) }
        }
        Some(Word::Operator(o)) => Err(format!("a target is missing before `{o}`")),
        None => Err("a target is missing at the end".into()),
    }
}

/// Returns the words of a nodegroup, those that it names expanded.
fn expand(name: &str, nodegroups: &Map, open: &mut Vec<String>) -> Result<Vec<String>, String> {
    if open.iter().any(|n| n == name) {
        return Err(format!("Failed nodegroup expansion: illegal nested nodegroup \"{name}\""));
    }
    let definition = nodegroups.get(name).ok_or_else(|| {
        let known = nodegroups.keys().filter_map(Value::as_str);
        let hint = crate::suggest::did_you_mean(name, known).map(|hint| format!("; {hint}"));
        let hint = hint.unwrap_or_else(|| match nodegroups.keys().map(python::str).collect::<Vec<_>>() {
            known if known.is_empty() => "; the configuration has no `nodegroups`".to_owned(),
            known => format!("; there are {}", known.join(", ")),
        });
        format!("Failed nodegroup expansion: unknown nodegroup \"{name}\"{hint}")
    })?;
    let words: Vec<String> = match definition {
        Value::Str(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::List(items) => items.iter().map(python::str).collect(),
        other => {
            return Err(format!("Nodegroup '{name}' ({}) is neither a string, list nor tuple", python::repr(other)));
        }
    };
    let typed =
        |w: &str| w.as_bytes().first().is_some_and(u8::is_ascii_uppercase) && w.as_bytes().get(1) == Some(&b'@');
    let bare = |w: &String| !OPERATORS.contains(&w.as_str()) && !w.contains('*') && !typed(w);
    if words.iter().all(bare) {
        let regex = words.iter().any(|w| w.contains(['(', '[', '{', '\\', '?', '}', ']', ')']));
        return Ok(vec![format!("{}@{}", if regex { "E" } else { "L" }, words.join(","))]);
    }
    open.push(name.to_owned());
    // Always in parentheses: Salt leaves them out around a group that names no other, and `N@x and y` then
    // binds to the last alternative only.
    let mut out = vec!["(".to_owned()];
    for word in words {
        match word.strip_prefix("N@").filter(|inner| !inner.is_empty()) {
            Some(inner) => out.extend(expand(inner, nodegroups, open)?),
            None => out.push(word),
        }
    }
    out.push(")".to_owned());
    open.pop();
    Ok(out)
}

// ---- addresses -----------------------------------------------------------------------------------------------

fn network(text: &str) -> Result<Expr, String> {
    let wrong = |why: &str| format!("Invalid IP/CIDR target: {text}: {why}");
    if let Ok(address) = text.parse() {
        return Ok(Expr::Address(address));
    }
    let (address, prefix) = text.split_once('/').ok_or_else(|| wrong("neither an address nor a network"))?;
    let address: IpAddr = address.parse().map_err(|_| wrong("the address cannot be read"))?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match prefix.parse::<u32>() {
        Ok(bits) => Some(bits),
        Err(_) => prefix.parse::<std::net::Ipv4Addr>().ok().filter(|_| width == 32).and_then(mask_bits),
    };
    let bits = bits.filter(|bits| *bits <= width).ok_or_else(|| wrong("the prefix length cannot be read"))?;
    if masked(address, bits) != address {
        return Err(wrong(&format!("the address has host bits set; write {}/{bits}", masked(address, bits))));
    }
    Ok(Expr::Network(address, bits))
}

/// Returns the length of a netmask, `255.255.0.0`, or of a host mask, `0.0.255.255`.
fn mask_bits(mask: std::net::Ipv4Addr) -> Option<u32> {
    let mask = u32::from(mask);
    if mask.leading_ones() + mask.trailing_zeros() == 32 {
        return Some(mask.leading_ones());
    }
    (mask.leading_zeros() + mask.trailing_ones() == 32).then(|| mask.leading_zeros())
}

fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V4((u32::from(a) & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128u32.saturating_sub(bits)).unwrap_or(0);
            IpAddr::V6((u128::from(a) & mask).into())
        }
    }
}

/// Walks the minion's addresses of the same family.
fn addresses(data: &Data, like: IpAddr) -> impl Iterator<Item = IpAddr> {
    let grain = if like.is_ipv4() { "ipv4" } else { "ipv6" };
    let list = data.grains.get(grain).and_then(Value::as_list).unwrap_or(&[]);
    list.iter().filter_map(|a| a.as_str()?.parse::<IpAddr>().ok()).filter(move |a| a.is_ipv4() == like.is_ipv4())
}

// ---- grains and pillar ---------------------------------------------------------------------------------------

/// `salt.utils.data.subdict_match`.
struct Subdict<'a> {
    regexes: &'a Mutex<HashMap<String, Option<Arc<Regex>>>>,
    how: How,
}

impl Subdict<'_> {
    /// Tells whether `a:b:c` leads to a value that fits. The longest path is tried first, so that values may
    /// hold the delimiter.
    fn matches(&self, data: &Value, expr: &str, delimiter: &str, depth: usize) -> bool {
        let parts: Vec<&str> = expr.split(delimiter).collect();
        if depth > MAX_DEPTH {
            return false;
        }
        (1..parts.len()).rev().any(|split| {
            if parts[..split] == ["*"] {
                return self.found(data, expr, depth);
            }
            let rest = parts[split..].join(delimiter);
            traverse(data, &parts[..split]).is_some_and(|found| self.found(found, &rest, depth))
        })
    }

    fn found(&self, value: &Value, pattern: &str, depth: usize) -> bool {
        match value {
            Value::Map(map) => !map.is_empty() && self.in_map(map, value, pattern, depth),
            Value::List(items) => items.iter().any(|item| {
                item.as_map().is_some_and(|map| self.in_map(map, item, pattern, depth)) || self.fits(item, pattern)
            }),
            scalar => self.fits(scalar, pattern),
        }
    }

    fn in_map(&self, map: &Map, value: &Value, pattern: &str, depth: usize) -> bool {
        let (wildcard, pattern) = pattern.strip_prefix("*:").map_or((false, pattern), |rest| (true, rest));
        pattern == "*"
            || map.contains(pattern)
            || map.keys().any(|key| self.fits(key, pattern))
            || self.matches(value, pattern, ":", depth + 1)
            || (wildcard
                && map.values().any(|inner| match inner {
                    Value::Map(m) => depth < MAX_DEPTH && self.in_map(m, inner, pattern, depth + 1),
                    Value::List(items) => items.iter().any(|item| self.fits(item, pattern)),
                    scalar => self.fits(scalar, pattern),
                }))
    }

    /// Compares one value, as text and without regard to case.
    fn fits(&self, value: &Value, pattern: &str) -> bool {
        let text = python::str(value).to_lowercase();
        let pattern = pattern.to_lowercase();
        match self.how {
            How::Exact => text == pattern,
            How::Glob => glob::matches(&pattern, &text),
            How::Regex => {
                let mut regexes = self.regexes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let compiled = regexes.entry(pattern).or_insert_with_key(|p| regex(p).ok().map(Arc::new)).clone();
                drop(regexes);
                compiled.is_some_and(|regex| regex.is_match(&text).unwrap_or(false))
            }
        }
    }
}

/// `traverse_dict_and_list`: keys of mappings, indices of lists, keys of mappings in lists.
fn traverse<'a>(data: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let mut at = data;
    for step in path {
        let number = step.parse::<i64>().ok();
        at = match at {
            Value::Map(map) => map.get(step).or_else(|| map.get_int(number?))?,
            Value::List(items) => {
                let maps = || items.iter().filter_map(Value::as_map);
                match number {
                    None => maps().find_map(|map| map.get(step))?,
                    Some(i) => maps().find_map(|map| map.get_int(i)).or_else(|| {
                        let place = if i < 0 { i + items.len() as i64 } else { i };
                        items.get(usize::try_from(place).ok()?)
                    })?,
                }
            }
            _ => return None,
        };
    }
    Some(at)
}
