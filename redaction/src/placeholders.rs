//! What stands in the text instead of a finding.

use crate::engine::Engine;
use crate::spans::Finding;
use crate::text::Text;

/// The placeholders of all detectors.
#[derive(Debug)]
pub(crate) struct Placeholders {
    /// `[NAME]` and `"[NAME]"` of each detector.
    forms: Vec<[String; 2]>,
}

impl Placeholders {
    pub(crate) fn new(engine: &Engine) -> Self {
        let form = |name: &str| [format!("[{name}]"), format!("\"[{name}]\"")];
        Self { forms: engine.detectors().map(|d| form(d.rule().entity)).collect() }
    }

    /// Appends `raw`, which is `base` bytes into the searched chunk, with `findings` replaced.
    pub(crate) fn append(&self, raw: &[u8], base: usize, findings: &[Finding], text: &mut Text) {
        text.begin();
        let mut copied = 0;
        for finding in findings {
            let range = finding.bytes().start - base..finding.bytes().end - base;
            let [plain, quoted] = &self.forms[usize::from(finding.detector)];
            let form = if is_json_number(raw, &range) { quoted } else { plain };
            text.copy(&raw[copied..range.start]);
            text.replace(&range, form.as_bytes());
            copied = range.end;
        }
        text.copy(&raw[copied..]);
    }
}

/// True when `range` is a bare number after a JSON key: there only a quoted placeholder keeps the
/// record parseable.
fn is_json_number(raw: &[u8], range: &std::ops::Range<usize>) -> bool {
    let is_number = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    let is_blank = |b: &&u8| matches!(b, b' ' | b'\t');
    let mut before = raw[..range.start].iter().rev().skip_while(is_blank);
    before.next() == Some(&b':')
        && raw[range.clone()].iter().all(is_number)
        && before.find(|b| !is_blank(b)) == Some(&b'"')
        && before.next() != Some(&b'\\')
        && matches!(
            raw[range.end..].iter().find(|b| !is_blank(b)),
            None | Some(b',' | b'}' | b'\n' | b'\r')
        )
}
