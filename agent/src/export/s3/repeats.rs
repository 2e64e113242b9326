//! What of a batch is not staged yet: after a crash, what the checkpoint does not say comes again.

use super::book::Bytes;
use super::partition::{Piece, pieces};
use crate::model::{Coverage, LogBatch};
use crate::telemetry;

/// The pieces of `logs` that are to be staged, when `staged` is of its file, ascending. Records that are
/// staged are taken out of it.
///
/// A crash may have kept the end of a batch and not its beginning, as its pieces are in several
/// segments. So nothing counts as staged but the bytes of frames that are there.
pub(super) fn unstaged(logs: &mut LogBatch, staged: &[Bytes]) -> Vec<Piece> {
    let Some(covers) = logs.covers else { return pieces(&logs.records, None) };
    // Behind the frames of a container, offsets may go back, and a piece would hold records that are
    // not among its bytes.
    if !logs.records.is_sorted_by_key(|record| record.offset) {
        logs.records.sort_by_key(|record| record.offset);
    }
    let missing = missing(covers, staged);
    if missing == [covers] {
        return pieces(&logs.records, Some(covers));
    }
    let n_before = logs.records.len();
    logs.records.retain(|record| !is_among(record.offset, staged));
    telemetry::S3_REPEATED_RECORDS.add((n_before - logs.records.len()) as u64);
    let (mut all, mut start) = (Vec::new(), 0);
    for (index, covers) in missing.iter().enumerate() {
        let end = if index + 1 < missing.len() {
            logs.records.partition_point(|record| record.offset < covers.to)
        } else {
            // Also those that stand behind what the batch covers.
            logs.records.len()
        };
        let part = pieces(&logs.records[start..end], Some(*covers));
        all.extend(part.into_iter().map(|piece| Piece {
            records: start + piece.records.start..start + piece.records.end,
            ..piece
        }));
        start = end;
    }
    all
}

/// What of `covers` is not among `staged`; its empty end when all of it is.
fn missing(covers: Coverage, staged: &[Bytes]) -> Vec<Coverage> {
    let first = staged.partition_point(|(_, to)| *to <= covers.from);
    let (mut missing, mut at, mut n_dropped) = (Vec::new(), covers.from, covers.n_dropped);
    for (from, to) in &staged[first..] {
        if *from >= covers.to {
            break;
        }
        if *from > at {
            missing.push(Coverage {
                from: at,
                to: *from,
                n_dropped: std::mem::take(&mut n_dropped),
            });
        }
        at = covers.to.min(*to);
    }
    if at < covers.to || missing.is_empty() {
        missing.push(Coverage { from: at, to: covers.to, n_dropped });
    }
    missing
}

fn is_among(offset: u64, staged: &[Bytes]) -> bool {
    let index = staged.partition_point(|(_, to)| *to <= offset);
    staged.get(index).is_some_and(|(from, _)| *from <= offset)
}

#[cfg(test)]
mod tests {
    use super::{Bytes, unstaged};
    use crate::model::{Coverage, LogBatch, LogRecord};
    use redaction::Text;
    use std::sync::Arc;

    /// Records at every tenth byte and at `more`; offsets and bytes of each piece that is left.
    fn left(covers: Bytes, more: &[u64], staged: &[Bytes]) -> Vec<(Vec<u64>, Bytes)> {
        let (from, to) = covers;
        let offsets = (from..to).step_by(10).chain(more.iter().copied());
        let records = offsets.map(|offset| LogRecord { offset, ..LogRecord::default() }).collect();
        let covers = Some(Coverage { from, to, n_dropped: 0 });
        let mut logs =
            LogBatch { resource: Arc::default(), text: Text::default(), records, covers };
        let pieces = unstaged(&mut logs, staged);
        let told = pieces.iter().map(|piece| {
            let covers = piece.covers.unwrap();
            let records = &logs.records[piece.records.clone()];
            (records.iter().map(|it| it.offset).collect(), (covers.from, covers.to))
        });
        told.collect()
    }

    #[test]
    fn only_bytes_that_are_staged_are_left_out() {
        assert_eq!(left((0, 30), &[], &[]), [(vec![0, 10, 20], (0, 30))]);
        assert_eq!(left((0, 30), &[], &[(30, 40)]), [(vec![0, 10, 20], (0, 30))]);
        assert_eq!(left((0, 30), &[], &[(0, 20)]), [(vec![20], (20, 30))]);
        // The beginning was not kept.
        assert_eq!(left((0, 30), &[], &[(20, 30)]), [(vec![0, 10], (0, 20))]);
        let middle = [(vec![0], (0, 10)), (vec![20], (20, 30))];
        assert_eq!(left((0, 30), &[], &[(10, 20)]), middle);
        assert_eq!(left((0, 30), &[], &[(0, 10), (20, 30)]), [(vec![10], (10, 20))]);
        assert_eq!(left((10, 30), &[], &[(0, 40)]), []);
    }

    #[test]
    fn a_record_behind_what_the_batch_covers_is_left_out_only_if_its_own_byte_is_staged() {
        assert_eq!(left((0, 20), &[35], &[(0, 20)]), [(vec![35], (20, 20))]);
        assert_eq!(left((0, 20), &[35], &[(0, 20), (30, 40)]), []);
        assert_eq!(left((0, 20), &[35, 5], &[(0, 10)]), [(vec![10, 35], (10, 20))]);
    }
}
