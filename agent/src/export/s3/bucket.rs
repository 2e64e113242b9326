//! The bucket: puts objects, small ones at once and large ones in parts, each with a checksum.

use super::config::Config;
use super::object::{PART_BYTES, Piece};
use crate::aws;
use crate::export::cloudwatch::failure::{Class, Failure};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ServerSideEncryption, StorageClass,
};
use aws_smithy_types::base64;
use redaction::Redactor;
use sha2::{Digest, Sha256};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Time for one request: a part of [`PART_BYTES`] over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Left-over uploads of one object that are looked for; each life leaves at most one.
const LEFT_OVER_MAX: i32 = 100;
/// Most parts of one object that S3 takes.
const PARTS_MAX: usize = 10_000;
const _: () = assert!(PARTS_MAX * PART_BYTES > 40 << 30, "no segment makes a larger object");

/// Which bucket, and how it is reached. Makes a client of the SDK.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// None: found as every AWS tool finds it.
    pub region: Option<String>,
    /// None: that of the region, or what the environment says.
    pub endpoint_url: Option<String>,
}

impl Access {
    /// A new client.
    ///
    /// # Errors
    /// When nothing tells the region, or TLS or the proxy cannot be used.
    pub async fn client(&self) -> Result<Client, aws::AwsError> {
        let shared = aws::load(self.region.as_deref(), REQUEST_TIMEOUT).await?;
        let has = |name| std::env::var(name).is_ok_and(|value: String| !value.is_empty());
        let is_own =
            self.endpoint_url.is_some() || has("AWS_ENDPOINT_URL_S3") || has("AWS_ENDPOINT_URL");
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            // An address of its own rarely has a name for each bucket.
            .force_path_style(is_own)
            // Ours say what is checked; more of them other services do not know.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        if let Some(url) = &self.endpoint_url {
            config.set_endpoint_url(Some(url.clone()));
        }
        Ok(Client::from_conf(config.build()))
    }
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) config: Config,
    pub(super) redactor: Arc<Redactor>,
    client: Mutex<Option<Client>>,
}

impl Bucket {
    /// Nothing is asked yet.
    #[must_use]
    pub(super) fn new(config: Config, redactor: Arc<Redactor>) -> Self {
        Self { config, redactor, client: Mutex::new(None) }
    }

