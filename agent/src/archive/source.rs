//! Where an archive is: a bucket, or a folder with a copy of it.

use crate::export::s3::bucket::Access;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Pauses before S3 is asked again for what it did not give.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];
/// Time without any byte of an object, after which it is asked for again.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Names that are held in memory.
const KEYS_MAX: usize = 2_000_000;

/// An archive cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be listed.
    #[error("{place} cannot be listed: {reason}")]
    Unlisted {
        /// As it was named.
        place: String,
        /// What the system or S3 said.
        reason: String,
    },
    /// There are very many objects.
    #[error("{0} has more than 2000000 objects; verify a copy of some of its runs")]
    TooMany(String),
    /// It is neither.
    #[error("{0}: write s3://BUCKET/PREFIX, or name a folder")]
    Unknown(String),
}

/// See the head of the file.
#[derive(Debug)]
pub enum Source {
    /// A copy.
    Folder(PathBuf),
    /// The archive itself.
    Bucket {
        /// For requests.
        runtime: Runtime,
        /// For requests.
        client: Client,
        /// Its name.
        bucket: String,
        /// Empty, or with a slash at its end.
        prefix: String,
    },
}

impl Source {
    /// Finds out what `place` is.
    ///
    /// # Errors
    /// When it is nothing, or nothing tells the region of the bucket.
    pub fn new(place: &str, access: &Access, runtime: Runtime) -> Result<Self, PlaceError> {
        let Some(rest) = place.strip_prefix("s3://") else {
            let is_folder = Path::new(place).is_dir();
            let unknown = || PlaceError::Unknown(place.to_owned());
            return is_folder.then(|| Self::Folder(place.into())).ok_or_else(unknown);
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(PlaceError::Unknown(place.to_owned()));
        }
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let client = runtime.block_on(access.client()).map_err(|error| PlaceError::Unlisted {
            place: place.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self::Bucket { runtime, client, bucket: bucket.to_owned(), prefix })
    }

    /// Keys of all objects, below the prefix.
    pub(super) fn list(&self) -> Result<BTreeSet<String>, PlaceError> {
        let mut keys = BTreeSet::new();
        match self {
            Self::Folder(folder) => list_folder(folder, folder, &mut keys)?,
            Self::Bucket { runtime, client, bucket, prefix } => {
                let place = format!("s3://{bucket}/{prefix}");
                let mut after = None;
                loop {
                    let page = self.patiently(|| {
                        let list = client.list_objects_v2().bucket(bucket).prefix(prefix);
                        let list = list.set_continuation_token(after.clone()).send();
                        runtime.block_on(list).map_err(|error| failed(&error))
                    });
                    let page = page.map_err(|error| PlaceError::Unlisted {
                        place: place.clone(),
                        reason: error.to_string(),
                    })?;
                    let below =
                        page.contents().iter().filter_map(|it| it.key()?.strip_prefix(prefix));
                    keys.extend(below.map(str::to_owned));
                    if keys.len() > KEYS_MAX {
                        return Err(PlaceError::TooMany(place));
                    }
                    after = page.next_continuation_token().map(str::to_owned);
                    if after.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(keys)
    }

    /// Does what may fail because of the network, some times if it has to.
    ///
    /// # Errors
    /// Of the last time, or the first that another try does not mend.
    pub(super) fn patiently<T>(&self, mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let pauses = if matches!(self, Self::Folder(_)) { &[][..] } else { &PAUSES };
        for pause in pauses {
            match work() {
                Err(error) if is_passing(&error) => std::thread::sleep(*pause),
                done => return done,
            }
        }
        work()
    }

    /// Opens an object.
    pub(super) fn open(&self, key: &str) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Folder(folder) => {
                let is_plain = |it: Component<'_>| matches!(it, Component::Normal(_));
                if !Path::new(key).components().all(is_plain) {
                    // A manifest is only a file that somebody may have changed.
                    return Err(io::Error::other("its key leads out of the archive"));
                }
                Ok(Box::new(File::open(folder.join(key))?))
            }
            Self::Bucket { runtime, client, bucket, prefix } => {
                let get = client.get_object().bucket(bucket).key(format!("{prefix}{key}"));
                let answer = runtime.block_on(get.send()).map_err(|error| failed(&error))?;
                Ok(Box::new(Body { runtime, stream: answer.body, chunk: Vec::new(), at: 0 }))
            }
        }
    }
}

/// What an error of S3 says, and whether it is worth another try.
fn failed<E>(error: &SdkError<E, HttpResponse>) -> io::Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let told = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => DisplayErrorContext(error).to_string().chars().take(500).collect(),
    };
    let status = error.raw_response().map(|response| response.status().as_u16());
    let kind = match (error.code(), status) {
        (Some("NoSuchKey"), _) => io::ErrorKind::NotFound,
        (_, Some(408 | 429)) => io::ErrorKind::Other,
        (_, Some(400..=499)) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, told)
}

fn is_passing(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

fn list_folder(root: &Path, folder: &Path, keys: &mut BTreeSet<String>) -> Result<(), PlaceError> {
    let failed = |error: io::Error| PlaceError::Unlisted {
        place: folder.display().to_string(),
        reason: error.to_string(),
    };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            list_folder(root, &path, keys)?;
        } else if let Ok(below) = path.strip_prefix(root) {
            keys.insert(below.to_string_lossy().into_owned());
            if keys.len() > KEYS_MAX {
                return Err(PlaceError::TooMany(root.display().to_string()));
            }
        }
    }
    Ok(())
}

/// The body of an object, as it comes.
struct Body<'r> {
    runtime: &'r Runtime,
    stream: ByteStream,
    chunk: Vec<u8>,
    at: usize,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() {
            let next = async { timeout(SILENCE_MAX, self.stream.try_next()).await };
            let next = self.runtime.block_on(next).map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "nothing more of it came for 30 s")
            })?;
            match next.map_err(io::Error::other)? {
                Some(chunk) => (self.chunk, self.at) = (chunk.to_vec(), 0),
                None => return Ok(0),
            }
        }
        let n_bytes = buffer.len().min(self.chunk.len() - self.at);
        buffer[..n_bytes].copy_from_slice(&self.chunk[self.at..self.at + n_bytes]);
        self.at += n_bytes;
        Ok(n_bytes)
    }
}
