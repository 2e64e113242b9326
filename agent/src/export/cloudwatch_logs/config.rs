//! `[exporters.cloudwatch_logs]`

use super::super::cloudwatch::section::Keys;
use super::super::cloudwatch::target::GroupSettings;
use super::CloudWatchLogs;
use super::denied::Denied;
use crate::config::Section;
use crate::encode::{OMITTABLE, Omitted};
use crate::export::{BoxFuture, BuildError, Exporter, ExporterConfig, Finding, Shared, lane};
use aws_sdk_cloudwatchlogs::types::LogGroupClass;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where records go, and what groups that are made are like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Log group. Default `/sidelight/{engine}/{job_name}`.
    pub group: String,
    /// Log stream. Default `{job_id}/{component}/{executor_id}`.
    pub stream: String,
    /// AWS region. Else: what the environment, the profile or the instance says.
    pub region: Option<String>,
    /// Other address of the service: a VPC endpoint. Else that of the region.
    pub endpoint_url: Option<String>,
    /// Requests under way at most, to all streams. Default 4; from 1 to 64.
    pub concurrency: usize,
    /// Requests under way at most to one stream. Above 1, events of one millisecond may change
    /// places. Default 1; at most `concurrency`.
    pub stream_concurrency: usize,
    /// Days after which CloudWatch deletes events. Unset: as the group is.
    pub retention_days: Option<i32>,
    /// ARN of the KMS key of groups that are made.
    pub kms_key_id: Option<String>,
    /// Class of groups that are made. Unset: `standard`.
    pub log_class: Option<LogClass>,
    /// Tags of groups that are made.
    pub tags: BTreeMap<String, String>,
    /// Members of a record that its event does not have, by their names in the record: CloudWatch is
    /// paid by the byte. Default none; not `body` and `severity`.
    pub omit: Vec<String>,
}

/// Class of a log group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogClass {
    /// All features.
    Standard,
    /// Half the price, fewer features.
    InfrequentAccess,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            group: "/sidelight/{engine}/{job_name}".to_owned(),
            stream: "{job_id}/{component}/{executor_id}".to_owned(),
            region: None,
            endpoint_url: None,
            concurrency: 4,
            stream_concurrency: 1,
            retention_days: None,
            kms_key_id: None,
            log_class: None,
            tags: BTreeMap::new(),
            omit: Vec::new(),
        }
    }
}

pub(super) fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    config.keys().check(section);
    section.require("concurrency", (1..=64).contains(&config.concurrency), "must be from 1 to 64");
    let is_within = (1..=config.concurrency).contains(&config.stream_concurrency);
    let law = "must be from 1 to concurrency";
    section.require("stream_concurrency", is_within, law);
    section.require_each("omit", &config.omit, |name| {
        let is_unknown = !OMITTABLE.contains(&name);
        is_unknown.then(|| format!("cannot be left out; these can: {}", OMITTABLE.join(", ")))
    });
    Box::new(config)
}

impl Config {
    fn keys(&self) -> Keys<'_> {
        Keys {
            section: "exporters.cloudwatch_logs",
            group: &self.group,
            stream: &self.stream,
            region: self.region.as_deref(),
            endpoint_url: self.endpoint_url.as_deref(),
            concurrency: (self.concurrency, self.stream_concurrency),
            settings: GroupSettings {
                retention_days: self.retention_days,
                kms_key_id: self.kms_key_id.clone(),
                class: self.log_class.map(|class| match class {
                    LogClass::Standard => LogGroupClass::Standard,
                    LogClass::InfrequentAccess => LogGroupClass::InfrequentAccess,
                }),
                tags: self.tags.clone(),
            },
        }
    }
}

impl ExporterConfig for Config {
    fn build(&self, lane: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let keys = self.keys();
        let ((group, stream), service) = (keys.templates()?, keys.service(lane, shared));
        let wrong = |name: &str| BuildError {
            section: keys.section,
            reason: format!("omit: {name} cannot be left out"),
        };
        Ok(Box::new(CloudWatchLogs {
            group,
            stream,
            omitted: Omitted::new(&self.omit).map_err(wrong)?,
            time: service.call_time(),
            service: Arc::new(service),
            targets: HashMap::new(),
            denied: Denied::default(),
            remembered: HashMap::new(),
        }))
    }

    fn describe(&self) -> Option<String> {
        Some(self.keys().describe())
    }

    fn probe<'a>(
        &'a self,
        lane: &'a lane::Config,
        shared: &'a Shared,
    ) -> BoxFuture<'a, Vec<Finding>> {
        self.keys().probe(lane, shared, shared.given.clone(), false)
    }
}
