//! Who may ask: signed requests that are taken, and those that are not.

use super::client::Call;
use super::fake::{Fake, Rules};
use super::rig::{NOW_MS, breaks, call, fake, keeps, put_body, refuses, with};
use std::time::Duration;

const INCOMPLETE: &str = "IncompleteSignatureException";
const UNKNOWN: &str = "UnrecognizedClientException";

fn put(fake: &Fake) -> Call {
    call(fake, "PutLogEvents", &put_body(&[(NOW_MS, "a")]))
}

fn authorization(scope: &str, signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}")
}

#[test]
fn a_request_is_signed_with_the_known_key() {
    let fake = fake();
    keeps(&fake, &put(&fake).send());
    assert_eq!(fake.requests()[0].access_key_id, "AKIDEXAMPLE");
    refuses(&put(&fake).signed_by("AKIDOTHER", None).send(), UNKNOWN, "invalid");
    refuses(&put(&fake).signed_by("AKIDEXAMPLE", Some("t")).send(), UNKNOWN, "invalid");
    assert_eq!(fake.violations(), [""; 0], "another key is no broken rule");
    breaks(&fake, &put(&fake).unsigned().send(), UNKNOWN, "no Authorization");
}

#[test]
fn the_signature_has_all_of_its_parts() {
    let date = "20261118";
    let scope = format!("AKIDEXAMPLE/{date}/us-east-1/logs/aws4_request");
    let hex = "0".repeat(64);
    let signed = "host;x-amz-date";
    let first = fake();
    let send = |fake: &Fake, value: &str| put(fake).header("authorization", value).send();
    keeps(&first, &send(&first, &authorization(&scope, signed, &hex)));
    keeps(&first, &send(&first, &authorization(&scope, signed, &hex).replace(", ", ",")));
    for value in [
        "Bearer abc".to_owned(),
        authorization(&scope, signed, &hex[1..]),
        authorization(&scope, signed, &"g".repeat(64)),
        authorization("AKIDEXAMPLE", signed, &hex),
        authorization(&scope.replace("aws4_request", "aws3"), signed, &hex),
        authorization(&format!("{scope}/x"), signed, &hex),
        authorization(&scope, "host", &hex),
        authorization(&scope, "x-amz-date", &hex),
        authorization(&scope, "host;x-amz-date;x-absent", &hex),
    ] {
        let fake = fake();
        breaks(&fake, &send(&fake, &value), INCOMPLETE, "");
    }
    for (from, to) in [(date, "20261117"), ("us-east-1", "eu-west-1"), ("logs", "sts")] {
        let fake = fake();
        let value = authorization(&scope.replace(from, to), signed, &hex);
        breaks(&fake, &send(&fake, &value), "InvalidSignatureException", "scoped");
    }
    let fake = fake();
    breaks(&fake, &put(&fake).header("x-amz-date", "yesterday").send(), INCOMPLETE, "x-amz-date");
}

#[test]
fn a_token_is_signed_too_and_expires_as_told() {
    let token = Some("token".to_owned());
    let fake = with(Rules { session_token: token, ..Rules::default() });
    let signed = || put(&fake).signed_by("AKIDEXAMPLE", Some("token"));
    keeps(&fake, &signed().send());
    refuses(&put(&fake).send(), UNKNOWN, "invalid");
    refuses(&put(&fake).signed_by("AKIDEXAMPLE", Some("other")).send(), UNKNOWN, "invalid");
    fake.expire_sessions();
    refuses(&signed().send(), "ExpiredTokenException", "expired");
    fake.add_session("ASIANEXT", Some("next"));
    keeps(&fake, &put(&fake).signed_by("ASIANEXT", Some("next")).send());
    let unsigned_token = put(&fake).header("x-amz-security-token", "token").send();
    breaks(&fake, &unsigned_token, INCOMPLETE, "SignedHeaders");
}

#[test]
fn a_clock_may_be_off_by_five_minutes() {
    let fake = fake();
    for offset_ms in [-300_000, 0, 300_000] {
        keeps(&fake, &put(&fake).at(NOW_MS + offset_ms).send());
    }
    let invalid = "InvalidSignatureException";
    let late = put(&fake).at(NOW_MS - 301_000).send();
    refuses(&late, invalid, "Signature expired: 20261118T142139Z is now earlier than");
    // What a client corrects its clock by.
    assert_eq!(late.header("date"), Some("Wed, 18 Nov 2026 14:26:40 GMT"));
    let early = put(&fake).at(NOW_MS + 301_000).send();
    refuses(&early, invalid, "Signature not yet current");
    assert_eq!(fake.violations(), [""; 0], "a wrong clock is no broken rule");
}

#[test]
fn the_clock_of_the_fake_can_be_moved() {
    let fake = Fake::start(Rules::default());
    let describe = || Call::json(&fake.url(), "DescribeLogGroups").try_send(Duration::from_secs(9));
    assert_eq!(describe().unwrap().status, 200);
    fake.set_clock_offset(20 * 60_000);
    refuses(&describe().unwrap(), "InvalidSignatureException", "Signature expired");
    fake.set_clock_offset(-20 * 60_000);
    refuses(&describe().unwrap(), "InvalidSignatureException", "not yet current");
}
