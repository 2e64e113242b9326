//! `[exporters.s3]`

use super::S3Archive;
use super::bucket::Bucket;
use super::object::{Compression, Form};
use super::partition;
use super::shipper::Shipper;
use super::stage::Stage;
use super::staging::Limits;
use crate::aws::endpoint;
use crate::config::{Bytes, Interval, Section};
use crate::export::{BoxFuture, BuildError, Exporter, ExporterConfig, Finding, Shared, lane};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Least staging area: some segments, each of some batches.
const STAGING_BYTES_MIN: u64 = 4 << 20;
/// Most tags that an object may have.
const TAGS_MAX: usize = 10;
/// Longest of their keys and values.
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
/// Files of the staging area: with `object_age` ten minutes, a day and a half of 50 runs.
const SEGMENTS_MAX: usize = 10_000;

/// Where the archive is, and what its objects are like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Name of the bucket. No default.
    pub bucket: String,
    /// Begins all keys. Default `sidelight`; empty is none.
    pub prefix: String,
    /// Folders of objects, with `{engine}`, `{job_name}`, `{run_id}`, `{date}`, `{year}`, `{month}`, `{day}`
    /// and `{hour}`. Default `engine={engine}/job_name={job_name}/dt={date}/hour={hour}`.
    pub folder: String,
    /// AWS region. Else: what the environment, the profile or the instance says.
    pub region: Option<String>,
    /// Other address of the service. Else that of the region.
    pub endpoint_url: Option<String>,
    /// How objects are compressed. Default `zstd`.
    pub compression: Compression,
    /// Size at which an object is closed, compressed, as far as that is known before. Default `16MiB`;
    /// from `64KiB` to `1GiB`.
    pub object_bytes: Bytes,
    /// Age at which it is closed, however small. Default `10m`; from `1s` to `24h`.
    pub object_age: Interval,
    /// Objects that grow at a time: one for each run and hour. Default 64; from 1 to 1000.
    pub partitions_max: usize,
    /// Bytes on disk that wait to become objects. Default `1GiB`; at least `4MiB`.
    pub staging_bytes_max: Bytes,
    /// KMS key of the objects. Unset: as the bucket is.
    pub kms_key_id: Option<String>,
    /// Storage class. Unset: `STANDARD`.
    pub storage_class: Option<String>,
    /// Account that the bucket must belong to.
    pub expected_bucket_owner: Option<String>,
    /// Tags of the objects.
    pub tags: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bucket: String::new(),
            prefix: "sidelight".to_owned(),
            folder: "engine={engine}/job_name={job_name}/dt={date}/hour={hour}".to_owned(),
            region: None,
            endpoint_url: None,
            compression: Compression::Zstd,
            object_bytes: Bytes(16 << 20),
            object_age: Interval::from_secs(600),
            partitions_max: 64,
            staging_bytes_max: Bytes(1 << 30),
            kms_key_id: None,
            storage_class: None,
            expected_bucket_owner: None,
            tags: BTreeMap::new(),
        }
    }
}

pub(super) fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let is_bucket_byte =
        |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-.".contains(&it);
    let is_bucket =
        (3..=63).contains(&config.bucket.len()) && config.bucket.bytes().all(is_bucket_byte);
    let is_arn = config.bucket.starts_with("arn:");
    let law = "must name a bucket: 3 to 63 of a-z, 0-9, - and .; or be the ARN of an access point";
    section.require("bucket", is_bucket || is_arn, law);
    let is_prefix_char = |it: char| it.is_ascii_alphanumeric() || "/!-_.*'()=".contains(it);
    let is_prefix = config.prefix.len() <= 256 && config.prefix.chars().all(is_prefix_char);
    let law = "must be at most 256 letters, digits or any of / ! - _ . * ' ( ) =";
    section.require("prefix", is_prefix, law);
    let wrong = partition::wrong(&config.folder);
    section.require("folder", wrong.is_none(), wrong.unwrap_or_default());
    let is_url = config.endpoint_url.as_deref().is_none_or(|url| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    section.require("endpoint_url", is_url, "must begin with https:// or http:// and name a host");
    let is_size = (64 << 10..=1 << 30).contains(&config.object_bytes.0);
    section.require("object_bytes", is_size, "must be from 64KiB to 1GiB");
    let is_age = (1..=86_400).contains(&config.object_age.0.as_secs());
    section.require("object_age", is_age, "must be from 1s to 24h");
    let is_count = (1..=1_000).contains(&config.partitions_max);
    section.require("partitions_max", is_count, "must be from 1 to 1000");
    let is_staging = config.staging_bytes_max.0 >= STAGING_BYTES_MIN;
    section.require("staging_bytes_max", is_staging, "must be at least 4MiB");
    let is_tag_char = |it: char| it.is_alphanumeric() || " +-=._:/@".contains(it);
    let is_tag = |(key, value): (&String, &String)| {
        (1..=TAG_KEY_CHARS_MAX).contains(&key.chars().count())
            && value.chars().count() <= TAG_VALUE_CHARS_MAX
            && key.chars().chain(value.chars()).all(is_tag_char)
            && !key.to_lowercase().starts_with("aws:")
    };
    let are_tags = config.tags.len() <= TAGS_MAX && config.tags.iter().all(is_tag);
    let law = "must be at most 10, keys of 1 to 128 and values of at most 256 letters, digits, spaces and \
               + - = . _ : / @, and no key may begin with aws:";
    section.require("tags", are_tags, law);
    Box::new(config)
}

impl Config {
    /// Which archive it is: two that differ in it share no object.
    fn place(&self) -> String {
        let endpoint = self.endpoint_url.as_deref().map(endpoint::shown).unwrap_or_default();
        format!("{endpoint}/{}/{}", self.bucket, self.prefix.trim_matches('/'))
    }
}

impl ExporterConfig for Config {
    fn build(&self, _: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let limits = Limits {
            bytes_max: self.staging_bytes_max.0,
            object_bytes: self.object_bytes.0,
            object_age: self.object_age.0,
            partitions_max: self.partitions_max,
            segments_max: SEGMENTS_MAX,
        };
        let (state_dir, redactors) = (shared.state_dir.clone(), shared.redactors.clone());
        let stage = Stage::new(state_dir, self.place(), limits, redactors);
        let folder_template = self.folder.clone();
        Ok(Box::new(S3Archive::new(Shipper {
            stage: Arc::new(stage),
            bucket: Bucket::new(self.clone(), shared.redactor.clone()),
            form: Form { compression: self.compression, folder_template },
            troubles: shared.troubles.clone(),
            health: shared.health.clone(),
        })))
    }

    fn probe<'a>(&'a self, _: &'a lane::Config, shared: &'a Shared) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(async { Bucket::new(self.clone(), shared.redactor.clone()).probe().await })
    }
}
