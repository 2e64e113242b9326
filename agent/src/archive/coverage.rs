//! Which bytes of each file the objects account for: every byte once.

use super::Report;
use crate::export::s3::manifest::Object;
use std::collections::BTreeMap;

/// Ranges of all files.
#[derive(Debug, Default)]
pub(super) struct Coverages(BTreeMap<String, File>);

#[derive(Debug, Default)]
struct File {
    path: String,
    ranges: Vec<(u64, u64)>,
    /// In another archive.
    elsewhere: Vec<(u64, u64)>,
}

impl Coverages {
    pub(super) fn add(&mut self, object: &Object) {
        for part in &object.files {
            let file = self.0.entry(part.file_id.clone()).or_default();
            part.path.clone_into(&mut file.path);
            if part.elsewhere != file.elsewhere {
                file.elsewhere.extend_from_slice(&part.elsewhere);
            }
            for (from, to) in &part.ranges {
                match file.ranges.last_mut() {
                    Some((_, end)) if *end == *from => *end = *to,
                    _ => file.ranges.push((*from, *to)),
                }
            }
        }
    }

    /// Tells every gap and every overlap.
    pub(super) fn check(self, report: &mut Report) {
        for (file_id, mut file) in self.0 {
            file.ranges.sort_unstable();
            file.elsewhere.sort_unstable();
            let path = &file.path;
            let mut end = 0;
            for (from, to) in file.ranges {
                // What was archived at another place may fill a gap, and is no overlap.
                for (start, stop) in &file.elsewhere {
                    if from > end && *start <= end && *stop > end {
                        let stop = from.min(*stop);
                        report.note(format!(
                            "bytes {end} to {stop} of {path} ({file_id}) are in another archive of the \
                             same agent: its bucket or prefix was another one then"
                        ));
                        end = stop;
                    }
                }
                if from > end {
                    report.problem(format!(
                        "gap: bytes {end} to {from} of {path} ({file_id}) are in no object"
                    ));
                }
                if from < end {
                    let twice = end.min(to);
                    report.problem(format!(
                        "overlap: bytes {from} to {twice} of {path} ({file_id}) are in two objects"
                    ));
                }
                end = end.max(to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverages, Report};
    use crate::export::s3::manifest::{FilePart, Object};

    #[track_caller]
    fn check(ranges: &[(u64, u64)], want: &[&str]) {
        let mut coverages = Coverages::default();
        for range in ranges {
            let (file_id, path) = ("1".to_owned(), "a.log".to_owned());
            let ranges = vec![*range];
            let files = vec![FilePart { file_id, path, ranges, ..FilePart::default() }];
            coverages.add(&Object { files, ..Object::default() });
        }
        let mut report = Report::default();
        coverages.check(&mut report);
        assert_eq!(report.problems(), want);
    }

    #[test]
    fn what_is_in_another_archive_of_the_agent_is_no_gap() {
        let (file_id, path) = ("1".to_owned(), "a.log".to_owned());
        let (ranges, elsewhere) = (vec![(7, 9), (12, 15)], vec![(0, 5), (5, 8)]);
        let part = FilePart { file_id, path, ranges, elsewhere, ..FilePart::default() };
        let mut coverages = Coverages::default();
        coverages.add(&Object { files: vec![part], ..Object::default() });
        let mut report = Report::default();
        coverages.check(&mut report);
        assert_eq!(report.problems(), ["gap: bytes 9 to 12 of a.log (1) are in no object"]);
        assert!(
            report.to_string().contains("note: bytes 0 to 5 of a.log (1) are in another archive")
        );
    }

    #[test]
    fn every_byte_is_to_be_there_once() {
        check(&[(0, 5), (5, 9)], &[]);
        check(&[(5, 9), (0, 5)], &[]);
        check(&[(0, 5), (6, 9)], &["gap: bytes 5 to 6 of a.log (1) are in no object"]);
        check(&[(3, 5)], &["gap: bytes 0 to 3 of a.log (1) are in no object"]);
        check(&[(0, 5), (4, 9)], &["overlap: bytes 4 to 5 of a.log (1) are in two objects"]);
        check(&[(0, 9), (2, 4)], &["overlap: bytes 2 to 4 of a.log (1) are in two objects"]);
    }
}
