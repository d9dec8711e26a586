//! What `mount.*` share: the table of what is mounted, and `/etc/fstab`.

use corpus_core::{Attrs, Content, Effect, PlanCx, Prediction, StateError, Value, python};
use corpus_exec::ask;

/// An entry of either table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub device: String,
    pub point: String,
    pub fstype: String,
    pub opts: Vec<String>,
    pub dump: String,
    pub pass: String,
}

fn unescape(word: &str) -> String {
    word.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

fn escape(word: &str) -> String {
    word.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011")
}

/// The fact under which a step foretells which device is mounted at a point; null for none.
pub fn fact(point: &str, device: Option<&str>) -> Prediction {
    Prediction::Fact(format!("mount:{point}"), device.into())
}

/// Returns what is mounted at a point.
pub fn mounted_at(cx: &PlanCx<'_>, point: &str) -> Result<Option<Entry>, StateError> {
    match cx.host.predicted(&format!("mount:{point}")) {
        Some(Value::Null) => Ok(None),
        Some(device) => Ok(Some(Entry { device: python::str(&device), point: point.into(), ..Entry::default() })),
        None => Ok(active(cx)?.into_iter().rev().find(|entry| entry.point == point)),
    }
}

/// Reads what is mounted.
fn active(cx: &PlanCx<'_>) -> Result<Vec<Entry>, StateError> {
    let text = ask::text(cx.host, "/proc/self/mountinfo")?.unwrap_or_default();
    // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    Ok(text
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<_> = left.split(' ').collect();
            let mut right = right.split(' ');
            let (fstype, device) = (right.next()?.to_owned(), unescape(right.next()?));
            let mut opts: Vec<String> = left.get(5)?.split(',').map(str::to_owned).collect();
            opts.extend(right.next().unwrap_or_default().split(',').map(str::to_owned));
            Some(Entry { device, point: unescape(left.get(4)?), fstype, opts, ..Entry::default() })
        })
        .collect())
}

/// Returns the text of the table of file systems.
pub fn fstab(cx: &PlanCx<'_>, config: &str) -> Result<String, StateError> {
    Ok(ask::text(cx.host, config)?.unwrap_or_default())
}

/// Takes a line of fstab apart.
pub fn parse(line: &str) -> Option<Entry> {
    let words: Vec<_> = line.split_whitespace().collect();
    if line.trim_start().starts_with('#') || words.len() < 4 {
        return None;
    }
    let word = |at: usize| words.get(at).copied().unwrap_or("0").to_owned();
    Some(Entry {
        device: unescape(words[0]),
        point: unescape(words[1]),
        fstype: words[2].into(),
        opts: words[3].split(',').map(str::to_owned).collect(),
        dump: word(4),
        pass: word(5),
    })
}

/// Returns the text with the entry in it, and Salt's word for what that took; `None` if it is there already.
pub fn with_entry(text: &str, want: &Entry) -> Option<(String, &'static str)> {
    let line = format!(
        "{}\t\t{}\t{}\t{}\t{} {}",
        escape(&want.device),
        escape(&want.point),
        want.fstype,
        want.opts.join(","),
        want.dump,
        want.pass
    );
    let (mut out, mut found) = (String::new(), None);
    for have in text.lines() {
        match parse(have).filter(|entry| entry.point == want.point) {
            Some(entry) if entry == *want => return None,
            Some(_) if found.replace("update").is_none() => out += &format!("{line}\n"),
            Some(_) => {}
            None => out += &format!("{have}\n"),
        }
    }
    if found.is_none() {
        out += &format!("{line}\n");
    }
    Some((out, found.unwrap_or("new")))
}

/// Returns the text without the entries of a mount point; `None` if there were none.
pub fn without(text: &str, point: &str, device: Option<&str>) -> Option<String> {
    let gone = |line: &str| {
        parse(line).is_some_and(|entry| entry.point == point && device.is_none_or(|device| entry.device == device))
    };
    text.lines().any(gone).then(|| text.lines().filter(|line| !gone(line)).map(|line| format!("{line}\n")).collect())
}

/// Returns the effect that writes the table.
pub fn write(config: &str, text: String) -> Effect {
    let content = Content::Bytes(text.into());
    Effect::WriteFile { path: config.into(), content, attrs: Attrs::default(), backup: None }
}

/// Finds the device that `UUID=`, `LABEL=` and their kin name.
pub fn resolve(cx: &PlanCx<'_>, device: &str) -> String {
    for (start, folder) in
        [("UUID=", "by-uuid"), ("LABEL=", "by-label"), ("PARTUUID=", "by-partuuid"), ("PARTLABEL=", "by-partlabel")]
    {
        if let Some(name) = device.strip_prefix(start) {
            return link(cx, &format!("/dev/disk/{folder}/{}", name.trim_matches('"')))
                .unwrap_or_else(|| device.into());
        }
    }
    if device.starts_with("/dev/") { link(cx, device).unwrap_or_else(|| device.into()) } else { device.into() }
}

fn link(cx: &PlanCx<'_>, path: &str) -> Option<String> {
    // Links of /dev/disk and /dev/mapper lead to a device that stands in /dev itself.
    let target = cx.host.read_link(path.as_ref()).ok()?;
    Some(format!("/dev/{}", target.file_name()?.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_table() {
        let want = parse("/dev/sdb1 /data ext4 defaults 0 2").expect("an entry");
        let (text, word) = with_entry("# top\nproc /proc proc defaults 0 0\n", &want).expect("new");
        assert_eq!(word, "new");
        assert!(text.ends_with("/dev/sdb1\t\t/data\text4\tdefaults\t0 2\n"));
        assert_eq!(with_entry(&text, &want), None);
        let other = Entry { opts: vec!["noatime".into()], ..want };
        assert_eq!(with_entry(&text, &other).map(|(_, word)| word), Some("update"));
        assert_eq!(without(&text, "/data", None).as_deref(), Some("# top\nproc /proc proc defaults 0 0\n"));
    }
}
