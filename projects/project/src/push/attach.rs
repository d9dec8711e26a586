//! The other end of the socket: asks, and shows what comes.

use super::frame::{self, Ask, Tell, VERSION, What};
use super::{Conf, text};
use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;

/// How an ask ended.
pub enum Ended {
    Verdict { ok: bool, plan: bool, summary: String },
    Refused(String),
}

/// Sends an ask and writes what is told, a line each with its step before it, until the end.
pub fn follow(conf: &Conf, what: What, out: &mut dyn Write) -> Result<Ended, String> {
    let absent = |error: std::io::Error| {
        format!(
            "the deployment service does not answer at {} ({error}): start `corpus projects.serve`",
            conf.socket.display()
        )
    };
    let mut stream = UnixStream::connect(&conf.socket).map_err(absent)?;
    frame::write(&mut stream, &Ask { version: VERSION, what }).map_err(absent)?;
    let mut stream = BufReader::new(stream);
    let gone = "the deployment service is gone; the deployment may be going on: look with `attach`";
    loop {
        let tell: Option<Tell> = frame::read(&mut stream).map_err(|error| format!("{gone} ({error})"))?;
        let line = match tell {
            None => return Err(gone.into()),
            Some(Tell::Verdict { ok, plan, summary, .. }) => return Ok(Ended::Verdict { ok, plan, summary }),
            Some(Tell::Refused { why }) => return Ok(Ended::Refused(why)),
            Some(Tell::Queued { behind }) => format!("[push] waiting for the deployment of {behind}"),
            Some(Tell::Line { step, text }) => format!("[{step}] {text}"),
            Some(Tell::Skipped { lines }) => format!("[push] … {lines} lines were too fast for this terminal"),
            Some(Tell::Beat { step, at, seconds }) => {
                let at = if at.is_empty() { String::new() } else { format!(" in {at}") };
                format!("[{step}] still at work{at}, {seconds} s")
            }
        };
        // Whoever stops listening does not stop the deployment; there is nothing left to do for us, though.
        writeln!(out, "{}", text::line(&line)).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
}

/// `corpus projects.attach NAME`: shows the deployment that is under way, or the last one. Salt's codes.
pub fn attach(conf: &Conf, project: &str, out: &mut dyn Write) -> Result<u8, String> {
    shown(follow(conf, What::Attach { project: project.to_owned() }, out)?, out)
}

/// `corpus projects.cancel NAME`: ends the deployment that is under way, and shows how it ended. 0 if it was ended, 3 if
/// it had succeeded before it heard.
pub fn cancel(conf: &Conf, project: &str, who: &str, out: &mut dyn Write) -> Result<u8, String> {
    let what = What::Cancel { project: project.to_owned(), who: who.to_owned() };
    Ok(if shown(follow(conf, what, out)?, out)? == 0 { 3 } else { 0 })
}

fn shown(ended: Ended, out: &mut dyn Write) -> Result<u8, String> {
    match ended {
        Ended::Refused(why) => Err(why),
        Ended::Verdict { ok, summary, .. } => {
            let _ = writeln!(out, "[push] {summary}");
            Ok(if ok { 0 } else { 3 })
        }
    }
}
