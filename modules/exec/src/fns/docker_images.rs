//! `docker.*` for images, networks and volumes; containers are in `docker.rs`.

use crate::docker::calls::{read, write};
use crate::docker::client::escaped;
use crate::docker::{container, image, network};
use crate::fns::lvm::listed;
use corpus_core::{ExecDef, ExecError, Map, Value, python};

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    read!("docker.inspect_image", "(name, url=None)", "Describes an image.", |call, docker, _, _| {
        image::inspect(docker, &call.need(0, "name")?)
    }),
    read!("docker.inspect_network", "(network_id, url=None)", "Describes a network.", |call, docker, _, _| {
        docker.get(&format!("/networks/{}", escaped(&call.need(0, "network_id")?)))
    }),
    read!("docker.inspect_volume", "(name, url=None)", "Describes a volume.", |call, docker, _, _| {
        docker.get(&format!("/volumes/{}", escaped(&call.need(0, "name")?)))
    }),
    read!(
        "docker.images",
        "(verbose=False, all=False, url=None)",
        "Describes the images, by number.",
        |call, docker, _, _| {
            let verbose = call.flag(0, "verbose", false);
            let mut out = Map::new();
            for image in image::all(docker, call.flag(99, "all", false))? {
                let mut row = image.as_map().cloned().unwrap_or_default();
                let id = row.remove("Id").unwrap_or_default();
                if verbose {
                    row.insert("Info", image::inspect(docker, &python::str(&id))?);
                }
                out.insert(id, row);
            }
            Ok(out.into())
        }
    ),
    read!("docker.list_tags", "(url=None)", "Lists the tags of all images.", |_, docker, _, _| Ok(image::tags(
        docker
    )?
    .into())),
    read!(
        "docker.resolve_image_id",
        "(name, url=None)",
        "Returns the number of an image, or False.",
        |call, docker, _, _| {
            let found = image::find(docker, &call.need(0, "name")?)?;
            Ok(found.and_then(|image| image.get("Id").cloned()).unwrap_or(Value::Bool(false)))
        }
    ),
    read!(
        "docker.resolve_tag",
        "(name, url=None)",
        "Returns the first tag of an image, its number if it has none, or False.",
        |call, docker, _, _| {
            Ok(image::resolve_tag(docker, &call.need(0, "name")?)?.map_or(Value::Bool(false), Value::from))
        }
    ),
    read!(
        "docker.history",
        "(name, quiet=False, url=None)",
        "Returns how an image came about.",
        |call, docker, _, _| {
            let all = docker.get(&format!("/images/{}/history", escaped(&call.need(0, "name")?)))?;
            if !call.flag(1, "quiet", false) {
                return Ok(all);
            }
            Ok(all
                .as_list()
                .unwrap_or_default()
                .iter()
                .filter_map(|row| row.get("CreatedBy").cloned())
                .collect::<Vec<_>>()
                .into())
        }
    ),
    write!(
        "docker.commit",
        "(name, repository, tag='latest', message=None, author=None, url=None)",
        "Makes an image of a container.",
        |call, docker, _, _| {
            let (repository, tag) = (call.need(1, "repository")?, call.text(2, "tag").unwrap_or("latest".into()));
            let mut path = format!(
                "/commit?container={}&repo={}&tag={}",
                escaped(&call.need(0, "name")?),
                escaped(&repository),
                escaped(&tag)
            );
            for (key, place, name) in [("comment", 3, "message"), ("author", 4, "author")] {
                if let Some(text) = call.text(place, name) {
                    path += &format!("&{key}={}", escaped(&text));
                }
            }
            let id = docker.post_slow(&path, None)?.json()?.get("Id").map(python::str).unwrap_or_default();
            let out: Map = [("Id", Value::from(image::short(&id))), ("Image", format!("{repository}:{tag}").into())]
                .into_iter()
                .collect();
            Ok(out.into())
        }
    ),
    write!("docker.pull", "(image, url=None)", "Pulls an image.", |call, docker, _, _| Ok(image::pull(
        docker,
        &call.need(0, "image")?
    )?
    .into())),
    write!(
        "docker.build",
        "(path, repository=None, tag=None, dockerfile=None, cache=True, rm=True, buildargs=None, network_mode=None, image=None, url=None)",
        "Builds an image of a directory.",
        |call, docker, act, _| {
            let path = call.need(0, "path")?;
            let repository = call.text(1, "repository").or_else(|| call.text(99, "image"));
            let name = repository.map(|name| match call.text(2, "tag") {
                Some(tag) => format!("{name}:{tag}"),
                None => name,
            });
            let wanted = image::Build {
                path: &path,
                name,
                dockerfile: call.text(3, "dockerfile"),
                cache: call.flag(4, "cache", true),
                rm: call.flag(5, "rm", true),
                buildargs: call.arg(6, "buildargs").and_then(Value::as_map).cloned().unwrap_or_default(),
                network_mode: call.text(7, "network_mode"),
            };
            Ok(image::build(docker, act, &wanted)?.into())
        }
    ),
    write!(
        "docker.load",
        "(path, repository=None, tag=None, url=None)",
        "Loads images that `docker.save` wrote.",
        |call, docker, _, _| {
            let (repository, tag) = (call.text(1, "repository"), call.text(2, "tag"));
            if repository.is_some() != tag.is_some() {
                return Err(ExecError::failed("If tagging, both a repository and tag are required"));
            }
            Ok(image::load(docker, &call.need(0, "path")?, repository.as_deref().zip(tag.as_deref()))?.into())
        }
    ),
    write!(
        "docker.import",
        "(source, repository, tag='latest', url=None)",
        "Makes an image of an archive of a file system.",
        |call, docker, _, _| {
            let tag = call.text(2, "tag").unwrap_or("latest".into());
            Ok(image::import(docker, &call.need(0, "source")?, &call.need(1, "repository")?, &tag)?.into())
        }
    ),
    write!("docker.save", "(name, path, url=None)", "Writes an image into a file.", |call, docker, act, _| {
        Ok(image::save(docker, act, &call.need(0, "name")?, &call.need(1, "path")?)?.into())
    }),
    write!("docker.tag", "(name, repository, tag='latest', url=None)", "Names an image.", |call, docker, _, _| {
        image::tag(
            docker,
            &call.need(0, "name")?,
            &call.need(1, "repository")?,
            &call.text(2, "tag").unwrap_or("latest".into()),
        )?;
        Ok(true.into())
    }),
    write!("docker.rmi", "(*names, force=False, prune=True, url=None)", "Removes images.", |call, docker, _, _| {
        let names: Vec<String> = call.args.iter().map(python::str).collect();
        if names.is_empty() {
            return Err(call.missing("names"));
        }
        Ok(image::remove(docker, &names, call.flag(99, "force", false), call.flag(99, "prune", true))?.into())
    }),
    read!("docker.networks", "(names=None, ids=None, url=None)", "Describes the networks.", |call, docker, _, _| {
        let mut filters = Map::new();
        for (place, name, key) in [(0, "names", "name"), (1, "ids", "id")] {
            if let Some(value) = call.arg(place, name).filter(|value| value.truthy()) {
                filters.insert(key, listed(Some(value)));
            }
        }
        docker.get(&format!("/networks?filters={}", escaped(&container::filters(&filters.into()))))
    }),
    write!(
        "docker.create_network",
        "(name, driver=None, driver_opts=None, subnet=None, gateway=None, ip_range=None, aux_addresses=None, ipam=None, internal=None, attachable=None, labels=None, enable_ipv6=None, url=None)",
        "Makes a network.",
        |call, docker, _, _| {
            let name = call.need(0, "name")?;
            docker.post("/networks/create", Some(network::body(&name, &call.kwargs)?.into()))
        }
    ),
    write!("docker.remove_network", "(network_id, url=None)", "Removes a network.", |call, docker, _, _| {
        docker.delete(&format!("/networks/{}", escaped(&call.need(0, "network_id")?))).map(|_| true.into())
    }),
    write!(
        "docker.replace_network",
        "(name, **kwargs)",
        "Makes a network in the place of one of its name; its containers are plugged in again.",
        |call, docker, _, _| { Ok(network::replace(docker, &call.need(0, "name")?, &call.kwargs)?.into()) }
    ),
    read!(
        "docker.connected",
        "(name, url=None)",
        "Lists the containers that are plugged into a network.",
        |call, docker, _, _| {
            let network = docker.get(&format!("/networks/{}", escaped(&call.need(0, "name")?)))?;
            Ok(network::containers(&network).into())
        }
    ),
    read!("docker.volumes", "(filters=None, url=None)", "Describes the volumes.", |call, docker, _, _| {
        let filters = container::filters(call.arg(0, "filters").unwrap_or(&Value::Null));
        docker.get(&format!("/volumes?filters={}", escaped(&filters)))
    }),
    write!(
        "docker.create_volume",
        "(name, driver=None, driver_opts=None, labels=None, url=None)",
        "Makes a volume.",
        |call, docker, _, _| {
            let mut body: Map = [("Name", call.need(0, "name")?)].into_iter().collect();
            if let Some(driver) = call.text(1, "driver") {
                body.insert("Driver", driver);
            }
            for (place, name, key) in [(2, "driver_opts", "DriverOpts"), (3, "labels", "Labels")] {
                if let Some(value) = call.arg(place, name).filter(|value| value.truthy()) {
                    body.insert(key, crate::docker::body::pairs(name, value)?);
                }
            }
            docker.post("/volumes/create", Some(body.into()))
        }
    ),
    write!("docker.remove_volume", "(name, url=None)", "Removes a volume.", |call, docker, _, _| {
        docker.delete(&format!("/volumes/{}", escaped(&call.need(0, "name")?))).map(|_| true.into())
    }),
];
