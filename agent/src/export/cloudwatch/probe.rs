//! Whether CloudWatch will take what is sent to it: who asks, what is allowed, what the group is like.
//!
//! Nothing is written. Whether something may be put is asked with a stream that is not there: who may
//! not is told so before who names nothing.

use super::failure::{Class, Failure};
use super::names::Template;
use super::request::{Message, Origin, Request};
use super::service::{Format, Service};
use super::target::Target;
use crate::aws;
use crate::clock::unix_ms;
use crate::export::Finding;
use crate::model::Resource;
use aws_config::SdkConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::ProvideCredentials;
use aws_sdk_cloudwatchlogs::types::{LogGroup, LogGroupClass};

/// A stream that nobody has.
const NO_STREAM: &str = "sidelight-check-makes-no-such-stream";

impl Service {
    /// Asks about the group that `template` makes of what is `given`; about one that fits it where that
    /// is not known before a job runs. `is_for_metrics` says that CloudWatch has to make metrics of
    /// its events, and that nothing more will be known of it.
    pub async fn probe(
        &self,
        template: &Template,
        given: &Resource,
        is_for_metrics: bool,
    ) -> Vec<Finding> {
        let mut found = Vec::new();
        let (shared, client) = match self.connection().await {
            Ok(connection) => connection,
            Err(failure) => return vec![Finding::Bad(failure.to_string())],
        };
        if let Some(provider) = shared.credentials_provider()
            && let Err(error) = provider.provide_credentials().await
        {
            let told = aws::credentials::told(&error, &aws::variable);
            return vec![Finding::Bad(self.own(Class::Credentials, &told).to_string())];
        }
        match self.who_am_i(&shared).await {
            Ok(who) => found.push(Finding::Good(who)),
            // The service itself may be reached where STS is not.
            Err(told) => found.push(Finding::Doubt(told)),
        }
        if is_for_metrics || template.is_known(given) {
            let group = template.name(given);
            if self.ask_to_put(&group, &mut found).await {
                found.push(self.ask_about(&client, &group, is_for_metrics).await);
            }
        } else {
            self.ask_for_one_like(template, &client, &mut found).await;
        }
        found
    }

    /// Whether events may be put into `group`; false when there is no use in asking on.
    async fn ask_to_put(&self, group: &str, found: &mut Vec<Finding>) -> bool {
        match self.may_put(group).await {
            Ok(told) => found.push(Finding::Good(told)),
            Err(failure) => {
                found.push(self.bad("logs:PutLogEvents", group, &failure));
                return failure.class == Class::Denied;
            }
        }
        true
    }

    async fn ask_about(&self, client: &Client, group: &str, is_for_metrics: bool) -> Finding {
        match self.groups(client, Some(group)).await {
            Ok(groups) => {
                let group = groups.iter().find(|it| it.log_group_name() == Some(group));
                self.about(client, group, is_for_metrics).await
            }
            Err(failure) => Finding::Doubt(format!(
                "whether the log group exists is not known ({failure}); logs:DescribeLogGroups is \
                 needed to set a retention only where it differs"
            )),
        }
    }

    /// The first groups whose names begin with `prefix`.
    async fn groups(
        &self,
        client: &Client,
        prefix: Option<&str>,
    ) -> Result<Vec<LogGroup>, Failure> {
        let describe = client.describe_log_groups();
        let describe = describe.set_log_group_name_prefix(prefix.map(str::to_owned));
        let described = describe.customize().mutate_request(self.noting()).send().await;
        let described = described.map_err(|error| self.failure(&error))?;
        Ok(described.log_groups.unwrap_or_default())
    }

