//! What `[exporters.cloudwatch_logs]` and `[exporters.cloudwatch_metrics]` have in common: keys, their
//! checks, and what is made of them.

use super::names::{Kind, Template};
use super::service::{Access, Service};
use super::target::{GroupSettings, RETENTION_DAYS, RETENTION_LAW};
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
        let is_url = self.endpoint_url.is_none_or(|url| {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        });
        let law = "must begin with https:// or http:// and name a host";
        section.require("endpoint_url", is_url, law);
        let days = self.settings.retention_days;
        let is_retention = days.is_none_or(|days| RETENTION_DAYS.contains(&days));
        section.require("retention_days", is_retention, RETENTION_LAW);
        section.require("tags", self.settings.tags.len() <= TAGS_MAX, "must be at most 50");
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
            region: self.region.map(str::to_owned),
            endpoint_url: self.endpoint_url.map(str::to_owned),
            request_timeout: lane.request_timeout.0,
        };
        Service::new(access, self.settings.clone(), self.concurrency, shared.redactor.clone())
    }

    /// Asks the service whether all will work; `is_for_metrics` as in [`Service::probe`].
    pub fn probe<'a>(
        &self,
        lane: &lane::Config,
        shared: &Shared,
        is_for_metrics: bool,
    ) -> BoxFuture<'a, Vec<Finding>> {
        let (service, template) =
            (self.service(lane, shared), Template::new(Kind::Group, self.group));
        Box::pin(async move {
            let Ok(group) = template else { return Vec::new() };
            let name = group.name(&Resource::default());
            service.probe(&name, group.has_placeholders(), is_for_metrics).await
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
}
