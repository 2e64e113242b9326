//! TR_TCKN: Turkish identity numbers: eleven digits of which the last two are check digits (Nüfus ve
//! Vatandaşlık İşleri Genel Müdürlüğü).

use crate::checked_number::CheckedNumber;
use crate::context::Digits;

/// Finds Turkish identity numbers.
pub(crate) const TR_TCKN: CheckedNumber = CheckedNumber {
    entity: "TR_TCKN",
    validator: "two check digits modulo 10",
    numbers: &[&[11]],
    layouts: &["00000000000"],
    words: &[
        "tckn",
        "tc kimlik",
        "t.c. kimlik",
        "tckimlik",
        "tckimlikno",
        "kimlik no",
        "kimlik numarası",
        "tc no",
        "turkish id",
        "vatandaşlık no",
    ],
    is_valid: is_tckn,
    positive: &[
        "24/05/21 17:28:32 INFO MusteriJob: TCKN «11662699976» kayıtlı",
        r#"{"tcKimlikNo":"«32711473996»","tc_no":"«50228118636»"}"#,
        "T.C. Kimlik No: «98608069444», kimlik numarası=«98608069444»",
    ],
    negative: &[
        "tckn 11662699967 tckn=32711473997 tckn 01662699976",
        "wrote 11662699976 bytes in 50228118636 ns",
        "tckn x98608069444 -98608069444",
        "kimlik 98608069444 tc 98608069444",
    ],
    ..CheckedNumber::NONE
};

fn is_tckn(digits: &Digits) -> bool {
    // 7 times the odd places less the even ones, which is plus 9 times those modulo 10.
    let tenth = digits.weighted(&[7, 9, 7, 9, 7, 9, 7, 9, 7]) % 10;
    let last = digits.weighted(&[1; 10]) % 10;
    digits.number(0..1) > 0 && digits.number(9..11) == u64::from(tenth * 10 + last)
}

#[cfg(test)]
mod tests {
    use super::is_tckn;
    use crate::checked_number::assert_every_digit_counts;
    use crate::context::Digits;

    #[test]
    fn two_check_digits_of_a_hundred_are_right_and_none_behind_a_zero() {
        for first in 0..10 {
            let passes =
                |n: &u32| is_tckn(&Digits::of(format!("{first}16626999{n:02}").as_bytes()));
            assert_eq!((0..100).filter(passes).count(), usize::from(first > 0), "{first}");
        }
        // The number that the registry's own forms show.
        assert!(is_tckn(&Digits::of(b"10000000146")));
        assert_every_digit_counts(is_tckn, "11662699976");
    }
}
