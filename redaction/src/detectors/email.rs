//! EMAIL: `local@domain.tld`, also with the at sign written `%40` or `\u0040`.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::haystack::Haystack;
use crate::lexis::{backward, escape_letter_before, forward};
use crate::shapes::Shape;
use crate::spans::Found;

/// Longest address part looked at (RFC 5321 allows 64 before the at sign and 255 after it).
const PART_BYTES_MAX: usize = 255;

/// Finds email addresses.
#[derive(Debug)]
pub(crate) struct Email;

impl Detector for Email {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "EMAIL",
            family: Family::Personal,
            confidence: Confidence::High,
            validator: "address grammar",
            shapes: &[Shape::At],
            positive: &[
                "customer «jane.doe@example.com» from Berlin",
                r#"{"msg":"sent\n«bob@example.org»\nto"}"#,
                "EqualTo(email#12,«o'brien+tag@mail.example.co.uk»)",
                "s3://lake/users/«a_b@example.com»/part-0.parquet",
                "GET /unsubscribe?user=«jane%40example.com»&x=1",
                "sftp://«jane.doe@example.com»@files.example.com/in, s3a://b,owner=«jo@example.com»",
                "<«müller@bücher.example»>, see «INFO@EXAMPLE.COM».",
                "my email is «user@xn--80ak6aa92e.com» or «a@xn--d1acufc.xn--p1ai» today",
            ],
            negative: &[
                "lock java.lang.Object@7d3d101b and Worker@3f2a1b.run",
                "pekko.tcp://flink@node1.example.com:6123/user/rpc/dispatcher_1",
                "spark://CoarseGrainedScheduler@ip-10-0-0-1.ec2.internal:34567",
                "principal hive/_HOST@EXAMPLE.COM and spark/node1@EXAMPLE.COM",
                "Endpoint name flink-metrics-1@pekko.tcp://flink@localhost:6123/user",
                "clone git@github.com:org/repo.git and ssh -T git@gitlab.example.com",
                "npm install left-pad@1.3.0 @ 12:00, info@presidio. @transient.lazy",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        let start = local_start(raw, anchor.start);
        let is_bare = |at: Option<&u8>| at.is_none_or(|b| b.is_ascii_whitespace());
        if is_bare(raw.get(anchor.end)) || is_bare(anchor.start.checked_sub(1).map(|at| &raw[at])) {
            // Nor does a placeholder make a domain or a name.
            return found.never();
        }
        let Some(end) = domain_end(raw, anchor.end) else { return };
        let (local, domain) = (&raw[start..anchor.start], &raw[anchor.end..end]);
        // `git@github.com:org/repo.git`: the user of every server of Git.
        if !local.is_empty()
            && local != b"git"
            && !is_principal(raw, start, local, domain)
            && !is_identity_hash(local, domain)
            && (!is_in_authority(raw, start) || raw.get(end) == Some(&b'@'))
            // `Actor[#12@pekko.tcp://...`: a scheme.
            && !raw[end..].starts_with(b"://")
        {
            found.push(start..end);
        }
    }
}

fn local_start(raw: &[u8], at: usize) -> usize {
    let is_local = |b: u8| {
        b.is_ascii_alphanumeric()
            || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
            || b >= 0x80
    };
    let mut start = backward(raw, at, at.saturating_sub(PART_BYTES_MAX), is_local);
    if start < at && escape_letter_before(raw, start + 1) {
        start += 1;
    }
    // A quote or a dot before the address is punctuation.
    forward(raw, start, at, |b| matches!(b, b'\'' | b'.'))
}

/// End of the longest domain at `at` that has a dot and a last label a registry could hold.
fn domain_end(raw: &[u8], at: usize) -> Option<usize> {
    let is_domain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-') || b >= 0x80;
    let mut end = forward(raw, at, at + PART_BYTES_MAX, is_domain);
    while let Some(dot) = raw[at..end].iter().rposition(|b| *b == b'.').map(|i| at + i) {
        if let Some(len) = top_level_len(&raw[dot + 1..end]).filter(|_| dot > at) {
            return Some(dot + 1 + len);
        }
        end = dot;
    }
    None
}

/// Length of a top-level domain at the start of `label`: letters of one case, or `xn--...`.
fn top_level_len(label: &[u8]) -> Option<usize> {
    let len = if label.get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--")) {
        forward(label, 0, label.len(), |b| b.is_ascii_alphanumeric() || b == b'-')
    } else {
        forward(label, 0, label.len(), |b| b.is_ascii_alphabetic() || b >= 0x80)
    };
    let name = &label[..len];
    let one_case =
        !(name.iter().any(u8::is_ascii_lowercase) && name[1..].iter().any(u8::is_ascii_uppercase));
    // `a@b.com-x` and `a@b.com42` are an address and what was glued to it; `a@b.c0m` is none.
    let is_whole = label.get(len).is_none_or(|b| matches!(b, b'-' | b'_' | b'0'..=b'9'));
    (len >= 2 && one_case && is_whole).then_some(len)
}

/// True for Kerberos service principals, `service/host@REALM`.
fn is_principal(raw: &[u8], start: usize, local: &[u8], domain: &[u8]) -> bool {
    let is_service = start > 0 && raw[start - 1] == b'/';
    local == b"_HOST" || is_service && !domain.iter().any(u8::is_ascii_lowercase)
}

/// True for `Worker@3f2a1b.run`: what Java's `Object.toString` prints, followed by a call.
fn is_identity_hash(local: &[u8], domain: &[u8]) -> bool {
    let class = local.rsplit(|b| matches!(b, b'.' | b'$')).next().unwrap_or_default();
    let host = domain.split(|b| *b == b'.').next().unwrap_or_default();
    class.first().is_some_and(u8::is_ascii_uppercase)
        && (5..=8).contains(&host.len())
        && host.iter().all(u8::is_ascii_hexdigit)
        && host.iter().any(u8::is_ascii_digit)
}

/// True when the address stands between `://` and the first `/`, `?` or `#` of a URL.
///
/// There it is `user@host` or the tail of a password, and `URL_USERINFO` knows where it begins;
/// hiding the host as well would make the record useless.
fn is_in_authority(raw: &[u8], start: usize) -> bool {
    let is_authority = |b: u8| !b.is_ascii_whitespace() && !b"\"'<>/?#,;=&()[]{}".contains(&b);
    let authority = backward(raw, start, start.saturating_sub(PART_BYTES_MAX), is_authority);
    raw[..authority].ends_with(b"://")
}
