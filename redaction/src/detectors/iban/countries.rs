//! Structures of account numbers, from the IBAN Registry that SWIFT keeps for ISO 13616 (2024).

/// Code, and what follows the check digits in the registry's notation, with pieces of one kind
/// joined: `n` digits, `a` upper-case letters, `c` both.
pub(super) const COUNTRIES: &[(&str, &str)] = &[
    ("AD", "8n12c"),
    ("AE", "19n"),
    ("AL", "8n16c"),
    ("AT", "16n"),
    ("AZ", "4a20c"),
    ("BA", "16n"),
    ("BE", "12n"),
    ("BG", "4a6n8c"),
    ("BH", "4a14c"),
    ("BI", "23n"),
    ("BR", "23n1a1c"),
    ("BY", "4c4n16c"),
    ("CH", "5n12c"),
    ("CR", "18n"),
    ("CY", "8n16c"),
    ("CZ", "20n"),
    ("DE", "18n"),
    ("DJ", "23n"),
    ("DK", "14n"),
    ("DO", "4c20n"),
    ("EE", "16n"),
    ("EG", "25n"),
    ("ES", "20n"),
    ("FI", "14n"),
    ("FK", "2a12n"),
    ("FO", "14n"),
    ("FR", "10n11c2n"),
    ("GB", "4a14n"),
    ("GE", "2a16n"),
    ("GI", "4a15c"),
    ("GL", "14n"),
    ("GR", "7n16c"),
    ("GT", "24c"),
    ("HN", "4a20n"),
    ("HR", "17n"),
    ("HU", "24n"),
    ("IE", "4a14n"),
    ("IL", "19n"),
    ("IQ", "4a15n"),
    ("IS", "22n"),
    ("IT", "1a10n12c"),
    ("JO", "4a4n18c"),
    ("KW", "4a22c"),
    ("KZ", "3n13c"),
    ("LB", "4n20c"),
    ("LC", "4a24c"),
    ("LI", "5n12c"),
    ("LT", "16n"),
    ("LU", "3n13c"),
    ("LV", "4a13c"),
    ("LY", "21n"),
    ("MC", "10n11c2n"),
    ("MD", "20c"),
    ("ME", "18n"),
    ("MK", "3n10c2n"),
    ("MN", "16n"),
    ("MR", "23n"),
    ("MT", "4a5n18c"),
    ("MU", "4a19n3a"),
    ("NI", "4a20n"),
    ("NL", "4a10n"),
    ("NO", "11n"),
    ("OM", "3n16c"),
    ("PK", "4a16c"),
    ("PL", "24n"),
    ("PS", "4a21c"),
    ("PT", "21n"),
    ("QA", "4a21c"),
    ("RO", "4a16c"),
    ("RS", "18n"),
    ("RU", "14n15c"),
    ("SA", "2n18c"),
    ("SC", "4a20n3a"),
    ("SD", "14n"),
    ("SE", "20n"),
    ("SI", "15n"),
    ("SK", "20n"),
    ("SM", "1a10n12c"),
    ("SO", "19n"),
    ("ST", "21n"),
    ("SV", "4a20n"),
    ("TL", "19n"),
    ("TN", "20n"),
    ("TR", "6n16c"),
    ("UA", "6n19c"),
    ("VA", "18n"),
    ("VG", "4a16n"),
    ("XK", "16n"),
    ("YE", "4a4n18c"),
];

/// Structure of the accounts of a country, by its code in upper case.
pub(super) fn structure(code: [u8; 2]) -> Option<&'static str> {
    let index = COUNTRIES.binary_search_by(|(known, _)| known.as_bytes().cmp(&code)).ok()?;
    Some(COUNTRIES[index].1)
}

/// Bytes of a whole IBAN, country code and check digits included.
pub(super) fn length(structure: &str) -> usize {
    4 + pieces(structure).map(|(n, _)| n).sum::<usize>()
}

/// True when `body`, in upper case, is made as `structure` says.
pub(super) fn fits(structure: &str, body: &[u8]) -> bool {
    let mut rest = body;
    pieces(structure).all(|(n, kind)| {
        let Some((piece, after)) = rest.split_at_checked(n) else { return false };
        rest = after;
        piece.iter().all(|b| match kind {
            b'n' => b.is_ascii_digit(),
            b'a' => b.is_ascii_uppercase(),
            _ => true,
        })
    }) && rest.is_empty()
}

/// Numbers of bytes and their kinds.
fn pieces(structure: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut n = 0;
    structure.bytes().filter_map(move |byte| {
        if byte.is_ascii_digit() {
            n = n * 10 + usize::from(byte - b'0');
            return None;
        }
        Some((std::mem::take(&mut n), byte))
    })
}

#[cfg(test)]
mod tests {
    use super::{COUNTRIES, fits, length};

    #[test]
    fn countries_are_sorted_and_their_accounts_have_legal_lengths() {
        assert!(COUNTRIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, structure) in COUNTRIES {
            assert!((15..=34).contains(&length(structure)), "{code}");
        }
    }

    #[test]
    fn lengths_are_those_of_the_registry() {
        for (n_bytes, codes) in [
            (15, "NO"),
            (16, "BE"),
            (18, "DK FI FK FO GL NL SD"),
            (19, "MK SI"),
            (20, "AT BA EE KZ LT LU MN XK"),
            (21, "CH HR LI LV"),
            (22, "BG BH CR DE GB GE IE ME RS VA"),
            (23, "AE GI IL IQ OM SO TL"),
            (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
            (25, "LY PT ST"),
            (26, "IS TR"),
            (27, "BI DJ FR GR IT MC MR SM"),
            (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
            (29, "BR EG PS QA UA"),
            (30, "JO KW MU YE"),
            (31, "MT SC"),
            (32, "LC"),
            (33, "RU"),
        ] {
            let known = COUNTRIES.iter().filter(|(_, structure)| length(structure) == n_bytes);
            let known: Vec<_> = known.map(|(code, _)| *code).collect();
            assert_eq!(known.join(" "), codes, "{n_bytes}");
        }
    }

    #[test]
    fn structures_decide_about_every_byte() {
        assert!(fits("2a2n1c", b"AZ09A") && fits("2a2n1c", b"AZ090"));
        for body in [&b"A109A"[..], b"AZA9A", b"AZ09", b"AZ09AA", b"az09a"] {
            assert!(!fits("2a2n1c", body), "{body:?}");
        }
    }
}
