//! Days as people write them: `1980-03-12`, `12.03.1980`, `3/12/80`, `12 March 1980`, `19800312`.

use std::ops::Range;

use crate::context::{Digits, is_day};
use crate::lexis::{forward, has_at, word_after};

/// Years that a person on record can be born in.
const YEARS: Range<u64> = 1880..2040;
/// How the names of months begin in English, and where German, French, Spanish, Portuguese, Italian
/// and Dutch differ from it. Those of one month share a line.
const MONTHS: &[&[&str]] = &[
    &["jan", "ene", "gen"],
    &["feb", "fév", "fev"],
    &["mar", "mär", "maa"],
    &["apr", "avr", "abr"],
    &["may", "mai", "mag", "mei"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "aoû", "ago"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "dez", "déc", "dic"],
];
/// Longest name of a month, in bytes.
const MONTH_BYTES_MAX: usize = 12;

/// End of the day that begins at `at`. What follows a day of a time stamp is left.
pub(crate) fn day_end(raw: &[u8], at: usize) -> Option<usize> {
    let end = if raw.get(at)?.is_ascii_digit() {
        numeric_end(raw, at).or_else(|| day_first_end(raw, at))
    } else {
        month_first_end(raw, at)
    }?;
    let is_time =
        matches!(raw.get(end), Some(b'T')) && raw.get(end + 1).is_some_and(u8::is_ascii_digit);
    let goes_on = matches!(raw.get(end), Some(b'-' | b'/')) && word_after(raw, end + 1);
    (is_time || !word_after(raw, end) && !goes_on).then_some(end)
}

/// `1980-03-12`, `12.03.1980`, `3/12/80`, `19800312`.
fn numeric_end(raw: &[u8], at: usize) -> Option<usize> {
    let first = number(raw, at, 8)?;
    let divider = raw.get(first.end).copied().unwrap_or_default();
    if !matches!(divider, b'-' | b'/' | b'.') {
        return is_plain_day(raw, &first).then_some(first.end);
    }
    let second = number(raw, first.end + 1, 2)?;
    if raw.get(second.end) != Some(&divider) {
        return None;
    }
    let third = number(raw, second.end + 1, 4)?;
    let value = |range: &Range<usize>| Digits::of(&raw[range.clone()]).number(0..range.len());
    let (a, b, c) = (value(&first), value(&second), value(&third));
    let is_valid = match (first.len(), third.len()) {
        (4, 1 | 2) => YEARS.contains(&a) && is_day(b, c),
        (1 | 2, 4) => YEARS.contains(&c) && (is_day(b, a) || is_day(a, b)),
        (1 | 2, 2) => is_day(b, a) || is_day(a, b),
        _ => false,
    };
    is_valid.then_some(third.end)
}

/// `19800312` and `12031980`.
fn is_plain_day(raw: &[u8], range: &Range<usize>) -> bool {
    if range.len() != 8 {
        return false;
    }
    let digits = Digits::of(&raw[range.clone()]);
    let year_first =
        YEARS.contains(&digits.number(0..4)) && is_day(digits.number(4..6), digits.number(6..8));
    let year_last = YEARS.contains(&digits.number(4..8))
        && (is_day(digits.number(2..4), digits.number(0..2))
            || is_day(digits.number(0..2), digits.number(2..4)));
    year_first || year_last
}

/// `12 March 1980`, `12-MAR-80`, `1st of May 1980`, `12. März 1980`.
fn day_first_end(raw: &[u8], at: usize) -> Option<usize> {
    let day = number(raw, at, 2)?;
    let ordinal = [&b"st"[..], b"nd", b"rd", b"th"].iter().any(|o| has_at(raw, day.end, o));
    let at = day.end + if ordinal { 2 } else { 0 };
    let at = forward(raw, at, at + 2, is_divider);
    let at = if has_at(raw, at, b"of ") || has_at(raw, at, b"de ") { at + 3 } else { at };
    let (month, at) = month(raw, at)?;
    let at = forward(raw, at, at + 2, is_divider);
    let at = if has_at(raw, at, b"de ") { at + 3 } else { at };
    let year = year(raw, at)?;
    is_day(month, Digits::of(&raw[day.clone()]).number(0..day.len())).then_some(year.end)
}

