//! Stage attempts: sums and spreads of their tasks, not the tasks.

use super::digest::{Digest, Quantiles};
use super::events::{StageInfo, TaskEnd, TaskStart};
use super::strings::short;
use super::totals::Totals;
use redaction::{Redactor, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Stage attempts that are kept; of more, those whose tasks ran shortest are forgotten. Some
/// 600 bytes each.
const STAGES_MAX: usize = 10_000;
/// Stage attempts whose spreads are still digests, up to 12 KiB each in the worst case.
const OPEN_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 128;
const FAILURE_BYTES_MAX: usize = 512;

/// Number of a stage and of its attempt.
pub type StageKey = (u32, u32);

/// All stage attempts that are known.
#[derive(Debug, Default, PartialEq)]
pub struct Stages {
    by_key: BTreeMap<StageKey, Stage>,
    n_forgotten: u64,
    n_open: usize,
    /// Those that changed since they were taken last, where somebody follows the log.
    changed: Option<BTreeSet<StageKey>>,
    /// Stage attempts that ended well.
    pub n_succeeded: u64,
    /// Stage attempts that failed.
    pub n_failed: u64,
    /// Attempts after the first of a stage.
    pub n_retried: u64,
}

/// One attempt of a stage.
#[derive(Debug, Default, PartialEq)]
pub struct Stage {
    /// As Spark names it: what was called, and where.
    pub name: Option<Value>,
    /// Tasks that it has.
    pub n_tasks: u64,
    /// Tasks that were started and have not ended.
    pub n_running: u64,
    /// When it was submitted.
    pub submitted_ms: Option<u64>,
    /// When it ended.
    pub completed_ms: Option<u64>,
    /// Why it failed.
    pub failure: Option<Value>,
    /// Sums over its tasks.
    pub totals: Totals,
    /// The task that took longest, of those that succeeded.
    pub slowest: Option<Slowest>,
    spreads: Spreads,
}

/// One task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slowest {
    /// Its number in the application (TID).
    pub task_id: u64,
    /// Its number in the stage.
    pub index: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// What it read, from storage and shuffles.
    pub read_bytes: u64,
}

#[derive(Debug, PartialEq)]
enum Spreads {
    Open(Box<[Digest; 3]>),
    Sealed([Quantiles; 3]),
}

impl Default for Spreads {
    fn default() -> Self {
        Self::Open(Box::default())
    }
}

impl Stage {
    /// How long its successful tasks took, in ms.
    #[must_use]
    pub fn durations(&self) -> Quantiles {
        self.spread(0)
    }

    /// Bytes that its successful tasks read from shuffles.
    #[must_use]
    pub fn shuffle_reads(&self) -> Quantiles {
        self.spread(1)
    }

    /// Bytes that its successful tasks read from storage.
    #[must_use]
    pub fn inputs(&self) -> Quantiles {
        self.spread(2)
    }

    /// A stage of which another source tells, with the spreads of [`durations`](Self::durations),
    /// [`shuffle_reads`](Self::shuffle_reads) and [`inputs`](Self::inputs).
    #[must_use]
    pub fn of_spreads(
        name: Value,
        totals: Totals,
        slowest: Option<Slowest>,
        spreads: [Quantiles; 3],
    ) -> Self {
        let (name, spreads) = (Some(name), Spreads::Sealed(spreads));
        Self { name, totals, slowest, spreads, ..Self::default() }
    }

    /// True when nothing more is expected of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.completed_ms.is_some() && self.n_running == 0
    }

    fn spread(&self, index: usize) -> Quantiles {
        match &self.spreads {
            Spreads::Open(digests) => digests[index].quantiles(),
            Spreads::Sealed(quantiles) => quantiles[index],
        }
    }

    /// Gives the memory of the digests back; true when they were there.
    fn seal(&mut self) -> bool {
        let Spreads::Open(digests) = &self.spreads else { return false };
        self.spreads = Spreads::Sealed([0, 1, 2].map(|index| digests[index].quantiles()));
        true
    }

    fn add(&mut self, event: &TaskEnd<'_>, totals: &Totals) {
        self.totals.add(totals);
        if totals.n_tasks_succeeded == 0 {
            return;
        }
        let (duration_ms, shuffle) = (totals.duration_ms, totals.shuffle_read_bytes());
        if let Spreads::Open(digests) = &mut self.spreads {
            digests[0].add(duration_ms);
            digests[1].add(shuffle);
            digests[2].add(totals.input_bytes);
        }
        if self.slowest.is_none_or(|slowest| slowest.duration_ms < duration_ms) {
            let read_bytes = shuffle.saturating_add(totals.input_bytes);
            let (task_id, index) = (event.info.id, event.info.index);
            self.slowest = Some(Slowest { task_id, index, duration_ms, read_bytes });
        }
    }
}

