//! `tls.*`: not built; the calls say so.

use corpus_core::{Call, Data, ExecDef, ExecError, ExecFn, Value};

const fn refused(name: &'static str, args: &'static str) -> ExecDef {
    ExecDef { name, args, doc: "Not built: says so, and what to write instead.", run: ExecFn::Data(refuse) }
}

/// The functions of this module.
pub const FNS: &[ExecDef] = &[
    refused("tls.create_self_signed_cert", "(tls_dir='tls', bits=2048, days=365, CN='localhost', …)"),
    refused("tls.create_ca", "(ca_name, bits=2048, days=365, CN='localhost', …)"),
    refused("tls.create_csr", "(ca_name, bits=2048, CN='localhost', …)"),
    refused("tls.create_ca_signed_cert", "(ca_name, CN, days=365, …)"),
];

fn refuse(call: &Call, _: &Data) -> Result<Value, ExecError> {
    Err(ExecError::failed(format!(
        "{} is not built; use cmd.run with `openssl req -x509 …` and `creates: FILE`",
        call.fun
    )))
}