/// `March 12, 1980`.
fn month_first_end(raw: &[u8], at: usize) -> Option<usize> {
    let (month, at) = month(raw, at)?;
    let day = number(raw, forward(raw, at, at + 2, is_divider), 2)?;
    let ordinal = [&b"st"[..], b"nd", b"rd", b"th"].iter().any(|o| has_at(raw, day.end, o));
    let at = day.end + if ordinal { 2 } else { 0 };
    let year = year(raw, forward(raw, at, at + 2, is_divider))?;
    is_day(month, Digits::of(&raw[day.clone()]).number(0..day.len())).then_some(year.end)
}

fn is_divider(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b',' | b'/')
}

/// A run of up to `digits_max` digits that no digit follows.
fn number(raw: &[u8], at: usize, digits_max: usize) -> Option<Range<usize>> {
    let end = forward(raw, at, at + digits_max + 1, |b| b.is_ascii_digit());
    (1..=digits_max).contains(&(end.saturating_sub(at))).then_some(at..end)
}

/// A year of four digits, or of two behind a hyphen, as Oracle prints it.
fn year(raw: &[u8], at: usize) -> Option<Range<usize>> {
    let range = number(raw, at, 4)?;
    let is_short = range.len() == 2 && raw[at - 1] == b'-';
    let is_year = range.len() == 4 && YEARS.contains(&Digits::of(&raw[range.clone()]).number(0..4));
    (is_short || is_year).then_some(range)
}

/// The month whose name begins at `at`, and the end of the name.
fn month(raw: &[u8], at: usize) -> Option<(u64, usize)> {
    let end = forward(raw, at, at + MONTH_BYTES_MAX, |b| b.is_ascii_alphabetic() || b >= 0x80);
    let is_named = |begins: &&[&str]| begins.iter().any(|name| has_at(raw, at, name.as_bytes()));
    let index = MONTHS.iter().position(is_named)?;
    Some((index as u64 + 1, end))
}

#[cfg(test)]
mod tests {
    use super::{MONTHS, day_end};

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let end = day_end(text.as_bytes(), 0);
        assert_eq!(end.map(|end| &text[..end]), want, "{text}");
    }

    #[test]
    fn every_day_of_every_month_is_decided() {
        for month in 0..=99 {
            for day in 0..=99 {
                let last = match month {
                    2 => 29,
                    4 | 6 | 9 | 11 => 30,
                    1..=12 => 31,
                    _ => 0,
                };
                let valid = (1..=last).contains(&day);
                let text = format!("1980-{month:02}-{day:02}");
                check(&text, valid.then_some(text.as_str()));
                if let Some(names) = MONTHS.get(month.max(1) - 1).filter(|_| month > 0) {
                    let text = format!("{day} {} 1980", names[0]);
                    check(&text, valid.then_some(text.as_str()));
                }
            }
        }
    }

    #[test]
    fn every_year_is_decided() {
        for year in 0..=9999 {
            let text = format!("{year:04}-03-12");
            check(&text, (1880..2040).contains(&year).then_some(text.as_str()));
        }
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        for text in ["12.03.1980", "12/3/1980", "3/25/1980", "3/12/80", "19800312", "25031980"]
            .into_iter()
            .chain([
                "12 March 1980",
                "12. März 1980",
                "12-MAR-80",
                "1st of May 1980",
                "Mar 2nd, 1980",
            ])
            .chain(["March 12, 1980", "12 de octubre de 1980", "3 août 1980", "1980/03/12"])
        {
            check(text, Some(text));
        }
        check("1980-03-12T00:00:00Z", Some("1980-03-12"));
        check("1980-03-12 00:00", Some("1980-03-12"));
    }

    #[test]
    fn other_numbers_are_no_day() {
        for text in
            ["1980-13-12", "12-03/1980", "12 Maybe", "12 Mar 80", "198003121", "1.2.3.4", "1"]
                .into_iter()
                .chain([
                    "1980-03-12-1",
                    "1980-03",
                    "99990312",
                    "x",
                    "",
                    "1980-03-12x",
                    "mar",
                    "may 1st",
                ])
        {
            check(text, None);
        }
    }
}
