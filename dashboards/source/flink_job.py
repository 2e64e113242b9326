"""One Flink job: its state, its checkpoints, its vertices, its sources, and the cluster that it runs on."""

from source.dashboard import LOGS_SOURCE, METRICS_SOURCE, TRACES_SOURCE, choice, dashboard, job_variables, number
from source.panels import (
    GREEN, RED, STATES, YELLOW, bars, facts, link, logs, query, series, stat, state_codes, steps, timeline,
)

BAD_IF_ANY = steps(GREEN, (1, RED))
BUSY = steps(GREEN, (0.7, YELLOW), (0.9, RED))
PRESSED = steps(GREEN, (0.1, YELLOW), (0.5, RED))
UI = "${flink_ui}/#/job/running/${__data.fields.app_id}/overview"


def vertices(metric, unit, title, description, stat_name="max", **more):
    """One line for each vertex."""
    return series(title, description, unit,
                  query(f'max by (vertex) ({metric}{{RUN,stat="{stat_name}"}})', "{{vertex}}"), **more)


NOW = [
    stat("Running", "Runs of this job that are under way.", "none", 'sum(job_run_state{RUN,state="running"})', graph="none"),
    stat("Up for", "Time since the job last began to run.", "s", "min(flink_job_uptime_seconds{RUN})", graph="none"),
    stat("Restarts", "Restarts in the time that is looked at, in whole or in part.", "none",
         "sum(increase(flink_job_restarts_total{RUN}[$__range]))", BAD_IF_ANY),
    stat("Age of the checkpoint", "Time since the last checkpoint was complete: what would be done again after a failure.", "s",
         "max(flink_checkpoint_age_seconds{RUN})", steps(GREEN, (300, YELLOW), (900, RED))),
    stat("Lag", "How far the job is behind, by the time of events or of fetching.", "s", "max(job_lag_seconds{RUN})",
         steps(GREEN, (60, YELLOW), (180, RED))),
    stat("Bottleneck", "The vertex that works most while nothing behind it holds it up. Give this one more parallelism first.",
         "percentunit",
         query('topk(1, max by (vertex) (flink_vertex_busy_ratio{RUN,stat="max"}) unless on (vertex) '
               'max by (vertex) (flink_vertex_backpressured_ratio{RUN,stat="max"}) > 0.5)', "{{vertex}}"),
         BUSY, text="value_and_name", graph="none"),
]
STATE = [
    timeline("State", "What the job was doing when.", query(state_codes("RUN"), "{{job_name}} {{slot}}"), STATES, height=5),
    facts("Which run is in which slot", "Ids of the runs behind the slots. The id leads to Flink's UI.", "job_run_info{RUN}",
          links=[("app_id", link("Flink UI", UI))], width=14, height=6),
    facts("Version and scheduler", "Version of Flink and scheduler of the job.", "flink_job_info{RUN}", width=10, height=6),
    series("Restarts and rescales", "Restarts and changes of the parallelism, within the last minutes.", "none", [
        query("sum(increase(flink_job_restarts_total{RUN}[$__rate_interval]))", "restarts"),
        query("sum(increase(flink_job_rescales_total{RUN}[$__rate_interval]))", "rescales")]),
    series("Tasks by status", "Tasks of the job. All should run.", "none",
           query("sum by (status) (flink_job_tasks{RUN})", "{{status}}"), stack=True),
    bars("Exceptions", "Failures by class of the exception, in the time that is looked at.", "none",
         query("topk(10, sum by (exception) (increase(flink_job_exceptions_total{RUN}[$__range])))", "{{exception}}")),
    series("Parallelism", "Highest parallelism of a vertex, and the share of the maximum parallelism that is left.", "none", [
        query("max(flink_job_parallelism{RUN})", "parallelism"),
        query("min(flink_job_max_parallelism_headroom_ratio{RUN})", "headroom")]),
]
CHECKPOINTS = [
    series("Age of the last checkpoint", "It should go up to the interval and fall again. A line that only rises is data that would "
           "be read again.", "s", query("max by (slot) (flink_checkpoint_age_seconds{RUN})", "slot {{slot}}")),
    series("Duration", "Of the checkpoints that the JobManager remembers.", "s",
           query("max by (quantile) (flink_checkpoint_duration_window_seconds{RUN})", "{{quantile}}")),
    series("Share of the interval", "Above 0.8 the next checkpoint is due before this one is over.", "percentunit",
           query("max by (slot) (flink_checkpoint_interval_utilization_ratio{RUN})", "slot {{slot}}"),
           defaults={"thresholds": steps(GREEN, (0.8, RED))}),
    series("Outcomes", "Checkpoints and savepoints that ended, within the last minutes, and how many failed in a row.", "none", [
        query("sum by (outcome) (increase(flink_checkpoints_total{RUN}[$__rate_interval]))", "{{outcome}}"),
        query("max(flink_checkpoint_consecutive_failures{RUN})", "failed in a row"),
        query("sum(increase(flink_checkpoints_restored_total{RUN}[$__rate_interval]))", "restored")]),
    series("Failures by reason", "Why checkpoints failed, within the last minutes.", "none",
           query("sum by (reason) (increase(flink_checkpoint_failures_total{RUN}[$__rate_interval]))", "{{reason}}")),
    series("Size", "Of the last complete checkpoint. Checkpointed: what was written for it.", "bytes",
           query("max by (kind) (flink_checkpoint_size_bytes{RUN})", "{{kind}}")),
    series("In progress", "Checkpoints that go on, and the subtasks that they wait for.", "none", [
        query("sum(flink_checkpoints_in_progress{RUN})", "in progress"),
        query("max(flink_checkpoint_subtasks_unacked{RUN})", "subtasks not done")]),
    facts("How checkpoints are made", "Mode, state backend, alignment.", "flink_checkpoint_info{RUN}", width=12, height=8),
]
VERTICES = [
    vertices("flink_vertex_busy_ratio", "percentunit", "Busy", "Share of the time in which the busiest subtask works.", maximum=1,
             defaults={"thresholds": BUSY}),
    vertices("flink_vertex_backpressured_ratio", "percentunit", "Backpressured",
             "Share of the time in which subtasks wait for those behind them. The bottleneck is the first vertex that does not.",
             maximum=1, defaults={"thresholds": PRESSED}),
    vertices("flink_vertex_idle_ratio", "percentunit", "Idle", "Share of the time in which subtasks have nothing to do, on average.",
             "avg", maximum=1),
    vertices("flink_vertex_hard_backpressured_ratio", "percentunit", "Hard backpressure",
             "Share of the time in which subtasks are blocked and cannot even react to a checkpoint.", maximum=1),
    series("Records between vertices", "Records per second, in and out.", "ops",
           query("sum by (vertex, direction) (rate(flink_vertex_records_total{RUN}[$__rate_interval]))", "{{vertex}} {{direction}}")),
    series("Bytes between vertices", "Bytes per second, in and out.", "Bps",
           query("sum by (vertex, direction) (rate(flink_vertex_bytes_total{RUN}[$__rate_interval]))", "{{vertex}} {{direction}}")),
    series("Skew", "The hottest subtask against the average; 1 is even.", "none",
           query("max by (vertex, dimension) (flink_vertex_skew_ratio{RUN})", "{{vertex}} {{dimension}}")),
    series("Time by what subtasks do", "Seconds per second, over all vertices.", "none",
           query("sum by (state) (rate(flink_vertex_time_seconds_total{RUN}[$__rate_interval]))", "{{state}}"), stack=True),
    series("Parallelism of vertices", "Subtasks of each vertex.", "none", query("max by (vertex) (flink_vertex_parallelism{RUN})", "{{vertex}}")),
]
EVENTS = [
    series("Watermark lag", "How far the slowest watermark is behind the clock.", "s",
           query('max by (vertex) (flink_vertex_watermark_lag_seconds{RUN,stat="max"})', "{{vertex}}"),
           defaults={"thresholds": steps(GREEN, (180, RED))}),
    series("Lag of the job", "By the time of events, and by the time at which they were fetched.", "s",
           query("max by (kind) (job_lag_seconds{RUN})", "{{kind}}")),
    series("Records that wait in the source", "What is still to be read. Only sources that know it, such as Kafka.", "none", [
        query("sum by (vertex) (flink_source_pending_records{RUN})", "{{vertex}}"),
        query("sum(job_lag_records{RUN})", "all")]),
    series("Lag of sources", "Time from an event to its being fetched, and to its being emitted; how long a source had nothing.", "s", [
        query('max by (vertex) (flink_source_fetch_lag_seconds{RUN,stat="max"})', "{{vertex}} fetched"),
        query('max by (vertex) (flink_source_emit_lag_seconds{RUN,stat="max"})', "{{vertex}} emitted"),
        query("max by (vertex) (flink_source_idle_seconds{RUN})", "{{vertex}} idle"),
        query("max by (vertex) (flink_source_watermark_drift_seconds{RUN})", "{{vertex}} ahead")]),
    series("Records read and written", "By sources and sinks.", "ops", [
        query("sum(rate(job_records_read_total{RUN}[$__rate_interval]))", "read"),
        query("sum(rate(job_records_written_total{RUN}[$__rate_interval]))", "written")]),
    series("Late records", "Records per second that came too late for their window and were dropped.", "ops",
           query("sum by (vertex) (rate(flink_vertex_late_records_dropped_total{RUN}[$__rate_interval]))", "{{vertex}}")),
    series("Sinks", "Records that could not be sent, per second, and what waits to be committed.", "none", [
        query("sum by (vertex) (rate(flink_sink_send_errors_total{RUN}[$__rate_interval]))", "{{vertex}} errors"),
        query("sum by (vertex, state) (flink_sink_committables{RUN})", "{{vertex}} committables {{state}}"),
        query("max by (vertex) (flink_sink_send_seconds{RUN})", "{{vertex}} seconds of a send")]),
    series("Splits that no reader has", "Splits that wait for a reader.", "none",
           query("sum by (vertex) (flink_source_splits_unassigned{RUN})", "{{vertex}}")),
]
TASKS = [
    series("Checkpoint barriers", "Time until the first barrier came, and from the first to the last, of the slowest subtask.", "s", [
        query("max by (vertex) (flink_task_checkpoint_start_delay_seconds{RUN})", "{{vertex}} start delay"),
        query("max by (vertex) (flink_task_alignment_seconds{RUN})", "{{vertex}} alignment")]),
    series("Mailbox", "Time that mails wait for the thread of a task, 99th percentile of the slowest subtask.", "s",
           query("max by (vertex) (flink_task_mailbox_latency_seconds{RUN})", "{{vertex}}")),
    series("Mails that wait", "In the fullest mailbox.", "none", query("max by (vertex) (flink_task_mailbox_queue{RUN})", "{{vertex}}")),
    series("Network buffers", "Used share, of the fullest subtask. Full at the input: it is slow; full at the output: the next one is.",
           "percentunit", query("max by (vertex, direction) (flink_task_buffer_usage_ratio{RUN})", "{{vertex}} {{direction}}"), maximum=1),
    series("Start of tasks", "Time that the last start of the slowest subtask took, its state included.", "s",
           query("max by (vertex) (flink_task_initialization_seconds{RUN})", "{{vertex}}")),
]
CLUSTER = [
    series("Slots", "Of the whole cluster.", "none", query("sum by (state) (flink_slots{CLUSTER})", "{{state}}"), stack=True),
    series("TaskManagers", "Registered ones, those that get no new tasks, and the longest silence of one.", "none", [
        query("sum(flink_taskmanagers{CLUSTER})", "registered"),
        query("sum(flink_taskmanagers_blocked{CLUSTER})", "blocked"),
        query('max(flink_taskmanager_heartbeat_age_seconds{CLUSTER,stat="max"})', "seconds since a heartbeat")]),
    series("Jobs of the cluster", "By state.", "none", query("sum by (state) (flink_jobs{CLUSTER}) > 0", "{{state}}")),
    series("Heap", "Used and allowed: of the JobManager, and of the fullest TaskManager.", "bytes", [
        query("max by (kind) (flink_jm_heap_bytes{CLUSTER})", "JobManager {{kind}}"),
        query('max by (kind) (flink_tm_heap_bytes{CLUSTER,stat="max"})', "TaskManager {{kind}}")]),
    series("Metaspace", "Used share. It rises with each restart when classes leak, until the process ends.", "percentunit", [
        query("max(flink_jm_metaspace_ratio{CLUSTER})", "JobManager"),
        query('max(flink_tm_metaspace_ratio{CLUSTER,stat="max"})', "TaskManager")], maximum=1),
    series("Managed and network memory", "Managed memory of all TaskManagers, used and there; used share of network memory.", "bytes",
           query('sum by (kind) (flink_tm_managed_bytes{CLUSTER,stat="sum"})', "managed {{kind}}")),
    series("Network memory", "Used share, of the fullest TaskManager.", "percentunit",
           query('max(flink_tm_netty_memory_ratio{CLUSTER,stat="max"})', "network"), maximum=1),
    series("Garbage collection", "Share of the time in which it is under way.", "percentunit", [
        query("max(flink_jm_gc_seconds_per_second{CLUSTER})", "JobManager"),
        query('max(flink_tm_gc_seconds_per_second{CLUSTER,stat="max"})', "TaskManager")]),
    series("Processors", "Load by the processes.", "percentunit", [
        query("max(flink_jm_cpu_load_ratio{CLUSTER})", "JobManager"),
        query('max(flink_tm_cpu_load_ratio{CLUSTER,stat="max"})', "TaskManager")]),
    series("Threads and classes", "Both rise when something leaks.", "none", [
        query("max(flink_jm_threads{CLUSTER})", "JobManager threads"),
        query('max(flink_tm_threads{CLUSTER,stat="max"})', "TaskManager threads"),
        query("max(flink_jm_classes_loaded{CLUSTER})", "JobManager classes"),
        query('max(flink_tm_classes_loaded{CLUSTER,stat="max"})', "TaskManager classes")]),
]

DASHBOARD = dashboard(
    "flink-job",
    "Flink job",
    "One Flink job: state, checkpoints, vertices, lag, sinks, and the cluster that it runs on.",
    [METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE, *job_variables("flink"), choice("cluster", "Cluster", "flink_slots"),
     number("flink_ui", "Flink UI", "http://localhost:8081")],
    [
        ("Now", NOW), ("State", STATE), ("Checkpoints", CHECKPOINTS), ("Vertices", VERTICES), ("Time and data", EVENTS),
        ("Tasks", TASKS), ("Cluster", CLUSTER),
        ("Logs", [logs("Log lines", "What the JobManager and the TaskManagers said, redacted.", '{service_name=~"$job_name"}')]),
    ],
    with_job_links=True,
    links=[link("Flink UI", "${flink_ui}")],
)
