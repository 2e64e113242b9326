"""Alerts about Spark jobs."""

from source.rules import alert, case

JOB = {"engine": "spark", "job_name": "nightly-orders"}
OF = 'engine="spark",job_name="nightly-orders",slot="0"'
SKEW = f'spark_stage_skew_ratio{{{OF},dimension="duration"}}'
GC, TASK = f"spark_app_executor_gc_seconds_total{{{OF}}}", f"spark_app_task_seconds_total{{{OF}}}"
OK, BAD = f'spark_app_tasks_total{{{OF},outcome="succeeded"}}', f'spark_app_tasks_total{{{OF},outcome="failed"}}'
BUSY, IDLE = f'spark_app_slots{{{OF},state="busy"}}', f'spark_app_slots{{{OF},state="idle"}}'
SPILL, INPUT = f'spark_stage_spilled_bytes_total{{{OF},medium="disk"}}', f"spark_stage_input_bytes_total{{{OF}}}"
SHUFFLE = f'spark_stage_shuffle_read_bytes_total{{{OF},source="remote"}}'
WAIT, RUN = f"spark_stage_shuffle_fetch_wait_seconds_total{{{OF}}}", f"spark_stage_executor_run_seconds_total{{{OF}}}"
REMOVED = f'spark_app_executors_removed_total{{{OF},reason="%s"}}'
BY = "by (engine, job_name)"

