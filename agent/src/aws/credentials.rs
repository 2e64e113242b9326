//! Why there are no credentials, and what to set: the SDK tells what the last of its sources said.

use aws_credential_types::provider::error::CredentialsError;
use std::error::Error;

const ID: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// What there is to say when `error` came of credentials that could not be had; else nothing.
#[must_use]
pub fn missing(
    error: &(dyn Error + 'static),
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(error) = error.downcast_ref() {
            return Some(told(error, variable));
        }
        at = error.source();
    }
    None
}

/// What was asked, what the last one said, and what to do.
#[must_use]
pub fn told(error: &CredentialsError, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    match (value(ID).is_some(), value(SECRET).is_some()) {
        (true, false) => return half(ID, SECRET),
        (false, true) => return half(SECRET, ID),
        _ => {}
    }
    let profile = match value("AWS_PROFILE") {
        Some(profile) => format!(
            "profile {profile} of AWS_PROFILE, which must have a section in ~/.aws/credentials or \
             ~/.aws/config"
        ),
        None => "profile default".to_owned(),
    };
    let is_off =
        value("AWS_EC2_METADATA_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let instance = if is_off {
        "instance metadata (which AWS_EC2_METADATA_DISABLED turns off)"
    } else {
        "instance metadata"
    };
    let reason = innermost(error);
    let said = reason.map_or(String::new(), |reason| format!("; the last of them said: {reason}"));
    format!(
        "no AWS credentials found: looked in the environment ({ID}, {SECRET}), {profile}, web identity \
         (AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN), container (AWS_CONTAINER_CREDENTIALS_FULL_URI or \
         _RELATIVE_URI) and {instance}{said}; set {ID} and {SECRET}, or AWS_PROFILE, or give the pod, \
         task or instance a role"
    )
}

fn half(set: &str, unset: &str) -> String {
    format!("no AWS credentials found: {set} is set, and {unset} is not; set both")
}

/// What the source that was asked last said.
fn innermost(error: &CredentialsError) -> Option<String> {
    let mut at = error.source()?;
    while let Some(source) = at.source() {
        at = source;
    }
    Some(at.to_string().trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::told;
    use aws_credential_types::provider::error::CredentialsError;

    fn said(set: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let found = set.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        told(&CredentialsError::not_loaded("request forbidden."), &variable)
    }

    #[test]
    fn a_half_of_the_keys_names_the_other_one() {
        let told = said(&[("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")]);
        assert!(told.contains("AWS_SECRET_ACCESS_KEY is not") && !told.contains("AKID"), "{told}");
        let told = said(&[("AWS_SECRET_ACCESS_KEY", "secret")]);
        assert!(told.contains("AWS_ACCESS_KEY_ID is not") && !told.contains("secret"), "{told}");
    }

    #[test]
    fn every_place_is_named_and_what_the_last_said_stands_there_once() {
        let told = said(&[("AWS_PROFILE", "nosuch")]);
        for place in ["environment", "profile nosuch of", "web identity", "container"] {
            assert!(told.contains(place), "{place}: {told}");
        }
        assert!(
            told.contains("instance metadata; the last of them said: request forbidden;"),
            "{told}"
        );
        assert_eq!(told.matches("forbidden").count(), 1, "{told}");
        assert!(said(&[]).contains("profile default, "));
        assert!(said(&[("AWS_EC2_METADATA_DISABLED", "true")]).contains("turns off"));
    }
}
