//! "Did you mean": the known name that is closest to what was written.

/// Longest name that is compared, in characters; the cost grows with the square.
const NAME_CHARS_MAX: usize = 64;

/// The candidate with the fewest typing mistakes, if there are few enough to be a typing mistake.
pub(crate) fn closest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let mistakes_max = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (mistakes(written, candidate), candidate))
        .filter(|(n_mistakes, _)| *n_mistakes <= mistakes_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Letters to insert, drop, change or swap with their neighbour (optimal string alignment).
fn mistakes(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(NAME_CHARS_MAX).collect();
    let b: Vec<char> = b.chars().take(NAME_CHARS_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{closest, mistakes};

    #[test]
    fn a_mistake_is_an_insert_a_drop_a_change_or_a_swap() {
        assert_eq!(mistakes("tail", "tail"), 0);
        assert_eq!(mistakes("tial", "tail"), 1);
        assert_eq!(mistakes("tai", "tail"), 1);
        assert_eq!(mistakes("", "tail"), 4);
        assert_eq!(mistakes("kitten", "sitting"), 3);
    }

    #[test]
    fn only_what_looks_like_a_typing_mistake_is_suggested() {
        let names = ["include", "exclude", "poll_interval"];
        assert_eq!(closest("inclued", names), Some("include"));
        assert_eq!(closest("pol_interval", names), Some("poll_interval"));
        assert_eq!(closest("colour", names), None);
        assert_eq!(closest("", names), None);
    }
}
