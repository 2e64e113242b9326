//! Whether CloudWatch will take what is sent to it: who asks, what is allowed, what the group is like.
//!
//! Nothing is written. Whether something may be put is asked with a stream that is not there: who may
//! not is told so before who names nothing.

use super::failure::{Class, Failure};
use super::service::Service;
use crate::aws;
use crate::clock::unix_ms;
use crate::export::Finding;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::{InputLogEvent, LogGroup, LogGroupClass};

/// A stream that nobody has.
const NO_STREAM: &str = "sidelight-check-makes-no-such-stream";

impl Service {
    /// Asks for one group. `is_template` says that its name is known only once a job runs;
    /// `is_for_metrics` that CloudWatch has to make metrics of its events.
    pub async fn probe(
        &self,
        group: &str,
        is_template: bool,
        is_for_metrics: bool,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let client = match self.client().await {
            Ok(client) => client,
            Err(failure) => return vec![Finding::Bad(failure.to_string())],
        };
        match self.who_am_i().await {
            Ok(who) => found.push(Finding::Good(who)),
            // The service itself may be reached where STS is not.
            Err(told) => found.push(Finding::Doubt(told)),
        }
        if is_template {
            let told = format!(
                "the name of the log group is known once a job runs; {group} is asked for instead"
            );
            found.push(Finding::Doubt(told));
        }
        match self.may_put(&client, group).await {
            Ok(told) => found.push(Finding::Good(told)),
            Err(failure) => {
                found.push(self.bad("logs:PutLogEvents", group, &failure));
                if failure.class != Class::Denied {
                    return found;
                }
            }
        }
        let described = client.describe_log_groups().log_group_name_prefix(group).send().await;
        match described.map_err(|error| Failure::of(&error, &self.redactor)) {
            Ok(described) => {
                let groups = described.log_groups();
                let group = groups.iter().find(|it| it.log_group_name() == Some(group));
                found.push(self.about(&client, group, is_for_metrics).await);
            }
            Err(failure) => found.push(Finding::Doubt(format!(
                "whether the log group exists is not known ({failure}); logs:DescribeLogGroups is \
                 needed to set a retention only where it differs"
            ))),
        }
        found
    }

    fn bad(&self, permission: &str, group: &str, failure: &Failure) -> Finding {
        Finding::Bad(match failure.class {
            Class::Denied => format!("{permission} is needed on log group {group}: {failure}"),
            Class::Credentials => format!("the credentials are not accepted: {failure}"),
            _ => format!("{} does not answer as it should: {failure}", self.place()),
        })
    }

    async fn who_am_i(&self) -> Result<String, String> {
        let access = self.access();
        let shared = aws::load(access.region.as_deref(), access.request_timeout).await;
        let shared = shared.map_err(|error| error.to_string())?;
        let region = shared.region().map_or("", |region| region.as_ref()).to_owned();
        let asked = aws_sdk_sts::Client::new(&shared).get_caller_identity().send().await;
        let who = asked.map_err(|error| {
            let failure = Failure::of(&error, &self.redactor);
            format!("sts:GetCallerIdentity does not say who this is: {failure}")
        })?;
        let arn = self.redactor.value(who.arn().unwrap_or("unknown"));
        Ok(format!("{arn} in {region}"))
    }

    async fn may_put(&self, client: &Client, group: &str) -> Result<String, Failure> {
        let event = InputLogEvent::builder()
            .timestamp(i64::try_from(unix_ms()).unwrap_or(i64::MAX))
            .message("sidelight check --online")
            .build()
            .map_err(|error| self.own(Class::Refused, &error.to_string()))?;
        let put = client
            .put_log_events()
            .log_group_name(group)
            .log_stream_name(NO_STREAM)
            .log_events(event);
        let failure = match put.send().await {
            Ok(_) => {
                return Err(self.own(Class::Transient, "a stream that is not there took an event"));
            }
            Err(error) => Failure::of(&error, &self.redactor),
        };
        if failure.class == Class::Missing {
            return Ok(format!("logs:PutLogEvents is allowed on {group}"));
        }
        Err(failure)
    }

    /// What is known of the group, or whether it may be made.
    async fn about(
        &self,
        client: &Client,
        group: Option<&LogGroup>,
        is_for_metrics: bool,
    ) -> Finding {
        let Some(group) = group else {
            return Finding::Doubt(
                "the log group is not there; logs:CreateLogGroup and logs:CreateLogStream are needed \
                 to make it, which cannot be tried without making it"
                    .to_owned(),
            );
        };
        let name = group.log_group_name().unwrap_or_default();
        let class = group.log_group_class().map_or("STANDARD", LogGroupClass::as_str);
        if is_for_metrics && class != "STANDARD" {
            return Finding::Bad(format!(
                "log group {name} is of class {class}, of whose events CloudWatch makes no metrics; \
                 name another group: the class cannot be changed"
            ));
        }
        // One that is there cannot be made again: who may not is told that first.
        let make = client.create_log_group().log_group_name(name).send().await;
        match make.map_err(|error| Failure::of(&error, &self.redactor)) {
            Err(failure) if failure.class == Class::Denied => Finding::Doubt(format!(
                "log group {name} is there, class {class}; others cannot be made: {failure}; \
                 logs:CreateLogGroup is needed for them"
            )),
            _ => Finding::Good(format!("log group {name} is there, class {class}")),
        }
    }
}
