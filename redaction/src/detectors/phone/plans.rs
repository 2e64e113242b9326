//! Country codes and the lengths of national numbers (ITU-T E.164 and the plans that countries
//! publish with the ITU), and area codes of the North American Numbering Plan.

use super::groups::Group;

/// First and last country code, fewest and most digits behind it. In plans of few lengths the
/// length is exact; small countries and services share one entry.
const PLANS: &[(u32, u32, usize, usize)] = &[
    (1, 1, 10, 10),
    (7, 7, 10, 10),
    (20, 20, 8, 10),
    (27, 27, 9, 9),
    (30, 30, 10, 10),
    (31, 31, 9, 9),
    (32, 32, 8, 9),
    (33, 34, 9, 9),
    (36, 36, 8, 9),
    (39, 39, 6, 11),
    (40, 41, 9, 9),
    (43, 43, 7, 13),
    (44, 44, 9, 10),
    (45, 45, 8, 8),
    (46, 46, 7, 10),
    (47, 47, 8, 8),
    (48, 48, 9, 9),
    (49, 49, 7, 12),
    (51, 51, 8, 9),
    (52, 52, 10, 11),
    (53, 53, 6, 10),
    (54, 55, 10, 11),
    (56, 56, 9, 9),
    (57, 57, 8, 10),
    (58, 58, 10, 10),
    (60, 60, 8, 10),
    (61, 61, 9, 9),
    (62, 62, 8, 12),
    (63, 64, 8, 10),
    (65, 65, 8, 8),
    (66, 66, 8, 9),
    (81, 81, 9, 10),
    (82, 82, 8, 10),
    (84, 84, 9, 10),
    (86, 86, 10, 11),
    (90, 91, 10, 10),
    (92, 92, 9, 10),
    (93, 94, 9, 9),
    (95, 95, 7, 10),
    (98, 98, 10, 10),
    (211, 213, 6, 11),
    (216, 216, 6, 11),
    (218, 218, 6, 11),
    (220, 258, 6, 11),
    (260, 269, 6, 11),
    (290, 291, 6, 11),
    (297, 299, 6, 11),
    (350, 359, 6, 12),
    (370, 383, 6, 11),
    (385, 387, 6, 11),
    (389, 389, 6, 11),
    (420, 421, 9, 9),
    (423, 423, 6, 11),
    (500, 509, 6, 11),
    (590, 599, 6, 11),
    (670, 670, 6, 11),
    (672, 683, 6, 11),
    (685, 692, 6, 11),
    (800, 800, 8, 8),
    (808, 808, 8, 8),
    (850, 850, 6, 11),
    (852, 853, 8, 8),
    (855, 856, 6, 11),
    (870, 870, 9, 9),
    (878, 878, 10, 12),
    (880, 883, 6, 12),
    (886, 886, 8, 9),
    (888, 888, 6, 11),
    (960, 968, 6, 11),
    (970, 977, 6, 11),
    (979, 979, 9, 9),
    (992, 996, 6, 11),
    (998, 998, 9, 9),
];
/// Country code of North America.
const NORTH_AMERICA: u32 = 1;
/// Italy keeps the zero of its area codes.
const ITALY: u32 = 39;

/// True when the groups behind a plus are a country code and a number of a length it has.
pub(super) fn is_international(raw: &[u8], groups: &[Group]) -> bool {
    let Some(first) = groups.first() else { return false };
    let Some((code, n_code, least, most)) = country(&raw[first.digits.clone()]) else {
        return false;
    };
    // The zero of `(0)20` is not dialled from abroad.
    let is_trunk = |group: &Group| group.is_in_parentheses && raw[group.digits.clone()] == *b"0";
    let own = || groups[1..].iter().filter(|group| !is_trunk(group));
    let rest = &raw[first.digits.start + n_code..first.digits.end];
    let mut n_digits = rest.len() + own().map(|group| group.digits.len()).sum::<usize>();
    let national = rest.first().or_else(|| own().next().map(|group| &raw[group.digits.start]));
    if national == Some(&b'0') && code != ITALY {
        n_digits -= 1;
    }
    let dividers = || groups[1..].iter().map(|group| group.divider);
    // `+40.20361-75.00417` is a place on a map.
    let is_mixed = dividers().any(|d| d == b'.') && dividers().any(|d| d == b'-');
    (least..=most).contains(&n_digits)
        && !is_mixed
        && (code != NORTH_AMERICA || is_north_american(raw, rest, groups))
}

