//! TLS to a database as libpq's `sslmode` has it.

use corpus_core::Diagnostic;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    Nothing,
    /// Who signed it, but not for which name.
    Authority,
    Everything,
}

/// Makes what connects by TLS; `roots` is a file of authorities, without which the system's count.
pub fn connector(check: Check, roots: Option<&str>) -> Result<MakeRustlsConnect, Diagnostic> {
    let provider = Arc::new(ring::default_provider());
    let fail = |error: &dyn std::fmt::Display| Diagnostic::error(format!("TLS: {error}"));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(&error))?;
    let verifier = if check == Check::Nothing {
        None
    } else {
        let store = Arc::new(store(roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(store, provider.clone());
        Some(verifier.build().map_err(|error| fail(&error))?)
    };
    let verifier = Verifier { inner: verifier, names: check == Check::Everything, provider };
    let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn store(roots: Option<&str>) -> Result<RootCertStore, Diagnostic> {
    let mut store = RootCertStore::empty();
    let files: Vec<&str> = match roots {
        Some(file) => vec![file],
        None => vec!["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"],
    };
    for file in files {
        let Ok(found) = CertificateDer::pem_file_iter(file) else { continue };
        store.add_parsable_certificates(found.flatten());
        if !store.is_empty() {
            return Ok(store);
        }
    }
    let name = roots.unwrap_or("the system's authorities");
    Err(Diagnostic::error(format!("TLS: no certificate can be read from {name}"))
        .hint("`sslrootcert` names a file of authorities in PEM"))
}

/// Checks what was asked for and no more.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    names: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end, between, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. },
            )) if !self.names => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
