//! Laws that hold for any input, tried on random bytes and on text made of everything detectors
//! react to.

use std::ops::Range;

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::{collection, sample};

use crate::detectors::{DETECTORS, DETECTORS_ON_REQUEST};
use crate::lexis::work;
use crate::{Policy, Redactor, Text};

thread_local!(static PATHS: Vec<Redactor> = Redactor::on_every_path());
thread_local! {
    static REDACTOR: Redactor = Redactor::new();
    /// With the detectors on request too.
    static REDACTOR_OF_ALL: Redactor = {
        let names = DETECTORS_ON_REQUEST.iter().map(|d| d.rule().entity.to_owned());
        let strategies = names.map(|name| (name, crate::Strategy::Mask)).collect();
        Redactor::with_policy(&Policy { strategies, ..Policy::default() }).unwrap()
    };
}

fn redact(raw: &[u8]) -> Vec<u8> {
    REDACTOR.with(|r| redact_with(r, raw))
}

fn redact_with(redactor: &Redactor, raw: &[u8]) -> Vec<u8> {
    let mut text = Text::default();
    redactor.redact_chunk(raw, &mut text);
    // A flaw is hidden from users, not from tests.
    assert_eq!(redactor.n_failed_lines(), 0, "{:?}", String::from_utf8_lossy(raw));
    text.as_bytes().to_vec()
}

/// Parts of samples, literals, joints and noise.
fn pieces() -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for detector in DETECTORS.iter().chain(DETECTORS_ON_REQUEST) {
        let rule = detector.rule();
        pieces.extend(rule.literals.iter().chain(rule.prefixes).map(|l| l.as_bytes().to_vec()));
        for sample in rule.positive.iter().chain(rule.negative) {
            pieces.extend(sample.split(['«', '»']).map(|part| part.as_bytes().to_vec()));
            pieces.extend(
                sample.split_inclusive(' ').map(|part| part.replace(['«', '»'], "").into()),
            );
        }
        pieces.push(format!("[{}]", detector.rule().entity).into());
    }
    let joints = [
        " ",
        "=",
        ":",
        ": ",
        "\"",
        "\\\"",
        "\\\\",
        "\\n",
        "\n",
        "\r\n",
        ",",
        "/",
        "@",
        ".",
        "-",
        "[",
        "]",
        "{",
        "}",
        "(",
        ")",
        "'",
        "1",
        "4",
        "a",
        "Z",
        "_",
        "\0",
        "é",
        "null",
        "&",
        "<",
        ">",
        "key",
        "://",
        "u:",
        "%40",
        "123-45-6789",
        "4111111111111111",
        "1.2.3.4",
        "x@y.io",
        "card ",
        "eyJ",
        "version ",
    ];
    for _ in 0..8 {
        pieces.extend(joints.iter().map(|j| j.as_bytes().to_vec()));
    }
    pieces.push(vec![0xff, 0xfe]);
    pieces
}

fn text_of_pieces() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(sample::select(pieces()), 0..14).prop_map(|parts| parts.concat())
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => text_of_pieces(),
        1 => collection::vec(any::<u8>(), 0..200),
        1 => (text_of_pieces(), collection::vec(any::<u8>(), 0..9), text_of_pieces())
            .prop_map(|(a, b, c)| [a, b, c].concat()),
        1 => Just(Vec::new()),
    ]
}

