//! What a detector is, and the list of all of them.
//!
//! A new detector is one file in `detectors/` and two lines here: its `mod` and its entry in
//! [`DETECTORS`]. The tests below then hold it to its own samples.

mod auth_header;
mod aws_key_id;
mod credit_card;
mod email;
mod ip_address;
mod jwt;
mod key_value_secret;
mod private_key;
mod url_userinfo;
mod us_ssn;

use std::ops::Range;

use crate::haystack::Haystack;
use crate::shapes::Shape;
use crate::spans::Found;

/// Every detector that ships. Order does not matter: overlapping findings are united.
pub const DETECTORS: &[&dyn Detector] = &[
    &auth_header::AuthHeader,
    &aws_key_id::AwsKeyId,
    &credit_card::CreditCard,
    &email::Email,
    &ip_address::IpAddress,
    &jwt::Jwt,
    &key_value_secret::KeyValueSecret,
    &private_key::PrivateKey,
    &url_userinfo::UrlUserinfo,
    &us_ssn::UsSsn,
];

/// What kind of data a detector finds: profiles are made of families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Credentials: keys, tokens, passwords.
    Secret,
    /// Payment card numbers.
    Card,
    /// Bank accounts and other data of money.
    Financial,
    /// Data about a person.
    Personal,
    /// Addresses of machines, which the law takes for personal data as well.
    Network,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// The shape, and words beside it.
    Likely,
    /// A shape that nothing else has, or words that name it.
    High,
    /// A check sum, or a prefix that its issuer reserved.
    Certain,
}

/// What a detector looks for, as data.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// Type name in upper case; the placeholder is `[NAME]`.
    pub entity: &'a str,
    /// What it is.
    pub family: Family,
    /// How sure a finding is.
    pub confidence: Confidence,
    /// What proves a finding, in a few words: `Luhn and brand table`.
    pub validator: &'a str,
    /// Asked at each of these ASCII literals, of three bytes or more, found in any case.
    pub literals: &'a [&'a str],
    /// Asked at each of these shapes, with the offset of its last byte.
    pub shapes: &'a [Shape],
    /// Asked at each number whose groups have these numbers of digits, with the whole number.
    ///
    /// `&[9]` is `123456789`; `&[3, 2, 4]` is `123-45-6789` and `123 45 6789`: groups are divided
    /// by one space each, or by one of `.` and `-` each. With spaces the number may be a part of a
    /// longer list of groups; with dots and hyphens, and without groups, it is as long as possible.
    /// A number of one group has eight digits or more, others a group of three behind one of two or
    /// more and before another, two groups of four before another, four and six digits, six and
    /// three, or 3-2-4: else nobody looks.
    pub numbers: &'a [&'a [u8]],
    /// True when a finding ends by itself: nothing beside it, placeholder or not, makes it longer.
    ///
    /// Lines with findings of such detectors alone need no second search.
    pub is_token: bool,
    /// Text with each secret between `«` and `»`: exactly that becomes the placeholder.
    pub positive: &'a [&'a str],
    /// Look-alikes that no detector may touch.
    pub negative: &'a [&'a str],
}

impl Rule<'static> {
    /// A rule that is never asked: what others are made from.
    pub const NONE: Self = Self {
        entity: "",
        family: Family::Secret,
        confidence: Confidence::High,
        validator: "shape",
        literals: &[],
        shapes: &[],
        numbers: &[],
        is_token: true,
        positive: &[],
        negative: &[],
    };
}

/// Finds one kind of PII or secret.
pub trait Detector: Send + Sync + std::fmt::Debug {
    /// What it looks for, and the samples that the registry's tests hold it to.
    fn rule(&self) -> Rule<'_>;

    /// The literals to be asked at. A detector that owns its literals says them here, having no
    /// slice of borrowed ones for its rule.
    fn literals(&self) -> Vec<&str> {
        self.rule().literals.to_vec()
    }

    /// Appends to `found` the bytes to hide around one anchor.
    ///
    /// Total over all input: never panics, looks at a bounded number of bytes when it finds
    /// nothing, and crosses a line break only if the secret itself does.
    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found);
}

#[cfg(test)]
mod tests {
    use super::DETECTORS;
    use crate::shapes::Shape;
    use crate::{Redactor, Text};

    fn redact(raw: &str) -> String {
        let mut text = Text::default();
        Redactor::new().redact_chunk(raw.as_bytes(), &mut text);
        String::from_utf8(text.as_bytes().to_vec()).unwrap()
    }

    /// Replaces each marked part by `replacement`, or drops the marks.
    fn unmark(sample: &str, replacement: Option<&str>) -> String {
        let mut out = String::new();
        let mut rest = sample;
        while let Some((before, marked)) = rest.split_once('«') {
            let (secret, after) = marked.split_once('»').expect("marks come in pairs");
            out += before;
            out += replacement.unwrap_or(secret);
            rest = after;
        }
        out + rest
    }

    #[test]
    fn every_detector_hides_exactly_what_its_positive_samples_mark() {
        for detector in DETECTORS {
            let placeholder = format!("[{}]", detector.rule().entity);
            assert!(detector.rule().positive.len() >= 3, "{placeholder} needs samples");
            for sample in detector.rule().positive {
                let raw = unmark(sample, None);
                assert_ne!(&raw, sample, "{placeholder}: nothing is marked");
                assert_eq!(redact(&raw), unmark(sample, Some(&placeholder)), "{raw}");
                let embedded = format!("before\n{raw}\nafter");
                let want = format!("before\n{}\nafter", unmark(sample, Some(&placeholder)));
                assert_eq!(redact(&embedded), want, "between other lines");
            }
        }
    }

    #[test]
    fn no_detector_touches_any_negative_sample() {
        for detector in DETECTORS {
            assert!(
                detector.rule().negative.len() >= 3,
                "{} needs samples",
                detector.rule().entity
            );
            for sample in detector.rule().negative {
                assert_eq!(&redact(sample), sample, "negative of {}", detector.rule().entity);
            }
        }
    }

    #[test]
    fn names_are_unique_upper_case_and_json_safe() {
        let mut names: Vec<_> = DETECTORS.iter().map(|d| d.rule().entity).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DETECTORS.len());
        for name in names {
            let is_plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(is_plain) && name.len() >= 2, "{name}");
        }
    }

    #[test]
    fn every_detector_is_asked_somewhere() {
        for detector in DETECTORS {
            let rule = detector.rule();
            let n_anchors = rule.literals.len() + rule.shapes.len() + rule.numbers.len();
            assert!(n_anchors > 0 && !rule.shapes.contains(&Shape::Number), "{}", rule.entity);
            assert!(rule.literals.iter().all(|l| l.len() >= 3 && l.is_ascii()), "{}", rule.entity);
        }
    }
}
