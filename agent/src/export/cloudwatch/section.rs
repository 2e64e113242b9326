//! What `[exporters.cloudwatch_logs]` and `[exporters.cloudwatch_metrics]` have in common: keys, their
//! checks, and what is made of them.

use super::names::{Kind, Template};
use super::service::{Access, Service};
use super::target::{GroupSettings, RETENTION_DAYS, RETENTION_LAW};
use crate::aws;
use crate::aws::endpoint::{self, Named};
use crate::config::Section;
use crate::export::{BoxFuture, BuildError, Finding, Shared, lane};
use crate::model::Resource;

/// Tags of a group (CreateLogGroup in the API reference).
const TAGS_MAX: usize = 50;

/// The common keys of one of the sections.
#[derive(Debug)]
pub struct Keys<'c> {
    /// Name of the section.
    pub section: &'static str,
    /// Template of the log group.
    pub group: &'c str,
    /// Template of the log stream.
    pub stream: &'c str,
    /// None: found as every AWS tool finds it.
    pub region: Option<&'c str>,
    /// None: that of the region.
    pub endpoint_url: Option<&'c str>,
    /// Requests under way at most: to all streams, to one.
    pub concurrency: (usize, usize),
    /// What groups that are made are like.
    pub settings: GroupSettings,
}

