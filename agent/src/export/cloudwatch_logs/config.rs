//! `[exporters.cloudwatch_logs]`

use super::super::cloudwatch::service::{Access, Service};
use super::super::cloudwatch::target::{GroupSettings, RETENTION_DAYS, RETENTION_LAW};
use super::{CloudWatchLogs, Kind, Template};
use crate::config::Section;
use crate::export::{BoxFuture, BuildError, Exporter, ExporterConfig, Finding, Shared, lane};
use crate::model::Resource;
use aws_sdk_cloudwatchlogs::types::LogGroupClass;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
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
        }
    }
}

pub(super) fn configure(section: &mut Section<'_>) -> Box<dyn ExporterConfig> {
    let config: Config = section.parse();
    let templates =
        [("group", Kind::Group, &config.group), ("stream", Kind::Stream, &config.stream)];
    for (key, kind, raw) in templates {
        if let Err(wrong) = Template::new(kind, raw) {
            let shown = section.show(key, raw);
            section.report_at(&[key], format!("{shown} {wrong}"));
        }
    }
    section.require("concurrency", (1..=64).contains(&config.concurrency), "must be from 1 to 64");
    let is_within = (1..=config.concurrency).contains(&config.stream_concurrency);
    let law = "must be from 1 to concurrency";
    section.require("stream_concurrency", is_within, law);
    let is_retention = config.retention_days.is_none_or(|days| RETENTION_DAYS.contains(&days));
    section.require("retention_days", is_retention, RETENTION_LAW);
    let is_url = config.endpoint_url.as_deref().is_none_or(|url| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
    });
    section.require("endpoint_url", is_url, "must begin with https:// or http:// and name a host");
    section.require("tags", config.tags.len() <= 50, "must be at most 50");
    Box::new(config)
}

impl Config {
    fn service(&self, lane: &lane::Config, shared: &Shared) -> Service {
        let settings = GroupSettings {
            retention_days: self.retention_days,
            kms_key_id: self.kms_key_id.clone(),
            class: self.log_class.map(|class| match class {
                LogClass::Standard => LogGroupClass::Standard,
                LogClass::InfrequentAccess => LogGroupClass::InfrequentAccess,
            }),
            tags: self.tags.clone(),
        };
        let access = Access {
            region: self.region.clone(),
            endpoint_url: self.endpoint_url.clone(),
            request_timeout: lane.request_timeout.0,
        };
        let concurrency = (self.concurrency, self.stream_concurrency);
        Service::new(access, settings, concurrency, shared.redactor.clone())
    }
}

impl ExporterConfig for Config {
    fn build(&self, lane: &lane::Config, shared: &Shared) -> Result<Box<dyn Exporter>, BuildError> {
        let template = |kind, raw: &str| {
            Template::new(kind, raw).map_err(|wrong| BuildError {
                section: "exporters.cloudwatch_logs",
                reason: format!("a template {wrong}"),
            })
        };
        Ok(Box::new(CloudWatchLogs {
            service: Arc::new(self.service(lane, shared)),
            group: template(Kind::Group, &self.group)?,
            stream: template(Kind::Stream, &self.stream)?,
            // What is left is for the lane to see the answer.
            time: lane.request_timeout.0.mul_f64(0.9),
            targets: HashMap::new(),
            groups: HashSet::new(),
            denied: HashMap::new(),
            remembered: HashMap::new(),
        }))
    }

    fn probe<'a>(
        &'a self,
        lane: &'a lane::Config,
        shared: &'a Shared,
    ) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(async {
            let Ok(group) = Template::new(Kind::Group, &self.group) else { return Vec::new() };
            let name = group.name(&Resource::default());
            self.service(lane, shared).probe(&name, group.has_placeholders(), false).await
        })
    }
}
