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

/// Where a detector wants to be asked.
#[derive(Debug, Clone, Copy)]
pub enum Anchors {
    /// At each of these ASCII literals, found in any case.
    Literals(&'static [&'static str]),
    /// At each run of at least 7 digits, dots, hyphens and spaces that begins and ends with a
    /// digit and holds at least so many of each. Runs are as long as possible.
    Numbers {
        /// Fewest digits that the rule can match.
        digits_min: u16,
        /// Fewest dots.
        dots_min: u16,
        /// Fewest hyphens.
        hyphens_min: u16,
    },
}

/// Lines that state a detector's rule; the registry test holds the detector to them.
#[derive(Debug, Clone, Copy)]
pub struct Samples {
    /// Text with each secret between `«` and `»`: exactly that becomes the placeholder.
    pub positive: &'static [&'static str],
    /// Look-alikes that no detector may touch.
    pub negative: &'static [&'static str],
}

/// Finds one kind of PII or secret.
pub trait Detector: Sync {
    /// Type name in upper case; the placeholder is `[NAME]`.
    fn entity(&self) -> &'static str;

    /// Where [`find`](Detector::find) is called.
    fn anchors(&self) -> Anchors;

    /// Appends to `found` the bytes to hide around one anchor.
    ///
    /// Total over all input: never panics, looks at a bounded number of bytes when it finds
    /// nothing, and crosses a line break only if the secret itself does.
    fn find(&self, raw: &[u8], anchor: Range<usize>, found: &mut Vec<Range<usize>>);

    /// True when a finding ends by itself: nothing beside it, placeholder or not, makes it longer.
    ///
    /// Lines with findings of such detectors alone need no second search.
    fn is_token(&self) -> bool {
        true
    }

    /// Lines that state the rule.
    fn samples(&self) -> Samples;
}

#[cfg(test)]
mod tests {
    use super::{Anchors, DETECTORS};
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
            let placeholder = format!("[{}]", detector.entity());
            assert!(detector.samples().positive.len() >= 3, "{placeholder} needs samples");
            for sample in detector.samples().positive {
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
            assert!(detector.samples().negative.len() >= 3, "{} needs samples", detector.entity());
            for sample in detector.samples().negative {
                assert_eq!(&redact(sample), sample, "negative of {}", detector.entity());
            }
        }
    }

    #[test]
    fn names_are_unique_upper_case_and_json_safe() {
        let mut names: Vec<_> = DETECTORS.iter().map(|d| d.entity()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DETECTORS.len());
        for name in names {
            let is_plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
            assert!(name.bytes().all(is_plain) && name.len() >= 2, "{name}");
        }
    }

    #[test]
    fn literal_anchors_are_not_empty() {
        for detector in DETECTORS {
            if let Anchors::Literals(literals) = detector.anchors() {
                assert!(!literals.is_empty() && literals.iter().all(|l| !l.is_empty()));
            }
        }
    }
}