#[track_caller]
fn check_idempotent(raw: &[u8]) {
    for redactor in [&REDACTOR, &REDACTOR_OF_ALL] {
        let once = redactor.with(|r| redact_with(r, raw));
        let twice = redactor.with(|r| redact_with(r, &once));
        assert_eq!(
            String::from_utf8_lossy(&once),
            String::from_utf8_lossy(&twice),
            "{:?}",
            String::from_utf8_lossy(raw)
        );
    }
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(raw in input()) {
        check_idempotent(&raw);
    }

    #[test]
    fn every_path_finds_what_the_portable_one_finds(raw in input()) {
        let spans = |redactor: &Redactor| {
            let mut spans = Vec::new();
            redactor.detect(&raw, &mut spans);
            spans.into_iter().map(|span| (span.entity.to_owned(), span.range)).collect::<Vec<_>>()
        };
        PATHS.with(|paths| {
            let (portable, others) = paths.split_last().unwrap();
            let want = spans(portable);
            for other in others {
                prop_assert_eq!(spans(other), want.clone());
            }
            Ok(())
        })?;
    }

    #[test]
    fn text_is_the_input_with_the_edits_applied(raw in input(), before in input()) {
        let mut text = Text::default();
        REDACTOR.with(|r| r.redact_chunk(&before, &mut text));
        let range = REDACTOR.with(|r| r.redact_chunk(&raw, &mut text));
        let mut rebuilt = Vec::new();
        let mut copied = 0;
        for edit in text.edits() {
            prop_assert!(edit.raw.start as usize >= copied && edit.raw.start < edit.raw.end);
            rebuilt.extend_from_slice(&raw[copied..edit.raw.start as usize]);
            prop_assert_eq!(range.start as usize + rebuilt.len(), edit.text.start as usize);
            rebuilt.extend_from_slice(text.get(&edit.text));
            copied = edit.raw.end as usize;
        }
        rebuilt.extend_from_slice(&raw[copied..]);
        prop_assert_eq!(text.get(&range), &rebuilt[..]);
        let edits: Vec<_> = text.edits().iter().map(|e| e.raw.clone()).collect();
        let spans: Vec<_> = REDACTOR.with(|r| {
            let mut spans = Vec::new();
            r.detect(&raw, &mut spans);
            spans.into_iter().map(|span| span.range).collect()
        });
        prop_assert_eq!(spans, edits);
    }

    #[test]
    fn a_chunk_is_redacted_as_its_lines_are(raw in input()) {
        // Only PEM blocks cross lines.
        let raw = String::from_utf8_lossy(&raw).replace("-----BEGIN", "").into_bytes();
        let by_line: Vec<u8> = raw.split_inclusive(|b| *b == b'\n').flat_map(redact).collect();
        prop_assert_eq!(String::from_utf8(redact(&raw)), String::from_utf8(by_line));
    }

    #[test]
    fn mapped_offsets_ascend_and_name_the_same_bytes(raw in input(), before in input()) {
        let mut text = Text::default();
        REDACTOR.with(|r| r.redact_chunk(&before, &mut text));
        let range = REDACTOR.with(|r| r.redact_chunk(&raw, &mut text));
        let mut mapped: Vec<u32> = (0..=u32::try_from(raw.len()).unwrap()).collect();
        text.map_offsets(&range, &mut mapped);
        prop_assert_eq!((mapped[0], mapped[raw.len()]), (range.start, range.end));
        prop_assert!(mapped.is_sorted());
        for (at, to) in mapped.iter().enumerate() {
            let at = u32::try_from(at).unwrap();
            let inside = |e: &&crate::Edit| e.raw.start < at && at < e.raw.end;
            if let Some(edit) = text.edits().iter().find(inside) {
                prop_assert_eq!(*to, edit.text.end);
            } else if let Some(edit) = text.edits().iter().find(|e| e.raw.start == at) {
                prop_assert_eq!(*to, edit.text.start);
            } else if let Some(byte) = raw.get(at as usize) {
                prop_assert_eq!(text.as_bytes()[*to as usize], *byte);
            }
        }
    }

    #[test]
    fn no_input_makes_a_secret_survive_beside_it(left in input(), right in input()) {
        // Blanks and line breaks keep the secret a word of its own.
        let raw = [&left[..], b"\n password=hunter2-hunter2 \n", &right[..]].concat();
        let out = redact(&raw);
        prop_assert!(!out.windows(15).any(|w| w == b"hunter2-hunter2"));
    }
}

