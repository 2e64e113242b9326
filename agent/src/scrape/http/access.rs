//! How a client shows who it is and whom it trusts: certificates, a password or a token, from files
//! that may be renewed while it runs.

use crate::config::read_named;
use crate::tls::{Files, Seen, look_at, told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use rustls::ClientConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file with a password or a token.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The files and the name behind an access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Certificates.
    pub tls: Files,
    /// Name for basic authentication.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<PathBuf>,
    /// Bearer token.
    pub token: Option<PathBuf>,
}

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
        let mut seen = self.tls.look();
        seen.extend(look_at(&[&self.password, &self.token]));
        seen
    }

    /// Reads them. TLS is made ready if `needs_tls`.
    ///
    /// # Errors
    /// When a file cannot be used; the text names its key, and nothing of what is in it.
    pub fn load(&self, needs_tls: bool) -> Result<Access, String> {
        let tls = if needs_tls { Some(Arc::new(self.tls.load()?)) } else { None };
        Ok(Access { tls, authorization: self.authorization()? })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let (text, key, path) = if let Some(path) = &self.token {
            (format!("Bearer {}", secret("token_file", path)?), "token_file", path)
        } else if let (Some(name), Some(path)) = (&self.username, &self.password) {
            let pair = format!("{name}:{}", secret("password_file", path)?);
            (format!("Basic {}", STANDARD.encode(pair)), "password_file", path)
        } else {
            return Ok(None);
        };
        let value = HeaderValue::try_from(text);
        let mut value = value.map_err(|_| told(key, path, "it must be one line of ASCII"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The text of a file without the end of its line.
fn secret(key: &str, path: &Path) -> Result<String, String> {
    let bytes = read_named(path, SECRET_BYTES_MAX).map_err(|what| told(key, path, &what))?;
    let text = String::from_utf8(bytes).map_err(|_| told(key, path, "it is not text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(told(key, path, "it is empty")) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::AccessFiles;

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
