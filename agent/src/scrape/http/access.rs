//! How a client shows who it is and whom it trusts: certificates, a password or a token, from files
//! that may be renewed while it runs.

use crate::config::read_named;
use hyper::header::HeaderValue;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file with a password or a token.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The files and the name behind an access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Who signs the certificate of the other side; the system's authorities when none.
    pub ca: Option<PathBuf>,
    /// What the client shows (mutual TLS).
    pub certificate: Option<PathBuf>,
    /// And proves.
    pub key: Option<PathBuf>,
    /// Name for basic authentication.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<PathBuf>,
}

/// What tells two states of the files apart: a link that points elsewhere is another file.
pub type Seen = Vec<Option<(u64, i64, i64, u64)>>;

/// What a client uses.
#[derive(Clone, Default)]
pub struct Access {
    /// For `https://` URLs.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Value of the header; a secret.
    pub(super) authorization: Option<HeaderValue>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("has_tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl AccessFiles {
    /// Looks at the files, without reading them.
    #[must_use]
    pub fn look(&self) -> Seen {
        let paths = [&self.ca, &self.certificate, &self.key, &self.password, &self.token];
        let state = |path: &PathBuf| {
            let file = fs::metadata(path).ok()?;
            Some((file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
        };
        paths.into_iter().flatten().map(state).collect()
    }

    /// Reads them. TLS is made ready if `needs_tls`.
    ///
    /// # Errors
    /// When a file cannot be used; the text names its key, and nothing of what is in it.
    pub fn load(&self, needs_tls: bool) -> Result<Access, String> {
        let tls = if needs_tls { Some(Arc::new(self.tls()?)) } else { None };
        Ok(Access { tls, authorization: self.authorization()? })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let (text, key, path) = if let Some(path) = &self.token {
            (format!("Bearer {}", secret("token_file", path)?), "token_file", path)
        } else if let (Some(name), Some(path)) = (&self.username, &self.password) {
            let pair = format!("{name}:{}", secret("password_file", path)?);
            (format!("Basic {}", base64(pair.as_bytes())), "password_file", path)
        } else {
            return Ok(None);
        };
        let value = HeaderValue::try_from(text);
        let mut value = value.map_err(|_| told(key, path, "it must be one line of ASCII"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(self.roots()?);
        let (Some(certificate), Some(key)) = (&self.certificate, &self.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates("certificate_file", certificate)?;
        let unusable = |what: String| told("key_file", key, &what);
        let private = PrivateKeyDer::from_pem_file(key).map_err(|it| unusable(it.to_string()))?;
        builder.with_client_auth_cert(chain, private).map_err(|it| unusable(it.to_string()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            for certificate in certificates("ca_file", path)? {
                roots.add(certificate).map_err(|it| told("ca_file", path, &it.to_string()))?;
            }
            return Ok(roots);
        }
        let found = rustls_native_certs::load_native_certs();
        if roots.add_parsable_certificates(found.certs).0 == 0 {
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

/// The text of a file without the end of its line.
fn secret(key: &str, path: &Path) -> Result<String, String> {
    let bytes = read_named(path, SECRET_BYTES_MAX).map_err(|what| told(key, path, &what))?;
    let text = String::from_utf8(bytes).map_err(|_| told(key, path, "it is not text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(told(key, path, "it is empty")) } else { Ok(text.to_owned()) }
}

fn told(key: &str, path: &Path, what: &str) -> String {
    format!("{key} {} cannot be used: {what}", path.display())
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            let is_there = digit <= group.len();
            text.push(if is_there { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{AccessFiles, base64};

    #[test]
    fn base64_is_that_of_the_rfc() {
        // RFC 4648, section 10.
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "hunter2\n").unwrap();
        let files = AccessFiles {
            username: Some("agent".to_owned()),
            password: Some(file.clone()),
            ..AccessFiles::default()
        };
        let access = files.load(false).unwrap();
        assert_eq!(access.authorization.as_ref().unwrap(), "Basic YWdlbnQ6aHVudGVyMg==");
        assert!(!format!("{access:?} {:?}", access.authorization).contains("YWdlbn"));
        let files = AccessFiles { token: Some(file.clone()), ..AccessFiles::default() };
        let seen = files.look();
        assert_eq!(files.load(false).unwrap().authorization.unwrap(), "Bearer hunter2");
        std::fs::write(&file, "two\nlines-of-secrets\n").unwrap();
        assert_ne!(files.look(), seen, "a renewed file is noticed");
        let error = files.load(false).unwrap_err();
        assert!(error.contains("token_file") && !error.contains("secrets"), "{error}");
    }
}
