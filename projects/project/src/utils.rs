//! The helper functions that projects written for the original call: `mc_utils.*`, and `*.settings` of what a machine
//! has where.

use crate::functions::{cx, told};
use crate::settings::settings;
use crate::{ProjectError, config, disk};
use corpus_core::merge::update;
use corpus_core::{Call, Caller, Data, ExecError, Map, Value, python};
use corpus_master::{MasterDef, Session, TemplateCaller};
use std::sync::Arc;

type Answer = Result<Value, ExecError>;

macro_rules! table {
    ($($name:literal $args:literal $doc:literal => $run:expr;)*) => {
        /// The functions.
        pub const FNS: &[MasterDef] =
            &[$(MasterDef { name: $name, args: $args, doc: $doc, run: $run },)*];
    };
}

table! {
    "mc_utils.json_dump" "(data)" "Writes data as JSON." => json_dump;
    "mc_utils.json_load" "(data)" "Reads JSON." => json_load;
    "mc_utils.yaml_dump" "(data, flow=False)" "Writes data as YAML." => yaml_dump;
    "mc_utils.yaml_load" "(data)" "Reads YAML." => yaml_load;
    "mc_utils.cyaml_load" "(data)" "Reads YAML." => yaml_load;
    "mc_utils.uniquify" "(seq)" "Returns a list without what it already had; the order stays." => uniquify;
    "mc_utils.dictupdate" "(dict1, dict2)" "Merges the second mapping into the first." => dictupdate;
    "mc_utils.get" "(key, default='')"
        "Looks a setting up in configuration, pillar and grains; `:` and `.` both divide the path." => get;
    "mc_utils.defaults" "(prefix, datadict)"
        "Returns a mapping with each value that configuration, pillar or grains have under the prefix." => defaults;
    "mc_utils.format_resolve" "(value, topdb=None)"
        "Replaces {placeholders} of a mapping's texts by its own values." => format_resolve;
    "mc_utils.is_a_str" "(value)" "Tells whether a value is a text." => kind;
    "mc_utils.is_a_list" "(value)" "Tells whether a value is a list." => kind;
    "mc_utils.is_a_tuple" "(value)" "Tells whether a value is a tuple; data knows only lists." => kind;
    "mc_utils.is_a_dict" "(value)" "Tells whether a value is a mapping." => kind;
    "mc_utils.is_a_set" "(value)" "Tells whether a value is a set; data has none." => kind;
    "mc_utils.is_a_bool" "(value)" "Tells whether a value is true or false." => kind;
    "mc_utils.is_a_int" "(value)" "Tells whether a value is a whole number." => kind;
    "mc_utils.is_a_float" "(value)" "Tells whether a value is a number with a fraction." => kind;
    "mc_utils.is_a_number" "(value)" "Tells whether a value is a number." => kind;
    "mc_utils.is_iter" "(value)" "Tells whether a value is a list or a mapping." => kind;
    "mc_utils.magicstring" "(value)" "Returns a text as it is." => same;
    "mc_utils.local_minion_id" "()" "Returns the minion's id." => local_minion_id;
    "mc_utils.unix_crypt" "(password)" "Hashes a password as /etc/shadow holds it." => unix_crypt;
    "mc_utils.generate_password" "(length=16)" "Makes a password." => generate_password;
    "mc_utils.generate_stored_password" "(key, length=16, force=False)"
        "Makes a password once, and returns the same one for the key ever after." => stored_password;
    "mc_utils.generate_local_password" "(key, length=16)"
        "Makes a password once, and returns the same one for the key ever after." => stored_password;
    "mc_utils.hash" "(string, typ='md5')" "Returns a digest of a text." => digest;
    "mc_project.doc_root" "(doc_root=None, domain=None, project_root=None, project=None, relative_document_root='www')"
        "Returns the document root of a project." => doc_root;
    "mc_project.gen_id" "(name)" "Returns a name with dashes for its dots." => gen_id;
    "mc_project.server_aliases" "(value)" "Returns a list of the words of a text." => server_aliases;
    "mc_project.uniquify" "(seq)" "Returns a list without what it already had; the order stays." => uniquify;
    "mc_locations.settings" "()" "Returns where things lie on this machine." => settings;
    "mc_usergroup.settings" "()" "Returns the users and groups that are shared." => settings;
    "mc_apache.settings" "()" "Returns the settings of Apache." => settings;
    "mc_nginx.settings" "()" "Returns the settings of nginx." => settings;
    "mc_php.settings" "()" "Returns the settings of PHP." => settings;
    "mc_nodejs.settings" "()" "Returns the settings of node.js." => settings;
    "mc_python.settings" "()" "Returns the settings of Python." => settings;
    "mc_pgsql.settings" "()" "Returns the settings of PostgreSQL." => settings;
    "mc_mysql.settings" "()" "Returns the settings of MySQL." => settings;
    "mc_redis.settings" "()" "Returns the settings of Redis." => settings;
    "mc_slapd.settings" "()" "Returns the settings of slapd." => settings;
    "mc_rabbitmq.settings" "()" "Returns the settings of RabbitMQ." => settings;
    "mc_pkgs.settings" "()" "Returns how packages are installed." => settings;
    "mc_logrotate.settings" "()" "Returns the settings of log rotation." => settings;
    "mc_dbsmartbackup.settings" "()" "Returns where dumps of databases are kept." => settings;
    "mc_www.settings" "()" "Returns the settings that web servers share." => settings;
    "mc_nodejs.ver" "()" "Returns the version of node.js, as the distribution has it." => node_version;
    "mc_dumper.json_dump" "(data)" "Writes data as JSON." => json_dump;
    "mc_dumper.json_load" "(data)" "Reads JSON." => json_load;
    "mc_dumper.yaml_dump" "(data, flow=False)" "Writes data as YAML." => yaml_dump;
    "mc_dumper.yaml_load" "(data)" "Reads YAML." => yaml_load;
    "mc_utils.odict" "()" "Returns an empty mapping; all of them keep their order." => empty;
    "mc_utils.deepcopy" "(value)" "Returns a copy: data is never shared." => same;
    "mc_utils.copy_dictupdate" "(dict1, dict2)" "Merges the second mapping into a copy of the first." => dictupdate;
    "mc_utils.indent" "(text, spaces=16)" "Indents all lines but the first." => indent;
    "mc_utils.purge_memoize_cache" "()" "Does nothing: nothing is remembered." => empty;
    "mc_localsettings.settings" "()" "Returns the settings of the machine." => settings;
}

