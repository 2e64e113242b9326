//! URL_USERINFO: `user:password` of a URL, and of Oracle's `jdbc:oracle:thin:user/password@`.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Confidence, Detector, Family, Rule};
use crate::assignment::quoted;
use crate::haystack::Haystack;
use crate::lexis::{backward, forward, has_before, line_end, line_start};
use crate::shapes::Shape;
use crate::spans::Found;

/// Longest user information looked at. Tokens of cloud providers have up to 2 KB.
const USERINFO_BYTES_MAX: usize = 4096;

/// Longest rest of a password after a `/`, `?` or `#` that should have been escaped.
const ODD_PASSWORD_BYTES_MAX: usize = 256;

/// Schemes whose `name@` is an actor, a bucket or a container, not a user.
const ACTOR_SCHEMES: &[&[u8]] =
    &[b"spark", b"tcp", b"pekko", b"akka", b"abfs", b"abfss", b"wasb", b"wasbs", b"adl", b"s3a"];

/// Schemes of databases, beside `jdbc:` and any other.
const DATABASE_SCHEMES: &[&[u8]] = &[
    b"postgres",
    b"postgresql",
    b"mysql",
    b"mariadb",
    b"mongodb",
    b"mongodb+srv",
    b"redis",
    b"rediss",
    b"amqp",
    b"amqps",
];

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
            literals: &["jdbc:oracle:"],
            shapes: &[Shape::At],
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
                "jdbc:mysql://«bob:p@ss/w0rd»@db/x?m=a redis://«:p@s/s»@h:6379/0 postgresql://«u:p@ss»@h/x",
                r#"{"url":"jdbc:oracle:thin:«scott/\"t@iger\"»@//db:1521/x"}"#,
            ],
            negative: &[
                "pekko.tcp://flink@localhost:6123/user/rpc and spark://HeartbeatReceiver@vm:34567",
                "abfss://container@account.dfs.core.windows.net/orders",
                "jdbc:mysql://db:3306/x?email=@y mysql://db/a@b https://unpkg.com/@scope/x@1.0",
                "http://host:8080/path@here https://host/a:b@c hdfs://nn:8020/user/x@y jdbc:oracle:thin:@//db:1521/x",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let at = anchor.start;
        if raw[at] != b'@' {
            found.extend(of_oracle(raw, anchor.end));
        } else if let Some(userinfo) = before_at_sign(raw, at) {
            found.push(userinfo);
        } else {
            // Nothing that may become a placeholder makes a URL of text without one.
            let begin = at.saturating_sub(NEAR_BYTES);
            let end = at + line_end(&raw[at..raw.len().min(at + NEAR_BYTES)], 0);
            if !has_scheme(&raw[begin + line_start(&raw[begin..at], at - begin)..end]) {
                found.looked_until(end);
                found.never();
            }
        }
    }
}

/// How far around an at sign without user information a URL is looked for.
const NEAR_BYTES: usize = 256;

fn has_scheme(text: &[u8]) -> bool {
    static ENDS: LazyLock<[Finder<'static>; 2]> =
        LazyLock::new(|| [Finder::new("://"), Finder::new(r":\/\/")]);
    let is_oracle = |colon| has_before(text, colon, b"jdbc:oracle");
    ENDS.iter().any(|end| end.find(text).is_some())
        || memchr::memchr_iter(b':', text).any(is_oracle)
}

/// User information around the at sign at `at`, which is the first one of it.
///
/// Asked at at signs, as `://` is everywhere in logs. What stands between two at signs is walked once.
fn before_at_sign(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let begin = at.saturating_sub(USERINFO_BYTES_MAX);
    let token = backward(raw, at, begin, |b| is_url(b) && b != b'@');
    let (scheme_end, start) = match memchr::memmem::rfind(&raw[token..at], b"://") {
        Some(colon) => (token + colon, token + colon + 3),
        // `https:\/\/user:pw@host`.
        None if has_before(raw, token, br":\/\") && raw[token] == b'/' => (token - 4, token + 1),
        None => return None,
    };
    let userinfo = &raw[start..at];
    let colon = memchr::memchr(b':', userinfo);
    if let Some(stop) = memchr::memchr3(b'/', b'?', b'#', userinfo) {
        // `user:p/ss@host`: what follows the colon is no port, so it is a password.
        let port = &userinfo[colon.filter(|c| *c < stop)? + 1..stop];
        if at - start - stop > ODD_PASSWORD_BYTES_MAX || port.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let end = last_at_sign(raw, at, start + stop + ODD_PASSWORD_BYTES_MAX, |_| false);
        return Some(start..end);
    }
    // Behind the host of a database stands its name, which has no at sign.
    let end = if colon.is_some() && is_database(raw, scheme_end) {
        let until = at + ODD_PASSWORD_BYTES_MAX;
        last_at_sign(raw, at, until, |b| matches!(b, b'?' | b'#' | b';' | b',' | b')'))
    } else {
        let until = start + USERINFO_BYTES_MAX;
        last_at_sign(raw, at, until, ends_authority)
    };
    let is_actor = !raw[start..end].contains(&b':') && is_actor_scheme(raw, scheme_end);
    (end > start && !is_actor).then_some(start..end)
}

/// Of several at signs the last one ends the password: that from `at` on, before the next URL and
/// what `stops`.
fn last_at_sign(raw: &[u8], at: usize, until: usize, stops: impl Fn(u8) -> bool) -> usize {
    let end = forward(raw, at, until, |b| is_url(b) && !stops(b));
    let rest = &raw[at..end];
    let rest = &rest[..memchr::memmem::find(rest, b"://").unwrap_or(rest.len())];
    at + memchr::memrchr(b'@', rest).unwrap_or(0)
}

/// `user/password` behind `jdbc:oracle:` that ends at `scheme_end`.
fn of_oracle(raw: &[u8], scheme_end: usize) -> Option<Range<usize>> {
    let start = driver_end(raw, scheme_end);
    if let Some(end) = quoted_password_end(raw, start) {
        return Some(start..end);
    }
    let until = start + USERINFO_BYTES_MAX;
    let is_authority = |b: u8| is_url(b) && !ends_authority(b);
    let authority_end = forward(raw, start, until, is_authority);
    let token_end = forward(raw, authority_end, authority_end + ODD_PASSWORD_BYTES_MAX, is_url);
    let token = &raw[start..token_end];
    let token = &token[..memchr::memmem::find(token, b"://").unwrap_or(token.len())];
    let at_sign = memchr::memrchr(b'@', &raw[start..authority_end]);
    let len = at_sign.or_else(|| memchr::memrchr(b'@', token))?;
    (len > 0).then_some(start..start + len)
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

/// What stands behind the host of a URL (RFC 3986 section 3.2).
fn ends_authority(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#')
}

fn is_database(raw: &[u8], scheme_end: usize) -> bool {
    let begin = scheme_end.saturating_sub(32);
    let is_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'+' | b'-');
    let scheme = &raw[backward(raw, scheme_end, begin, is_scheme)..scheme_end];
    memchr::memmem::find(scheme, b"jdbc:").is_some() || DATABASE_SCHEMES.contains(&scheme)
}

fn is_actor_scheme(raw: &[u8], scheme_end: usize) -> bool {
    let begin = scheme_end.saturating_sub(16);
    let start = backward(raw, scheme_end, begin, |b| b.is_ascii_alphanumeric());
    ACTOR_SCHEMES.iter().any(|s| s.len() == scheme_end - start && has_before(raw, scheme_end, s))
}
