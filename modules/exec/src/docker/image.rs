//! Images: pulled, built, loaded and imported; told in Salt's form.

use super::client::{Answer, Docker, escaped};
use crate::ask;
use corpus_core::{Act, Command, ExecError, Map, Value, python};
use std::fs::File;
use std::path::Path;
use std::time::Instant;

/// Parts `registry:5000/repo:tag` into the repository and its tag; a digest counts as one.
pub fn parts(image: &str) -> (&str, Option<&str>) {
    if let Some((repository, digest)) = image.split_once('@') {
        return (repository, Some(digest));
    }
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (image, None),
    }
}

/// Describes an image; `None` if there is none.
pub fn find(docker: &Docker, name: &str) -> Result<Option<Value>, ExecError> {
    docker.find(&format!("/images/{}/json", escaped(name)))
}

/// Describes an image that must be there.
pub fn inspect(docker: &Docker, name: &str) -> Result<Value, ExecError> {
    docker.get(&format!("/images/{}/json", escaped(name)))
}

/// Lists all images, as the API does.
pub fn all(docker: &Docker, everything: bool) -> Result<Vec<Value>, ExecError> {
    let list = docker.get(&format!("/images/json?all={}", u8::from(everything)))?;
    Ok(list.as_list().unwrap_or_default().to_vec())
}

/// Lists the tags of all images.
pub fn tags(docker: &Docker) -> Result<Vec<String>, ExecError> {
    let mut out = vec![];
    for image in all(docker, false)? {
        let tags = image.get("RepoTags").and_then(Value::as_list).unwrap_or_default();
        out.extend(tags.iter().map(python::str).filter(|tag| tag != "<none>:<none>"));
    }
    out.sort();
    Ok(out)
}

fn ids(docker: &Docker) -> Result<Vec<String>, ExecError> {
    let id = |image: &Value| image.get("Id").map(python::str);
    Ok(all(docker, true)?.iter().filter_map(id).collect())
}

/// Returns the first tag of an image, or its number if it has none; `None` if there is no such image.
pub fn resolve_tag(docker: &Docker, name: &str) -> Result<Option<String>, ExecError> {
    let Some(image) = find(docker, name)? else { return Ok(None) };
    let tags = image.get("RepoTags").and_then(Value::as_list).unwrap_or_default();
    Ok(tags.first().or_else(|| image.get("Id")).map(python::str))
}

/// Pulls an image; `latest` where no tag is named.
pub fn pull(docker: &Docker, image: &str) -> Result<Map, ExecError> {
    let start = Instant::now();
    let (repository, tag) = parts(image);
    let path = format!("/images/create?fromImage={}&tag={}", escaped(repository), escaped(tag.unwrap_or("latest")));
    let (mut pulled, mut had, mut out) = (vec![], vec![], Map::new());
    for step in docker.post_slow(&path, None)?.steps()? {
        let (status, id) = (step.str("status").unwrap_or_default(), step.str("id").unwrap_or_default());
        match status {
            "Already exists" => had.push(id.to_owned()),
            "Pull complete" => pulled.push(id.to_owned()),
            _ => {
                if let Some(text) = status.strip_prefix("Status: ") {
                    out.insert("Status", text);
                }
            }
        }
    }
    let mut layers = Map::new();
    for (key, list) in [("Pulled", pulled), ("Already_Pulled", had)] {
        if !list.is_empty() {
            layers.insert(key, list);
        }
    }
    out.insert("Layers", layers);
    out.insert("Time_Elapsed", start.elapsed().as_secs_f64());
    out.insert("retcode", 0);
    Ok(out)
}

/// Gives an image a name.
pub fn tag(docker: &Docker, name: &str, repository: &str, tag: &str) -> Result<(), ExecError> {
    let path = format!("/images/{}/tag?repo={}&tag={}", escaped(name), escaped(repository), escaped(tag));
    docker.post(&path, None).map(|_| ())
}

/// Sends a file of the machine.
fn upload(docker: &Docker, path: &str, file: &str) -> Result<Answer, ExecError> {
    let failed = |error: std::io::Error| ExecError::failed(format!("Source file {file}: {error}"));
    let mut open = File::open(file).map_err(failed)?;
    let length = open.metadata().map_err(failed)?.len();
    docker.send("POST", path, &[("Content-Type", "application/x-tar")], (&mut open, length), None)
}

/// Loads images that `docker save` wrote, and names the topmost.
pub fn load(docker: &Docker, file: &str, name: Option<(&str, &str)>) -> Result<Map, ExecError> {
    let (start, before) = (Instant::now(), ids(docker)?);
    let steps = upload(docker, "/images/load?quiet=1", file)?.steps()?;
    let after = ids(docker)?;
    let new: Vec<String> = after.into_iter().filter(|id| !before.contains(id)).collect();
    let mut out = Map::new();
    out.insert("Path", file);
    out.insert("Layers", new.iter().map(|id| short(id)).collect::<Vec<_>>());
    out.insert("Time_Elapsed", start.elapsed().as_secs_f64());
    if let Some((repository, name)) = name {
        // The daemon names what it loaded, also if it was there before.
        let said =
            steps.iter().filter_map(|step| step.str("stream")?.trim().split_once(": ").map(|(_, id)| id.to_owned()));
        let loaded: Vec<String> = said.collect();
        match loaded.as_slice() {
            [one] => {
                tag(docker, one, repository, name)?;
                out.insert("Image", format!("{repository}:{name}"));
                out.insert("Id", inspect(docker, one)?.get("Id").cloned().unwrap_or_default());
            }
            [] => _ = out.insert("Warning", "No top-level image layers were loaded, no image was tagged"),
            many => {
                let text = format!(
                    "More than one top-level image layer was loaded ({}), no image was tagged",
                    many.join(", ")
                );
                out.insert("Warning", text);
            }
        }
    }
    Ok(out)
}

