//! `images` of the file `cloud`: base systems, each built in one place and brought to the nodes whose guests are made of it.

use super::Read;
use super::source::Layers;
use crate::fleet::LOCAL;
use crate::spec::{GuestSpec, Image, check_id};
use corpus_core::{Map, Value, python, suggest};

/// What an image is made of, in the words of `lxc.base_present`.
const KEYS: &[&str] =
    &["suite", "mirror", "variant", "components", "packages", "includes", "script", "node", "target", "bases"];

/// Reads them.
pub fn read(settings: &Layers) -> Read<Vec<Image>> {
    let Some(item) = settings.get("images").filter(|item| !item.value.is_null()) else { return Ok(vec![]) };
    let Some(entries) = item.value.as_map() else {
        return Err(vec![item.wrong(format!("images: expected a mapping of names, found {}", item.value.type_name()))]);
    };
    let (mut images, mut wrong) = (vec![], vec![]);
    for (name, said) in entries {
        match one(&python::str(name), said) {
            Ok(image) => images.push(image),
            Err(why) => wrong.push(item.wrong(format!("images: {}: {why}", python::str(name)))),
        }
    }
    if wrong.is_empty() { Ok(images) } else { Err(wrong) }
}

fn one(name: &str, said: &Value) -> Result<Image, String> {
    check_id(name)?;
    let mut image = Image { name: name.to_owned(), node: LOCAL.to_owned(), ..Image::default() };
    let said = match said {
        Value::Null => return Ok(image),
        Value::Map(said) => (**said).clone(),
        other => return Err(format!("expected what it is made of, found {}", other.type_name())),
    };
    let mut args = Map::new();
    for (key, value) in said.iter().filter(|(_, value)| !value.is_null()) {
        let key = python::str(key);
        match key.as_str() {
            "node" | "target" => image.node = python::str(value),
            "bases" => image.bases = Some(python::str(value)),
            known if KEYS.contains(&known) => _ = args.insert(known, value.clone()),
            "url" | "version" | "md5" | "flavors" | "builder_ref" => {
                return Err(format!(
                    "`{key}` is not built: no archives are published; name the `suite` and `packages`, or give the guest an `image`"
                ));
            }
            _ => {
                let hint = suggest::did_you_mean(&key, KEYS.iter().copied())
                    .unwrap_or_else(|| format!("there are: {}", KEYS.join(", ")));
                return Err(format!("`{key}` is not known; {hint}"));
            }
        }
    }
    image.args = args;
    Ok(image)
}

/// Gives a guest the image that it names as its base.
pub fn give(images: &[Image], guest: &mut GuestSpec) {
    let named = guest.options.get("base").and_then(Value::as_str);
    guest.built = images.iter().find(|image| named == Some(&image.name) && guest.driver == "lxc").cloned();
}
