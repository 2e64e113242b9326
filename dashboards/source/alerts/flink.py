"""Alerts about Flink jobs and clusters."""

from source.rules import alert, case

JOB = {"engine": "flink", "job_name": "orders"}
CLUSTER = {"engine": "flink", "cluster": "0"}
OF = 'engine="flink",job_name="orders",slot="0"'
IN = 'engine="flink",cluster="0"'
STATE = f'flink_job_state{{{OF},state="running"}}'
RESTARTS = f"flink_job_restarts_total{{{OF}}}"
LAG = f'flink_vertex_watermark_lag_seconds{{{OF},vertex="window",stat="max"}}'
READ = f"job_records_read_total{{{OF}}}"
BY = "by (engine, job_name)"

ALERTS = [
    alert(
        "FlinkNotRunning", "page", "job-team", "3m",
        f'max {BY} (flink_job_state{{state="running"}}) == 0 and on (engine, job_name) '
        f'max {BY} (max_over_time(flink_job_state{{state="running"}}[15m])) == 1 '
        f'unless on (engine, job_name) max {BY} (flink_job_state{{state=~"finished|canceled"}}) == 1',
        "{{ $labels.job_name }} does not run",
        "The Flink job {{ $labels.job_name }} ran and has not been running for 3 minutes. Likely cause: it restarts over and over, failed "
        "for good, or waits for slots.",
        "The job was running within the last 15 minutes and is now in another state than finished or canceled.",
        ["The state and the last exceptions, on the page of the job.", "Slots of the cluster, on the same page: none free is a job that waits.",
         "The log of the JobManager from `switched from state` on."],
        case(JOB, "0", {STATE: "1x50 0x40", f'flink_job_state{{{OF},state="restarting"}}': "0x50 1x40"},
             {STATE: "1x90", f'flink_job_state{{{OF},state="finished"}}': "0x90"}),
    ),
    alert(
        "FlinkRestarted", "ticket", "job-team", "",
        f"sum {BY} (increase(flink_job_restarts_total[10m])) >= 1 < 3",
        "{{ $labels.job_name }} restarted",
        "The Flink job {{ $labels.job_name }} restarted within 10 minutes and goes on from its last checkpoint. Likely cause: the exception of "
        "that time, or a TaskManager that went away.",
        "One or two restarts, in whole or in part. What was read since the last checkpoint is read again.",
        ["Exceptions, on the page of the job.", "TaskManagers of the cluster, on the same page.",
         "Age of the checkpoint before the restart: how much was done again."],
        # 0.2 a minute are 2 in 10 minutes.
        case(JOB, "2", {RESTARTS: "0+0.2x90"}, {RESTARTS: "7x90"}),
    ),
    alert(
        "FlinkRestartLoop", "page", "job-team", "",
        f"sum {BY} (increase(flink_job_restarts_total[10m])) >= 3",
        "{{ $labels.job_name }} restarted {{ $value | printf \"%.0f\" }} times in 10 minutes",
        "The Flink job {{ $labels.job_name }} restarts over and over and gets nowhere. Likely cause: a record that its code cannot take, or a "
        "sink or source that is gone.",
        "Three restarts or more within ten minutes.",
        ["Exceptions, on the page of the job: always the same one is the code or one record.",
         "Whether sources and sinks can be reached.", "Metaspace of the TaskManagers: each restart may leak some."],
        case(JOB, "5", {RESTARTS: "0+0.5x90"}, {RESTARTS: "0+0.2x90"}),
    ),
    alert(
        "FlinkCheckpointStale", "page", "job-team", "2m",
        f"max {BY} (flink_checkpoint_age_seconds) > 900",
        "{{ $labels.job_name }}: last checkpoint {{ $value | humanizeDuration }} ago",
        "No checkpoint of {{ $labels.job_name }} was complete for {{ $value | humanizeDuration }}. Likely cause: backpressure, storage that does "
        "not answer, or a task that hangs. After a failure all of that time is done again.",
        "The last complete checkpoint is more than 15 minutes old. For jobs with a longer interval take three times the interval instead.",
        ["Outcomes and Failures by reason, on the page of the job.", "Backpressured: barriers wait behind records.",
         "Subtasks not done, under In progress: one that hangs."],
        case(JOB, "1h 0m 0s", {f"flink_checkpoint_age_seconds{{{OF}}}": "0+60x90"}, {f"flink_checkpoint_age_seconds{{{OF}}}": "20x90"}),
    ),
    alert(
        "FlinkCheckpointFailing", "page", "job-team", "",
        f"max {BY} (flink_checkpoint_consecutive_failures) >= 2",
        "{{ $labels.job_name }}: {{ $value | printf \"%.0f\" }} checkpoints failed in a row",
        "{{ $value | printf \"%.0f\" }} checkpoints of {{ $labels.job_name }} failed in a row. Likely cause: timeout behind backpressure, or "
        "storage that refuses. When tolerable-failed-checkpoints is reached the job restarts.",
        "Two checkpoints or more failed and none was complete since.",
        ["Failures by reason: expired is slowness, io is storage, declined is a task that was not ready.",
         "Checkpoint barriers: start delay is backpressure, alignment is skew.", "Rights and quota of the checkpoint folder."],
        case(JOB, "3", {f"flink_checkpoint_consecutive_failures{{{OF}}}": "3x90"}, {f"flink_checkpoint_consecutive_failures{{{OF}}}": "1x90"}),
    ),
    alert(
        "FlinkCheckpointNearInterval", "ticket", "job-team", "15m",
        f"max {BY} (flink_checkpoint_interval_utilization_ratio) > 0.8",
        "{{ $labels.job_name }}: a checkpoint takes {{ $value | humanizePercentage }} of the interval",
        "Checkpoints of {{ $labels.job_name }} take nearly as long as the time between them. Likely cause: state that has grown, or slow "
        "storage.",
        "The next checkpoint is due before there was time to work.",
        ["Size and Duration, on the page of the job: do they grow together?", "Incremental checkpoints, or a longer interval.",
         "Start delay and alignment: unaligned checkpoints."],
        case(JOB, "90%", {f"flink_checkpoint_interval_utilization_ratio{{{OF}}}": "0.9x90"},
             {f"flink_checkpoint_interval_utilization_ratio{{{OF}}}": "0.5x90"}),
    ),
    alert(
        "FlinkBackpressure", "ticket", "job-team", "10m",
        "max by (engine, job_name, vertex) (flink_vertex_backpressured_ratio{stat=\"max\"}) > 0.5",
        "{{ $labels.job_name }}: {{ $labels.vertex }} waits {{ $value | humanizePercentage }} of its time",
        "{{ $labels.vertex }} of {{ $labels.job_name }} is held up by what is behind it. Likely cause: the first vertex behind it that is busy "
        "and not held up itself.",
        "A subtask waits for more than half of its time until there is room in the buffers behind it.",
        ["Bottleneck, on the page of the job.", "Skew of that vertex: one hot subtask needs another key, not more parallelism.",
         "Sinks: what the job writes to may be slow."],
        case({**JOB, "vertex": "map"}, "70%", {f'flink_vertex_backpressured_ratio{{{OF},vertex="map",stat="max"}}': "0.7x90"},
             {f'flink_vertex_backpressured_ratio{{{OF},vertex="map",stat="max"}}': "0.3x90"}),
    ),
    alert(
        "FlinkSaturated", "ticket", "job-team", "15m",
        "max by (engine, job_name, vertex) (flink_vertex_busy_ratio{stat=\"avg\"}) > 0.9",
        "{{ $labels.job_name }}: {{ $labels.vertex }} is busy {{ $value | humanizePercentage }} of its time",
        "All subtasks of {{ $labels.vertex }} of {{ $labels.job_name }} work nearly all the time. Likely cause: more input than its "
        "parallelism can take.",
        "The average subtask is busy for more than nine tenths of the time: there is no room for a peak, or to catch up.",
        ["Lag, on the page of the job: does it grow?", "Parallelism and headroom, on the same page.",
         "Garbage collection of the TaskManagers: it counts as busy."],
        case({**JOB, "vertex": "map"}, "95%", {f'flink_vertex_busy_ratio{{{OF},vertex="map",stat="avg"}}': "0.95x90"},
             {f'flink_vertex_busy_ratio{{{OF},vertex="map",stat="avg"}}': "0.6x90"}),
    ),
    alert(
        "FlinkWatermarkLag", "page", "job-team", "3m",
        f'max {BY} (flink_vertex_watermark_lag_seconds{{stat="max"}}) > 180 and on (engine, job_name) '
        f"sum {BY} (rate(job_records_read_total[5m])) > 0",
        "{{ $labels.job_name }} is {{ $value | humanizeDuration }} behind",
        "Watermarks of {{ $labels.job_name }} are {{ $value | humanizeDuration }} behind the clock although it reads. Likely cause: it is slower "
        "than its input, or one partition is idle and holds the watermark back.",
        "Results of windows come that late.",
        ["Watermark lag by vertex, on the page of the job: from which one on?", "An idle partition: withIdleness of its watermark strategy.",
         "Bottleneck and Records that wait in the source."],
        case(JOB, "10m 0s", {LAG: "600x90", READ: "0+60x90"}, {LAG: "600x90", READ: "5000x90"}),
    ),
    alert(
        "FlinkSourceLagGrowing", "ticket", "job-team", "15m",
        f"sum {BY} (deriv(flink_source_pending_records[15m])) > 0 and on (engine, job_name) sum {BY} (flink_source_pending_records) > 10000",
        "{{ $labels.job_name }} falls behind by {{ $value | humanize }} records/s",
        "What waits for {{ $labels.job_name }} grows by {{ $value | humanize }} records per second. Likely cause: more input than it can take, or "
        "a slow sink.",
        "More than 10,000 records wait in the source, and they become more for a quarter of an hour.",
        ["Bottleneck, on the page of the job.", "Records read against the day before.", "Backpressured: up to where does it reach?"],
        # 600 a minute are 10 a second.
        case(JOB, "10", {f'flink_source_pending_records{{{OF},vertex="src"}}': "0+600x90"},
             {f'flink_source_pending_records{{{OF},vertex="src"}}': "90000x90"}),
    ),
    alert(
        "FlinkLateRecords", "info", "job-team", "10m",
        "sum by (engine, job_name, vertex) (rate(flink_vertex_late_records_dropped_total[10m])) > 0",
        "{{ $labels.job_name }}: {{ $labels.vertex }} drops late records",
        "{{ $labels.vertex }} of {{ $labels.job_name }} drops {{ $value | humanize }} records per second that come after their window. Likely "
        "cause: events that are later than the watermark strategy allows.",
        "Results lack these records.",
        ["Since when, on the page of the job: a new producer, or a clock that is wrong?", "allowedLateness and the bound of out-of-orderness.",
         "A side output for late records."],
        case({**JOB, "vertex": "window"}, "2", {f'flink_vertex_late_records_dropped_total{{{OF},vertex="window"}}': "0+120x90"},
             {f'flink_vertex_late_records_dropped_total{{{OF},vertex="window"}}': "77x90"}),
    ),
    alert(
        "FlinkSinkErrors", "ticket", "job-team", "5m",
        "sum by (engine, job_name, vertex) (rate(flink_sink_send_errors_total[10m])) > 0",
        "{{ $labels.job_name }}: {{ $labels.vertex }} cannot send",
        "{{ $labels.vertex }} of {{ $labels.job_name }} fails to send {{ $value | humanize }} records per second. Likely cause: the destination "
        "refuses or does not answer.",
        "A sink counts records that it could not send. Whether they are tried again is its own affair.",
        ["The exceptions in the log of the TaskManagers.", "The destination: rights, quota, schema.",
         "Checkpoints: they fail when a sink cannot flush."],
        case({**JOB, "vertex": "sink"}, "1", {f'flink_sink_send_errors_total{{{OF},vertex="sink"}}': "0+60x90"},
             {f'flink_sink_send_errors_total{{{OF},vertex="sink"}}': "12x90"}),
    ),
    alert(
        "FlinkInputStopped", "ticket", "job-team", "15m",
        f'sum {BY} (rate(job_records_read_total{{engine="flink"}}[15m])) == 0 and on (engine, job_name) '
        f'sum {BY} (rate(job_records_read_total{{engine="flink"}}[15m] offset 1h)) > 0 and on (engine, job_name) '
        f'max {BY} (flink_job_state{{state="running"}}) == 1',
        "{{ $labels.job_name }} reads nothing any more",
        "{{ $labels.job_name }} runs and has read nothing for 15 minutes, while it did an hour before. Likely cause: nothing is produced, or "
        "its rights on the source are gone.",
        "A running job whose input has stopped. Nothing is wrong when the input really pauses at that hour.",
        ["Whether something is produced: the topic, the bucket, the table.", "Splits that no reader has, on the page of the job.",
         "The log of the TaskManagers: connections and rights."],
        case(JOB, "0", {READ: "0+60x60 3600x90", STATE: "1x160"}, {READ: "0+60x160", STATE: "1x160"}, at="100m"),
    ),
    alert(
        "FlinkMetaspaceLeak", "ticket", "platform", "30m",
        "predict_linear(flink_tm_metaspace_ratio{stat=\"max\"}[6h], 6 * 3600) > 1",
        "Metaspace of Flink cluster {{ $labels.cluster }} will be full within 6 hours",
        "Metaspace of the TaskManagers of cluster {{ $labels.cluster }} grows so that it is full within 6 hours. Likely cause: classes that "
        "every restart of a job leaves behind.",
        "TaskManagers end with OutOfMemoryError: Metaspace when it is full.",
        ["Metaspace and Restarts: does it rise with each restart?", "Threads and libraries that a job starts and does not stop.",
         "taskmanager.memory.jvm-metaspace.size, and a restart of the TaskManagers meanwhile."],
        # 0.1 an hour from 0.2: 0.6 after 4 hours, 1.2 six hours later.
        case({**CLUSTER, "stat": "max"}, "1.2", {f'flink_tm_metaspace_ratio{{{IN},stat="max"}}': "0.2+0.0016666x400"},
             {f'flink_tm_metaspace_ratio{{{IN},stat="max"}}': "0.8x400"}, at="4h"),
    ),
    alert(
        "FlinkTaskManagerSilent", "ticket", "platform", "2m",
        'max by (engine, cluster) (flink_taskmanager_heartbeat_age_seconds{stat="max"}) > 40',
        "A TaskManager of Flink cluster {{ $labels.cluster }} has been silent for {{ $value | humanizeDuration }}",
        "A TaskManager of cluster {{ $labels.cluster }} has sent no heartbeat for {{ $value | humanizeDuration }}. Likely cause: it collects "
        "garbage, its node is gone, or the network is. At heartbeat.timeout (50 s) its jobs restart.",
        "Heartbeats come every ten seconds as a rule.",
        ["Garbage collection and heap, on the page of a job of the cluster.", "The node or pod of the TaskManager.",
         "Slots: does another one take its place?"],
        case(CLUSTER, "1m 0s", {f'flink_taskmanager_heartbeat_age_seconds{{{IN},stat="max"}}': "60x90"},
             {f'flink_taskmanager_heartbeat_age_seconds{{{IN},stat="max"}}': "8x90"}),
    ),
]
