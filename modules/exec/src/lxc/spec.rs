//! What a guest is declared to be: the arguments of `lxc.create`, `lxc.reconfigure` and the state `lxc.present`.

use corpus_core::{Data, Map, Value, decode, python};
use serde::Deserialize;
use std::net::IpAddr;

/// A declaration. What is not given is left as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    pub path: Option<String>,
    pub base: Option<Value>,
    pub bases: Option<String>,
    pub clone_from: Option<String>,
    pub snapshot: bool,
    pub image: Option<String>,
    pub received: bool,
    pub template: Option<String>,
    pub options: Option<Map>,
    pub config: Option<String>,
    pub network_profile: Option<Value>,
    pub backing: Option<String>,
    pub fstype: Option<String>,
    pub size: Option<String>,
    pub vgname: Option<String>,
    pub lvname: Option<String>,
    pub thinpool: Option<String>,
    pub address: Option<String>,
    pub gateway: Option<String>,
    pub mac: Option<String>,
    pub bridge: Option<String>,
    pub nameservers: Option<Vec<String>>,
    pub memory: Option<Value>,
    pub cpus: Option<f64>,
    pub disk: Option<Value>,
    pub idmap: Option<Value>,
    pub autostart: Option<bool>,
    pub authorized_keys: Option<Vec<String>>,
    pub this_host: Option<String>,
    pub this_port: Option<String>,
    pub hostname: Option<String>,
    pub mounts: Option<Vec<Mount>>,
    pub lxc_conf: Option<Vec<Map>>,
    pub owner: Option<String>,
}

/// A directory of the node that a guest sees.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Mount {
    pub source: String,
    pub target: String,
    #[serde(default)]
    pub readonly: bool,
}

/// The keys of a declaration that can be changed on a guest that is there, in the order in which they are shown.
pub const KEYS: &[&str] = &[
    "hostname",
    "bridge",
    "address",
    "gateway",
    "mac",
    "nameservers",
    "memory",
    "cpus",
    "disk",
    "idmap",
    "autostart",
    "authorized_keys",
    "this_host",
    "this_port",
    "mounts",
    "lxc_conf",
    "owner",
];

/// The keys that a running guest takes over only when it starts again.
pub const AT_START: &[&str] = &["hostname", "bridge", "address", "gateway", "mac", "idmap", "mounts", "lxc_conf"];

impl Spec {
    /// Reads a declaration; the container profile that it names, if any, says what it does not.
    pub fn read(args: &Map, data: &Data) -> Result<Self, String> {
        let mut all = profile(args, data)?;
        for (key, value) in args {
            if !value.is_null() {
                all.insert(key.clone(), value.clone());
            }
        }
        all.remove("profile");
        decode::from_map(&all).map_err(|error| error.to_string())
    }

    /// Returns what is given of [`KEYS`], each in one form, however it was written.
    pub fn wanted(&self) -> Result<Map, String> {
        let mut out = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                out.insert(key, value);
            }
        };
        let text = |value: &Option<String>| value.as_deref().map(Value::str);
        put("hostname", text(&self.hostname));
        put("bridge", text(&self.bridge));
        put("address", self.address.as_deref().map(address).transpose()?.map(Value::from));
        put("gateway", self.gateway.as_deref().map(gateway).transpose()?.map(Value::from));
        put("mac", self.mac.as_deref().map(mac).transpose()?.map(Value::from));
        if let Some(servers) = &self.nameservers {
            for server in servers {
                let _: IpAddr =
                    server.parse().map_err(|_| format!("argument `nameservers`: {server} is no address"))?;
            }
            put("nameservers", Some(servers.clone().into()));
        }
        put("memory", self.memory.as_ref().map(|size| limit("memory", size)).transpose()?);
        put("disk", self.disk.as_ref().map(|size| limit("disk", size)).transpose()?);
        if let Some(cpus) = self.cpus {
            if !(cpus >= 0.0 && cpus.is_finite()) {
                return Err(format!("argument `cpus`: {cpus} is no number of processors; 0 lifts the limit"));
            }
            put("cpus", Some(if cpus == 0.0 { Value::Null } else { cpus.into() }));
        }
        put("idmap", self.idmap.as_ref().map(idmap).transpose()?);
        put("autostart", self.autostart.map(Value::from));
        if let Some(keys) = &self.authorized_keys {
            if let Some(bad) = keys.iter().find(|key| key.contains('\n') || key.split_whitespace().count() < 2) {
                return Err(format!(
                    "argument `authorized_keys`: `{bad}` is no public key, such as `ssh-ed25519 AAAA… me`"
                ));
            }
            put("authorized_keys", Some(keys.clone().into()));
        }
        put("this_host", text(&self.this_host));
        put("this_port", text(&self.this_port));
        if let Some(mounts) = &self.mounts {
            put(
                "mounts",
                Some(Value::list(
                    mounts.iter().map(Mount::entry).map(|m| m.map(Value::from)).collect::<Result<_, _>>()?,
                )),
            );
        }
        put("lxc_conf", self.lxc_conf.as_ref().map(|conf| settings(conf)));
        put("owner", text(&self.owner));
        Ok(out)
    }
}

