//! URL_USERINFO: `user:password` of a URL, and of Oracle's `jdbc:oracle:thin:user/password@`.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::quoted;
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_before};
use crate::spans::Found;

/// Longest user information looked at. Tokens of cloud providers have up to 2 KB.
const USERINFO_BYTES_MAX: usize = 4096;

/// Longest rest of a password after a `/`, `?` or `#` that should have been escaped.
const ODD_PASSWORD_BYTES_MAX: usize = 256;

/// Schemes whose `name@` is an actor, a bucket or a container, not a user.
const ACTOR_SCHEMES: &[&[u8]] =
    &[b"spark", b"tcp", b"pekko", b"akka", b"abfs", b"abfss", b"wasb", b"wasbs", b"adl", b"s3a"];

/// Finds user information in URLs; scheme and host stay.
#[derive(Debug)]
pub(crate) struct UrlUserinfo;

impl Detector for UrlUserinfo {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "URL_USERINFO",
            family: Family::Secret,
            confidence: Confidence::High,
            validator: "URL grammar",
            literals: &["://", r":\/\/", "jdbc:oracle:"],
            is_token: false,
            is_settled_alone: true,
            positive: &[
                "jdbc:postgresql://«etl:LzDyTai2»@ip-10-2-27-35.internal:5432/metrics",
                "postgres://«u:p@ss»@db.example.com/x and postgres://«u:p/ss»@db:5432/x",
                r#"{"url":"https://«user:pw»@example.com/","u":"https:\/\/«user:pw»@host\/"}"#,
                "clone https://«x-access-token:k9Q2mX7vB9nL4pR8»@github.com/acme/jobs",
                "sftp://«jane.doe:x@example.com»@files.example.com/in, jdbc:oracle:thin:«scott/tiger»@//db:1521/x",
                "mongodb://«a:b»@h1,mongodb://«c:d»@h2",
                "jdbc:oracle:oci8:«scott/tiger»@x and jdbc:oracle:thin:«scott/\"t@i/ger\"»@//db:1521/x",
                r#"{"url":"jdbc:oracle:thin:«scott/\"t@iger\"»@//db:1521/x"}"#,
            ],
            negative: &[
                "pekko.tcp://flink@localhost:6123/user/rpc and spark://HeartbeatReceiver@vm:34567",
                "abfss://container@account.dfs.core.windows.net/orders",
                "http://host:8080/path@here https://host/a:b@c hdfs://nn:8020/user/x@y jdbc:oracle:thin:@//db:1521/x",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let is_oracle = raw[anchor.clone()].ends_with(b":");
        let start = if is_oracle { driver_end(raw, anchor.end) } else { anchor.end };
        if let Some(end) = quoted_password_end(raw, start).filter(|_| is_oracle) {
            return found.push(start..end);
        }
        // The next URL of a list has slashes, so no two anchors look at the same authority.
        let authority_end = forward(raw, start, start + USERINFO_BYTES_MAX, |b| {
            is_url(b) && !matches!(b, b'/' | b'?' | b'#')
        });
        let authority = &raw[start..authority_end];
        let colon = memchr::memchr(b':', authority);
        let long_password = || {
            let end = forward(raw, authority_end, authority_end + ODD_PASSWORD_BYTES_MAX, is_url);
            let token = &raw[start..end];
            let token = &token[..memchr::memmem::find(token, b"://").unwrap_or(token.len())];
            memchr::memrchr(b'@', token)
        };
        let at_sign = match (memchr::memrchr(b'@', authority), colon) {
            // Of several at signs the last one ends the password.
            (Some(at_sign), _) => Some(at_sign),
            _ if is_oracle => long_password(),
            // `user:p/ss@host`: what follows the colon is no port, so it is a password.
            (None, Some(colon)) if !authority[colon + 1..].iter().all(u8::is_ascii_digit) => {
                long_password()
            }
            _ => None,
        };
        let Some(len) = at_sign.filter(|len| *len > 0) else { return };
        if is_oracle || colon.is_some_and(|c| c < len) || !is_actor_scheme(raw, anchor.start) {
            found.push(start..start + len);
        }
    }
}

/// Skips `thin:` of `jdbc:oracle:thin:`.
fn driver_end(raw: &[u8], at: usize) -> usize {
    let end = forward(raw, at, at + 8, |b| b.is_ascii_alphanumeric());
    end + usize::from(raw.get(end) == Some(&b':'))
}

/// End of Oracle's `user/"password"` before an at sign; such a password may hold at signs.
fn quoted_password_end(raw: &[u8], start: usize) -> Option<usize> {
    let slash = forward(raw, start, start + ODD_PASSWORD_BYTES_MAX, |b| is_url(b) && b != b'/');
    let password = quoted(raw, slash + 1).filter(|_| raw.get(slash) == Some(&b'/'))?;
    let quote = forward(raw, password.end, password.end + 7, |b| b == b'\\');
    (raw.get(quote + 1) == Some(&b'@')).then_some(quote + 1)
}

fn is_url(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'`')
}

fn is_actor_scheme(raw: &[u8], scheme_end: usize) -> bool {
    let begin = scheme_end.saturating_sub(16);
    let start = backward(raw, scheme_end, begin, |b| b.is_ascii_alphanumeric());
    ACTOR_SCHEMES.iter().any(|s| s.len() == scheme_end - start && has_before(raw, scheme_end, s))
}