    /// The client; made with the first request, as finding region and credentials takes a while.
    ///
    /// # Errors
    /// When nothing tells the region.
    pub(super) async fn client(&self) -> Result<Client, Failure> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let access = Access {
            region: self.config.region.clone(),
            endpoint_url: self.config.endpoint_url.clone(),
        };
        let made = access.client().await;
        let made = made.map_err(|error| self.own(&error.to_string()))?;
        *client = Some(made.clone());
        Ok(made)
    }

    /// Takes credentials anew with the next request.
    pub(super) async fn renew_client(&self) {
        *self.client.lock().await = None;
    }

    /// Puts a manifest. It is in the class `STANDARD` whatever objects are in: those of an archive that
    /// is rarely read are small, change often, and must be readable to prove that it is complete.
    ///
    /// # Errors
    /// When the bucket does not say that it has it.
    pub(super) async fn put_manifest(&self, key: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        self.put(key, "application/json", bytes, None).await
    }

    /// Puts an object whose bytes are all there.
    ///
    /// # Errors
    /// When the bucket does not say that it has them.
    async fn put(
        &self,
        key: &str,
        content_type: &str,
        bytes: Vec<u8>,
        storage_class: Option<StorageClass>,
    ) -> Result<(), Failure> {
        let config = &self.config;
        let hash = base64::encode(Sha256::digest(&bytes));
        let put = self.client().await?.put_object().bucket(&config.bucket).key(self.key(key));
        let put = put
            .content_type(content_type)
            .checksum_sha256(hash)
            .set_expected_bucket_owner(config.expected_bucket_owner.clone())
            .set_storage_class(storage_class)
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_tagging(self.tagging())
            .body(ByteStream::from(bytes));
        put.send().await.map(drop).map_err(|error| self.failure(&error))
    }

    /// Puts an object of parts as they come, and the key before them.
    ///
    /// # Errors
    /// When the bucket does not say that it has all of them. Then it keeps none, as far as it can be
    /// told so.
    pub(super) async fn put_parts(
        &self,
        mut pieces: mpsc::Receiver<Piece>,
        content_type: &str,
        is_left_over: bool,
    ) -> Result<(), Failure> {
        let Some(Piece::Key(key)) = pieces.recv().await else { return Ok(()) };
        if is_left_over {
            self.abort_left_over(&key).await;
        }
        let Some(Piece::Part(first)) = pieces.recv().await else { return Ok(()) };
        match pieces.recv().await {
            None => Err(self.cut_short()),
            Some(Piece::End) => self.put(&key, content_type, first, self.storage_class()).await,
            Some(second) => {
                let upload = self.begin(&key, content_type).await?;
                let sent = self.send_parts(&key, &upload, first, second, pieces).await;
                if sent.is_err() {
                    self.abort(&self.key(&key), &upload).await;
                }
                sent
            }
        }
    }

    fn cut_short(&self) -> Failure {
        self.own("the segment could not be read to its end")
    }

    async fn begin(&self, key: &str, content_type: &str) -> Result<String, Failure> {
        let config = &self.config;
        let begun = self
            .client()
            .await?
            .create_multipart_upload()
            .bucket(&config.bucket)
            .key(self.key(key))
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .set_expected_bucket_owner(config.expected_bucket_owner.clone())
            .set_storage_class(self.storage_class())
            .set_server_side_encryption(self.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_tagging(self.tagging())
            .send()
            .await
            .map_err(|error| self.failure(&error))?;
        let upload = begun.upload_id().filter(|id| !id.is_empty());
        upload.map(str::to_owned).ok_or_else(|| self.own("a multipart upload without an id"))
    }

    async fn send_parts(
        &self,
        key: &str,
        upload: &str,
        first: Vec<u8>,
        second: Piece,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<(), Failure> {
        let (config, client) = (&self.config, self.client().await?);
        let (mut next, mut parts) = (Some(Piece::Part(first)), Vec::new());
        let mut second = Some(second);
        loop {
            let bytes = match next {
                Some(Piece::Part(bytes)) => bytes,
                Some(Piece::End) => break,
                Some(Piece::Key(_)) | None => return Err(self.cut_short()),
            };
            let number = parts.len() as i32 + 1;
            let hash = base64::encode(Sha256::digest(&bytes));
            let sent = client
                .upload_part()
                .bucket(&config.bucket)
                .key(self.key(key))
                .upload_id(upload)
                .part_number(number)
                .checksum_sha256(&hash)
                .set_expected_bucket_owner(config.expected_bucket_owner.clone())
                .body(ByteStream::from(bytes))
                .send()
                .await
                .map_err(|error| self.failure(&error))?;
            let part = CompletedPart::builder().part_number(number).checksum_sha256(hash);
            parts.push(part.set_e_tag(sent.e_tag().map(str::to_owned)).build());
            next = match second.take() {
                Some(second) => Some(second),
                None => pieces.recv().await,
            };
        }
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = client
            .complete_multipart_upload()
            .bucket(&config.bucket)
            .key(self.key(key))
            .upload_id(upload)
            .set_expected_bucket_owner(config.expected_bucket_owner.clone())
            .multipart_upload(all);
        complete.send().await.map(drop).map_err(|error| self.failure(&error))
    }

    /// Parts of an upload that does not end cost money for ever.
    async fn abort(&self, key: &str, upload: &str) {
        let Ok(client) = self.client().await else { return };
        let abort = client
            .abort_multipart_upload()
            .bucket(&self.config.bucket)
            .key(key)
            .upload_id(upload)
            .set_expected_bucket_owner(self.config.expected_bucket_owner.clone());
        if let Err(error) = abort.send().await {
            let reason = self.failure(&error);
            tracing::debug!(%reason, "an upload is not given up; the next try looks for it");
        }
    }

    /// Gives up the uploads of this object that an earlier life, or an earlier try, has left.
    async fn abort_left_over(&self, key: &str) {
        let key = self.key(key);
        let Ok(client) = self.client().await else { return };
        let listed = client
            .list_multipart_uploads()
            .bucket(&self.config.bucket)
            .prefix(&key)
            .max_uploads(LEFT_OVER_MAX)
            .set_expected_bucket_owner(self.config.expected_bucket_owner.clone())
            .send()
            .await;
        match listed {
            Ok(listed) => {
                for upload in listed.uploads() {
                    if let (Some(its), Some(id)) = (upload.key(), upload.upload_id())
                        && its == key
                    {
                        self.abort(its, id).await;
                    }
                }
            }
            Err(error) => {
                let reason = self.failure(&error);
                tracing::warn!(
                    %reason,
                    "parts that a crash left in the bucket cannot be looked for: \
                     s3:ListBucketMultipartUploads is needed, or a lifecycle rule that aborts \
                     incomplete uploads"
                );
            }
        }
    }

    /// The whole key.
    pub(super) fn key(&self, below: &str) -> String {
        match self.config.prefix.trim_matches('/') {
            "" => below.to_owned(),
            prefix => format!("{prefix}/{below}"),
        }
    }

    fn storage_class(&self) -> Option<StorageClass> {
        self.config.storage_class.as_deref().map(StorageClass::from)
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.config.kms_key_id.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }

    /// As a query string, which is how S3 wants it.
    fn tagging(&self) -> Option<String> {
        let tags = &self.config.tags;
        let pair = |(key, value): (&String, &String)| format!("{}={}", escape(key), escape(value));
        (!tags.is_empty()).then(|| tags.iter().map(pair).collect::<Vec<_>>().join("&"))
    }

    /// Reads an error of the SDK.
    pub(super) fn failure<E>(&self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut failure = Failure::of(error, &self.redactor);
        if let Some(class) = error.code().and_then(class_of_code) {
            failure.class = class;
        }
        failure
    }

    fn own(&self, reason: &str) -> Failure {
        Failure::own(Class::Transient, reason, &self.redactor)
    }
}

/// What is to be done about errors that S3 alone has; none for those of every service of AWS.
fn class_of_code(code: &str) -> Option<Class> {
    Some(match code {
        "InvalidAccessKeyId" | "InvalidToken" | "TokenRefreshRequired" | "InvalidSecurity" => {
            Class::Credentials
        }
        // Somebody has to change the config, a policy, a key or an account.
        "NoSuchBucket"
        | "PermanentRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException"
        | "InvalidBucketName"
        | "AccountProblem"
        | "AllAccessDisabled"
        | "AccessPointAliasDenied"
        | "NotSignedUp"
        | "MethodNotAllowed"
        | "InvalidTag"
        | "InvalidStorageClass"
        | "InvalidArgument"
        | "InvalidRequest"
        | "KMS.DisabledException"
        | "KMS.NotFoundException"
        | "KMS.KMSInvalidStateException"
        | "KMS.InvalidKeyUsageException" => Class::Denied,
        "EntityTooLarge" | "KeyTooLongError" => Class::Refused,
        // What arrived is not what was sent, or another writer was quicker.
        "BadDigest" | "InvalidDigest" | "OperationAborted" | "NoSuchUpload" | "InvalidPart" => {
            Class::Transient
        }
        "ReducedRequestRate" | "Busy" => Class::Throttled,
        _ => return None,
    })
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Bucket, class_of_code, escape};
    use crate::export::cloudwatch::failure::Class;
    use crate::export::s3::Config;
    use redaction::Redactor;
    use std::sync::Arc;

    #[test]
    fn a_prefix_stands_before_every_key_whatever_its_slashes() {
        let key = |prefix: &str| {
            let config = Config { prefix: prefix.to_owned(), ..Config::default() };
            Bucket::new(config, Arc::new(Redactor::new())).key("a/b")
        };
        assert_eq!(key(""), "a/b");
        assert_eq!(key("/"), "a/b");
        assert_eq!(key("logs/spark/"), "logs/spark/a/b");
        assert_eq!(escape("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn keys_of_iam_that_s3_does_not_know_are_taken_anew_and_a_wrong_bucket_is_for_a_person() {
        for code in ["InvalidAccessKeyId", "InvalidToken"] {
            assert_eq!(class_of_code(code), Some(Class::Credentials), "{code}");
        }
        for code in ["NoSuchBucket", "PermanentRedirect", "KMS.DisabledException"] {
            assert_eq!(class_of_code(code), Some(Class::Denied), "{code}");
        }
        assert_eq!(class_of_code("SlowDown"), None, "all of AWS says so");
    }
}
