//! DATE_OF_BIRTH: a day behind a word that says that it is a birthday; the law counts it among the
//! data that identify a person (HIPAA, 45 CFR 164.514). Nothing in a date alone tells it from
//! others, and logs are full of those.

use std::ops::Range;

use super::{Confidence, Detector, Family, Rule};
use crate::dates::day_end;
use crate::haystack::Haystack;
use crate::label::{begins_word, value_after};
use crate::lexis::backward;
use crate::spans::Found;

/// `birth` is in `birthday`, `birth_date`, `date of birth` and `dateOfBirth`; then German, French,
/// Spanish, Portuguese, Italian and Dutch.
const LITERALS: &[&str] = &[
    "birth",
    "dob",
    "born",
    "geburtsdatum",
    "geburtstag",
    "geboren",
    "naissance",
    "nacimiento",
    "nascimento",
    "nascita",
    "geboortedatum",
];
/// What follows `birth`, and how forms say what is written before the day.
const SUFFIXES: &[&str] =
    &[" date", " day", " dt", " am", " el", " op", " le", " (dd/mm/yyyy)", " (mm/dd/yyyy)"];

/// What is born without being a person.
const MACHINES: &[&[u8]] = &[
    b"process",
    b"thread",
    b"task",
    b"executor",
    b"container",
    b"job",
    b"pod",
    b"instance",
    b"node",
    b"worker",
    b"jvm",
    b"session",
    b"server",
    b"vm",
    b"taskmanager",
    b"jobmanager",
    b"driver",
];

/// Finds dates of birth.
#[derive(Debug)]
pub(crate) struct DateOfBirth;

impl Detector for DateOfBirth {
    fn rule(&self) -> Rule<'_> {
        Rule {
            entity: "DATE_OF_BIRTH",
            family: Family::Personal,
            confidence: Confidence::Likely,
            validator: "calendar day behind a word",
            prefixes: LITERALS,
            positive: &[
                "24/05/11 16:45:22 INFO KycJob: customer 17 dob=«1980-03-12» accepted",
                r#"{"dateOfBirth":"«12/03/1980»","birth_date":"«1980-03-12»T00:00:00Z","birthday":"«19800312»"}"#,
                "Filter (dob#12 = «1980-03-12») EqualTo(birthdate,«1980-03-12»), born on «12 March 1980» in Oslo",
                "Date of birth: «March 12, 1980», DOB «3/12/80», Geburtsdatum: «12.03.1980», fecha_nacimiento='«12-MAR-80»'",
                r"\u0022dob\u0022:\u0022«1980-03-12»\u0022 née, date de naissance : «12 août 1980»",
            ],
            negative: &[
                "dob=null date=1980-03-12 dob_checked_at=1980-03-12 adobe 1980-03-12 dob=1980-13-12",
                "EventTime 2024-05-11, stillborn 1980-03-12, birthplace=1980-03-12, isnotnull(dob#12), dob: 1718907841998",
                "process born 2025-03-14, executor 7 born on 2025-03-14; container_3 born: 2025-03-14",
                "newborn=1980-03-12 reborn 1980-03-12 airborne 1980-03-12 rebirth 1980-03-12 born in 1980, dob 1.2.3",
            ],
            ..Rule::NONE
        }
    }

    fn find(&self, raw: &Haystack<'_>, anchor: Range<usize>, found: &mut Found) {
        if !begins_word(raw, anchor.start) {
            return;
        }
        if anchor.len() == b"born".len() && is_born_of_machine(raw, anchor.start) {
            return;
        }
        let Some(value) = value_after(raw, anchor, SUFFIXES) else { return };
        found.extend(day_end(raw, value.at).map(|end| value.at..end));
    }
}

/// True behind `process`, `executor 7` and the like.
fn is_born_of_machine(raw: &[u8], at: usize) -> bool {
    let is_number = |b: u8| b.is_ascii_digit() || matches!(b, b' ' | b'_' | b'-' | b'#');
    let end = backward(raw, at, at.saturating_sub(12), is_number);
    let start = backward(raw, end, end.saturating_sub(12), |b| b.is_ascii_alphabetic());
    let is = |word: &&[u8]| raw[start..end].eq_ignore_ascii_case(word);
    MACHINES.iter().any(is)
}
