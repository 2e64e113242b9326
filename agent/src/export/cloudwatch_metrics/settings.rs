//! What the operator decides: the namespace and the first dimension.

use super::dimension;
use redaction::Value;

/// Longest namespace.
const NAMESPACE_BYTES_MAX: usize = 256;

/// Where the jobs of this agent run; the first dimension of every metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Dimension `cluster`.
    Cluster(Value),
    /// Dimension `environment`.
    Environment(Value),
}

/// What is the same in all events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) namespace: String,
    /// Name and value of the dimension before `job_name`.
    pub(super) scope: Option<(&'static str, String)>,
}

/// What is wrong with the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The namespace.
    #[error(
        "the namespace must be 1 to 256 letters, digits or any of . - _ / # : and not begin with AWS/"
    )]
    Namespace,
    /// The cluster or environment.
    #[error("{0} must not be blank and at most 1024 bytes long")]
    Scope(&'static str),
}

impl Settings {
    /// Checks them as CloudWatch would, which drops metrics of a wrong name without a word.
    ///
    /// # Errors
    /// When CloudWatch would not take the namespace or the dimension.
    pub fn new(namespace: &str, scope: Option<Scope>) -> Result<Self, SettingsError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
        if !(1..=NAMESPACE_BYTES_MAX).contains(&namespace.len())
            || !namespace.bytes().all(is_allowed)
            || namespace.starts_with("AWS/")
        {
            return Err(SettingsError::Namespace);
        }
        let scope = scope.map(|scope| {
            let (name, value) = match scope {
                Scope::Cluster(value) => ("cluster", value),
                Scope::Environment(value) => ("environment", value),
            };
            let value = dimension::clean(&value).ok_or(SettingsError::Scope(name))?;
            Ok((name, value))
        });
        Ok(Self { namespace: namespace.to_owned(), scope: scope.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Settings, SettingsError};
    use redaction::Value;

    #[test]
    fn settings_that_cloudwatch_would_not_take_are_errors() {
        let namespace = |text: &str| Settings::new(text, None).map(|it| it.namespace);
        assert_eq!(namespace("Side.light/a-b_c#d:1"), Ok("Side.light/a-b_c#d:1".to_owned()));
        assert_eq!(namespace(&"a".repeat(256)).unwrap().len(), 256);
        for wrong in ["", "a b", "ä", "AWS/EC2", &"a".repeat(257)] {
            assert_eq!(namespace(wrong), Err(SettingsError::Namespace), "{wrong}");
        }
        let scope = |scope| Settings::new("a", Some(scope)).map(|it| it.scope);
        assert_eq!(
            scope(Scope::Environment(Value::literal("prod"))),
            Ok(Some(("environment", "prod".to_owned())))
        );
        let blank = scope(Scope::Cluster(Value::literal(" ")));
        assert_eq!(blank, Err(SettingsError::Scope("cluster")));
    }
}