fn first(call: &Call, name: &str) -> Answer {
    call.args.first().or_else(|| call.kwargs.get(name)).cloned().ok_or_else(|| call.missing(name))
}

fn json_dump(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    // As Python's `json` puts spaces: a text that is compared must not differ by them.
    let json = serde_json::to_value(first(call, "data")?).map_err(ExecError::failed)?;
    let mut out = vec![];
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    serde::Serialize::serialize(&json, &mut writer).map_err(ExecError::failed)?;
    Ok(String::from_utf8_lossy(&out).into_owned().into())
}

/// `", "` and `": "`, as Python writes JSON.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, out: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }
    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}

fn json_load(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    match first(call, "data")? {
        Value::Str(text) => serde_json::from_str(&text).map_err(|error| call.invalid("data", error)),
        // Templates pass what they were given, which may be data already.
        data => Ok(data),
    }
}

fn yaml_dump(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    Ok(corpus_core::yaml::emit(&first(call, "data")?, !call.flag(1, "flow", false)).into())
}

fn yaml_load(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    match first(call, "data")? {
        Value::Str(text) => corpus_core::yaml::parse(&text)
            .map(|node| node.to_value())
            .map_err(|error| call.invalid("data", error.message)),
        data => Ok(data),
    }
}

fn uniquify(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let list = first(call, "seq")?;
    let mut out: Vec<Value> = vec![];
    for item in list.as_list().unwrap_or_default() {
        if !out.contains(item) {
            out.push(item.clone());
        }
    }
    Ok(Value::list(out))
}

fn dictupdate(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let (one, two) = (first(call, "dict1")?, call.arg(1, "dict2").cloned().unwrap_or_default());
    let (Some(one), Some(two)) = (one.as_map(), two.as_map()) else {
        return Err(call.invalid("dict2", "both must be mappings"));
    };
    let mut out = one.clone();
    update(&mut out, two, false);
    Ok(out.into())
}

/// Looks a setting up.
pub fn found(session: &Arc<Session>, data: &Arc<Data>, key: &str) -> Option<Value> {
    let facts = crate::Facts { data: data.clone(), session: session.clone() };
    config::get(&facts, key)
}

fn get(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let key = call.need(0, "key")?;
    let default = || call.arg(1, "default").cloned().unwrap_or_else(|| "".into());
    Ok(found(session, data, &key).unwrap_or_else(default))
}

fn defaults(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let prefix = call.need(0, "prefix")?;
    let given = call.arg(1, "datadict").and_then(Value::as_map).cloned().ok_or_else(|| call.missing("datadict"))?;
    let mut out = Map::new();
    for (key, value) in &given {
        let own = found(session, data, &format!("{prefix}.{}", python::str(key)));
        let merged = match (value, own) {
            (Value::Map(mine), Some(Value::Map(theirs))) => {
                let mut map = (**mine).clone();
                update(&mut map, &theirs, false);
                map.into()
            }
            (_, Some(own)) => own,
            (_, None) => value.clone(),
        };
        out.0.insert(key.clone(), merged);
    }
    Ok(out.into())
}

fn format_resolve(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let value = first(call, "value")?;
    let mut map = call.arg(1, "topdb").and_then(Value::as_map).cloned().unwrap_or_default();
    match value {
        Value::Map(own) => {
            map.insert("data", Value::Map(own));
            crate::placeholders::resolve(&mut map);
            Ok(map.get("data").cloned().unwrap_or_default())
        }
        other => {
            map.insert("__value__", other);
            crate::placeholders::resolve(&mut map);
            Ok(map.get("__value__").cloned().unwrap_or_default())
        }
    }
}

