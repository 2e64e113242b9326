//! PHONE: telephone numbers in three forms.
//!
//! International ones (ITU-T E.164) with `+`, by country code and length. North American ones as
//! `(415) 555-0147`, `415-555-0147` and `415.555.0147`, by the rules of the North American
//! Numbering Plan for area and exchange codes. Those of any other national plan are runs of 7 to 15
//! digits, so a word or key that names them must stand right before them.

mod groups;
mod plans;

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::context::{follows_word, stands_alone};
use crate::haystack::Haystack;
use crate::label::{Value, begins_word, value_after};
use crate::lexis::{forward, has_at, word_after, word_before};
use crate::shapes::Shape;
use crate::spans::Found;
use groups::Number;

/// Words for telephones, and for what has a number only if `number` follows.
///
/// `tel` alone would have the engine look at every `t.e.l`, so what follows it is part of it.
const LITERALS: &[&str] = &[
    "phone",
    "fono",
    "telefo",
    "tel:",
    "tel=",
    "tel.",
    "tel ",
    "tel\"",
    "tel_",
    "teln",
    "fax",
    "mobil",
    "movil",
    "celular",
    "msisdn",
    "whatsapp",
    "rufnummer",
    "cell_n",
    "celln",
    "contact_n",
    "contactn",
    "call me",
    "telephone",
    "cellphone",
    "homephone",
    "workphone",
    "mobilephone",
];
/// Beginnings of literals that go on behind the word.
const SHORTER: &[&[u8]] = &[b"tel", b"cell", b"contact"];
/// Those of [`LITERALS`] that end longer words as well: `téléphone`, `teléfono`, `telefax`.
const ENDINGS: &[&[u8]] = &[b"phone", b"fono", b"fax"];
/// What may follow a literal besides the usual words.
const SUFFIXES: &[&str] = &[
    "ne", "no", "on", "n", "e", " nummer", " home", " work", " office", " mobile", " cell",
    " private", " primary", " phone", " e164",
];
/// Words before a number in groups of 3-3-4 digits divided by spaces.
const CONTEXT: &[&str] = &[
    "phone",
    "phone number",
    "telephone",
    "tel",
    "fax",
    "mobile",
    "cell",
    "call",
    "whatsapp",
    "sms",
];
/// Words that name another number in groups of 3-3-4 digits.
const OTHERS: &[&str] = &["nhs"];
/// Words for an extension, in the order they are tried.
const EXTENSIONS: &[&[u8]] = &[b"extension", b"ext.", b"ext", b"x"];
/// Digits of an extension (RFC 3966 has no limit; exchanges use up to six).
const EXTENSION_DIGITS_MAX: usize = 6;

/// Finds telephone numbers.
#[derive(Debug)]
pub(crate) struct Phone;

impl Detector for Phone {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "PHONE",
            family: Family::Personal,
            confidence: Confidence::Likely,
            validator: "country and area codes, or a word that names it",
            prefixes: LITERALS,
            shapes: &[Shape::PlusDigit, Shape::Parenthesis3],
            numbers: &[&[3, 3, 4], &[1, 3, 3, 4]],
            positive: &[
                "24/05/11 16:45:22 INFO SmsJob: user «(415) 555-0147» or «+1 (628) 555-0199 ext. 12» opted out",
                r#"{"phone":"«+33 6 55 01 99 42»","fax":"«030/901820»","to":["\n«+442079460018»"],"mobileNumber":"«07700 900 123»"}"#,
                "tel:«+49-30-901820»;x, tel «+44 (0)20 7946 0018», «415-555-0147», «1-800-555-0199» and «415.555.0147 x7».",
                "msisdn=«4915550199420» url /sms?to=«%2B14155550147»&n=1 TELEFONO='«055 123 4567»' téléphone : «01 99 00 55 42»",
                "please call me at «0491 570 156», fax «555 0147», contact_no «0491570156», phone#12 = «0491570156»",
                r"body {\u0022phone\u0022:\u0022«+14155550147»\u0022,\u0022cell_no\u0022:\u0022«4155550147»\u0022}",
            ],
            negative: &[
                "2024-01-01T10:00:00.000+00:00 and 10:00:00 +0530 2024 and GMT+0100 1718907841 and +12 -3 +1 more",
                "lag +5000000000 ns, +1718907841998 ms, 1e+1234567890, x+14155550147, +0123456789, +14155550147L",
                "part-00000-41555501-4155-4155-8155-415550147415-c000 id 415-555-01474 2415-555-0147 415-555-0147-1",
                "ids 115-555-0147 415-155-0147 911-555-0147 415-911-0147 v415.155.0147 (115) 555-0147 f(415) 555-0147",
                "telemetry 12345678901 callSite=12345678901 hotel 0123456789 intel=0123456789 phone_count=4155550147",
                "415 555 0147 rows, cells 4155550147, mobile=1234567, fax 2024-01-05, phone: 1718907841998",
                "version 1-800, +40.20361-75.00417/ and +1.234567890 and -33.8688+151.2093, diff @@ -1,7 +1,9 @@",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        // Most are zones of time such as `+0200`: no country code begins with a zero.
        if raw[anchor.start] == b'0' && anchor.len() == 1 && raw[anchor.start - 1] == b'+' {
            return found.never();
        }
        let number = match raw[anchor.start] {
            b'=' => encoded(raw, &(anchor.start + 1..anchor.end)),
            first if !first.is_ascii_digit() => named(raw, &anchor),
            _ if anchor.len() > 1 => north_american(raw, &anchor),
            _ if raw[anchor.start - 1] == b'+' => international(raw, anchor.start - 1, false),
            _ => in_parentheses(raw, anchor.start),
        };
        found.extend(number.map(|range| range.start..extension_end(raw, range.end)));
    }
}

