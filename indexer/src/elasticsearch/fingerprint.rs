//! Trust in an authority of which only the fingerprint is known.
//!
//! The server is asked for its certificates in a handshake of its own, in which nothing else is sent. If the one with
//! that fingerprint is among them, it is an authority for all real connections, which are verified as always: chain,
//! validity and name. Nothing is ever sent over a connection that was not.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::http::Url;
use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// SHA-256 of a certificate in DER.
pub(super) type Fingerprint = [u8; 32];

const TIMEOUT: Duration = Duration::from_secs(10);

/// The certificate with this fingerprint, as PEM, if the server at `url` presents it.
pub(super) async fn authority(url: &Url, fingerprint: Fingerprint) -> io::Result<Vec<u8>> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address = (host.to_owned(), url.port_or_known_default().unwrap_or(443));
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let seeker = Arc::new(Seeker { fingerprint, found: Mutex::default(), provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seeker) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let handshake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let ended = tokio::time::timeout(TIMEOUT, handshake).await;
    // Whatever happened afterwards, such as a server that wants a certificate of ours.
    if let Some(found) = seeker.found.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Ok(pem(&found));
    }
    match ended {
        Ok(Ok(_)) => Err(io::Error::other("no certificate was presented")),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn pem(certificate: &[u8]) -> Vec<u8> {
    const LINE: usize = 64;
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in STANDARD.encode(certificate).as_bytes().chunks(LINE) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    text
}

/// Refuses all chains but those with the certificate that is sought, and keeps that.
#[derive(Debug)]
struct Seeker {
    fingerprint: Fingerprint,
    found: Mutex<Option<Vec<u8>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Seeker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut chain = std::iter::once(end_entity).chain(intermediates);
        let is_it = |certificate: &&CertificateDer<'_>| {
            digest(&SHA256, certificate.as_ref()).as_ref() == self.fingerprint
        };
        match chain.find(is_it) {
            Some(certificate) => {
                let found = Some(certificate.to_vec());
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
                Ok(ServerCertVerified::assertion())
            }
            None => Err(Error::General(
                "none of the certificates that the server presents has the fingerprint ca_fingerprint"
                    .to_owned(),
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
