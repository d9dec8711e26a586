//! `redis.*`: keys and configuration of a Redis server.

use crate::redis::{Redis, info, pairs};
use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Map, Value, python};

type Answer = Result<Value, ExecError>;

/// One command as it is sent: its words, and where the arguments of the connection stand.
macro_rules! ask {
    ($kind:ident $name:literal $args:literal $doc:literal $word:literal $($part:literal)*) => {
        ExecDef {
            name: $name,
            args: concat!("(", $args, "host=None, port=None, db=None, password=None)"),
            doc: $doc,
            run: ExecFn::$kind(|call, _, data| {
                let mut words = vec![$word.to_owned()];
                let names: &[&str] = &[$($part),*];
                for (place, name) in names.iter().enumerate() {
                    words.push(call.need(place, name)?);
                }
                send(call, data, names.len(), &words)
            }),
        }
    };
}

/// A command whose words or answer are its own.
macro_rules! own {
    ($kind:ident $name:literal $args:literal $doc:literal $run:expr) => {
        ExecDef {
            name: $name,
            args: concat!("(", $args, ")"),
            doc: $doc,
            run: ExecFn::$kind(|call, _, data| {
                let run: fn(&Call, &Data) -> Answer = $run;
                run(call, data)
            }),
        }
    };
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    ask!(Write "redis.bgrewriteaof" "" "Begins to rewrite the append-only file." "BGREWRITEAOF"),
    ask!(Write "redis.bgsave" "" "Begins to save the data." "BGSAVE"),
    own!(Read "redis.config_get" "pattern='*', host=None, port=None, db=None, password=None"
        "Returns settings of the server." |call, data| {
        let pattern = call.text(0, "pattern").unwrap_or_else(|| "*".into());
        Ok(pairs(&send(call, data, 1, &["CONFIG".into(), "GET".into(), pattern])?).into())
    }),
    own!(Write "redis.config_set" "name, value, host=None, port=None, db=None, password=None"
        "Changes a setting of the server." |call, data| {
        send(call, data, 2, &["CONFIG".into(), "SET".into(), call.need(0, "name")?, call.need(1, "value")?])
    }),
    ask!(Read "redis.dbsize" "" "Returns the number of keys." "DBSIZE"),
    own!(Write "redis.delete" "*keys, **connection_args" "Deletes keys and returns how many there were." |call, data| {
        several(call, data, "DEL", 0)
    }),
    ask!(Read "redis.exists" "key, " "Tells whether a key is there." "EXISTS" "key"),
    ask!(Write "redis.expire" "key, seconds, " "Lets a key live so many seconds." "EXPIRE" "key" "seconds"),
    ask!(Write "redis.expireat" "key, timestamp, " "Lets a key live until a time." "EXPIREAT" "key" "timestamp"),
    ask!(Write "redis.flushall" "" "Removes all keys of all databases." "FLUSHALL"),
    ask!(Write "redis.flushdb" "" "Removes all keys of the database." "FLUSHDB"),
    ask!(Read "redis.get_key" "key, " "Returns the value of a key." "GET" "key"),
    own!(Read "redis.get_master_ip" "host=None, port=None, password=None"
        "Returns the server that this one follows." |call, data| {
        let text = at(call, data, 0, &["host", "port", "password"])?.ask(&["INFO"])?;
        let found = info(text.as_str().unwrap_or_default());
        let part = |key: &str| (key.to_owned(), found.get(key).cloned().unwrap_or_else(|| "".into()));
        Ok([part("master_host"), part("master_port")].into_iter().collect::<Map>().into())
    }),
    own!(Write "redis.hdel" "key, *fields, **options" "Deletes fields of a hash." |call, data| {
        several(call, data, "HDEL", 1)
    }),
    ask!(Read "redis.hexists" "key, field, " "Tells whether a hash has a field." "HEXISTS" "key" "field"),
    ask!(Read "redis.hget" "key, field, " "Returns a field of a hash." "HGET" "key" "field"),
    own!(Read "redis.hgetall" "key, host=None, port=None, db=None, password=None" "Returns a whole hash." |call, data| {
        Ok(pairs(&send(call, data, 1, &["HGETALL".into(), call.need(0, "key")?])?).into())
    }),
    own!(Write "redis.hincrby" "key, field, increment=1, host=None, port=None, db=None, password=None"
        "Adds to a field of a hash." |call, data| {
        let by = call.text(2, "increment").unwrap_or_else(|| "1".into());
        send(call, data, 3, &["HINCRBY".into(), call.need(0, "key")?, call.need(1, "field")?, by])
    }),
    own!(Write "redis.hincrbyfloat" "key, field, increment=1.0, host=None, port=None, db=None, password=None"
        "Adds a fraction to a field of a hash." |call, data| {
        let by = call.text(2, "increment").unwrap_or_else(|| "1.0".into());
        let words = ["HINCRBYFLOAT".into(), call.need(0, "key")?, call.need(1, "field")?, by];
        let answer = python::str(&send(call, data, 3, &words)?);
        Ok(answer.parse().map_or_else(|_| answer.into(), Value::Float))
    }),
    ask!(Read "redis.hlen" "key, " "Returns the number of fields of a hash." "HLEN" "key"),
    own!(Read "redis.hmget" "key, *fields, **options" "Returns fields of a hash." |call, data| {
        several(call, data, "HMGET", 1)
    }),
    own!(Write "redis.hmset" "key, **fieldsvals" "Sets fields of a hash." |call, data| {
        let mut words = vec!["HMSET".to_owned(), call.need(0, "key")?];
        for (field, value) in &call.kwargs {
            let field = python::str(field);
            if field != "key" && !CONNECTION.contains(&field.as_str()) && !field.starts_with("__") {
                words.extend([field, python::str(value)]);
            }
        }
        send(call, data, 1, &words)
    }),
    own!(Read "redis.hscan" "key, cursor=0, match=None, count=None, host=None, port=None, db=None, password=None"
        "Returns some fields of a hash, and where to go on." |call, data| {
        let cursor = call.text(1, "cursor").unwrap_or_else(|| "0".into());
        let mut words = vec!["HSCAN".to_owned(), call.need(0, "key")?, cursor];
        for (place, name) in [(2, "match"), (3, "count")] {
            words.extend(call.text(place, name).into_iter().flat_map(|text| [name.to_uppercase(), text]));
        }
        let answer = send(call, data, 4, &words)?;
        let [next, found] = answer.as_list().unwrap_or_default() else { return Ok(answer) };
        let next = python::str(next).parse::<i64>().map_or_else(|_| next.clone(), Value::from);
        Ok(vec![next, pairs(found).into()].into())
    }),
    ask!(Write "redis.hset" "key, field, value, " "Sets a field of a hash." "HSET" "key" "field" "value"),
    ask!(Write "redis.hsetnx" "key, field, value, " "Sets a field of a hash if it is not there."
        "HSETNX" "key" "field" "value"),
    ask!(Read "redis.hvals" "key, " "Returns the values of a hash." "HVALS" "key"),
    own!(Read "redis.info" "host=None, port=None, db=None, password=None" "Describes the server." |call, data| {
        Ok(info(send(call, data, 0, &["INFO".into()])?.as_str().unwrap_or_default()).into())
    }),
    own!(Read "redis.keys" "pattern='*', host=None, port=None, db=None, password=None"
        "Lists the keys that match." |call, data| {
        send(call, data, 1, &["KEYS".into(), call.text(0, "pattern").unwrap_or_else(|| "*".into())])
    }),
    ask!(Read "redis.key_type" "key, " "Returns the type of a key." "TYPE" "key"),
    ask!(Read "redis.lastsave" "" "Returns when the data were last saved." "LASTSAVE"),
    ask!(Read "redis.llen" "key, " "Returns the length of a list." "LLEN" "key"),
    ask!(Read "redis.lrange" "key, start, stop, " "Returns a part of a list." "LRANGE" "key" "start" "stop"),
    own!(Read "redis.ping" "host=None, port=None, db=None, password=None"
        "Tells whether a server answers." |call, data| {
        match send(call, data, 0, &["PING".into()]) {
            Err(ExecError::Failed(why)) if why.contains("no server answers") => Ok(false.into()),
            other => other.map(|_| true.into()),
        }
    }),
    ask!(Write "redis.save" "" "Saves the data, and waits for it." "SAVE"),
    own!(Read "redis.sentinel_get_master_ip" "master, host=None, port=None, password=None"
        "Asks a sentinel who the master is." |call, data| {
        let given = given(call, 1, &["host", "port", "password"]);
        let master = call.need(0, "master")?;
        let found = Redis::sentinel(&given, data)?.ask(&["SENTINEL", "get-master-addr-by-name", &master])?;
        let [host, port] = found.as_list().unwrap_or_default() else {
            return Err(ExecError::failed(format!("redis: the sentinel knows no master {master}")));
        };
        let port = python::str(port).parse::<i64>().map_or_else(|_| port.clone(), Value::from);
        Ok([("master_host", host.clone()), ("master_port", port)].into_iter().collect::<Map>().into())
    }),
    ask!(Write "redis.set_key" "key, value, " "Sets the value of a key." "SET" "key" "value"),
    own!(Write "redis.shutdown" "host=None, port=None, db=None, password=None"
        "Saves the data and ends the server." |call, data| {
        let server = at(call, data, 0, &CONNECTION)?;
        if server.ask(&["PING"]).is_err() {
            return Ok(false.into());
        }
        // It answers by going away.
        let _ = server.ask(&["SHUTDOWN"]);
        Ok(server.ask(&["PING"]).is_err().into())
    }),
    own!(Write "redis.slaveof" "master_host=None, master_port=None, host=None, port=None, db=None, password=None"
        "Lets the server follow another, or none." |call, data| {
        let master = call.text(0, "master_host").filter(|host| !host.is_empty());
        let words = match master {
            Some(host) => ["SLAVEOF".into(), host, call.text(1, "master_port").unwrap_or_else(|| "6379".into())],
            None => ["SLAVEOF", "NO", "ONE"].map(str::to_owned),
        };
        send(call, data, 2, &words)
    }),
    ask!(Read "redis.smembers" "key, " "Returns the members of a set." "SMEMBERS" "key"),
    own!(Read "redis.time" "host=None, port=None, db=None, password=None"
        "Returns the server's time, in seconds since 1970." |call, data| {
        let answer = send(call, data, 0, &["TIME".into()])?;
        let seconds = answer.as_list().and_then(|parts| parts.first()).map(python::str).unwrap_or_default();
        Ok(seconds.parse::<i64>().map_or(answer, Value::from))
    }),
    ask!(Read "redis.zcard" "key, " "Returns the size of a sorted set." "ZCARD" "key"),
    ask!(Read "redis.zrange" "key, start, stop, " "Returns a part of a sorted set." "ZRANGE" "key" "start" "stop"),
];

/// The arguments that say which server is meant.
pub const CONNECTION: [&str; 4] = ["host", "port", "db", "password"];

/// Collects the arguments of the connection, which stand after the command's own.
fn given(call: &Call, first: usize, names: &[&str]) -> Map {
    let found = names.iter().enumerate().filter_map(|(at, name)| Some((*name, call.arg(first + at, name)?.clone())));
    found.collect()
}

fn at(call: &Call, data: &Data, first: usize, names: &[&str]) -> Result<Redis, ExecError> {
    Redis::of(&given(call, first, names), data)
}

fn send(call: &Call, data: &Data, first: usize, words: &[String]) -> Answer {
    at(call, data, first, &CONNECTION)?.ask(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Sends a command of any number of words; the connection is named.
fn several(call: &Call, data: &Data, word: &str, least: usize) -> Answer {
    if call.args.len() <= least {
        return Err(call.missing(if least == 0 { "keys" } else { "fields" }));
    }
    let words: Vec<String> = std::iter::once(word.to_owned()).chain(call.args.iter().map(python::str)).collect();
    send(call, data, usize::MAX - 9, &words)
}
