//! Docker's API over its socket, blocking and without a library for the whole of HTTP: asked in HTTP/1.0, the daemon
//! answers with a head and a body that ends when the connection does.

use corpus_core::{Data, ExecError, Map, Value, python};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The newest API that is spoken; an older daemon is spoken to in its own.
const API: (u32, u32) = (1, 47);

/// How long a daemon may say nothing. Pulls, builds and waits take as long as they take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Docker {
    Socket(PathBuf),
    Tcp(String),
}

/// What a daemon said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A connection that reads and writes.
trait Stream: Read + Write + Send {
    /// Tells the other side that nothing more will come.
    fn end(&self) -> std::io::Result<()>;
}

impl Stream for UnixStream {
    fn end(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for TcpStream {
    fn end(&self) -> std::io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// The versions of daemons that have been asked.
static VERSIONS: Mutex<Vec<(Docker, String)>> = Mutex::new(vec![]);

impl Docker {
    /// Finds the daemon: what is given, else `docker.url` of configuration or pillar, else `DOCKER_HOST`, else the
    /// usual socket.
    pub fn of(url: Option<&str>, data: &Data) -> Result<Self, ExecError> {
        let configured = [&data.opts, &data.pillar]
            .into_iter()
            .find_map(|place| place.get("docker.url").filter(|value| value.truthy()).map(python::str));
        let url = url.map(str::to_owned).or(configured).or_else(|| crate::fns::environ::variable("DOCKER_HOST"));
        let url = url.filter(|url| !url.is_empty()).unwrap_or_else(|| "unix:///var/run/docker.sock".into());
        match url.split_once("://") {
            Some(("unix", path)) => Ok(Self::Socket(path.into())),
            None if url.starts_with('/') => Ok(Self::Socket(url.into())),
            Some(("tcp" | "http", address)) => Ok(Self::Tcp(address.trim_end_matches('/').into())),
            _ => Err(ExecError::failed(format!(
                "docker: `{url}` cannot be reached: the daemon is, by `unix:///path` or `tcp://host:port`; TLS and SSH are not built"
            ))),
        }
    }

    /// Names it for messages.
    pub fn name(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix://{}", path.display()),
            Self::Tcp(address) => format!("tcp://{address}"),
        }
    }

    fn connect(&self, patience: Option<Duration>) -> Result<Box<dyn Stream>, ExecError> {
        let failed =
            |error: std::io::Error| ExecError::failed(format!("docker: no daemon answers at {}: {error}", self.name()));
        match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).map_err(failed)?;
                stream.set_read_timeout(patience).map_err(failed)?;
                Ok(Box::new(stream))
            }
            Self::Tcp(address) => {
                let at = address.to_socket_addrs().map_err(failed)?.next();
                let at = at.ok_or_else(|| failed(std::io::Error::other("the host has no address")))?;
                let stream = TcpStream::connect_timeout(&at, Duration::from_secs(10)).map_err(failed)?;
                stream.set_read_timeout(patience).map_err(failed)?;
                Ok(Box::new(stream))
            }
        }
    }

    /// Asks and reads the whole answer.
    fn exchange(&self, head: &str, body: &mut dyn Read, patience: Option<Duration>) -> Result<Answer, ExecError> {
        let broken = |error: std::io::Error| ExecError::failed(format!("docker: {}: {error}", self.name()));
        let mut stream = self.connect(patience)?;
        stream.write_all(head.as_bytes()).map_err(broken)?;
        // A daemon that refuses stops reading: its answer tells more than the broken pipe.
        let sent = std::io::copy(body, &mut stream).and_then(|_| stream.flush());
        let mut all = vec![];
        match stream.read_to_end(&mut all) {
            Err(error) if all.is_empty() => return Err(broken(sent.err().unwrap_or(error))),
            _ => {}
        }
        parse(&all).ok_or_else(|| ExecError::failed(format!("docker: what answers at {} is no Docker", self.name())))
    }

    /// Returns the version of the API to speak.
    fn version(&self) -> Result<String, ExecError> {
        let lock = || VERSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, version)) = lock().iter().find(|(docker, _)| docker == self) {
            return Ok(version.clone());
        }
        let head = "GET /version HTTP/1.0\r\nHost: docker\r\n\r\n";
        let answer = self.exchange(head, &mut std::io::empty(), Some(PATIENCE))?;
        let said = answer.json()?;
        let theirs = said.get("ApiVersion").and_then(Value::as_str).unwrap_or("1.24").to_owned();
        let number = theirs.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let version =
            if number.is_some_and(|number: (u32, u32)| number > API) { format!("{}.{}", API.0, API.1) } else { theirs };
        lock().push((self.clone(), version.clone()));
        Ok(version)
    }

    /// Makes a request with a body of any kind; a status of 400 and above is an error.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: (&mut dyn Read, u64),
        patience: Option<Duration>,
    ) -> Result<Answer, ExecError> {
        let version = self.version()?;
        let mut head = format!("{method} /v{version}{path} HTTP/1.0\r\nHost: docker\r\nContent-Length: {}\r\n", body.1);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let answer = self.exchange(&head, body.0, patience)?;
        if answer.status < 400 { Ok(answer) } else { Err(answer.error()) }
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        patience: Option<Duration>,
    ) -> Result<Answer, ExecError> {
        let json = body.map(|body| serde_json::to_vec(&body).unwrap_or_default()).unwrap_or_default();
        let headers: &[(&str, &str)] = if json.is_empty() { &[] } else { &[("Content-Type", "application/json")] };
        self.send(method, path, headers, (&mut json.as_slice(), json.len() as u64), patience)
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Result<Value, ExecError> {
        self.ask("GET", path, None, Some(PATIENCE))?.json()
    }

    /// Asks for something that may not be there.
    pub fn find(&self, path: &str) -> Result<Option<Value>, ExecError> {
        match self.get(path) {
            Err(error) if error.to_string().starts_with("Error 404") => Ok(None),
            other => other.map(Some),
        }
    }

    /// Orders something and returns what the daemon made of it.
    pub fn post(&self, path: &str, body: Option<Value>) -> Result<Value, ExecError> {
        self.ask("POST", path, body, Some(PATIENCE))?.json()
    }

    /// Orders something that takes its time, and returns the whole answer.
    pub fn post_slow(&self, path: &str, body: Option<Value>) -> Result<Answer, ExecError> {
        self.ask("POST", path, body, None)
    }

    /// Removes something.
    pub fn delete(&self, path: &str) -> Result<Value, ExecError> {
        self.ask("DELETE", path, None, Some(PATIENCE))?.json()
    }

    /// Asks for bytes.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, ExecError> {
        Ok(self.ask("GET", path, None, None)?.body)
    }

    /// Starts what `exec` prepared, gives it its input, and returns its output and its errors.
    pub fn attached(&self, path: &str, body: &Value, input: Option<&[u8]>) -> Result<(Vec<u8>, Vec<u8>), ExecError> {
        let broken = |error: std::io::Error| ExecError::failed(format!("docker: {}: {error}", self.name()));
        let json = serde_json::to_vec(body).unwrap_or_default();
        let head = format!(
            "POST /v{}{path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\
             Content-Length: {}\r\n\r\n",
            self.version()?,
            json.len()
        );
        let mut stream = self.connect(None)?;
        stream.write_all(head.as_bytes()).map_err(broken)?;
        stream.write_all(&json).map_err(broken)?;
        // Input goes after the head of the answer: what the daemon reads before that is lost.
        let mut all = vec![];
        let mut one = [0; 1];
        while !all.ends_with(b"\r\n\r\n") && stream.read(&mut one).map_err(broken)? == 1 {
            all.push(one[0]);
        }
        let status = parse(&all).map_or(0, |answer| answer.status);
        if let (Some(input), true) = (input, status < 400) {
            stream.write_all(input).and_then(|()| stream.end()).map_err(broken)?;
        }
        let mut rest = vec![];
        if status >= 400 {
            let _ = stream.read_to_end(&mut rest);
            return Err(Answer { status, body: rest }.error());
        }
        stream.read_to_end(&mut rest).map_err(broken)?;
        Ok(streams(&rest))
    }
}

