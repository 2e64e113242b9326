//! Certificates and keys from files that may be renewed while the agent runs.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Who signs the certificate of the other side; the system's authorities when none.
    pub ca: Option<PathBuf>,
    /// What the agent shows (mutual TLS).
    pub certificate: Option<PathBuf>,
    /// And proves.
    pub key: Option<PathBuf>,
}

/// What tells two states of the files apart: a link that points elsewhere is another file.
pub type Seen = Vec<Option<(u64, i64, i64, u64)>>;

impl Files {
    /// Looks at the files, without reading them; empty when there are none.
    #[must_use]
    pub fn look(&self) -> Seen {
        look_at(&[&self.ca, &self.certificate, &self.key])
    }

    /// Reads them.
    ///
    /// # Errors
    /// When a file cannot be used; the text names its key, and nothing of what is in it.
    pub fn load(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates("certificate_file", certificate)?;
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| told("key_file", key, &error.to_string()))?;
        builder
            .with_client_auth_cert(chain, private)
            .map_err(|error| told("key_file", key, &error.to_string()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in certificates("ca_file", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| told("ca_file", path, &error.to_string()))?;
            }
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        let (n_added, _) = roots.add_parsable_certificates(found.certs);
        if n_added == 0 {
            return Err("the system has no certificates of authorities; install ca-certificates, \
                        or set ca_file"
                .to_owned());
        }
        Ok(roots)
    }
}

/// Looks at files, without reading them.
#[must_use]
pub fn look_at(paths: &[&Option<PathBuf>]) -> Seen {
    let state = |path: &PathBuf| {
        let file = fs::metadata(path).ok()?;
        Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
    };
    paths.iter().copied().flatten().map(state).collect()
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| told(key, path, &error.to_string()))?;
    if read.is_empty() {
        return Err(told(key, path, "there is no PEM certificate in it"));
    }
    Ok(read)
}

/// Why the file of a key of the config cannot be used.
pub(crate) fn told(key: &str, path: &Path, what: &str) -> String {
    format!("{key} {} cannot be used: {what}", path.display())
}
