//! TLS: a certificate that is replaced while the page is served.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    version::TLS13,
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{rpc::Certificate, view::Authority};

/// First byte of a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// The certificate in use, if there is one yet.
#[derive(Default)]
pub struct Tls {
    loaded: RwLock<Option<Arc<Loaded>>>,
}

struct Loaded {
    acceptor: TlsAcceptor,
    authority: Authority,
    issuer: String,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the certificate is no PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    #[error("the certificate does not fit")]
    Certificate(#[from] rustls::Error),
}

impl Tls {
    /// Uses this certificate for connections that come from now on.
    ///
    /// # Errors
    ///
    /// Fails if certificate and key are none or do not belong together; then the one before stays in use.
    pub fn replace(&self, certificate: &Certificate) -> Result<(), TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate.certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let loaded = Loaded {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: certificate.authority.clone(),
            issuer: certificate.issuer.clone(),
        };
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(loaded));
        Ok(())
    }

    pub(super) fn authority(&self) -> Option<Authority> {
        self.loaded().map(|loaded| loaded.authority.clone())
    }

    /// The issuer's certificate, PEM.
    pub(super) fn issuer(&self) -> Option<String> {
        self.loaded().map(|loaded| loaded.issuer.clone())
    }

    /// Shakes hands; who speaks HTTP in clear is told where to go.
    pub(super) async fn accept(&self, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            redirect(&mut stream).await?;
            return Err(io::Error::other("it spoke in clear"));
        }
        let loaded = self.loaded().ok_or_else(|| io::Error::other("there is no certificate yet"))?;
        loaded.acceptor.accept(stream).await
    }

    fn loaded(&self) -> Option<Arc<Loaded>> {
        // A change is a single assignment, so it is whole after a panic elsewhere.
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers a request that was not read: the address of the connection, with https.
async fn redirect(stream: &mut TcpStream) -> io::Result<()> {
    let here = stream.local_addr()?;
    let answer =
        format!("HTTP/1.1 308 Permanent Redirect\r\nlocation: https://{here}/\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}