/// Parts the two streams of a container without a terminal: frames of a kind, a length and bytes.
pub fn streams(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (vec![], vec![]);
    while let [kind @ 0..=2, 0, 0, 0, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (part, after) = rest.split_at(length.min(rest.len()));
        if *kind == 2 { &mut err } else { &mut out }.extend_from_slice(part);
        bytes = after;
    }
    // What is in no frame comes from a terminal.
    out.extend_from_slice(bytes);
    (out, err)
}

fn parse(all: &[u8]) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(all) {
        Ok(httparse::Status::Complete(end)) => Some(Answer { status: response.code?, body: all[end..].to_vec() }),
        _ => None,
    }
}

impl Answer {
    /// Reads the body; an empty one is nothing.
    pub fn json(&self) -> Result<Value, ExecError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ExecError::failed(format!("docker: an answer is no JSON: {error}")))
    }

    /// Reads the body of an order that tells how it goes, a line for each step. What it says of an error is one.
    pub fn steps(&self) -> Result<Vec<Map>, ExecError> {
        let mut out = vec![];
        for step in serde_json::Deserializer::from_slice(&self.body).into_iter::<Value>() {
            let step = step.map_err(|error| ExecError::failed(format!("docker: an answer is no JSON: {error}")))?;
            if let Some(error) = step.get("error") {
                return Err(ExecError::Failed(python::str(error).trim().to_owned()));
            }
            out.extend(step.as_map().cloned());
        }
        Ok(out)
    }

    fn error(&self) -> ExecError {
        let said: Option<Value> = serde_json::from_slice(&self.body).ok();
        let message = said.as_ref().and_then(|said| said.get("message")).and_then(Value::as_str);
        let text = String::from_utf8_lossy(&self.body);
        ExecError::failed(format!("Error {}: {}", self.status, message.unwrap_or_else(|| text.trim())))
    }
}

/// Writes a value into a path or a query.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' => out.push(byte as char),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Answer, escaped, parse, streams};

    #[test]
    fn reads_answers() {
        let answer = parse(
            b"HTTP/1.0 404 Not Found\r\nContent-Type: application/json\r\n\r\n{\"message\":\"No such container: x\"}",
        )
        .expect("an answer");
        assert_eq!(answer.error().to_string(), "Error 404: No such container: x");
        let steps = Answer { status: 200, body: b"{\"status\":\"a\"}\r\n{\"error\":\"no space\"}\r\n".to_vec() };
        assert_eq!(steps.steps().expect_err("an error").to_string(), "no space");
        assert!(parse(b"SSH-2.0-x\r\n").is_none());
    }

    #[test]
    fn parts_the_streams() {
        let framed = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03bad\x01\0\0\0\0\0\0\x01!";
        assert_eq!(streams(framed), (b"hi!".to_vec(), b"bad".to_vec()));
        assert_eq!(streams(b"plain"), (b"plain".to_vec(), vec![]));
        assert_eq!(escaped("a b{\"c\"}"), "a%20b%7B%22c%22%7D");
    }
}