fn kind(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let value = first(call, "value")?;
    let is = match call.fun.rsplit('.').next().unwrap_or_default() {
        "is_a_str" => matches!(value, Value::Str(_)),
        "is_a_list" => matches!(value, Value::List(_)),
        "is_a_dict" => matches!(value, Value::Map(_)),
        "is_a_bool" => matches!(value, Value::Bool(_)),
        "is_a_int" => matches!(value, Value::Int(_)),
        "is_a_float" => matches!(value, Value::Float(_)),
        "is_a_number" => matches!(value, Value::Int(_) | Value::Float(_)),
        "is_iter" => matches!(value, Value::List(_) | Value::Map(_)),
        _ => false,
    };
    Ok(is.into())
}

fn same(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    first(call, "value")
}

fn empty(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    Ok(Map::new().into())
}

fn indent(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    let text = call.need(0, "text")?;
    let spaces = call.arg(1, "spaces").and_then(Value::as_int).and_then(|n| usize::try_from(n).ok()).unwrap_or(16);
    Ok(text.trim_end().replace('\n', &format!("\n{}", " ".repeat(spaces))).into())
}

fn node_version(_: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    Ok("system".into())
}

fn local_minion_id(_: &Call, _: &Arc<Session>, data: &Arc<Data>) -> Answer {
    Ok(data.id.to_string().into())
}

fn ask(session: &Arc<Session>, data: &Arc<Data>, fun: &str, kwargs: Map) -> Answer {
    let call = Call { fun: fun.into(), args: vec![], kwargs };
    TemplateCaller::new(session.clone(), data.clone()).call(&call)
}

fn unix_crypt(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let password = call.need(0, "password")?;
    // A salt that follows from machine and password: the same hash in every run, or each run would change the user.
    let seed = format!("{}\0{password}", data.id);
    let salt = &corpus_core::digest::hex(&corpus_core::digest::sha256(seed.as_bytes()))[..16];
    let kwargs = [("crypt_salt", salt), ("password", &password)].into_iter().collect();
    ask(session, data, "random.shadow_hash", kwargs)
}

fn generate_password(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let length = call.arg(0, "length").and_then(Value::as_int).unwrap_or(16);
    let mut kwargs: Map = [("length", Value::Int(length))].into_iter().collect();
    kwargs.insert("punctuation", false);
    ask(session, data, "random.get_str", kwargs)
}

/// Passwords that were made for a key are kept in one file of root's, beside the projects.
pub fn stored_password(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let key = call.need(0, "key")?;
    let cx = cx(session);
    let path = cx.projects.join(".passwords.yaml");
    let mut kept = match path.exists() {
        true => corpus_master::read_map(&path).map_err(|errors| told(ProjectError::diagnostics(&errors)))?,
        false => Map::new(),
    };
    if let Some(password) = kept.get(&key).filter(|_| !call.kwargs.get("force").is_some_and(Value::truthy)) {
        return Ok(password.clone());
    }
    let length = call.arg(1, "length").cloned().unwrap_or(Value::Int(16));
    let password = generate_password(&Call::new("mc_utils.generate_password", vec![length]), session, data)?;
    if session.dry.load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(password);
    }
    kept.insert(key, password.clone());
    std::fs::create_dir_all(&cx.projects).map_err(ExecError::failed)?;
    disk::write(&path, corpus_core::yaml::emit(&kept.into(), true).as_bytes(), 0o600).map_err(told)?;
    Ok(password)
}

fn digest(call: &Call, session: &Arc<Session>, data: &Arc<Data>) -> Answer {
    let text = call.need(0, "string")?;
    let kind = call.text(1, "typ").unwrap_or_else(|| "md5".into());
    let kwargs = [("instr", text), ("hash_type", kind)].into_iter().collect();
    ask(session, data, "hashutil.digest", kwargs)
}

fn doc_root(call: &Call, session: &Arc<Session>, _: &Arc<Data>) -> Answer {
    if let Some(root) = call.text(0, "doc_root") {
        return Ok(root.into());
    }
    let dashed = |domain: String| domain.replace('.', "-");
    let project = call.text(3, "project").or_else(|| call.text(1, "domain").map(dashed));
    let relative = call.text(4, "relative_document_root").unwrap_or_else(|| "www".into());
    let root = match (call.text(2, "project_root"), project) {
        (Some(root), _) => root,
        (None, Some(project)) => cx(session).projects.join(project).join("project").display().to_string(),
        (None, None) => return Err(call.invalid("domain", "neither domain nor project is given")),
    };
    Ok(format!("{root}/{relative}").into())
}

fn gen_id(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    Ok(call.need(0, "name")?.replace('.', "-").into())
}

fn server_aliases(call: &Call, _: &Arc<Session>, _: &Arc<Data>) -> Answer {
    match first(call, "value")? {
        Value::Str(text) => Ok(text.split_whitespace().collect::<Vec<_>>().into()),
        other => Ok(other),
    }
}
