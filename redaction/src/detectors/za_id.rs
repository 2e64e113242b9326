//! ZA_ID: South African identity numbers: date of birth, serial, citizenship and a Luhn check digit
//! (Identification Act 68 of 1997, section 7).

use crate::checked_number::{CheckedNumber, begins_with_date};
use crate::context::{Digits, passes_luhn};

/// Finds South African identity numbers.
pub(crate) const ZA_ID: CheckedNumber = CheckedNumber {
    entity: "ZA_ID",
    validator: "date and Luhn",
    // Time in milliseconds has 13 digits as well, so all need a word.
    numbers: &[&[13], &[6, 4, 3]],
    layouts: &["0000000000000", "000000 0000 000", "000000-0000-000"],
    words: &[
        "id number",
        "id no",
        "identity number",
        "identity no",
        "rsa id",
        "sa id",
        "za id",
        "south african id",
        "south africa id",
        "id nommer",
        "identiteitsnommer",
    ],
    is_valid: is_za_id,
    positive: &[
        "24/05/21 17:28:32 INFO FicaJob: ID number «6011259417088» verified",
        r#"{"idNumber":"«7911206391089»","sa_id":"«6303188262085»"}"#,
        "applicant RSA ID «580818 0115 082», identiteitsnommer «5808180115082».",
    ],
    negative: &[
        "id number 6011259417089 id_number=6013259417088 idNumber=6011259417388",
        "id=6011259417088 ts=7911206391089 job id 5808180115082",
        "id numbers 6303188262085, id number 1718907841998",
    ],
    ..CheckedNumber::NONE
};

fn is_za_id(digits: &Digits) -> bool {
    // Citizen, permanent resident, refugee.
    begins_with_date(digits) && digits.number(10..11) <= 2 && passes_luhn(digits.as_slice())
}

#[cfg(test)]
mod tests {
    use super::is_za_id;
    use crate::checked_number::{assert_every_digit_counts, n_valid_ends};

    #[test]
    fn one_check_digit_in_ten_passes_on_days_that_are() {
        for month in 0..100 {
            let want = usize::from((1..=12).contains(&month));
            assert_eq!(n_valid_ends(is_za_id, &format!("60{month:02}25941708")), want, "{month}");
        }
        for citizenship in 0..10 {
            let want = usize::from(citizenship <= 2);
            let body = format!("6011259417{citizenship}8");
            assert_eq!(n_valid_ends(is_za_id, &body), want, "{body}");
        }
        assert_every_digit_counts(is_za_id, "6011259417088");
    }
}