#[test]
fn long_seeded_runs_stay_idempotent() {
    let pieces = pieces();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let n_rounds = std::env::var("REDACTION_ROUNDS").map_or(3000, |n| n.parse().unwrap());
    for _ in 0..n_rounds {
        let raw: Vec<u8> = (0..next(24)).flat_map(|_| pieces[next(pieces.len())].clone()).collect();
        check_idempotent(&raw);
    }
}

/// Bytes looked at per byte of input, for `unit` repeated to about `len` bytes.
fn work_per_byte(unit: &[u8], len: usize) -> f64 {
    // A part of a unit at the end could be found where whole ones are not.
    let len = len / unit.len() * unit.len();
    let raw: Vec<u8> = unit.iter().copied().cycle().take(len).collect();
    work::take();
    REDACTOR_OF_ALL.with(|r| redact_with(r, &raw));
    work::take() as f64 / len as f64
}

/// Hostile to detectors of identity numbers, which look behind names and around shapes.
const NUMBER_UNITS: &[&[u8]] = &[
    b"nino ",
    b"nino AB 12 34 56 ",
    b"fiscal rssmra85",
    b"nuss28/",
    b"svnr 1",
    b"hetu 131052-",
    b"A1234",
    b"1234A",
    b"131052-703",
    b"401 023 ",
];

/// Beginnings of addresses, and words that name numbers.
const ADDRESS_UNITS: &[&[u8]] = &[
    b":",
    b"1:",
    b"a::",
    b"00:",
    b"00-",
    b"abcd.",
    b"+1",
    b"+1 ",
    b"+33 6 ",
    b"(415) 555-0",
    b"phone",
    b"phone ",
    b"tel:",
    b"tel:1 ",
    b"GB82 WEST ",
    b"NO9386011117947",
    b"0x",
    b"1A",
    b"dob ",
    b"born on ",
    b"passport no ",
    b"bic=",
    b"driver license",
];

/// Text that makes detectors work, repeated.
const UNITS: &[&[u8]] = &[
    b"@",
    b"a@",
    b"4",
    b"4 ",
    b"4111 1111 1111 111",
    b"4111-",
    b"-",
    b". ",
    b"1.1.1.1.",
    b"1.1.1.1 ",
    b"password=a ",
    b"password",
    b"password=",
    b"password=\"",
    b"password='",
    b"token: ",
    b"key",
    b"password=\\\"",
    b"{\"password\":",
    b"password,",
    b"password=a,",
    b"secretkey.",
    b"eyJ",
    b"eyJ.",
    b"eyJaaaaaaaaaa.",
    b"://",
    b"://a:",
    b"://a:b/",
    b"://a@",
    b"a:b@",
    b"-----BEGIN",
    b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN PRIVATE KEY-----\n",
    b"-----BEGIN PRIVATE KEY-----A",
    b"authorization: digest ",
    b"authorization:",
    b"bearer ",
    b"bearer",
    b"basic a",
    b"AKIA",
    b"AKIA0",
    b"123-45-6789",
    b"123-45-6789-",
    b"[EMAIL]",
    b"\\",
    b"\\\"",
    b"\\n",
    b"%40",
    b"a%40",
    b"\"",
    b"card 4",
    b"jdbc:oracle:thin:",
    b"password\\",
    b"account.key.",
    b"password[\"",
    b"secret:[\"a\",",
];

