//! US_EIN: employer identification numbers, `dd-ddddddd` with a prefix that the Internal Revenue Service
//! issues ("How EINs are assigned and valid EIN prefixes").

use crate::checked_number::CheckedNumber;
use crate::context::Digits;
use crate::detectors::{Confidence, Family};

/// Finds employer identification numbers.
pub(crate) const US_EIN: CheckedNumber = CheckedNumber {
    entity: "US_EIN",
    family: Family::Financial,
    confidence: Confidence::Likely,
    validator: "issued prefixes, and words",
    numbers: &[&[9]],
    literals: &[
        "ein",
        "fein",
        "employer id",
        "employer_id",
        "employer-id",
        "employerid",
        "tax id",
        "tax_id",
        "tax-id",
        "taxid",
    ],
    layouts: &["00-0000000", "000000000"],
    words: &[
        "ein",
        "fein",
        "employer id",
        "employerid",
        "employer identification",
        "tax id",
        "taxid",
        "tax identification",
    ],
    is_valid: is_ein,
    positive: &[
        "24/05/21 17:28:32 INFO VendorJob: EIN «46-8120373» not on file",
        r#"{"ein":"«204417765»","taxId":"«91-5530218»","employer_id":"«35-2201984»"}"#,
        "Employer Identification Number: «58-7714402», tax_id=«58-7714402».",
    ],
    negative: &[
        "ein 07-8120373 ein=49-8120373 fein 96-8120373 tax id 00-1234567",
        "46-8120373 protein 46-8120373 being 204417765 einer 46-8120373",
        "ein 2024-11-24 46-81203730 246-8120373 46-8120373-1 46-812037",
    ],
    ..CheckedNumber::NONE
};

fn is_ein(digits: &Digits) -> bool {
    !matches!(
        digits.number(0..2),
        0 | 7..=9 | 17..=19 | 28 | 29 | 49 | 69 | 70 | 78 | 79 | 89 | 96 | 97
    )
}

#[cfg(test)]
mod tests {
    use super::is_ein;
    use crate::context::Digits;

    #[test]
    fn every_prefix_is_decided_by_the_list() {
        let is = |n: &u32| is_ein(&Digits::of(format!("{n:02}-8120373").as_bytes()));
        let missing: Vec<_> = (0..100).filter(|n| !is(n)).collect();
        assert_eq!(missing, [0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97]);
    }
}
