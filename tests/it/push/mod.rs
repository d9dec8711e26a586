//! Pushes to a host with a real sshd, by a real git: what deploys, what is refused, and who is let in. What deploys here
//! is a program that does what the file `deploy` of the pushed commit says, or corpus itself; `corpus projects.serve` starts it.

macro_rules! host_or_skip {
    () => {
        host_or_skip!(host())
    };
    ($host:expr) => {
        match $host {
            Some(host) => host,
            None => {
                eprintln!("skipped: needs root");
                return;
            }
        }
    };
}

mod access;
mod deploys;
mod host;
mod hostile;
mod weather;