/// Returns what the container profile says that the arguments name: `lxc.container_profile:NAME` of the configuration
/// or pillar, or a mapping in place.
fn profile(args: &Map, data: &Data) -> Result<Map, String> {
    match args.get("profile").filter(|value| value.truthy()) {
        None => Ok(Map::new()),
        Some(Value::Map(map)) => Ok((**map).clone()),
        Some(name) => named_profile("lxc.container_profile", &python::str(name), data),
    }
}

/// Finds a profile by name.
pub fn named_profile(kind: &str, name: &str, data: &Data) -> Result<Map, String> {
    let all = [&data.opts, &data.pillar].into_iter().find_map(|place| place.get(kind).filter(|value| value.truthy()));
    let found = all.and_then(|all| all.get(name)).and_then(Value::as_map);
    found.cloned().ok_or_else(|| format!("no profile `{name}` under `{kind}` in the minion's configuration or pillar"))
}

impl Mount {
    /// Writes the line of `lxc.mount.entry`.
    fn entry(&self) -> Result<String, String> {
        let target = self.target.trim_start_matches('/');
        if !self.source.starts_with('/')
            || target.is_empty()
            || format!("{}{target}", self.source).contains([' ', '\n'])
        {
            return Err(format!(
                "argument `mounts`: from `{}` to `{}`: both must be paths from / on, without spaces",
                self.source, self.target
            ));
        }
        let ro = if self.readonly { ",ro" } else { "" };
        Ok(format!("{} {target} none bind,create=dir{ro} 0 0", self.source))
    }
}

/// Reads settings as a list of mappings, `[{lxc.cap.drop: sys_time}]`: each key with all its values.
pub fn settings(conf: &[Map]) -> Value {
    let mut out = Map::new();
    for (key, value) in conf.iter().flatten() {
        let mut values = out.get_value(key).and_then(Value::as_list).unwrap_or_default().to_vec();
        match value {
            Value::List(more) => values.extend(more.iter().map(|value| Value::from(python::str(value)))),
            one => values.push(python::str(one).into()),
        }
        out.insert(key.clone(), values);
    }
    out.into()
}

/// Reads an address with the length of its network.
pub fn address(text: &str) -> Result<String, String> {
    let bad = || format!("argument `address`: `{text}` is no address with its network's length, such as 10.5.0.3/16");
    let (ip, length) = text.split_once('/').ok_or_else(bad)?;
    let ip: std::net::Ipv4Addr = ip.trim().parse().map_err(|_| bad())?;
    let length: u8 = length.trim().parse().ok().filter(|length| *length <= 32).ok_or_else(bad)?;
    Ok(format!("{ip}/{length}"))
}

