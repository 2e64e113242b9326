//! Where requests go: what the config or the environment says instead of the region.

/// What may name an address of CloudWatch Logs in the environment, first the one that goes first.
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL"];

/// An address of CloudWatch Logs that somebody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Who did: `endpoint_url`, or a variable.
    pub by: &'static str,
    /// As it is written.
    pub url: String,
}

/// The address that is named, if any: in the section, else in the environment.
#[must_use]
pub fn named(
    endpoint_url: Option<&str>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<Named> {
    if let Some(url) = endpoint_url {
        return Some(Named { by: "endpoint_url", url: url.to_owned() });
    }
    let is_ignored = variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    if is_ignored.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let set = |by: &'static str| Some(Named { by, url: variable(by)? });
    VARIABLES.into_iter().find_map(set).filter(|named| !named.url.is_empty())
}

/// True for an address that requests can be sent to.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Scheme, host and port of an address, which the operator may see in messages: neither a password
/// nor a path.
#[must_use]
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::{is_url, named, shown};

    #[test]
    fn the_config_goes_before_the_environment_and_the_service_before_all_of_them() {
        let by = |endpoint_url, set: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            named(endpoint_url, &variable).map(|named| named.by)
        };
        let (all, logs) = (("AWS_ENDPOINT_URL", "a"), ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "b"));
        assert_eq!(by(Some("c"), &[all, logs]), Some("endpoint_url"));
        assert_eq!(by(None, &[all, logs]), Some("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"));
        assert_eq!(by(None, &[all]), Some("AWS_ENDPOINT_URL"));
        assert_eq!(by(None, &[all, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]), None);
        assert_eq!(by(None, &[("AWS_ENDPOINT_URL", "")]), None);
    }

    #[test]
    fn what_is_shown_of_an_address_holds_no_password() {
        assert_eq!(shown("http://10.1.2.3:4566"), "http://10.1.2.3:4566");
        assert_eq!(shown("https://me:pa@ss@logs.internal:1/a?b#c"), "https://logs.internal:1");
        assert_eq!(shown("me:pass@host"), "");
        assert!(is_url("http://h") && !is_url("https:///a") && !is_url("localhost:4566"));
    }
}