/// A number with a plus at `plus`. Named ones may lack what tells others from decimals and sums.
fn international(raw: &[u8], plus: usize, is_named: bool) -> Option<Range<usize>> {
    let before = plus.checked_sub(1).map(|i| raw[i]);
    if word_before(raw, plus) || matches!(before, Some(b'+' | b'-' | b'.' | b')')) {
        return None;
    }
    let number = Number::read(raw, plus + 1);
    let is_valid = |n_groups: usize| {
        let groups = number.first(n_groups);
        let is_plain = n_groups == 1;
        let is_decimal = n_groups == 2 && groups[1].divider == b'.';
        plans::is_international(raw, groups)
            && (is_named || !(is_decimal || is_plain && is_sum(raw, groups[0].digits.clone())))
    };
    Some(plus..longest(raw, &number, is_valid)?)
}

/// True for what a signed number of bytes or nanoseconds looks like.
fn is_sum(raw: &[u8], digits: Range<usize>) -> bool {
    digits.len() < 10 || raw[digits].ends_with(b"00000")
}

/// A plus of a URL, `%2B`, and digits.
fn encoded(raw: &[u8], plus: &Range<usize>) -> Option<Range<usize>> {
    let number = Number::read(raw, plus.end);
    let groups = number.first(1);
    let is_valid = !word_before(raw, plus.start)
        && plans::is_international(raw, groups)
        && !is_sum(raw, groups[0].digits.clone());
    let end = groups.first()?.end;
    (is_valid && !word_after(raw, end)).then_some(plus.start..end)
}

/// `415-555-0147`, `1-415-555-0147`, and with spaces behind a word.
fn north_american(raw: &Haystack<'_>, range: &Range<usize>) -> Option<Range<usize>> {
    let text = &raw[range.clone()];
    let divider = text[text.len() - 5];
    let area = text.len() - "415-555-0147".len();
    let before = range.start.checked_sub(1).map(|i| raw[i]);
    let is_valid = (area == 0 || text[0] == b'1')
        && text.iter().all(|b| b.is_ascii_digit() || *b == divider)
        && plans::is_area(&text[area..area + 3])
        && plans::is_area(&text[area + 4..area + 7])
        && stands_alone(raw, range)
        && !matches!(before, Some(b'+' | b'-' | b'/' | b'.'))
        && (divider != b' ' || follows_word(raw, range.start, CONTEXT))
        && !follows_word(raw, range.start, OTHERS);
    is_valid.then(|| range.clone())
}

/// `(415) 555-0147`, by the place of the digit behind the last divider.
fn in_parentheses(raw: &[u8], last: usize) -> Option<Range<usize>> {
    let close = [5, 6].into_iter().find_map(|n| last.checked_sub(n).filter(|i| raw[*i] == b')'))?;
    let open = close.checked_sub(4).filter(|i| raw[*i] == b'(')?;
    let exchange = &raw[last - 4..last - 1];
    let end = forward(raw, last, last + 5, |b| b.is_ascii_digit());
    let prefix = [&b"+1 "[..], b"+1", b"1 ", b"1-"].into_iter().find(|p| raw[..open].ends_with(p));
    let start = open - prefix.map_or(0, <[u8]>::len);
    let is_valid = end - last == 4
        && raw[open + 1..close].iter().chain(exchange).all(u8::is_ascii_digit)
        && raw[open + 1] >= b'2'
        && exchange[0] >= b'2'
        && !word_before(raw, start)
        && is_end(raw, end);
    is_valid.then_some(start..end)
}

