//! UK_NINO: national insurance numbers, `AB123456C` (HMRC manual NIM39110: format and prefixes).

use super::Confidence;
use crate::lettered_number::LetteredNumber;

/// National insurance numbers. In groups or lower case only behind their name.
pub(crate) const UK_NINO: LetteredNumber = LetteredNumber {
    entity: "UK_NINO",
    confidence: Confidence::High,
    validator: "issued prefixes and suffix",
    literals: &["nino", "insurance", "ni number", "ni_number", "ninumber", "ni no"],
    layouts: &["##000000#"],
    is_valid,
    // The manual's own example begins with the reserved QQ; forms and tests copy it.
    is_valid_named: |text| is_valid(text) || text.starts_with(b"QQ") && has_suffix(text),
    positive: &[
        "24/06/20 18:24:01 WARN Payroll: no record for «JG103759A» in tax year 2024",
        r#"{"nino":"«ce 30 81 97 b»","prefix":"QQ","national_insurance_number":"«QQ 12 34 56 C»"}"#,
        "VALUES (17, '«SR884190D»'), NI number: «Ab-12-34-56-A», nino=«sr884190d»",
    ],
    negative: &[
        "BG123456A GB123456A KN123456A NK123456A NT123456A TN123456A ZZ123456A",
        "DA123456A FA123456A IA123456A QA123456A UA123456A VA123456A AO123456A",
        "JG103759E xJG103759A JG103759AB JG1037590A jg103759a id_JG103759A",
        "insurance claim 17, nino: none, part-00000-JG103759A-c000",
        "QQ 12 34 56 C QQ123456C",
    ],
    ..LetteredNumber::NONE
};

fn is_valid(text: &[u8]) -> bool {
    /// Prefixes that are kept for other uses.
    const RESERVED: &[&[u8]] = &[b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    let is_never_used = |letter: u8| b"DFIQUV".contains(&letter);
    !is_never_used(text[0])
        && !is_never_used(text[1])
        && text[1] != b'O'
        && !RESERVED.contains(&&text[..2])
        && has_suffix(text)
}

fn has_suffix(text: &[u8]) -> bool {
    matches!(text.last(), Some(b'A'..=b'D'))
}

#[cfg(test)]
mod tests {
    use super::UK_NINO;
    use crate::lettered_number::check_letters;

    #[test]
    fn every_prefix_and_suffix_is_decided_by_the_rule() {
        let prefixes = ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}")));
        let n_issued = prefixes
            .map(|prefix| check_letters(&UK_NINO, &format!("{prefix}123456"), ""))
            .inspect(|suffixes| assert!(matches!(suffixes.as_str(), "" | "ABCD"), "{suffixes}"))
            .filter(|suffixes| !suffixes.is_empty())
            .count();
        // 20 first letters, 19 second ones, less seven prefixes.
        assert_eq!(n_issued, 20 * 19 - 7);
    }
}