/// Country code at the start of `digits`, its own number of digits, and those behind it.
fn country(digits: &[u8]) -> Option<(u32, usize, usize, usize)> {
    let mut code = 0;
    for (index, digit) in digits.iter().take(3).enumerate() {
        code = code * 10 + u32::from(digit - b'0');
        let plan = PLANS.iter().find(|(first, last, ..)| (*first..=*last).contains(&code));
        if let Some((_, _, least, most)) = plan {
            return Some((code, index + 1, *least, *most));
        }
    }
    None
}

/// True when area and exchange code begin with 2 or more, and groups end only behind them.
fn is_north_american(raw: &[u8], rest: &[u8], groups: &[Group]) -> bool {
    let mut digits = [0; 10];
    let own = groups[1..].iter().map(|group| &raw[group.digits.clone()]);
    let mut len = 0;
    for group in std::iter::once(rest).chain(own) {
        let Some(place) = digits.get_mut(len..len + group.len()) else { return false };
        place.copy_from_slice(group);
        len += group.len();
        if !matches!(len, 0 | 3 | 6 | 10) {
            return false;
        }
    }
    digits[0] >= b'2' && digits[3] >= b'2'
}

/// True for an area or exchange code: 200 to 999 without the services 211 to 911.
pub(super) fn is_area(code: &[u8]) -> bool {
    code.iter().all(u8::is_ascii_digit) && code[0] >= b'2' && !code.ends_with(b"11")
}

#[cfg(test)]
mod tests {
    use super::super::groups::Number;
    use super::{PLANS, country, is_area, is_international};

    fn is(text: &str) -> bool {
        let number = Number::read(text.as_bytes(), 0);
        is_international(text.as_bytes(), number.first(99))
    }

    #[test]
    fn no_country_code_begins_another_and_none_begins_with_zero() {
        assert!(PLANS.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for (first, last, least, most) in PLANS {
            assert!(least <= most && most + first.to_string().len() <= 15, "{first}");
            for code in *first..=*last {
                let text = code.to_string();
                assert_eq!(country(text.as_bytes()).map(|c| c.0), Some(code), "{code}");
            }
        }
        assert_eq!(country(b"0"), None);
    }

    #[test]
    fn codes_that_the_itu_keeps_free_are_none() {
        let free = "210 214 215 217 219 259 280 289 292 296 384 388 422 424 429 510 671 684 693 \
                    699 801 807 809 851 854 857 859 871 877 884 887 889 969 978 990 991 997 999";
        for code in free.split(' ').filter(|code| code.len() == 3) {
            let known = country(code.as_bytes()).map(|c| c.0.to_string());
            assert_ne!(known.as_deref(), Some(code));
        }
    }

    #[test]
    fn every_plan_takes_its_lengths_and_no_other() {
        for (first, last, least, most) in PLANS {
            for code in [first, last] {
                for n_digits in 1..=15 {
                    let text = format!("{code}{}", "2".repeat(n_digits));
                    assert_eq!(is(&text), (*least..=*most).contains(&n_digits), "{text}");
                }
            }
        }
    }

    #[test]
    fn printed_numbers_are_read_as_their_country_prints_them() {
        for text in ["1 415 555 0147", "1 (415) 555-0147", "14155550147", "1-4155550147"]
            .into_iter()
            .chain(["44 (0)20 7946 0018", "44 020 7946 0018", "30 21 0 1234567", "39 06 678 4343"])
        {
            assert!(is(text), "{text}");
        }
        for text in [
            "1 41 555 50147",
            "1 115 555 0147",
            "1 415 055 0132",
            "0 415 555 0147",
            "12 34 567 8901",
        ] {
            assert!(!is(text), "{text}");
        }
    }

    #[test]
    fn every_area_code_is_decided() {
        for code in 0..1000 {
            let valid = code >= 200 && code % 100 != 11;
            assert_eq!(is_area(format!("{code:03}").as_bytes()), valid, "{code}");
        }
    }
}
