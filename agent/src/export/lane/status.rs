//! How a lane stands.

use crate::export::spool::Level;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// What the batch that is being sent may still take when the lane is asked to end.
pub(super) const CUT_OFF: Duration = Duration::from_millis(150);
/// The same when another lane goes on: that one does not know what of a batch has been confirmed.
const CUT_OFF_HAND_OVER: Duration = Duration::from_secs(2);

/// How a lane stands, for others to look at.
#[derive(Debug, Default)]
pub struct Status {
    /// What is in its spool.
    pub spool: Arc<Level>,
    pub(super) is_settled: AtomicBool,
    pub(super) is_down: AtomicBool,
    /// When what is being sent is cut off; none while the lane is not to end.
    pub(super) cut_off: watch::Sender<Option<Instant>>,
    pub(super) parked: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) dead_letters: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) unsent: AtomicU64,
}

impl Status {
    /// True when nothing more comes and all that came is delivered, in the spool, a dead letter, or
    /// counted as dropped.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.is_settled.load(Ordering::Acquire)
    }

    /// True while there is something in the spool and the destination takes it.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.spool.batches() > 0 && !self.is_down.load(Ordering::Acquire)
    }

    /// Records that wait on the disk: for the destination, put aside for a target of it, or kept by the
    /// exporter.
    #[must_use]
    pub fn stored_records(&self) -> u64 {
        let beside = self.parked.load(Ordering::Relaxed) + self.kept.load(Ordering::Relaxed);
        self.spool.records() + beside
    }

    /// Records that the exporter itself has on the disk at the end.
    pub(super) fn set_kept(&self, records: u64) {
        self.kept.store(records, Ordering::Relaxed);
    }

    pub(super) fn set_parked(&self, records: u64) {
        self.parked.store(records, Ordering::Relaxed);
    }

    /// Records that became dead letters in this run.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Ordering::Relaxed)
    }

    /// Records that were given up in this run.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that were neither delivered nor stored when the lane ended.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Asks the lane to end. The batch that it is sending gets a moment, as one that is cut off may
    /// arrive twice; all the others go to the spool at once.
    pub fn stop(&self) {
        self.cut_off.send_replace(Some(Instant::now() + CUT_OFF));
    }

    /// The same for a lane that another one of its exporter follows, in the same process.
    pub fn hand_over(&self) {
        self.cut_off.send_replace(Some(Instant::now() + CUT_OFF_HAND_OVER));
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.cut_off.borrow().is_some()
    }

    /// Returns at `end`, or when the lane is asked to end.
    pub(super) async fn sleep_until(&self, end: Instant) {
        tokio::select! {
            () = sleep_until(end) => {}
            () = self.stopped() => {}
        }
    }

    /// Returns when the lane is asked to end.
    pub(super) async fn stopped(&self) {
        // It cannot fail, as the sender is held here.
        let _ = self.cut_off.subscribe().wait_for(Option::is_some).await;
    }

    /// Does `work`; none when the lane is asked to end and the work does not end soon after that.
    pub(super) async fn unless_cut_off<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            output = work => Some(output),
            () = self.is_cut_off() => None,
        }
    }

    async fn is_cut_off(&self) {
        self.stopped().await;
        let end = *self.cut_off.borrow();
        sleep_until(end.unwrap_or_else(Instant::now)).await;
    }

    pub(super) fn set_settled(&self) {
        self.is_settled.store(true, Ordering::Release);
    }
}
