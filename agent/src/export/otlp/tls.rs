//! Certificates and keys from files, and whether the files changed.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Who signs the receiver's certificate; the system's when none.
    pub(super) ca: Option<PathBuf>,
    /// What the agent shows.
    pub(super) certificate: Option<PathBuf>,
    /// And proves.
    pub(super) key: Option<PathBuf>,
}

/// What tells two states of the files apart: a link that points elsewhere is another file.
pub(super) type Seen = Vec<Option<(u64, i64, i64, u64)>>;

impl Files {
    /// Looks at the files; empty when there are none.
    pub(super) fn look(&self) -> Seen {
        let paths = [&self.ca, &self.certificate, &self.key];
        let state = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
        };
        paths.into_iter().flatten().map(state).collect()
    }

    /// Reads them.
    pub(super) fn load(&self) -> Result<ClientConfig, String> {
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

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| told(key, path, &error.to_string()))?;
    if read.is_empty() {
        return Err(told(key, path, "there is no PEM certificate in it"));
    }
    Ok(read)
}

fn told(key: &str, path: &Path, what: &str) -> String {
    format!("{key} {} cannot be used: {what}", path.display())
}
