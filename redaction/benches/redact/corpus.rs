//! Made-up logs of Spark and Flink, the same in every run, with PII on a given share of lines.

use std::io::Write;

use crate::pii;

/// Size of a made-up log, and of a short file after it was repeated.
pub(crate) const CORPUS_BYTES: usize = 64 << 20;
/// Shorter files are repeated, so that no corpus fits in a cache.
const FILE_BYTES_MIN: usize = 16 << 20;

/// Log text to measure on.
pub(crate) struct Corpus {
    /// How the table names it.
    pub(crate) name: String,
    /// Whole lines.
    pub(crate) raw: Vec<u8>,
    /// True for text without real secrets, where the targets at few findings hold.
    pub(crate) has_little_pii: bool,
}

/// 64 MiB of made-up lines, `pii_per_mille` of a thousand with PII.
pub(crate) fn synthetic(pii_per_mille: u64) -> Corpus {
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ pii_per_mille);
    let mut raw = Vec::with_capacity(CORPUS_BYTES + (64 << 10));
    let mut now = Clock(1_795_329_575_485);
    while raw.len() < CORPUS_BYTES {
        now.0 += random.below(40);
        if random.below(1000) < pii_per_mille {
            pii::line(&mut random, &now, &mut raw);
        } else {
            let line = random.below(5);
            let write = [scheduler_line, storage_line, storage_line, flink_line, flink_line];
            write[line as usize](&mut random, &now, &mut raw);
        }
    }
    Corpus {
        name: format!("{} % of lines", pii_per_mille as f64 / 10.0),
        raw,
        has_little_pii: pii_per_mille <= 20,
    }
}