fn gateway(text: &str) -> Result<String, String> {
    let known = ["auto", "dev"].contains(&text) || text.parse::<std::net::Ipv4Addr>().is_ok();
    if known {
        Ok(text.into())
    } else {
        Err(format!("argument `gateway`: `{text}` is no address; `auto` is the bridge's"))
    }
}

fn mac(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    let byte = |part: &str| part.len() == 2 && u8::from_str_radix(part, 16).is_ok();
    let good = lower.split(':').count() == 6 && lower.split(':').all(byte);
    let multicast = good && u8::from_str_radix(&lower[..2], 16).is_ok_and(|first| first & 1 == 1);
    if good && !multicast {
        Ok(lower)
    } else {
        Err(format!("argument `mac`: `{text}` is no address of one network card, such as 00:16:3e:4a:10:02"))
    }
}

/// Reads a size: a number of bytes, or a text such as `512M`; nothing, 0 and `max` lift the limit.
pub fn limit(arg: &str, value: &Value) -> Result<Value, String> {
    let text = python::str(value);
    if ["", "0", "max", "unlimited"].contains(&text.trim()) {
        return Ok(Value::Null);
    }
    bytes(&text)
        .map(Value::from)
        .ok_or_else(|| format!("argument `{arg}`: `{text}` is no size, such as 512M, 5G or a number of bytes"))
}

/// Reads a size in bytes: `5G`, `512MiB`, `4096`.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().ok().filter(|n: &f64| *n >= 0.0 && n.is_finite())?;
    let unit = match text[digits.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    Some((number * 1024f64.powi(unit)).round() as u64)
}

/// Reads an id map: true for the machine's usual range, `700000:65536` for another.
fn idmap(value: &Value) -> Result<Value, String> {
    let text = python::str(value);
    let range =
        text.split_once(':').and_then(|(start, count)| Some((start.parse::<u32>().ok()?, count.parse::<u32>().ok()?)));
    match (value, range) {
        (Value::Bool(on), _) => Ok(if *on { Value::Bool(true) } else { Value::Null }),
        (Value::Null, _) => Ok(Value::Null),
        (_, Some((start, count))) if start >= 65536 && count >= 65536 && start.checked_add(count).is_some() => {
            Ok(text.into())
        }
        _ => Err(format!(
            "argument `idmap`: `{text}` is neither true, false nor a range START:COUNT of at least 65536 ids from 65536 on"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Spec, bytes};
    use corpus_core::{Data, Map, Value};

    fn wanted(key: &str, value: impl Into<Value>) -> Result<Value, String> {
        let args: Map = [(key, value.into())].into_iter().collect();
        let spec = Spec::read(&args, &Data::default())?;
        Ok(spec.wanted()?.get(key).cloned().unwrap_or_default())
    }

    #[test]
    fn one_form_for_all_ways_to_write_it() {
        assert_eq!(wanted("memory", "512M"), Ok((512u64 << 20).into()));
        assert_eq!(wanted("memory", 4096), Ok(4096.into()));
        assert_eq!(wanted("memory", "max"), Ok(Value::Null));
        assert_eq!(wanted("address", "10.5.0.3/16"), Ok("10.5.0.3/16".into()));
        assert_eq!(wanted("mac", "00:16:3E:01:02:03"), Ok("00:16:3e:01:02:03".into()));
        assert_eq!(wanted("idmap", true), Ok(true.into()));
        assert_eq!(wanted("cpus", "0.5"), Ok(0.5.into()));
        assert_eq!(bytes("1.5GiB"), Some(1_610_612_736));
    }

    #[test]
    fn says_what_is_wrong() {
        for (key, value, says) in [
            ("address", "10.5.0.3", "no address with its network's length"),
            ("mac", "01:16:3e:01:02:03", "no address of one network card"),
            ("memory", "lots", "no size"),
            ("idmap", "5:10", "at least 65536 ids"),
            ("gateway", "10.5", "no address"),
            ("profile", "big", "no profile `big` under `lxc.container_profile`"),
        ] {
            let error = wanted(key, value).expect_err(value);
            assert!(error.contains(says), "{error}");
        }
    }
}
