//! Redis spoken over its own protocol: the password goes over the connection, never into a command line.

use corpus_core::{Data, ExecError, Map, Value, python};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// How long a server may say nothing. Saving to disk takes as long as it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest text that is believed of a server.
const LONGEST: usize = 512 << 20;

/// Where a server is, and how to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redis {
    pub host: String,
    pub port: u16,
    pub db: i64,
    password: Option<String>,
}

impl Redis {
    /// Finds the server: what is given (`host`, `port`, `db`, `password`), else `redis.*` of configuration or pillar.
    pub fn of(given: &Map, data: &Data) -> Result<Self, ExecError> {
        Self::by(given, data, "redis", 6379)
    }

    /// Finds the sentinel.
    pub fn sentinel(given: &Map, data: &Data) -> Result<Self, ExecError> {
        Self::by(given, data, "redis_sentinel", 26379)
    }

    fn by(given: &Map, data: &Data, prefix: &str, port: i64) -> Result<Self, ExecError> {
        let find = |key: &str| {
            let configured = || {
                let full = format!("{prefix}.{key}");
                [&data.opts, &data.pillar].into_iter().find_map(|place| place.get(&full).cloned())
            };
            let given = given.get(key).filter(|value| !value.is_null()).cloned();
            given.or_else(configured).filter(|value| !value.is_null() && !python::str(value).is_empty())
        };
        let number = |key: &str, usual: i64| -> Result<i64, ExecError> {
            let Some(value) = find(key) else { return Ok(usual) };
            let wrong = || ExecError::failed(format!("redis: `{key}` is no number: {}", python::repr(&value)));
            python::str(&value).trim().parse().map_err(|_| wrong())
        };
        let port = number("port", port)?;
        Ok(Self {
            host: find("host").as_ref().map_or_else(|| "localhost".into(), python::str),
            port: u16::try_from(port).map_err(|_| ExecError::failed(format!("redis: {port} is no port")))?,
            db: number("db", 0)?,
            password: find("password").as_ref().map(python::str),
        })
    }

    /// Names a fact about a key of this server.
    pub fn fact(&self, key: &str) -> String {
        format!("redis:{}:{}:{}:{key}", self.host, self.port, self.db)
    }

    /// Connects, is let in, and chooses the database.
    pub fn connect(&self) -> Result<Connection, ExecError> {
        let away = |error: std::io::Error| {
            ExecError::failed(format!("redis: no server answers at {}:{}: {error}", self.host, self.port))
        };
        let mut last = std::io::Error::other("the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs().map_err(away)? {
            match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE)).map_err(away)?;
                    stream.set_write_timeout(Some(PATIENCE)).map_err(away)?;
                    let mut connection = Connection { stream: BufReader::new(stream) };
                    if let Some(password) = &self.password {
                        connection.ask(&["AUTH", password])?;
                    }
                    if self.db != 0 {
                        connection.ask(&["SELECT", &self.db.to_string()])?;
                    }
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(away(last))
    }

    /// Connects and sends one command.
    pub fn ask(&self, words: &[&str]) -> Result<Value, ExecError> {
        self.connect()?.ask(words)
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Sends one command and reads its answer; what only says `OK` is true.
    pub fn ask(&mut self, words: &[&str]) -> Result<Value, ExecError> {
        let broken = |error: std::io::Error| ExecError::failed(format!("redis: the connection broke: {error}"));
        self.stream.get_mut().write_all(&request(words)).map_err(broken)?;
        answer(&mut self.stream, 0).map_err(broken)?.map_err(|why| ExecError::failed(format!("redis: {why}")))
    }
}

/// Writes a command as an array of texts.
fn request(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    out
}

