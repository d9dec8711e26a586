//! TLS of the clients that pillar comes by: rustls with ring, authorities of a file or of the system.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    Nothing,
    /// Who signed it, but not for which name.
    Authority,
    #[default]
    Everything,
}

/// What a connection is made with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub check: Check,
    /// A file of authorities in PEM; without it the system's count.
    pub authorities: Option<PathBuf>,
    /// Certificate and key with which the client names itself.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why there is no TLS to be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no certificate can be read from {0}")]
    NoAuthorities(String),
    #[error("{0}: {1}")]
    File(String, String),
    #[error("{0}")]
    Rustls(#[from] Error),
}

/// Where systems keep the authorities that they trust.
const SYSTEM: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Returns the algorithms.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Reads the authorities of a file, or the system's.
pub fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let files: Vec<PathBuf> = match file.map(Path::to_owned).or(named) {
        Some(file) => vec![file],
        None => SYSTEM.iter().map(PathBuf::from).collect(),
    };
    for file in &files {
        let Ok(found) = CertificateDer::pem_file_iter(file) else { continue };
        let found: Vec<_> = found.flatten().collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let name = file.map_or_else(|| "the system's authorities".into(), |file| file.display().to_string());
    Err(TlsError::NoAuthorities(name))
}

/// Reads the authorities of a text in PEM.
pub fn authorities_in(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten().collect();
    if found.is_empty() { Err(TlsError::NoAuthorities("the text in the configuration".into())) } else { Ok(found) }
}

/// Makes a client's configuration.
pub fn client(options: &Options) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let inner = if options.check == Check::Nothing {
        None
    } else {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(authorities(options.authorities.as_deref())?);
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone());
        Some(verifier.build().map_err(|error| Error::General(error.to_string()))?)
    };
    let verifier = Verifier { inner, names: options.check == Check::Everything, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let Some((cert, key)) = &options.identity else { return Ok(builder.with_no_client_auth()) };
    let fail = |path: &Path, why: String| TlsError::File(path.display().to_string(), why);
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| fail(cert, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| fail(key, error.to_string()))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
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
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
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