ALERTS = [
    alert(
        "SparkSkew", "ticket", "job-team", "5m",
        f'max {BY} (spark_stage_skew_ratio{{dimension="duration"}}) > 10',
        "{{ $labels.job_name }}: one task takes {{ $value | humanize }} times as long as the others",
        "In a stage of {{ $labels.job_name }} the longest task takes {{ $value | humanize }} times the median. Likely cause: one key that "
        "has most of the records.",
        "Of the stages that run or ended in the last minute one has a task that is more than ten times as long as the median task. All "
        "executors of the stage wait for it.",
        ["Which dimension is skewed: Skew on the page of the job. Records and shuffle_read too: a hot key. Duration alone: a slow host.",
         "The stage, in the Spark UI, sorted by duration of its tasks.",
         "spark.sql.adaptive.skewJoin.enabled, another key, or salt in it."],
        case(JOB, "12", {SKEW: "12x90"}, {SKEW: "9x90"}),
    ),
    alert(
        "SparkSkewModerate", "info", "job-team", "10m",
        f'max {BY} (spark_stage_skew_ratio{{dimension="duration"}}) > 3.2 <= 10',
        "{{ $labels.job_name }}: the longest task takes {{ $value | humanize }} times the median",
        "A stage of {{ $labels.job_name }} is uneven. Likely cause: partitions of different sizes.",
        "More than 3.2 times the median, as Dr. Elephant counts moderate skew, and not yet ten times.",
        ["Largest partition, on the page of the job.", "spark.sql.adaptive.coalescePartitions and skewJoin.",
         "Whether it grows from run to run."],
        case(JOB, "5", {SKEW: "5x90"}, {SKEW: "3x90"}),
    ),
    alert(
        "SparkSpillHeavy", "ticket", "job-team", "10m",
        f'sum {BY} (rate(spark_stage_spilled_bytes_total{{medium="disk"}}[10m])) > 0.5 * '
        f"(sum {BY} (rate(spark_stage_input_bytes_total[10m])) + sum {BY} (rate(spark_stage_shuffle_read_bytes_total[10m])))",
        "{{ $labels.job_name }} spills {{ $value | humanize1024 }}B/s to disk",
        "{{ $labels.job_name }} writes more than half of what it reads to disk because memory is short. Likely cause: too few partitions, or "
        "too little execution memory.",
        "Tasks put data aside on disk and read it again. The run takes a multiple of its time.",
        ["Spilled and Peak of execution and storage, on the page of the job.",
         "spark.sql.shuffle.partitions: more of them, so that each is smaller.",
         "spark.executor.memory, or fewer cores per executor."],
        # 60 MiB a minute are 1 MiB a second; it reads as much.
        case(JOB, "1Mi", {SPILL: "0+62914560x90", INPUT: "0+31457280x90", SHUFFLE: "0+31457280x90"},
             {SPILL: "0+6291456x90", INPUT: "0+31457280x90", SHUFFLE: "0+31457280x90"}),
    ),
    alert(
        "SparkGcHigh", "ticket", "job-team", "10m", "job:gc:ratio10m > 0.10 <= 0.20",
        "{{ $labels.job_name }} spends {{ $value | humanizePercentage }} of its time in garbage collection",
        "Executors of {{ $labels.job_name }} collect garbage for {{ $value | humanizePercentage }} of the time of their tasks. Likely cause: "
        "the heap is too small for what is cached or joined.",
        "More than a tenth of the time of tasks is garbage collection.",
        ["Peak heap of executors, on the page of the job.", "What is cached: Storage memory.",
         "spark.executor.memory, or fewer cores per executor."],
        case(JOB, "15%", {GC: "0+9x90", TASK: "0+60x90"}, {GC: "0+3x90", TASK: "0+60x90"}),
    ),
    alert(
        "SparkGcCritical", "page", "job-team", "10m", "job:gc:ratio10m > 0.20",
        "{{ $labels.job_name }} spends {{ $value | humanizePercentage }} of its time in garbage collection",
        "Executors of {{ $labels.job_name }} are about to fail for lack of heap. Likely cause: a broadcast, a cache or a skewed key that does "
        "not fit.",
        "More than a fifth of the time of tasks is garbage collection. The next step is `GC overhead limit exceeded`, or heartbeats that "
        "come too late.",
        ["Peak heap of executors: the largest near 1 and the smallest low is skew, all near 1 is too little.",
         "Broadcasts and collect() in what runs now.", "spark.executor.memory."],
        case(JOB, "30%", {GC: "0+18x90", TASK: "0+60x90"}, {GC: "0+9x90", TASK: "0+60x90"}),
    ),
    alert(
        "SparkExecutorsLost", "ticket", "platform", "",
        f'sum {BY} (increase(spark_app_executors_removed_total{{reason=~"lost|oom|heartbeat"}}[15m])) > 3',
        "{{ $labels.job_name }} lost {{ $value | printf \"%.0f\" }} executors",
        "{{ $labels.job_name }} lost {{ $value | printf \"%.0f\" }} executors within 15 minutes. Likely cause: containers that were killed for "
        "their memory, or nodes that went away.",
        "Executors went that were not idle and not taken back: lost, out of memory, or silent for too long. Their tasks and their shuffle "
        "files are done again.",
        ["The reason: Executors removed, on the page of the job.",
         "For oom: Peak resident memory against spark.executor.memory and its overhead.",
         "For lost and heartbeat: events of the node, and Executors taken on the page EMR and YARN."],
        # 0.4 a minute are 6 in 15 minutes.
        case(JOB, "6", {REMOVED % "oom": "0+0.4x90", REMOVED % "idle": "0+9x90"}, {REMOVED % "oom": "0+0.1x90", REMOVED % "idle": "0+9x90"}),
    ),
    alert(
        "SparkTaskFailures", "ticket", "job-team", "5m",
        f"job:failed_tasks:ratio10m > 0.1 <= 0.3 and on (engine, job_name) sum {BY} (increase(spark_app_tasks_total[10m])) >= 20",
        "{{ $labels.job_name }}: {{ $value | humanizePercentage }} of tasks fail",
        "{{ $value | humanizePercentage }} of the task attempts of {{ $labels.job_name }} failed within 10 minutes. Likely cause: lost "
        "executors, or records that the code cannot take.",
        "Spark tries failed tasks again, so that the run may still succeed; it pays for them.",
        ["The exceptions in the log of the executors.", "Executors removed, on the page of the job.",
         "Whether always the same partition fails: the Spark UI."],
        case(JOB, "20%", {BAD: "0+10x90", OK: "0+40x90"}, {BAD: "0+2x90", OK: "0+40x90"}),
    ),
    alert(
        "SparkTaskFailuresCritical", "page", "job-team", "5m",
        f"job:failed_tasks:ratio10m > 0.3 and on (engine, job_name) sum {BY} (increase(spark_app_tasks_total[10m])) >= 20",
        "{{ $labels.job_name }}: {{ $value | humanizePercentage }} of tasks fail",
        "{{ $value | humanizePercentage }} of the task attempts of {{ $labels.job_name }} failed within 10 minutes: it will soon give up. "
        "Likely cause: an input, a table or a service that is gone.",
        "A task may fail spark.task.maxFailures times, 4 as a rule; then the stage, and with it the run, fails.",
        ["The exceptions in the log of the executors.", "Whether what it reads and writes is there, and may be read.",
         "Whether other jobs fail as well: the page Fleet."],
        case(JOB, "50%", {BAD: "0+20x90", OK: "0+20x90"}, {BAD: "0+10x90", OK: "0+40x90"}),
    ),
    alert(
        "SparkHeapNearLimit", "ticket", "job-team", "5m",
        f'max {BY} (spark_executor_heap_peak_ratio{{stat="max"}}) > 0.95',
        "{{ $labels.job_name }}: an executor used {{ $value | humanizePercentage }} of its heap",
        "The fullest executor of {{ $labels.job_name }} was at {{ $value | humanizePercentage }} of its heap. Likely cause: a skewed key, or "
        "more data than it was made for.",
        "A peak: it stays where it was until the run is over. The next allocation may be an OutOfMemoryError.",
        ["Smallest against largest peak: far apart is skew, close together is too little memory.",
         "Garbage collection, on the page of the job.", "spark.executor.memory."],
        case(JOB, "97%", {f'spark_executor_heap_peak_ratio{{{OF},stat="max"}}': "0.97x90"},
             {f'spark_executor_heap_peak_ratio{{{OF},stat="max"}}': "0.9x90"}),
    ),
    alert(
        "SparkIdleCores", "ticket", "cost", "20m", "job:idle_slots:ratio > 0.5",
        "{{ $labels.job_name }} leaves {{ $value | humanizePercentage }} of its cores idle",
        "{{ $labels.job_name }} holds executors and uses less than half of their slots for 20 minutes. Likely cause: too few partitions, a "
        "driver that works alone, or no dynamic allocation.",
        "Idle slots cost as much as busy ones.",
        ["Task slots and Skew, on the page of the job: one long task leaves the rest idle.",
         "spark.dynamicAllocation.enabled and its maxExecutors.", "The page FinOps: what it costs."],
        case(JOB, "75%", {BUSY: "2x90", IDLE: "6x90"}, {BUSY: "6x90", IDLE: "2x90"}),
    ),
    alert(
        "SparkFetchWait", "ticket", "platform", "10m",
        f"sum {BY} (rate(spark_stage_shuffle_fetch_wait_seconds_total[10m])) / "
        f"(sum {BY} (rate(spark_stage_executor_run_seconds_total[10m])) > 0) > 0.2",
        "{{ $labels.job_name }} waits {{ $value | humanizePercentage }} of its time for shuffles",
        "Tasks of {{ $labels.job_name }} wait for blocks of other hosts. Likely cause: the network, busy disks of a few hosts, or very many "
        "small blocks.",
        "More than a fifth of the run time of tasks is waiting for remote shuffle blocks.",
        ["Shuffle blocks and requests, on the page of the job: many small blocks want fewer partitions.",
         "Network and disks of the nodes.", "Lost executors: their shuffle files have to be made again."],
        case(JOB, "40%", {WAIT: "0+24x90", RUN: "0+60x90"}, {WAIT: "0+6x90", RUN: "0+60x90"}),
    ),
    alert(
        "SparkStageRetries", "ticket", "job-team", "",
        f"sum {BY} (increase(spark_app_stage_retries_total[30m])) >= 2",
        "{{ $labels.job_name }} repeats stages",
        "{{ $labels.job_name }} repeated {{ $value | printf \"%.0f\" }} stages within 30 minutes. Likely cause: shuffle files that went with a "
        "lost executor.",
        "A stage is repeated when what it reads is gone. With spark.stage.maxConsecutiveAttempts (4) repetitions the run fails.",
        ["Executors removed, on the page of the job.", "FetchFailed in the log of the driver.",
         "An external shuffle service, or decommissioning with migration of shuffle blocks."],
        case(JOB, "3", {f"spark_app_stage_retries_total{{{OF}}}": "0+0.1x90"}, {f"spark_app_stage_retries_total{{{OF}}}": "5x90"}),
    ),
    alert(
        "SparkNumbersIncomplete", "info", "platform", "",
        'max by (job, instance) (sidelight_source_degraded{source="spark",reason="dropped_events"}) == 1',
        "Numbers of Spark jobs of {{ $labels.instance }} are incomplete",
        "A driver that the agent {{ $labels.instance }} asks drops events of its listeners. Likely cause: very many short tasks. Its UI and "
        "these metrics show less than there is.",
        "The queue of listener events in the driver was full. The job itself is not harmed.",
        ["`Dropping event from queue` in the log of the driver.", "spark.scheduler.listenerbus.eventqueue.capacity.",
         "Fewer, longer tasks."],
        case({"job": "sidelight", "instance": "a:9779"}, "1",
             {'sidelight_source_degraded{job="sidelight",instance="a:9779",source="spark",reason="dropped_events"}': "1x90"},
             {'sidelight_source_degraded{job="sidelight",instance="a:9779",source="spark",reason="dropped_events"}': "0x90",
              'sidelight_source_degraded{job="sidelight",instance="a:9779",source="spark",reason="slow"}': "1x90"}),
    ),
]