/// The number that a word or a key names.
fn named(raw: &Haystack<'_>, word: &Range<usize>) -> Option<Range<usize>> {
    let is = |name: &&&[u8]| has_at(raw, word.start, name);
    if !begins_word(raw, word.start) && !ENDINGS.iter().any(|name| is(&name)) {
        return None;
    }
    let shorter = SHORTER.iter().find(is).filter(|_| !has_at(raw, word.start, b"telefo"));
    let word = word.start..shorter.map_or(word.end, |name| word.start + name.len());
    let value = value_after(raw, word, SUFFIXES)?;
    match raw.get(value.at) {
        Some(b'+') => international(raw, value.at, true),
        Some(b'(' | b'0'..=b'9') => {
            let number = Number::read(raw, value.at);
            let end = longest(raw, &number, |n| is_national(raw, number.first(n), value))?;
            Some(value.at..end)
        }
        _ => None,
    }
}

/// True for groups that may be a number of some national plan, with what its name tells.
fn is_national(raw: &[u8], groups: &[groups::Group], value: Value) -> bool {
    let n_digits: usize = groups.iter().map(|group| group.digits.len()).sum();
    let Some(first) = groups.first() else { return false };
    let is_trunk = raw[first.digits.start] == b'0';
    let is_all = |divider: u8| groups[1..].iter().all(|group| group.divider == divider);
    let is_dotted = is_all(b'.') && !is_trunk;
    let len = |index: usize| groups[index].digits.len();
    let is_likely = match groups.len() {
        // Counts have fewer digits, and milliseconds since 1970 have 13 and begin with 1.
        1 if n_digits == 13 => raw[first.digits.start] != b'1',
        1 => n_digits >= 9 || is_trunk || value.is_numbered,
        2 => len(1) > 1 && !is_dotted,
        // `2024-05-11`
        3 => !(is_all(b'-') && (len(0), len(1), len(2)) == (4, 2, 2)),
        // `10.20.30.40`
        4 => n_digits >= 9 || !is_dotted,
        _ => true,
    };
    (7..=15).contains(&n_digits) && is_likely
}

/// End of the longest part of `number` that is valid and is not cut from a longer one.
fn longest(raw: &[u8], number: &Number, is_valid: impl Fn(usize) -> bool) -> Option<usize> {
    let n_groups = (1..=number.len()).rev().find(|n| {
        let is_cut = number.divider_after(*n).is_some_and(|divider| divider != b' ');
        !is_cut && is_end(raw, number.first(*n)[n - 1].end) && is_valid(*n)
    })?;
    Some(number.first(n_groups)[n_groups - 1].end)
}

/// True when no word goes on at `at`, but for an extension.
fn is_end(raw: &[u8], at: usize) -> bool {
    !word_after(raw, at) || extension_end(raw, at) > at
}

/// End of the extension that follows a number: `x12`, ` ext. 12`, `;ext=12`.
fn extension_end(raw: &[u8], at: usize) -> usize {
    let word = forward(raw, at, at + 1, |b| matches!(b, b' ' | b';' | b','));
    let word = forward(raw, word, word + 1, |b| b == b' ');
    let Some(name) = EXTENSIONS.iter().find(|name| has_at(raw, word, name)) else { return at };
    let joint = word + name.len();
    let digits = forward(raw, joint, joint + 1, |b| matches!(b, b' ' | b'=' | b':'));
    let end = forward(raw, digits, digits + EXTENSION_DIGITS_MAX, |b| b.is_ascii_digit());
    if end > digits && !word_after(raw, end) { end } else { at }
}

#[cfg(test)]
mod tests {
    use super::{extension_end, in_parentheses};

    #[test]
    fn every_area_code_in_parentheses_begins_with_two_or_more() {
        for area in 0..1000 {
            let text = format!("({area:03}) 555-0147");
            let want = (area >= 200).then_some(0..14);
            assert_eq!(in_parentheses(text.as_bytes(), 10), want, "{area}");
        }
    }

    #[test]
    fn extensions_are_hidden_with_their_number() {
        for (text, want) in [
            ("x7", 2),
            (" ext. 123.", 9),
            (";ext=12", 7),
            (", extension 7 ", 13),
            (" x 1234567", 0),
            (" extra", 0),
            (" ex", 0),
            ("x", 0),
            ("", 0),
        ] {
            assert_eq!(extension_end(text.as_bytes(), 0), want, "{text}");
        }
    }
}