impl Stages {
    /// All that are kept, by number.
    pub fn iter(&self) -> impl Iterator<Item = (StageKey, &Stage)> {
        self.by_key.iter().map(|(key, stage)| (*key, stage))
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: StageKey) -> Option<&Stage> {
        self.by_key.get(&key)
    }

    /// The attempts of one stage.
    pub fn attempts(&self, stage: u32) -> impl Iterator<Item = (StageKey, &Stage)> {
        self.by_key.range((stage, 0)..=(stage, u32::MAX)).map(|(key, stage)| (*key, stage))
    }

    /// Adds one of which another source tells. The caller limits their number.
    pub fn insert(&mut self, key: StageKey, stage: Stage) {
        self.by_key.insert(key, stage);
    }

    /// Stage attempts that were forgotten for the limit; the sums of the run hold them all the same.
    #[must_use]
    pub fn n_forgotten(&self) -> u64 {
        self.n_forgotten
    }

    /// Stage attempts that changed since the last call; from the first call on they are noted.
    pub fn take_changed(&mut self) -> BTreeSet<StageKey> {
        let all = || self.by_key.keys().copied().collect();
        let changed = self.changed.take().unwrap_or_else(all);
        self.changed = Some(BTreeSet::new());
        changed
    }

    pub(super) fn submitted(&mut self, info: &StageInfo<'_>, redactor: &Redactor) {
        let stage = self.stage((info.id, info.attempt));
        stage.describe(info, redactor);
        self.n_retried += u64::from(info.attempt > 0);
    }

    pub(super) fn completed(&mut self, info: &StageInfo<'_>, redactor: &Redactor) {
        let stage = self.stage((info.id, info.attempt));
        if stage.name.is_none() {
            stage.describe(info, redactor);
        }
        stage.completed_ms = Some(info.completed.unwrap_or_default().0);
        let failure = info.failure.as_deref();
        stage.failure = failure.map(|reason| short(redactor, reason, FAILURE_BYTES_MAX));
        let (is_failed, is_over) = (failure.is_some(), stage.is_over());
        if is_over && stage.seal() {
            self.n_open -= 1;
        }
        self.n_failed += u64::from(is_failed);
        self.n_succeeded += u64::from(!is_failed);
    }

    pub(super) fn task_started(&mut self, event: &TaskStart) {
        self.stage((event.stage, event.stage_attempt)).n_running += 1;
    }

    pub(super) fn task_ended(&mut self, event: &TaskEnd<'_>, totals: &Totals) {
        let stage = self.stage((event.stage, event.stage_attempt));
        stage.n_running = stage.n_running.saturating_sub(1);
        stage.add(event, totals);
        if stage.is_over() && stage.seal() {
            self.n_open -= 1;
        }
    }

    fn stage(&mut self, key: StageKey) -> &mut Stage {
        if !self.by_key.contains_key(&key) {
            if self.by_key.len() >= STAGES_MAX {
                self.forget();
            }
            if self.n_open >= OPEN_MAX {
                self.seal_all();
            }
            self.n_open += 1;
        }
        if let Some(changed) = &mut self.changed {
            changed.insert(key);
        }
        self.by_key.entry(key).or_default()
    }

    /// Forgets half of the stages: those that ran shortest, and ended ones first.
    fn forget(&mut self) {
        let weight = |stage: &Stage| (!stage.is_over(), stage.totals.run_ms);
        let mut weights: Vec<_> = self.iter().map(|(key, stage)| (weight(stage), key)).collect();
        weights.sort_unstable();
        for (_, key) in &weights[..weights.len() / 2] {
            let removed = self.by_key.remove(key);
            let is_open = removed.is_some_and(|mut stage| stage.seal());
            self.n_open -= usize::from(is_open);
            self.n_forgotten += 1;
        }
    }

    /// Tasks that end after this count in sums only. A thousand stages at a time do not happen but
    /// in logs of which the ends of stages are missing.
    fn seal_all(&mut self) {
        self.by_key.values_mut().for_each(|stage| {
            stage.seal();
        });
        self.n_open = 0;
    }
}

impl Stage {
    fn describe(&mut self, info: &StageInfo<'_>, redactor: &Redactor) {
        self.name = Some(short(redactor, &info.name, NAME_BYTES_MAX));
        self.n_tasks = info.n_tasks.0;
        self.submitted_ms = info.submitted.map(|time| time.0);
    }
}
