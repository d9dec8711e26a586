//! What one machine writes, another reads: files go from a machine to another through the master, which keeps nothing of
//! them. Neither has to reach the other.

use crate::{Corpus, Failure, Kind};
use corpus_ssh::{Host, Ssh};
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// The two ends of a program that runs, here or elsewhere. Its output ends with an error if it failed.
struct Running {
    read: Box<dyn Read + Send>,
    write: Box<dyn Write + Send>,
}

/// A program of this machine.
struct Here {
    child: Child,
    name: String,
}

impl Read for Here {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.child.stdout.as_mut().map_or(Ok(0), |out| out.read(buffer))?;
        if n > 0 || buffer.is_empty() {
            return Ok(n);
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(0);
        }
        let mut said = String::new();
        let _ = self.child.stderr.take().map(|mut err| err.read_to_string(&mut said));
        Err(io::Error::other(format!("{}: {status}: {}", self.name, said.trim())))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Corpus {
    /// Has a program of one machine read what a program of another writes; `None` is this machine. Both must end well.
    pub fn carry(
        self: &Arc<Self>,
        (from, send): (Option<&str>, &[String]),
        (to, receive): (Option<&str>, &[String]),
    ) -> Result<u64, Failure> {
        let ssh = Ssh::new(self.ssh_options()).map_err(|error| Failure::new(Kind::Host, error.to_string()))?;
        let Running { read: mut source, write: idle } = self.start(&ssh, from, send)?;
        drop(idle);
        let Running { read: mut told, write: mut sink } = self.start(&ssh, to, receive)?;
        let failed = |at: Option<&str>, error: io::Error| {
            Failure::new(Kind::Function, format!("{}: {error}", at.unwrap_or("this machine")))
        };
        std::thread::scope(|scope| {
            // Beside the writing: who ends early says why, and nobody waits for room with them.
            let end = scope.spawn(move || io::copy(&mut told, &mut io::sink()));
            let mut pieces = vec![0; 256 * 1024];
            let mut all = 0;
            let sent = loop {
                if self.interrupted() {
                    return Err(Failure::new(Kind::Interrupted, "interrupted while files were carried"));
                }
                match source.read(&mut pieces) {
                    Ok(0) => break Ok(()),
                    Ok(n) => match sink.write_all(&pieces[..n]) {
                        Ok(()) => all += n as u64,
                        Err(error) => break Err(failed(to, error)),
                    },
                    Err(error) => break Err(failed(from, error)),
                }
            };
            drop(sink);
            let end = end.join().unwrap_or_else(|_| Err(io::Error::other("it could not be waited for")));
            // The words of who ended are more than that it did not take more.
            match (end, sent) {
                (Err(error), _) => Err(failed(to, error)),
                (Ok(_), Err(failure)) => Err(failure),
                (Ok(_), Ok(())) => Ok(all),
            }
        })
    }

    fn start(self: &Arc<Self>, ssh: &Ssh, at: Option<&str>, argv: &[String]) -> Result<Running, Failure> {
        let Some(id) = at else { return here(argv) };
        let fail = |error: corpus_ssh::SshError| Failure::new(Kind::Host, format!("{id}: {error}"));
        let (read, write) =
            ssh.open(&self.host(id)?).and_then(|session| session.start_program(argv)).map_err(fail)?.into_boxes();
        Ok(Running { read, write })
    }

    fn host(&self, id: &str) -> Result<Host, Failure> {
        let found = self.read_all()?.hosts.into_iter().find(|host| host.id == id);
        found.ok_or_else(|| Failure::new(Kind::Target, format!("{id} is not in the roster")))
    }
}

fn here(argv: &[String]) -> Result<Running, Failure> {
    let name = argv.first().cloned().unwrap_or_default();
    let fail = |error: io::Error| Failure::new(Kind::Host, format!("{name} cannot be started: {error}"));
    let mut command = Command::new(&name);
    command.args(argv.get(1..).unwrap_or_default());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(fail)?;
    let write: Box<dyn Write + Send> = match child.stdin.take() {
        Some(write) => Box::new(write),
        None => Box::new(io::sink()),
    };
    Ok(Running { read: Box::new(Here { child, name }), write })
}
