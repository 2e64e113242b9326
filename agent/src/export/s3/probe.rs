//! Whether the bucket will take the archive. Nothing is written: whether something may be put is asked
//! with a part for an upload that nobody began, which who may not put is told before.

use super::bucket::Bucket;
use crate::export::Finding;
use crate::export::cloudwatch::failure::{Class, Failure};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;

/// An upload that nobody has.
const NO_UPLOAD: &str = "sidelight-check-begins-no-such-upload";

impl Bucket {
    /// What the bucket says.
    pub(super) async fn probe(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let client = match self.client().await {
            Ok(client) => client,
            Err(failure) => return vec![Finding::Bad(failure.to_string())],
        };
        let config = &self.config;
        let (name, owner) = (&config.bucket, config.expected_bucket_owner.clone());
        let head = client.head_bucket().bucket(name).set_expected_bucket_owner(owner.clone());
        match head.send().await {
            Ok(head) => {
                let region = head.bucket_region().map(|region| format!(" in {region}"));
                let region = region.unwrap_or_default();
                found.push(Finding::Good(format!("bucket {name} is there{region}")));
            }
            Err(error) => {
                let response = error.raw_response();
                let status = response.map_or(0, |response| response.status().as_u16());
                let region = response.and_then(|it| it.headers().get("x-amz-bucket-region"));
                let region = self.redactor.value(region.unwrap_or("another region"));
                found.push(match status {
                    404 => Finding::Bad(format!("bucket {name} is not there; it is not made")),
                    301 | 400 => Finding::Bad(format!(
                        "bucket {name} is in {region}; set `region` in [exporters.s3]"
                    )),
                    403 => Finding::Doubt(format!(
                        "whether bucket {name} is there is not told: s3:ListBucket is needed, or it \
                         belongs to another account than expected_bucket_owner"
                    )),
                    _ => Finding::Bad(format!("{name}: {}", self.failure(&error))),
                });
                if matches!(found.last(), Some(Finding::Bad(_))) {
                    return found;
                }
            }
        }
        found.push(self.may_put(&client).await);
        let list = client.list_multipart_uploads().bucket(name).max_uploads(1);
        let list = list.set_expected_bucket_owner(owner).send().await;
        found.push(match list.map_err(|error| self.failure(&error)) {
            Ok(_) => Finding::Good("s3:ListBucketMultipartUploads is allowed".to_owned()),
            Err(failure) => Finding::Doubt(format!(
                "parts that a crash leaves cannot be looked for ({failure}): \
                 s3:ListBucketMultipartUploads is needed, or a lifecycle rule that aborts incomplete \
                 uploads"
            )),
        });
        found
    }

    async fn may_put(&self, client: &aws_sdk_s3::Client) -> Finding {
        let key = self.key("_manifests/sidelight-check");
        let part = client
            .upload_part()
            .bucket(&self.config.bucket)
            .key(&key)
            .upload_id(NO_UPLOAD)
            .part_number(1)
            .set_expected_bucket_owner(self.config.expected_bucket_owner.clone())
            .body(ByteStream::from_static(b"sidelight check --online"));
        let Err(error) = part.send().await else {
            return Finding::Bad("a part of an upload that nobody began was taken".to_owned());
        };
        let code = error.code().unwrap_or_default().to_owned();
        let failure: Failure = self.failure(&error);
        match (code.as_str(), failure.class) {
            ("NoSuchUpload", _) => Finding::Good(format!("s3:PutObject is allowed on {key}")),
            (_, Class::Denied) => {
                Finding::Bad(format!("s3:PutObject is needed on {key}: {failure}"))
            }
            (_, Class::Credentials) => {
                Finding::Bad(format!("the credentials are not accepted: {failure}"))
            }
            _ => Finding::Doubt(format!(
                "whether s3:PutObject is allowed on {key} is not known: {failure}"
            )),
        }
    }
}
