//! Strategies and profiles as the config writes them.

use serde::{Deserialize, Serialize};

/// A strategy by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Strategy(#[serde(with = "StrategyName")] pub(super) redaction::Strategy);

/// A profile by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Profile(#[serde(with = "ProfileName")] pub(super) redaction::Profile);

/// The compiler holds it equal to the enum of the redactor.
#[derive(Serialize, Deserialize)]
#[serde(remote = "redaction::Strategy", rename_all = "snake_case")]
enum StrategyName {
    Mask,
    Partial,
    Pseudonym,
    FormatPreserving,
    DropRecord,
    Keep,
}

/// See [`StrategyName`].
#[derive(Serialize, Deserialize)]
#[serde(remote = "redaction::Profile", rename_all = "snake_case")]
enum ProfileName {
    Secrets,
    Pci,
    Gdpr,
    All,
}

#[cfg(test)]
mod tests {
    use super::{Profile, Strategy};

    #[test]
    fn names_in_the_config_are_those_of_the_redactor() {
        for strategy in redaction::Strategy::ALL {
            let name = serde_json::json!(strategy.name());
            assert_eq!(serde_json::to_value(Strategy(strategy)).unwrap(), name);
            assert_eq!(serde_json::from_value::<Strategy>(name).unwrap().0, strategy);
        }
        for it in redaction::Profile::ALL {
            assert_eq!(serde_json::to_value(Profile(it)).unwrap(), serde_json::json!(it.name()));
        }
    }
}
