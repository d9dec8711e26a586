//! `x509.pem_managed`

use super::shared::Place;
use corpus_core::decode::Mode;
use corpus_core::{Map, Plan, PlanCx, State, StateError, Value};
use corpus_exec::{ask, x509};
use serde::Deserialize;

/// Keeps a file with a PEM block, folded as it should be.
///
/// ```sls
/// /etc/ssl/ca.crt:
///   x509.pem_managed:
///     - text: /root/ca.pem
/// ```
#[derive(Deserialize)]
pub struct PemManaged {
    /// The file.
    pub name: String,
    /// The block, or a file that has it.
    pub text: String,
    /// Who owns the file.
    pub user: Option<Value>,
    /// Its group.
    pub group: Option<Value>,
    /// Its permissions.
    pub mode: Option<Mode>,
    /// Make the directories that are missing.
    #[serde(default)]
    pub makedirs: bool,
    /// Their permissions.
    pub dir_mode: Option<Mode>,
    /// Keep what the file was: `minion`.
    #[serde(default)]
    pub backup: Value,
}

impl State for PemManaged {
    const NAME: &'static str = "x509.pem_managed";

    fn plan(&self, cx: &PlanCx<'_>) -> Result<Plan, StateError> {
        let path = crate::file::shared::path(cx, &self.name)?;
        let text = match &self.text {
            text if text.starts_with('/') => ask::text(cx.host, text)?
                .ok_or_else(|| StateError::missing(format!("argument `text`: there is no {text}")))?,
            text => text.clone(),
        };
        let text = x509::pem(&text).ok_or_else(|| StateError::failed("argument `text`: no PEM block is in it"))?;
        let place = Place {
            path: &path,
            user: &self.user,
            group: &self.group,
            mode: self.mode,
            makedirs: self.makedirs,
            dir_mode: self.dir_mode,
            backup: &self.backup,
        };
        place.plan(cx, Some(text), Map::new())
    }
}
