//! CA_SIN: Canadian social insurance numbers: nine digits with a Luhn check digit (Employment and
//! Social Development Canada).

use crate::checked_number::CheckedNumber;
use crate::context::{Digits, passes_luhn};

/// Finds Canadian social insurance numbers.
pub(crate) const CA_SIN: CheckedNumber = CheckedNumber {
    entity: "CA_SIN",
    validator: "Luhn",
    numbers: &[&[9], &[3, 3, 3]],
    layouts: &["000-000-000", "000 000 000", "000000000"],
    words: &["sin", "social insurance", "assurance sociale", "canadian sin"],
    is_valid: |digits: &Digits| passes_luhn(digits.as_slice()),
    positive: &[
        "24/05/21 17:28:32 INFO TaxJob: employee SIN «168-067-023» filed",
        r#"{"sin":"«408219152»","sinNumber":"«165 517 731»"}"#,
        "numéro d'assurance sociale «562 603 548», SIN: «221533102»",
    ],
    negative: &[
        "range 168-067-023 has one digit to check, and one in ten passes",
        "168-067-024 sin 408219153 sin=165 517 732",
        "wrote 168067023 bytes to 408 219 152, since 562603548",
        "168.067.023 168-067-023-1 1-168-067-023 000-000-000",
    ],
    ..CheckedNumber::NONE
};