/// Reads one answer; the inner error is the server's refusal.
fn answer(stream: &mut impl BufRead, depth: u8) -> std::io::Result<Result<Value, String>> {
    let wrong = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, format!("{what} is no Redis"));
    let mut line = String::new();
    if stream.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix("\r\n").ok_or_else(|| wrong("what answers"))?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| wrong("what answers"))?;
    let number = || rest.parse::<i64>().map_err(|_| wrong("what answers"));
    Ok(match kind {
        "+" if rest == "OK" => Ok(true.into()),
        "+" => Ok(rest.into()),
        "-" => Err(rest.to_owned()),
        ":" => Ok(number()?.into()),
        "$" | "*" if number()? < 0 => Ok(Value::Null),
        "$" => {
            let length = usize::try_from(number()?).ok().filter(|length| *length <= LONGEST);
            let length = length.ok_or_else(|| wrong("what sends so much"))?;
            let mut bytes = Vec::new();
            stream.by_ref().take(length as u64 + 2).read_to_end(&mut bytes)?;
            if bytes.len() != length + 2 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned().into())
        }
        "*" if depth < 8 => {
            let (mut items, mut refused) = (vec![], None);
            for _ in 0..number()? {
                match answer(stream, depth + 1)? {
                    Ok(item) => items.push(item),
                    Err(why) => refused = Some(why),
                }
            }
            refused.map_or(Ok(items.into()), Err)
        }
        _ => return Err(wrong("what answers")),
    })
}

/// Makes a mapping of a list of keys and values.
pub fn pairs(answer: &Value) -> Map {
    let items = answer.as_list().unwrap_or_default();
    items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// Reads what `INFO` says; numbers are numbers, `keys=1,expires=0` is a mapping.
pub fn info(text: &str) -> Map {
    let value = |text: &str| -> Value {
        if let Ok(number) = text.parse::<i64>() {
            return number.into();
        }
        match text.parse::<f64>() {
            Ok(number) if text.contains('.') => Value::Float(number),
            _ => text.into(),
        }
    };
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| line.split_once(':')).map(|(key, text)| {
        if !text.contains(',') || !text.contains('=') {
            return (Value::from(key), value(text));
        }
        let parts = text.split(',').filter_map(|part| part.split_once('='));
        (Value::from(key), parts.map(|(key, text)| (key, value(text))).collect::<Map>().into())
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_the_protocol() {
        assert_eq!(request(&["GET", "ö"]), "*2\r\n$3\r\nGET\r\n$2\r\nö\r\n".as_bytes());
        let read = |text: &str| answer(&mut text.as_bytes(), 0);
        for (text, expected) in [
            ("+OK\r\n", "True"),
            ("+PONG\r\n", "'PONG'"),
            (":7\r\n", "7"),
            ("$-1\r\n", "None"),
            ("$4\r\na\r\nb\r\n", "'a\\r\\nb'"),
            ("*2\r\n$1\r\na\r\n*1\r\n:1\r\n", "['a', [1]]"),
        ] {
            assert_eq!(read(text).ok().and_then(Result::ok).map(|v| python::repr(&v)).as_deref(), Some(expected));
        }
        assert!(matches!(read("-ERR no\r\n"), Ok(Err(why)) if why == "ERR no"));
        for broken in ["", "hello\r\n", "$5\r\nab", "$999999999999\r\n", "*1\r\n", ":x\r\n", "+OK"] {
            assert!(read(broken).is_err(), "{broken:?}");
        }
        let nested = "*1\r\n".repeat(100);
        assert!(read(&nested).is_err(), "an answer cannot nest without end");
    }

    #[test]
    fn reads_what_the_server_says_of_itself() {
        let map = info("# Server\r\nredis_version:7.0.15\r\ntcp_port:6379\r\nload:0.5\r\ndb0:keys=1,expires=0\r\n");
        let shown = "{'redis_version': '7.0.15', 'tcp_port': 6379, 'load': 0.5, 'db0': {'keys': 1, 'expires': 0}}";
        assert_eq!(python::repr(&map.into()), shown);
    }
}
