//! US_NPI: national provider identifiers of American health care: ten digits with a Luhn check digit
//! over them and the prefix 80840 (45 CFR 162.406).

use crate::checked_number::CheckedNumber;
use crate::context::{Digits, passes_luhn};

/// What the check digit counts before the number: the card issuer code of American health care.
const PREFIX: [u8; 5] = [8, 0, 8, 4, 0];
/// Digits of an identifier.
const N_DIGITS: usize = 10;

/// Finds national provider identifiers.
pub(crate) const US_NPI: CheckedNumber = CheckedNumber {
    entity: "US_NPI",
    validator: "Luhn with prefix 80840",
    numbers: &[&[10], &[4, 3, 3]],
    layouts: &["0000000000", "0000 000 000", "0000-000-000"],
    words: &["npi", "national provider", "provider identifier"],
    is_valid: is_npi,
    positive: &[
        "24/05/21 17:28:32 INFO ClaimJob: NPI «1684803566» not enrolled",
        r#"{"npi":"«2403780978»","renderingNpi":"«2505 876 831»"}"#,
        "VALUES (npi => «2810200578»), national provider identifier «1684-803-566».",
    ],
    negative: &[
        "npi 1684803567 npi=2403780979 npi 3403780978",
        "at 1684803566 s, offset 2403780978, 2505 876 831 rows",
        "npi 1684803566.5 npi_x1684803566",
        "npis 2810200578, cnpi 2810200578",
    ],
    ..CheckedNumber::NONE
};

fn is_npi(digits: &Digits) -> bool {
    let mut prefixed = [0; PREFIX.len() + N_DIGITS];
    let is_issued = matches!(digits.number(0..1), 1 | 2) && digits.as_slice().len() == N_DIGITS;
    if is_issued {
        prefixed[..PREFIX.len()].copy_from_slice(&PREFIX);
        prefixed[PREFIX.len()..].copy_from_slice(digits.as_slice());
    }
    is_issued && passes_luhn(&prefixed)
}

#[cfg(test)]
mod tests {
    use super::is_npi;
    use crate::checked_number::{assert_every_digit_counts, n_valid_ends};
    use crate::context::Digits;

    #[test]
    fn one_check_digit_in_ten_passes_behind_one_and_two() {
        for first in 0..10 {
            let want = usize::from(matches!(first, 1 | 2));
            assert_eq!(n_valid_ends(is_npi, &format!("{first}68480356")), want, "{first}");
        }
        // The example of the final rule.
        assert!(is_npi(&Digits::of(b"1234567893")));
        assert_every_digit_counts(is_npi, "1684803566");
    }
}