    /// Asks about a group that a job before may have had.
    async fn ask_for_one_like(
        &self,
        template: &Template,
        client: &Client,
        found: &mut Vec<Finding>,
    ) {
        let beginning = template.beginning();
        found.push(Finding::Doubt(format!(
            "the name of the log group is known once a job runs; asked instead is for groups that fit \
             the pattern and begin with {beginning:?}. `job_name` in [job], and a `group` of nothing \
             but what [job] gives, make one name known"
        )));
        let prefix = Some(beginning.as_str()).filter(|beginning| !beginning.is_empty());
        let groups = match self.groups(client, prefix).await {
            Ok(groups) => groups,
            Err(failure) if failure.class == Class::Denied => {
                return found.push(Finding::Doubt(format!(
                    "which groups are there is not known, and so neither whether events may be put \
                     ({failure})"
                )));
            }
            Err(failure) => return found.push(self.bad("logs:DescribeLogGroups", "*", &failure)),
        };
        let fits = |group: &&LogGroup| group.log_group_name().is_some_and(|it| template.fits(it));
        let Some(group) = groups.iter().find(fits) else {
            return found.push(Finding::Doubt(
                "no such group is there yet; logs:CreateLogGroup, logs:CreateLogStream and \
                 logs:PutLogEvents are needed, which cannot be tried before"
                    .to_owned(),
            ));
        };
        if self.ask_to_put(group.log_group_name().unwrap_or_default(), found).await {
            found.push(self.about(client, Some(group), false).await);
        }
    }

    fn bad(&self, permission: &str, group: &str, failure: &Failure) -> Finding {
        Finding::Bad(match failure.class {
            Class::Denied => format!("{permission} is needed on log group {group}: {failure}"),
            Class::Credentials | Class::Signature => {
                format!("the credentials are not accepted: {failure}")
            }
            _ => format!("CloudWatch Logs does not answer as it should: {failure}"),
        })
    }

    async fn who_am_i(&self, shared: &SdkConfig) -> Result<String, String> {
        let region = shared.region().map_or("", |region| region.as_ref()).to_owned();
        let asked = aws_sdk_sts::Client::new(shared).get_caller_identity().send().await;
        let who = asked.map_err(|error| {
            let failure = Failure::of(&error, &self.redactor);
            format!(
                "who this is stays unknown, which changes nothing for what is sent: \
                 sts:GetCallerIdentity, which has an address of its own, did not answer ({failure})"
            )
        })?;
        let arn = self.redactor.value(who.arn().unwrap_or("unknown"));
        Ok(format!("{arn} in {region}"))
    }

    async fn may_put(&self, group: &str) -> Result<String, Failure> {
        let target = Target { group: group.to_owned(), stream: NO_STREAM.to_owned() };
        let (mut request, mut nested) = (Request::new(), Vec::new());
        let message = Message::new(b"sidelight check --online", &mut nested);
        let now_ms = i64::try_from(unix_ms()).unwrap_or(i64::MAX);
        // One short event fits into any request.
        let _ = request.add(now_ms, message, Origin { batch: 0, record: 0 });
        let body = request.body(group, NO_STREAM);
        match self.put_once(&target, body, Format::Plain).await {
            Ok(_) => {
                let reason = "a stream that is not there took an event";
                Err(self.asked(self.own(Class::Transient, reason)))
            }
            Err(failure) if failure.class == Class::Missing => {
                Ok(format!("logs:PutLogEvents is allowed on {group}"))
            }
            Err(failure) => Err(failure),
        }
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
        if let Some(wanted) = self.settings.class.as_ref().filter(|it| it.as_str() != class) {
            return Finding::Doubt(format!(
                "log group {name} is there, class {class}, and not {} as `log_class` says; the class \
                 cannot be changed: name another group, or leave `log_class` out",
                wanted.as_str()
            ));
        }
        // One that is there cannot be made again: who may not is told that first.
        let make = client.create_log_group().log_group_name(name).send().await;
        match make.map_err(|error| self.failure(&error)) {
            Err(failure) if failure.class == Class::Denied => Finding::Doubt(format!(
                "log group {name} is there, class {class}; others cannot be made: {failure}; \
                 logs:CreateLogGroup is needed for them"
            )),
            _ => Finding::Good(format!("log group {name} is there, class {class}")),
        }
    }
}
