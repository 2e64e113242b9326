//! ABA_ROUTING: routing transit numbers of American banks: nine digits in the ranges of the Federal
//! Reserve, weighted 3-7-1 (American Bankers Association, Routing Number Policy).

use crate::checked_number::CheckedNumber;
use crate::context::Digits;
use crate::detectors::Family;

/// Finds routing transit numbers.
pub(crate) const ABA_ROUTING: CheckedNumber = CheckedNumber {
    entity: "ABA_ROUTING",
    family: Family::Financial,
    validator: "issued ranges and weights 3-7-1",
    numbers: &[&[9], &[4, 4, 1]],
    layouts: &["000000000", "0000-0000-0"],
    words: &["routing", "aba", "rtn", "routingnumber", "transit number"],
    is_valid: is_routing_number,
    positive: &[
        "24/05/21 17:28:32 INFO PayoutJob: routing «120242638» account closed",
        r#"{"routingNumber":"«118506470»","aba":"«009451391»"}"#,
        "bank RTN: «119358070», routing_no=«1202-4263-8»",
    ],
    negative: &[
        "routing 120242639 aba=138506470 rtn 139358070",
        "wrote 120242638 bytes to 118506470, rerouting 009451391",
        "routing 120242638.5 aba x119358070 rtn-119358070-0",
    ],
    ..CheckedNumber::NONE
};

fn is_routing_number(digits: &Digits) -> bool {
    matches!(digits.number(0..2), 0..=12 | 21..=32 | 61..=72 | 80)
        && digits.weighted(&[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::is_routing_number;
    use crate::checked_number::{assert_every_digit_counts, n_valid_ends};

    #[test]
    fn each_issued_range_has_one_check_digit_in_ten() {
        for district in 0..100 {
            let is_issued = matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
            let body = format!("{district:02}024263");
            assert_eq!(n_valid_ends(is_routing_number, &body), usize::from(is_issued), "{body}");
        }
        assert_every_digit_counts(is_routing_number, "120242638");
    }
}
