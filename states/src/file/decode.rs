//! `file.decode`

use super::shared::{self, failed};
use corpus_core::plan::{Attrs, Content};
use corpus_core::{Effect, Plan, PlanCx, State, StateError, Value, digest, python};
use corpus_exec::file::hash;
use serde::Deserialize;

/// Writes a file from its Base64 form.
///
/// ```sls
/// /etc/app/key.bin:
///   file.decode:
///     - encoded_data: aGVsbG8K
/// ```
#[derive(Deserialize)]
pub struct Decode {
    name: String,
    /// The content in Base64.
    encoded_data: Option<String>,
    /// The content in Base64, under this key of the pillar.
    contents_pillar: Option<String>,
    /// How it is encoded; only `base64`.
    #[serde(default)]
    encoding_type: Value,
    /// The digest that is compared and shown.
    #[serde(default = "md5")]
    checksum: String,
}

fn md5() -> String {
    "md5".into()
}

impl State for Decode {
    const NAME: &'static str = "file.decode";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = shared::path(cx, &self.name)?;
        let encoded = match (&self.encoded_data, &self.contents_pillar) {
            (Some(_), Some(_)) => return Err(failed("Specify only one 'encoded_data' or 'contents_pillar' argument.")),
            (Some(data), None) => data.clone(),
            (None, Some(key)) => {
                python::str(cx.data.pillar.traverse(key, ":").ok_or_else(|| failed("Pillar data not found."))?)
            }
            (None, None) => return Err(failed("Specify either the 'encoded_data' or 'contents_pillar' argument.")),
        };
        if !self.encoding_type.is_null() && self.encoding_type.as_str() != Some("base64") {
            return Err(failed(format!("Unknown encoding type {}; use base64", python::str(&self.encoding_type))));
        }
        let bytes = digest::unbase64(&encoded).ok_or_else(|| failed("The encoded data is not Base64."))?;
        let digest = |bytes: &[u8]| {
            hash::digest(&self.checksum, bytes)
                .ok_or_else(|| failed(format!("Unknown checksum type {}", self.checksum)))
        };
        let new = digest(&bytes)?;
        let old = match cx.host.stat(&path)? {
            Some(_) => Some(digest(&cx.host.read(&path)?)?),
            None => None,
        };
        if old.as_ref() == Some(&new) {
            return Ok(Plan::unchanged("File is in the correct state."));
        }
        let content = Content::Bytes(bytes);
        Ok(Plan::default()
            .says("File is set to be updated.", "File was updated.")
            .change("old", old)
            .change("new", new)
            .step(Effect::WriteFile { path, content, attrs: Attrs::default(), backup: None }))
    }
}
