//! US_ITIN: tax numbers of people without a social security number: `9dd-gg-dddd` in the groups that
//! the Internal Revenue Service issues (Internal Revenue Manual 3.21.263).

use crate::checked_number::{CheckedNumber, unless_hyphenated};
use crate::context::Digits;
use crate::detectors::Confidence;

/// Finds individual taxpayer identification numbers.
pub(crate) const US_ITIN: CheckedNumber = CheckedNumber {
    entity: "US_ITIN",
    confidence: Confidence::High,
    validator: "first digit and issued groups",
    numbers: &[&[9], &[3, 2, 4]],
    literals: &["itin", "taxpayer"],
    layouts: &["000-00-0000", "000 00 0000", "000000000"],
    needs_word: unless_hyphenated,
    words: &["itin", "individual taxpayer", "taxpayer id", "taxpayerid", "taxpayer identification"],
    is_valid: is_itin,
    positive: &[
        "24/05/21 17:28:32 INFO FilingJob: spouse «912-70-4821» filed",
        r#"{"itin":"«945881203»","taxpayer_id":"«978 65 3310»"}"#,
        "VALUES (3, '«900-94-0001»'), ITIN: «999 99 9998».",
    ],
    negative: &[
        "912-49-4821 912-66-4821 912-89-4821 912-93-4821 itin 812705821",
        "wrote 912704821 bytes, lag 945881203, 900-94-0001-2",
        "itinerary 912704821 x912-70-4821 1-912-70-4821",
    ],
    ..CheckedNumber::NONE
};

fn is_itin(digits: &Digits) -> bool {
    digits.number(0..1) == 9 && matches!(digits.number(3..5), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

#[cfg(test)]
mod tests {
    use super::is_itin;
    use crate::context::Digits;

    #[test]
    fn every_group_is_decided_by_the_list() {
        let passes = |n: &u32| is_itin(&Digits::of(format!("912{n:02}4821").as_bytes()));
        let missing: Vec<_> = (50..100).filter(|n| !passes(n)).collect();
        assert_eq!(missing, [66, 67, 68, 69, 89, 93]);
        assert_eq!((0..50).filter(passes).count(), 0);
        let firsts = (0..10).filter(|n| is_itin(&Digits::of(format!("{n}12704821").as_bytes())));
        assert_eq!(firsts.collect::<Vec<_>>(), [9]);
    }
}
