//! IE_PPS: Irish personal public service numbers, seven digits, a check letter and since 2013 another
//! letter (Department of Social Protection; Revenue Tax and Duty Manual).

use std::ops::Range;

use super::Confidence;
use crate::haystack::Haystack;
use crate::lettered_number::{LetteredNumber, is_amount};

/// Check letters by remainder modulo 23.
const LETTERS: &[u8; 23] = b"WABCDEFGHIJKLMNOPQRSTUV";

/// PPS numbers, `1234567T` and `1234567TA`.
pub(crate) const IE_PPS: LetteredNumber = LetteredNumber {
    entity: "IE_PPS",
    confidence: Confidence::Certain,
    validator: "letter modulo 23, and words where it looks like an amount or hexadecimal",
    literals: &["ppsn", "pps n", "pps_n", "personal public service"],
    layouts: &["0000000##", "0000000#"],
    needs_word,
    words: &["pps", "ppsn", "ppsno", "personal public service"],
    is_valid,
    is_valid_named: is_valid,
    positive: &[
        "24/06/20 18:24:01 WARN Claims: PPSN «1674883M» has two claims",
        r#"{"ppsNumber":"«3027607LB»","county":"Cork","next":"«5834288UW»"}"#,
        "VALUES ('«4566349WA»', 17), ppsn: «8074629 va», pps no «1674883m»",
    ],
    negative: &[
        "1674883N 3027607MB 8031002GA, VALUES ('4566349XA')",
        "read 1674883M of heap, 7000007A, 4096029B, 1048577L, x3027607LB 3027607LBC 0.3027607LB",
        "id_3027607LB part-3027607LB-0 -3027607LB 13027607LB ppsn=none",
    ],
    ..LetteredNumber::NONE
};

/// With one letter it may be an amount, and with one of A to F hexadecimal.
fn needs_word(raw: &Haystack<'_>, range: &Range<usize>) -> bool {
    range.len() == 8
        && (is_amount(raw, range) || matches!(raw.get(range.end - 1), Some(b'A'..=b'F')))
}

fn is_valid(text: &[u8]) -> bool {
    let Some((digits, letters)) = text.split_at_checked(7) else { return false };
    let second = match letters {
        [_] | [_, b'W'] => 0,
        [_, second @ (b'A' | b'B' | b'H')] => second - b'A' + 1,
        _ => return false,
    };
    let weights = (2..=8).rev();
    let sum: u32 = digits.iter().zip(weights).map(|(d, weight)| u32::from(d - b'0') * weight).sum();
    LETTERS[((sum + 9 * u32::from(second)) % 23) as usize] == letters[0]
}

#[cfg(test)]
mod tests {
    use super::IE_PPS;
    use crate::lettered_number::check_letters;

    #[test]
    fn each_number_has_one_check_letter_for_each_second_letter() {
        for number in 1_234_000..1_235_000 {
            for second in ["", "A", "B", "H", "W"] {
                let letters = check_letters(&IE_PPS, &number.to_string(), second);
                assert_eq!(letters.len(), 1, "{number}{letters}{second}");
            }
        }
        assert_eq!(check_letters(&IE_PPS, "1234567", ""), "T");
        assert_eq!(check_letters(&IE_PPS, "1234567T", ""), "W");
    }
}