/// Makes an image of an archive of a file system.
pub fn import(docker: &Docker, source: &str, repository: &str, name: &str) -> Result<Map, ExecError> {
    let start = Instant::now();
    let path = format!("/images/create?fromSrc=-&repo={}&tag={}", escaped(repository), escaped(name));
    let steps = upload(docker, &path, source)?.steps()?;
    let id = steps.iter().rev().find_map(|step| step.str("status").filter(|status| status.starts_with("sha256:")));
    let id = id.ok_or_else(|| ExecError::failed(format!("Import failed for {source}: the daemon names no image")))?;
    Ok([
        ("Id", Value::from(short(id))),
        ("Image", format!("{repository}:{name}").into()),
        ("Time_Elapsed", start.elapsed().as_secs_f64().into()),
    ]
    .into_iter()
    .collect())
}

/// What a build is told.
pub struct Build<'a> {
    pub path: &'a str,
    pub name: Option<String>,
    pub dockerfile: Option<String>,
    pub cache: bool,
    pub rm: bool,
    pub buildargs: Map,
    pub network_mode: Option<String>,
}

/// Builds an image of a directory with a Dockerfile.
pub fn build(docker: &Docker, act: &dyn Act, wanted: &Build<'_>) -> Result<Map, ExecError> {
    let start = Instant::now();
    if !ask::is_dir(act.as_look(), wanted.path) {
        return Err(ExecError::failed(format!("Build failed for {}: it is no directory", wanted.path)));
    }
    let context = ask::must(act, Command::new(["tar", "--numeric-owner", "-cf", "-", "-C", wanted.path, "."]))?.stdout;
    let mut path = format!("/build?rm={}&nocache={}", u8::from(wanted.rm), u8::from(!wanted.cache));
    let mut option = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            path += &format!("&{key}={}", escaped(value));
        }
    };
    option("t", wanted.name.as_deref());
    option("dockerfile", wanted.dockerfile.as_deref());
    option("networkmode", wanted.network_mode.as_deref());
    if !wanted.buildargs.is_empty() {
        option("buildargs", Some(&serde_json::to_string(&wanted.buildargs).unwrap_or_default()));
    }
    let body = (&mut context.as_slice() as &mut dyn std::io::Read, context.len() as u64);
    let answer = docker.send("POST", &path, &[("Content-Type", "application/x-tar")], body, None)?;
    let failed =
        |error: ExecError| ExecError::failed(format!("Build failed for {}. Error(s) follow:\n\n{error}", wanted.path));
    let steps = answer.steps().map_err(failed)?;
    let id = steps.iter().rev().find_map(|step| step.get("aux")?.get("ID").map(python::str));
    let said = || {
        let lines = steps.iter().rev().filter_map(|step| step.str("stream"));
        lines.filter_map(|line| line.trim().strip_prefix("Successfully built ").map(str::to_owned)).next()
    };
    let id = id.or_else(said).ok_or_else(|| ExecError::failed(format!("Build failed for {}", wanted.path)))?;
    let tags = inspect(docker, &id)?.get("RepoTags").cloned().unwrap_or_default();
    Ok([("Id", Value::from(short(&id))), ("Image", tags), ("Time_Elapsed", start.elapsed().as_secs_f64().into())]
        .into_iter()
        .collect())
}

/// Removes images; what cannot be removed is told, not an error.
pub fn remove(docker: &Docker, names: &[String], force: bool, prune: bool) -> Result<Map, ExecError> {
    let (before, tags_before) = (ids(docker)?, tags(docker)?);
    let mut errors = vec![];
    for name in names {
        let path = format!("/images/{}?force={}&noprune={}", escaped(name), u8::from(force), u8::from(!prune));
        if let Err(error) = docker.delete(&path) {
            errors.push(error.to_string());
        }
    }
    let (after, tags_after) = (ids(docker)?, tags(docker)?);
    let mut out = Map::new();
    out.insert("Layers", before.into_iter().filter(|id| !after.contains(id)).collect::<Vec<_>>());
    out.insert("Tags", tags_before.into_iter().filter(|tag| !tags_after.contains(tag)).collect::<Vec<_>>());
    out.insert("retcode", i64::from(!errors.is_empty()));
    if !errors.is_empty() {
        out.insert("Errors", errors);
    }
    Ok(out)
}

/// Writes an image into a file.
pub fn save(docker: &Docker, act: &dyn Act, name: &str, path: &str) -> Result<Map, ExecError> {
    let bytes = docker.bytes(&format!("/images/{}/get", escaped(name)))?;
    let size = bytes.len();
    act.perform(&corpus_core::Effect::text(Path::new(path), bytes))?;
    Ok([("Path", Value::from(path)), ("Size", size.into())].into_iter().collect())
}

/// Shortens an image's number as Docker shows it.
pub fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn parts_names() {
        assert_eq!(parts("busybox"), ("busybox", None));
        assert_eq!(parts("host:5000/a/b"), ("host:5000/a/b", None));
        assert_eq!(parts("host:5000/a/b:1.2"), ("host:5000/a/b", Some("1.2")));
        assert_eq!(parts("a@sha256:ff"), ("a", Some("sha256:ff")));
    }
}