#[test]
fn hostile_input_costs_linear_work() {
    let detectors = DETECTORS.iter().chain(DETECTORS_ON_REQUEST);
    let literals = detectors
        .flat_map(|d| [d.rule().literals, d.rule().prefixes])
        .flatten()
        .map(|l| l.as_bytes());
    for unit in UNITS.iter().chain(NUMBER_UNITS).chain(ADDRESS_UNITS).copied().chain(literals) {
        let (short, long) = (work_per_byte(unit, 1 << 13), work_per_byte(unit, 1 << 16));
        // Quadratic work would show as a factor of 8.
        let name = String::from_utf8_lossy(unit);
        assert!(
            long < 1.5 * short + 1.0,
            "{name}: {short:.1} then {long:.1} bytes looked at per byte"
        );
        assert!(long < 600.0, "{name}: {long:.1} bytes looked at per byte");
    }
}

#[test]
fn a_secret_is_found_at_every_place_of_a_chunk_and_cut_nowhere() {
    for detector in DETECTORS {
        let sample = detector.rule().positive[0].replace(['«', '»'], "");
        let want = redact(sample.as_bytes());
        for pad in 0..64 {
            let raw = [&vec![b'.'; pad][..], b"\n", sample.as_bytes()].concat();
            assert_eq!(&redact(&raw)[pad + 1..], &want[..], "{} at {pad}", detector.rule().entity);
        }
    }
}

#[test]
fn a_look_alike_is_decided_beside_the_placeholder_that_will_stand_there() {
    // `version` makes the number no address, but it is the end of a token that goes.
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiversion";
    assert_eq!(redact(format!("{token} 1.2.3.4").as_bytes()), b"[JWT] [IP_ADDRESS]");
    // The letter before the number belongs to an address that goes.
    assert_eq!(redact(b"x@example.com123-45-6789"), b"[EMAIL][US_SSN]");
    // The value of the key would end at the card's first blank.
    let raw = b"token=3714 496353 98431@h1 x";
    assert_eq!(String::from_utf8_lossy(&redact(raw)), "token=[KEY_VALUE_SECRET] x");
}

#[test]
fn a_text_holds_no_raw_byte_even_in_its_debug_output() {
    let mut text = Text::default();
    REDACTOR.with(|r| r.redact_chunk(b"password=hunter2 x", &mut text));
    let raw = format!("{:?}", b"hunter2");
    assert!(!format!("{text:?}").contains(raw.trim_matches(['[', ']'])), "{text:?}");
}

#[test]
fn counts_tell_replacements_by_type() {
    let redactor = Redactor::new();
    let mut text = Text::default();
    redactor.redact_chunk(b"a@example.com b@example.com 10.0.0.1", &mut text);
    redactor.redact_chunk(b"c@example.com", &mut text);
    let counts = redactor.counts();
    let of = |name| counts.iter().find(|count| count.entity == name).unwrap().n_findings;
    assert_eq!(
        (of("EMAIL"), of("IP_ADDRESS"), of("JWT"), counts.len()),
        (3, 1, 0, DETECTORS.len())
    );
    text.clear();
    let range: Range<u32> = redactor.redact_chunk(b"plain", &mut text);
    assert_eq!((range, text.as_bytes()), (0..5, &b"plain"[..]));
}

#[test]
fn a_type_named_in_a_placeholder_names_no_number() {
    // Found by the fuzz target: `ITIN` within `[US_ITIN]` was taken for the name of what follows.
    check_idempotent(b"spouse 912-70-4821~ '900-94-000ITIN: 999 99 9398.");
}

#[test]
fn a_placeholder_behind_a_key_header_makes_no_header_of_its_line() {
    // Found by the fuzz target: the line was text before its brace went, and then a header of a key
    // that began with the next line.
    let line = "0123456789abcdefghijABCDEFGHIJ";
    for text in ["ATATT3{x N ATATT3000985=27886E0F7030069857D2E4169EE7 ok", "joe@example.com"] {
        check_idempotent(format!("-----BEGIN PRIVATE KEY-----\nJob: {text}\n{line}\n").as_bytes());
    }
    // A header before the value went, and then a name that looked like a key.
    check_idempotent(b"-----BEGIN PRIVATE KEY-----\nNameOfSomeNumberOfAll: 4111111111111111\n");
}