impl Keys<'_> {
    /// Reports what is wrong with them.
    pub fn check(&self, section: &mut Section<'_>) {
        let templates = [("group", Kind::Group, self.group), ("stream", Kind::Stream, self.stream)];
        for (key, kind, raw) in templates {
            if let Err(wrong) = Template::new(kind, raw) {
                let shown = section.show(key, raw);
                section.report_at(&[key], format!("{shown} {wrong}"));
            }
        }
        self.check_endpoint(section);
        let is_name = |region: &str| {
            let is_allowed =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !region.is_empty() && region.bytes().all(is_allowed)
        };
        let law = "must be the name of an AWS region, such as eu-west-1";
        section.require("region", self.region.is_none_or(is_name), law);
        let is_arn =
            |key: &str| key.starts_with("arn:") && key.contains(":kms:") && key.contains(":key/");
        let is_key = self.settings.kms_key_id.as_deref().is_none_or(is_arn);
        let law = "must be the ARN of the key, arn:aws:kms:REGION:ACCOUNT:key/ID: CloudWatch takes \
                   neither an id alone nor an alias";
        section.require("kms_key_id", is_key, law);
        let days = self.settings.retention_days;
        let is_retention = days.is_none_or(|days| RETENTION_DAYS.contains(&days));
        section.require("retention_days", is_retention, RETENTION_LAW);
        section.require("tags", self.settings.tags.len() <= TAGS_MAX, "must be at most 50");
        let is_of_aws =
            |name: &String| name.get(..4).is_some_and(|it| it.eq_ignore_ascii_case("aws:"));
        let is_own = !self.settings.tags.keys().any(is_of_aws);
        section.require("tags", is_own, "must not begin with aws:, which is for AWS alone");
    }

    /// An address without a scheme, be it of the config or of the environment, would fail with the
    /// first request.
    fn check_endpoint(&self, section: &mut Section<'_>) {
        let named = {
            let variable = |name: &str| Some(section.variable(name)?.to_str()?.to_owned());
            endpoint::named(self.endpoint_url, &variable)
        };
        let Some(Named { by, url }) = named else { return };
        let law = "must begin with https:// or http:// and name a host";
        if self.endpoint_url.is_some() {
            section.require("endpoint_url", endpoint::is_url(&url), law);
        } else if !endpoint::is_url(&url) {
            section.report_at(&["endpoint_url"], format!("{by} of the environment {law}"));
        }
    }

    /// Name of the exporter.
    fn exporter(&self) -> &'static str {
        self.section.trim_start_matches("exporters.")
    }

    /// Where it sends.
    #[must_use]
    pub fn describe(&self) -> String {
        let region = self.region.map(str::to_owned);
        let region = region.or_else(|| aws::variable("AWS_REGION"));
        let region = region.or_else(|| aws::variable("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "that of the profile or the instance".to_owned());
        let endpoint = match endpoint::named(self.endpoint_url, &aws::variable) {
            Some(Named { by, url }) => format!("{} ({by})", endpoint::shown(&url)),
            None => "that of the region".to_owned(),
        };
        format!("region {region}, endpoint {endpoint}, group {}", self.group)
    }

    /// Group and stream.
    ///
    /// # Errors
    /// When one of them is no template; [`check`](Self::check) tells that before.
    pub fn templates(&self) -> Result<(Template, Template), BuildError> {
        let template = |kind, raw| {
            Template::new(kind, raw).map_err(|wrong| BuildError {
                section: self.section,
                reason: format!("a template {wrong}"),
            })
        };
        Ok((template(Kind::Group, self.group)?, template(Kind::Stream, self.stream)?))
    }

    /// The service that they name.
    #[must_use]
    pub fn service(&self, lane: &lane::Config, shared: &Shared) -> Service {
        let access = Access {
            exporter: self.exporter(),
            region: self.region.map(str::to_owned),
            endpoint_url: self.endpoint_url.map(str::to_owned),
            request_timeout: lane.request_timeout.0,
        };
        Service::new(access, self.settings.clone(), self.concurrency, shared)
    }

    /// Asks the service whether all will work; `given` is what is known of a job before one runs, and
    /// `is_for_metrics` as in [`Service::probe`].
    pub fn probe<'a>(
        &self,
        lane: &lane::Config,
        shared: &Shared,
        given: Resource,
        is_for_metrics: bool,
    ) -> BoxFuture<'a, Vec<Finding>> {
        let (service, template) =
            (self.service(lane, shared), Template::new(Kind::Group, self.group));
        Box::pin(async move {
            let Ok(group) = template else { return Vec::new() };
            service.probe(&group, &given, is_for_metrics).await
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment};

    #[test]
    fn both_sections_tell_what_is_wrong_with_the_keys_that_they_share() {
        for section in ["cloudwatch_logs", "cloudwatch_metrics"] {
            for (key, value, law) in [
                ("endpoint_url", "\"localhost:4566\"", "must begin with https:// or http://"),
                ("endpoint_url", "\"https:///logs\"", "name a host"),
                ("region", "\"eu west\"", "must be the name of an AWS region"),
                ("kms_key_id", "\"alias/logs\"", "must be the ARN of the key"),
                ("tags", "{ \"aws:team\" = \"etl\" }", "must not begin with aws:"),
                ("group", "\"{nobody}\"", "{nobody}"),
                ("stream", "\"{nobody}\"", "{nobody}"),
                ("retention_days", "2", "must be one of 1, 3, 5"),
            ] {
                let text = format!("[exporters.{section}]\n{key} = {value}\n");
                let parsed = Config::parse("c.toml", &text, &Environment::default());
                let told = parsed.unwrap_err().to_string();
                assert!(told.contains(&format!("exporters.{section}.{key}: ")), "{told}");
                assert!(told.contains(law), "{told}");
            }
        }
    }

    #[test]
    fn an_address_of_the_environment_is_checked_too_and_only_where_it_counts() {
        let told = |variable: &str, keys: &str| {
            let environment = [(variable.to_owned(), "me:secret@localhost:4566".into())].into();
            let text = format!("[exporters.cloudwatch_logs]\n{keys}");
            Config::parse("c.toml", &text, &environment).map_err(|problems| problems.to_string())
        };
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"] {
            let wrong = told(variable, "").unwrap_err();
            let law = format!("{variable} of the environment must begin with https:// or http://");
            assert!(wrong.contains(&law) && !wrong.contains("secret"), "{wrong}");
            assert!(told(variable, "endpoint_url = \"http://localhost:4566\"").is_ok());
        }
        assert!(told("AWS_ENDPOINT_URL_STS", "").is_ok());
    }
}
