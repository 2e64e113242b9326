//! How identity numbers are printed.

use crate::lexis::work;

/// True when `text` is printed as `layout`: `0` stands for a digit, `#` for an upper-case letter, `?`
/// for either, anything else for itself.
pub(crate) fn has_layout(text: &[u8], layout: &str) -> bool {
    let fits = |(byte, place): (&u8, u8)| match place {
        b'0' => byte.is_ascii_digit(),
        b'#' => byte.is_ascii_uppercase(),
        b'?' => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
        _ => *byte == place,
    };
    work::add(text.len().min(layout.len()));
    text.len() == layout.len() && text.iter().zip(layout.bytes()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::has_layout;

    #[test]
    fn layouts_name_each_place() {
        assert!(has_layout(b"65180539W001", "00000000#000"));
        assert!(has_layout(b"1-A-b", "0-#-b") && has_layout(b"1A", "??"));
        for text in ["1-a-b", "1-A-B", "1-A-bb", "1-A-", "1.A-b", ""] {
            assert!(!has_layout(text.as_bytes(), "0-#-b"), "{text}");
        }
    }
}
