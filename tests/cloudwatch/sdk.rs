//! AWS's own SDK understands the fake, and the fake finds nothing wrong with it.

use super::fake::{Fake, Rules};
use crate::harness::scratch::{Scratch, fixture};
use crate::harness::{peers, report};
use std::process::Command;

#[test]
fn the_sdk_of_aws_and_the_fake_understand_each_other() {
    if !peers::are_wanted() {
        report::say("the SDK of AWS: skipped, tests/run asks for peers");
        return;
    }
    let scratch = Scratch::new();
    let token = scratch.join("token");
    std::fs::write(&token, "web identity token").unwrap();
    let rules = Rules {
        access_key_id: "nobody".to_owned(),
        web_identity_token: Some("web identity token".to_owned()),
        ..Rules::default()
    };
    let fake = Fake::start(rules);
    let output = Command::new(peers::moto_python())
        .arg(fixture("cloudwatch/sdk.py"))
        .env_clear()
        .env("HOME", scratch.join("home"))
        .env("AWS_ENDPOINT_URL", fake.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/logs")
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let violations = fake.violations();
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert!(violations[0].contains("chronological"), "{violations:?}");
    let group = fake.groups().remove(0);
    assert_eq!((group.retention_days, group.kms_key.is_some()), (Some(7), true));
    assert_eq!(group.tags.len(), 2);
    let messages: Vec<String> =
        fake.events("/sdk", "s").into_iter().map(|event| event.message).collect();
    assert_eq!(messages, ["a", "caf\u{e9} \u{1f600}", "b"]);
}
