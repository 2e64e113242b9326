//! The two operations of STS: who am I, and credentials for a web identity token.

use super::client::{Answer, Call};
use super::fake::{Fake, Rules};
use super::fault::Fault;
use super::rig::{NOW_MS, call, fake, keeps, put_body, refuses, with};
use std::time::Duration;

const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// The text between `<tag>` and `</tag>`.
fn tag<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let after = answer.body.split_once(&start).map_or("", |(_, after)| after);
    after.split_once(&end).map_or("", |(inside, _)| inside)
}

fn who(fake: &Fake) -> Call {
    Call::form(&fake.url(), WHO).at(NOW_MS)
}

fn assume(fake: &Fake, token: &str) -> Answer {
    let fields = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=pod\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Flogs&WebIdentityToken={token}"
    );
    Call::form(&fake.url(), &fields).at(NOW_MS).unsigned().send()
}

#[track_caller]
fn fails(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, tag(answer, "Code")), (status, code), "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/xml"));
    assert!(answer.body.starts_with("<ErrorResponse"), "{}", answer.body);
    assert!(answer.header("x-amzn-requestid").is_some());
}

#[test]
fn a_signed_caller_learns_who_it_is() {
    let fake = fake();
    let answer = who(&fake).send();
    assert_eq!((answer.status, tag(&answer, "Account")), (200, "123456789012"));
    assert!(tag(&answer, "Arn").ends_with("/AKIDEXAMPLE"), "{}", answer.body);
    assert_eq!(fake.violations(), [""; 0]);
    fails(&who(&fake).signed_by("AKIDOTHER", None).send(), 403, "InvalidClientTokenId");
    fails(&who(&fake).at(NOW_MS - 301_000).send(), 403, "SignatureDoesNotMatch");
    assert_eq!(fake.violations(), [""; 0]);
    fails(&who(&fake).unsigned().send(), 403, "InvalidClientTokenId");
    fails(&Call::form(&fake.url(), "Action=GetCallerIdentity").send(), 400, "InvalidAction");
    let other = "Action=GetSessionToken&Version=2011-06-15";
    fails(&Call::form(&fake.url(), other).send(), 400, "InvalidAction");
    assert_eq!(fake.violations().len(), 3, "{:?}", fake.violations());
}

#[test]
fn a_web_identity_token_gives_credentials_that_expire() {
    let fake = with(Rules {
        web_identity_token: Some("first token".to_owned()),
        session_lifetime: Duration::from_secs(60),
        ..Rules::default()
    });
    let answer = assume(&fake, "first+token");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(tag(&answer, "Expiration"), "2026-11-18T14:27:40Z");
    assert_eq!(tag(&answer, "Arn"), "arn:aws:iam::123456789012:role/logs/pod");
    let (key, token) = (tag(&answer, "AccessKeyId"), tag(&answer, "SessionToken"));
    assert!(!tag(&answer, "SecretAccessKey").is_empty());
    let put = || {
        let call = call(&fake, "PutLogEvents", &put_body(&[(NOW_MS, "a")]));
        call.signed_by(key, Some(token)).send()
    };
    keeps(&fake, &put());
    fails(&who(&fake).signed_by(key, None).send(), 403, "InvalidClientTokenId");
    fake.freeze_clock(NOW_MS + 60_000);
    refuses(&put(), "ExpiredTokenException", "expired");
    fails(&who(&fake).signed_by(key, Some(token)).send(), 403, "ExpiredToken");
    fake.set_web_identity_token("second");
    fails(&assume(&fake, "first+token"), 400, "InvalidIdentityToken");
    let next = assume(&fake, "sec%6Fnd");
    assert_ne!(tag(&next, "AccessKeyId"), key);
    assert_eq!(fake.violations(), [""; 0]);
}

#[test]
fn a_token_and_a_role_must_be_there() {
    let fake = fake();
    fails(&assume(&fake, ""), 400, "MissingParameter");
    assert_eq!(assume(&fake, "anything").status, 200, "no token is wanted by these rules");
    assert_eq!(fake.violations().len(), 1);
    let operations: Vec<String> = fake.requests().into_iter().map(|r| r.operation).collect();
    assert_eq!(operations, ["AssumeRoleWithWebIdentity"; 2]);
}

#[test]
fn old_credentials_make_room_but_those_of_the_rules_stay() {
    let fake = fake();
    let first = assume(&fake, "t");
    for _ in 0..1_000 {
        assume(&fake, "t");
    }
    let (key, token) = (tag(&first, "AccessKeyId"), tag(&first, "SessionToken"));
    fails(&who(&fake).signed_by(key, Some(token)).send(), 403, "InvalidClientTokenId");
    assert_eq!(who(&fake).send().status, 200);
}

#[test]
fn faults_hit_sts_too() {
    let fake = fake();
    fake.set_fault(Fault::server_error(503).on("GetCallerIdentity").times(1));
    fails(&who(&fake).send(), 503, "ServiceUnavailableException");
    assert_eq!(who(&fake).send().status, 200);
}
