//! Log groups and streams: made when they are missing, and set up beside the way of the logs.

use super::failure::{Class, Failure};
use super::service::{GROUPS_MAX, Service};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::LogGroupClass;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Days of retention that the service takes (PutRetentionPolicy in its API reference).
pub const RETENTION_DAYS: &[i32] = &[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// What a wrong one is told.
pub const RETENTION_LAW: &str = "must be one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, \
                                 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653";

/// How long a target is left alone when the service throttles its making.
const THROTTLED_PAUSE: Duration = Duration::from_secs(2);

/// How long the retention of a group is tried to be set.
const RETENTION_TIME: Duration = Duration::from_secs(600);

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Log group.
    pub group: String,
    /// Log stream.
    pub stream: String,
}

/// What groups that are made here are like.
#[derive(Debug, Clone, Default)]
pub struct GroupSettings {
    /// None leaves it as it is; a new group keeps its events for ever.
    pub retention_days: Option<i32>,
    /// ARN of the key; only for groups that are made.
    pub kms_key_id: Option<String>,
    /// Only for groups that are made.
    pub class: Option<LogGroupClass>,
    /// Only for groups that are made.
    pub tags: BTreeMap<String, String>,
}

impl Service {
    /// Makes the stream, and the group where it is missing too.
    ///
    /// # Errors
    /// When it cannot be made before `deadline`. Where the service throttles that, the stream or its
    /// group is denied for a while, as nothing says that others are throttled too.
    pub(super) async fn make(&self, target: &Target, deadline: Instant) -> Result<(), Failure> {
        let maker = self.maker(&target.group);
        let _one = maker.lock().await;
        let mut n_tries = 0;
        loop {
            let (mut made, mut denied) = (self.make_stream(target).await, Class::StreamDenied);
            if made.as_ref().is_err_and(|failure| failure.class == Class::Missing) {
                made = match self.make_group(&target.group).await {
                    Ok(()) => self.make_stream(target).await,
                    Err(failure) => {
                        denied = Class::Denied;
                        Err(failure)
                    }
                };
            }
            let Err(failure) = made else { return Ok(()) };
            if matches!(failure.class, Class::Refused | Class::Denied) {
                return Err(Failure { class: denied, ..failure });
            }
            let paused = self.pause(&mut n_tries, failure, deadline).await;
            paused.map_err(|failure| match failure.class {
                Class::Throttled => Failure {
                    class: denied,
                    retry_after: failure.retry_after.or(Some(THROTTLED_PAUSE)),
                    ..failure
                },
                _ => failure,
            })?;
        }
    }

    async fn make_stream(&self, target: &Target) -> Result<(), Failure> {
        let client = self.client().await?;
        let make = client
            .create_log_stream()
            .log_group_name(&target.group)
            .log_stream_name(&target.stream);
        match make.send().await {
            Ok(_) => Ok(()),
            Err(error) => unless_exists(self.failure(&error)),
        }
    }

    async fn make_group(&self, group: &str) -> Result<(), Failure> {
        let client = self.client().await?;
        let tags: HashMap<String, String> = self.settings.tags.clone().into_iter().collect();
        let make = client
            .create_log_group()
            .log_group_name(group)
            .set_kms_key_id(self.settings.kms_key_id.clone())
            .set_log_group_class(self.settings.class.clone())
            .set_tags((!tags.is_empty()).then_some(tags));
        match make.send().await {
            Ok(_) => {
                tracing::info!(group, "log group made");
                self.retained().remove(group);
                Ok(())
            }
            Err(error) => unless_exists(self.failure(&error)),
        }
    }

    /// Sets the retention of `group`, if it is another one, once after the start and once after it was
    /// made. Logs do not wait for it.
    pub fn set_retention(self: &Arc<Self>, group: &str) {
        let Some(days) = self.settings.retention_days else { return };
        let mut retained = self.retained();
        if retained.contains(group) {
            return;
        }
        if retained.len() >= GROUPS_MAX {
            // What is forgotten is looked at once more.
            retained.clear();
        }
        retained.insert(group.to_owned());
        drop(retained);
        let (service, group) = (self.clone(), group.to_owned());
        tokio::spawn(async move {
            let (mut n_tries, deadline) = (0, Instant::now() + RETENTION_TIME);
            loop {
                let Err(failure) = service.ensure_retention(&group, days).await else { return };
                let is_final = matches!(failure.class, Class::Refused | Class::Denied);
                if is_final {
                    return tracing::warn!(group, error = %failure, "the retention cannot be set");
                }
                if let Err(failure) = service.pause(&mut n_tries, failure, deadline).await {
                    return tracing::warn!(group, error = %failure, "the retention cannot be set");
                }
            }
        });
    }

    fn retained(&self) -> MutexGuard<'_, HashSet<String>> {
        self.retained.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ensure_retention(&self, group: &str, days: i32) -> Result<(), Failure> {
        let client = self.client().await?;
        match retention(&client, group).await.map_err(|error| self.failure(&error)) {
            Ok(found) if found == Some(days) => return Ok(()),
            // Who may not look may still set.
            Err(failure) if failure.class != Class::Denied => return Err(failure),
            _ => {}
        }
        let put = client.put_retention_policy().log_group_name(group).retention_in_days(days);
        put.send().await.map_err(|error| self.failure(&error))?;
        tracing::info!(group, days, "retention set");
        Ok(())
    }
}

type DescribeError = aws_sdk_cloudwatchlogs::error::SdkError<
    aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsError,
    aws_sdk_cloudwatchlogs::config::http::HttpResponse,
>;

async fn retention(client: &Client, group: &str) -> Result<Option<i32>, DescribeError> {
    let found = client.describe_log_groups().log_group_name_prefix(group).send().await?;
    let exact = found.log_groups().iter().find(|it| it.log_group_name() == Some(group));
    Ok(exact.and_then(aws_sdk_cloudwatchlogs::types::LogGroup::retention_in_days))
}

fn unless_exists(failure: Failure) -> Result<(), Failure> {
    if failure.class == Class::Exists { Ok(()) } else { Err(failure) }
}