/// A real log; a short one is repeated.
pub(crate) fn file(path: &str) -> std::io::Result<Corpus> {
    let mut raw = std::fs::read(path)?;
    if raw.last().is_some_and(|b| *b != b'\n') {
        raw.push(b'\n');
    }
    if !raw.is_empty() && raw.len() < FILE_BYTES_MIN {
        raw = raw.repeat(CORPUS_BYTES / raw.len());
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    Ok(Corpus { name, raw, has_little_pii: false })
}

/// Xorshift64*: the same numbers in every run, which is all that is asked of it.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Small numbers far more often than large ones, as counters and sizes are.
    fn skewed(&mut self, bits_max: u64) -> u64 {
        let bits = self.below(bits_max) + 1;
        self.below(1 << bits)
    }

    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn text(&mut self, alphabet: &[u8], n_bytes: u64) -> String {
        let pick = |_| char::from(alphabet[self.below(alphabet.len() as u64) as usize]);
        (0..n_bytes).map(pick).collect()
    }

    fn uuid(&mut self) -> String {
        let hex = self.text(b"0123456789abcdef", 32);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

/// Milliseconds since the epoch, written as logs write time.
pub(crate) struct Clock(u64);

impl Clock {
    /// `26/11/22 07:13:36`.
    pub(crate) fn spark(&self) -> String {
        let (hour, minute, second, _) = self.parts();
        format!("26/11/22 {hour:02}:{minute:02}:{second:02}")
    }

    /// `2026-11-22 07:13:36,685`.
    pub(crate) fn flink(&self) -> String {
        let (hour, minute, second, millisecond) = self.parts();
        format!("2026-11-22 {hour:02}:{minute:02}:{second:02},{millisecond:03}")
    }

    fn parts(&self) -> (u64, u64, u64, u64) {
        let seconds = self.0 / 1000;
        (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, self.0 % 1000)
    }
}

const HOSTS: &[&str] = &[
    "worker-17.dc2.example.internal",
    "vm",
    "ip-10-0-31-7.ec2.internal",
    "node-0042",
    "hdp-data-113.prod.corp",
    "spark-exec-9f31-pod",
];
const LEVELS: &[&str] = &["INFO", "INFO", "INFO", "WARN"];
const TABLES: &[&str] = &["orders", "order_items", "clickstream_raw", "dim_customer", "fx_rates"];
const FRAMES: &[&str] = &[
    "org.apache.spark.rdd.RDD.iterator(RDD.scala:331)",
    "org.apache.spark.scheduler.ResultTask.runTask(ResultTask.scala:93)",
    "org.apache.spark.sql.execution.WholeStageCodegenExec$$anon$1.hasNext(WholeStageCodegenExec.scala:760)",
    "org.apache.spark.executor.Executor$TaskRunner.$anonfun$run$4(Executor.scala:620)",
    "java.base/java.util.concurrent.ThreadPoolExecutor$Worker.run(ThreadPoolExecutor.java:635)",
    "org.apache.flink.streaming.runtime.tasks.StreamTask.invoke(StreamTask.java:931)",
    "org.apache.hadoop.fs.s3a.S3AFileSystem.getFileStatus(S3AFileSystem.java:3858)",
    "java.base/java.lang.Thread.run(Thread.java:840)",
];

/// The path of one file of a table.
fn part_file(random: &mut Random) -> String {
    format!(
        "hdfs://nameservice1/warehouse/sales.db/{}/dt=2026-11-{:02}/part-{:05}-{}-c000.snappy.parquet",
        random.pick(TABLES),
        random.below(28) + 1,
        random.below(400),
        random.uuid()
    )
}

/// Lines of Spark about tasks, stages and containers.
fn scheduler_line(random: &mut Random, now: &Clock, raw: &mut Vec<u8>) {
    let (time, host, level) = (now.spark(), random.pick(HOSTS), random.pick(LEVELS));
    let (task, stage, tid) = (random.skewed(12), random.skewed(8), random.skewed(20));
    let (bytes, ms, executor) = (random.skewed(31), random.skewed(16), tid % 24);
    let written = match random.below(6) {
        0 | 1 => writeln!(
            raw,
            "{time} {level} TaskSetManager: Starting task {task}.0 in stage {stage}.0 (TID {tid}) \
             ({host}, executor {executor}, partition {task}, NODE_LOCAL, {bytes} bytes) "
        ),
        2 | 3 => writeln!(
            raw,
            "{time} {level} TaskSetManager: Finished task {task}.0 in stage {stage}.0 (TID {tid}) \
             in {ms} ms on {host} (executor {executor}) ({}/{})",
            task + 1,
            task + 200
        ),
        4 => writeln!(
            raw,
            "{time} {level} DAGScheduler: Submitting {task} missing tasks from ShuffleMapStage \
             {stage} (MapPartitionsRDD[{tid}] at groupByKey at OrdersJob.scala:{}) (first 15 \
             tasks are for partitions Vector(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14))",
            ms % 900
        ),
        _ => writeln!(
            raw,
            "{time} {level} YarnAllocator: Launching container container_e44_{}_{stage:04}_01_\
             {tid:06} on host {host} for executor with ID {} for ResourceProfile Id 0",
            now.0,
            task % 90
        ),
    };
    written.expect("a Vec takes every byte");
}

/// Lines of Spark about blocks and files, and lines of a stack trace.
fn storage_line(random: &mut Random, now: &Clock, raw: &mut Vec<u8>) {
    let (time, host, level) = (now.spark(), random.pick(HOSTS), random.pick(LEVELS));
    let (task, stage, tid) = (random.skewed(12), random.skewed(8), random.skewed(20));
    let (bytes, ms) = (random.skewed(31), random.skewed(16));
    let written = match random.below(7) {
        0 => writeln!(
            raw,
            "{time} {level} BlockManagerInfo: Added broadcast_{stage}_piece0 in memory on \
             {host}:{} (size: {}.{} KiB, free: 434.{} MiB)",
            30_000 + tid % 9999,
            bytes % 900,
            ms % 10,
            task % 10
        ),
        1 => writeln!(
            raw,
            "{time} {level} MemoryStore: Block rdd_{stage}_{task} stored as values in memory \
             (estimated size {}.{} MiB, free {}.{} GiB)",
            bytes % 500,
            ms % 10,
            tid % 40,
            task % 10
        ),
        2 | 3 => writeln!(
            raw,
            "{time} {level} FileScanRDD: Reading File path: {}, range: 0-{bytes}, partition \
             values: [{}]",
            part_file(random),
            20_000 + stage
        ),
        4 => writeln!(raw, "\tat {}", random.pick(FRAMES)),
        5 => writeln!(
            raw,
            "{time} {level} ShuffleBlockFetcherIterator: Getting {task} ({}.0 KiB) non-empty blocks \
             including {} (0.0 B) local and {stage} ({bytes}.0 B) remote blocks, started {} at {}",
            bytes % 1000,
            task / 3,
            ms % 5,
            now.0
        ),
        _ => writeln!(raw, "{time} {level} CodeGenerator: Code generated in {ms}.{tid} ms"),
    };
    written.expect("a Vec takes every byte");
}

fn flink_line(random: &mut Random, now: &Clock, raw: &mut Vec<u8>) {
    let (time, job) = (now.flink(), random.text(b"0123456789abcdef", 32));
    let (checkpoint, bytes, ms) = (random.skewed(16), random.skewed(33), random.skewed(14));
    let (subtask, attempt) = (random.below(64), random.text(b"0123456789abcdef", 32));
    let written = match random.below(8) {
        0 | 1 => writeln!(
            raw,
            "{time} INFO  org.apache.flink.runtime.checkpoint.CheckpointCoordinator    [] - Completed \
             checkpoint {checkpoint} for job {job} ({bytes} bytes, checkpointDuration={ms} ms, \
             finalizationTime={} ms).",
            ms % 90
        ),
        2 => writeln!(
            raw,
            "{time} INFO  org.apache.flink.runtime.checkpoint.CheckpointCoordinator    [] - Triggering \
             checkpoint {checkpoint} (type=CheckpointType{{name='Checkpoint', \
             sharingFilesStrategy=FORWARD_BACKWARD}}) @ {} for job {job}.",
            now.0
        ),
        3 | 4 => writeln!(
            raw,
            "{time} INFO  org.apache.flink.runtime.taskmanager.Task                    [] - Window(\
             TumblingEventTimeWindows(60000), EventTimeTrigger) -> Sink: {} ({}/64)#{} \
             ({attempt}_{job}_{subtask}_0) switched from DEPLOYING to INITIALIZING.",
            random.pick(TABLES),
            subtask + 1,
            ms % 3
        ),
        5 => writeln!(
            raw,
            "{time} DEBUG org.apache.flink.fs.s3.common.writer.S3Committer             [] - Committing \
             s3://lake-prod/{}/bucket-{}/part-{}-{checkpoint} with MPU ID {}",
            random.pick(TABLES),
            ms % 365,
            random.uuid(),
            random.uuid()
        ),
        6 => writeln!(raw, "\tat {}", random.pick(FRAMES)),
        _ => writeln!(
            raw,
            "{time} WARN  org.apache.flink.runtime.resourcemanager.slotmanager.FineGrainedSlotManager \
             [] - Could not fulfill resource requirements of job {job}. Free slots: {subtask}, \
             pending: {}, since {} ms",
            ms % 7,
            now.0
        ),
    };
    written.expect("a Vec takes every byte");
}
