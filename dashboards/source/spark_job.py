"""One Spark job: its runs, its tasks, its memory, its shuffles, and what it wastes."""

from source.dashboard import LOGS_SOURCE, METRICS_SOURCE, TRACES_SOURCE, dashboard, job_variables, number
from source.panels import (
    GREEN, RED, STATES, YELLOW, bars, born_or_increased, facts, link, logs, query, series, stat, state_codes, steps, timeline,
)

BAD_IF_ANY = steps(GREEN, (1, RED))
SKEW = steps(GREEN, (3.2, YELLOW), (10, RED))
RATE = "[$__rate_interval]"
HISTORY = "${spark_ui}/history/${__data.fields.app_id}/jobs/"


def rate(metric, by="", more=""):
    """Sum of the rate of a counter of the runs that are looked at."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{RUN{more}}}{RATE}))"


# Task seconds per second, by what tasks did. What is left of the run time is waiting and all that
# Spark does not measure.
COMPONENTS = [
    ("CPU", rate("spark_stage_executor_cpu_seconds_total")),
    ("garbage collection", rate("spark_stage_executor_gc_seconds_total")),
    ("shuffle fetch wait", rate("spark_stage_shuffle_fetch_wait_seconds_total")),
    ("shuffle write", rate("spark_stage_shuffle_write_seconds_total")),
    ("deserialization", rate("spark_stage_executor_deserialize_seconds_total")),
    ("result serialization", rate("spark_stage_executor_result_serialization_seconds_total")),
]
REST_OF_RUN = "clamp_min({} - {}, 0)".format(
    rate("spark_stage_executor_run_seconds_total"), " - ".join(expr for _, expr in COMPONENTS[:4]))

NOW = [
    stat("Running", "Runs of this job that are under way.", "none", 'sum(job_run_state{RUN,state="running"})', graph="none"),
    stat("Progress", "Finished share of the tasks of the Spark jobs that run now.", "percentunit", "min(job_progress_ratio{RUN})",
         defaults={"max": 1}),
    stat("Runs for", "How long the oldest run has been under way.", "s",
         'max((time() - job_run_start_timestamp_seconds{RUN}) and ignoring(state) (job_run_state{RUN,state="running"} == 1))',
         graph="none"),
    stat("Failed runs", "Runs that failed in the time that is looked at.", "none",
         "sum(" + born_or_increased('job_runs_total{JOB,outcome="failed"}') + ") or vector(0)", BAD_IF_ANY, graph="none"),
    stat("Failed tasks", "Task attempts that failed in the time that is looked at.", "none",
         "sum(increase(job_task_failures_total{RUN}[$__range]))", BAD_IF_ANY),
    stat("Worst skew", "The longest task against the median one, of the worst stage that runs or has just ended. Above 3.2 a "
         "stage waits for one task; above 10 look at its key.", "none",
         'max(spark_stage_skew_ratio{RUN,dimension="duration"})', SKEW),
]
RUNS = [
    timeline("State of runs", "What every run was doing when.", query(state_codes("RUN"), "{{job_name}} {{slot}}"), STATES, height=5),
    facts("Which run is in which slot", "Ids of the runs behind the slots. The id leads to the history server, if its address is "
          "filled in above.", "job_run_info{RUN}", links=[("app_id", link("Spark UI", HISTORY))], width=14, height=6),
    facts("Versions", "Versions and mode of the application.", "spark_app_info{RUN}", width=10, height=6),
    series("Duration of runs", "Mean duration of the runs that ended, by outcome, over the last day.", "s",
           query("sum by (outcome) (increase(job_run_duration_seconds_sum{JOB}[1d])) / "
                 "(sum by (outcome) (increase(job_run_duration_seconds_count{JOB}[1d])) > 0)", "{{outcome}}")),
    series("Spark jobs and stages", "What runs now, and how many Spark jobs ended within the last minutes.", "none", [
        query("sum by (state) (spark_app_jobs{RUN})", "jobs {{state}}"),
        query("sum by (state) (spark_app_stages{RUN})", "stages {{state}}"),
        query("sum by (outcome) (increase(spark_app_jobs_total{RUN}[$__rate_interval]))", "jobs {{outcome}}"),
    ]),
]
TASKS = [
    series("Task slots", "Slots of the executors that live. Idle ones cost as much as busy ones.", "none",
           query("sum by (state) (spark_app_slots{RUN})", "{{state}}"), stack=True),
    series("What tasks do", "Task seconds per second, by what they go into. The rest is waiting, mostly for input and output.", "none",
           [query(expr, name) for name, expr in COMPONENTS] + [query(REST_OF_RUN, "the rest")], stack=True),
    series("Tasks by outcome", "Task attempts that ended, per second. Skipped: Spark had their result already.", "ops",
           query(rate("spark_app_tasks_total", "outcome"), "{{outcome}}"), stack=True),
    series("Duration of stages", "Median and 95th percentile of stage attempts that ended, from submission to completion.", "s", [
        query("histogram_quantile(0.5, sum by (le) (rate(spark_stage_duration_seconds_bucket{RUN}[$__rate_interval])))", "median"),
        query("histogram_quantile(0.95, sum by (le) (rate(spark_stage_duration_seconds_bucket{RUN}[$__rate_interval])))", "95th percentile"),
    ]),
    series("Duration of Spark jobs", "Median and 95th percentile of Spark jobs that ended.", "s", [
        query("histogram_quantile(0.5, sum by (le) (rate(spark_app_job_duration_seconds_bucket{RUN}[$__rate_interval])))", "median"),
        query("histogram_quantile(0.95, sum by (le) (rate(spark_app_job_duration_seconds_bucket{RUN}[$__rate_interval])))", "95th percentile"),
    ]),
    series("Stage attempts", "Stage attempts that ended, and those that were a repetition.", "none", [
        query("sum by (outcome) (increase(spark_app_stages_total{RUN}[$__rate_interval]))", "{{outcome}}"),
        query("sum(increase(spark_app_stage_retries_total{RUN}[$__rate_interval]))", "retries"),
    ]),
    series("Speculation", "Attempts that Spark started because others were slow, by what became of them. None while speculation is off.",
           "ops", query(rate("spark_stage_speculative_tasks_total", "outcome"), "{{outcome}}")),
]
SKEWED = [
    series("Skew", "Largest task over the median one, of the worst stage that runs or ended in the last minute. Only stages that "
           "take seconds or read much.", "none", query("max by (dimension) (spark_stage_skew_ratio{RUN})", "{{dimension}}"),
           defaults={"thresholds": SKEW}),
    series("Tail", "95th percentile over the median task: many slow tasks rather than one.", "none",
           query("max by (dimension) (spark_stage_tail_ratio{RUN})", "{{dimension}}")),
    series("Largest partition", "Most bytes that one task of such a stage read or wrote.", "bytes",
           query("max by (dimension) (spark_stage_max_partition_bytes{RUN})", "{{dimension}}")),
    series("Spilled", "Bytes that tasks put aside because execution memory was short: their size in memory, and on disk.", "Bps",
           query(rate("spark_stage_spilled_bytes_total", "medium"), "{{medium}}")),
]
DATA = [
    series("Bytes read and written", "From and to the sources and sinks of the job.", "Bps", [
        query(rate("spark_stage_input_bytes_total"), "read"), query(rate("spark_stage_output_bytes_total"), "written")]),
    series("Records read and written", "From and to the sources and sinks of the job.", "ops", [
        query(rate("spark_stage_input_records_total"), "read"), query(rate("spark_stage_output_records_total"), "written")]),
    series("Shuffle", "Bytes read from shuffles, on this host and from others, and bytes written.", "Bps", [
        query(rate("spark_stage_shuffle_read_bytes_total", "source"), "read {{source}}"),
        query(rate("spark_stage_shuffle_write_bytes_total"), "written"),
        query(rate("spark_stage_shuffle_remote_to_disk_bytes_total"), "read through the disk")]),
    series("Shuffle blocks and requests", "Blocks fetched per second, and seconds of remote requests per second. Many small blocks: "
           "too many partitions.", "none", [
               query(rate("spark_stage_shuffle_blocks_fetched_total", "source"), "blocks {{source}}"),
               query(rate("spark_stage_shuffle_remote_request_seconds_total"), "seconds of requests")]),
    series("Shuffle records", "Records read from and written to shuffles.", "ops", [
        query(rate("spark_stage_shuffle_read_records_total"), "read"), query(rate("spark_stage_shuffle_write_records_total"), "written")]),
    series("Results to the driver", "Bytes of task results. Much of it is a collect() that should not be.", "Bps",
           query(rate("spark_stage_result_bytes_total"), "results")),
]
MEMORY = [
    series("Peak heap of executors", "Smallest, median and largest peak over executors, as a share of spark.executor.memory. The "
           "largest near 1 is one allocation from a failure; all near 0.3 pay for memory that nobody uses.", "percentunit",
           query("max by (stat) (spark_executor_heap_peak_ratio{RUN})", "{{stat}}"), maximum=1,
           defaults={"thresholds": steps(GREEN, (0.95, RED))}),
    series("Peak heap in bytes", "The same in bytes, and the driver.", "bytes", [
        query("max by (stat) (spark_executor_heap_peak_bytes{RUN})", "executors {{stat}}"),
        query("max(spark_driver_heap_peak_bytes{RUN})", "driver")]),
    series("Peak of execution and storage", "Largest peaks over executors of what Spark manages.", "bytes", [
        query('max by (location) (spark_executor_execution_peak_bytes{RUN,stat="max"})', "execution {{location}}"),
        query('max by (location) (spark_executor_storage_peak_bytes{RUN,stat="max"})', "storage {{location}}"),
        query('max by (location) (spark_executor_unified_peak_bytes{RUN,stat="max"})', "both {{location}}")]),
    series("Peak outside the heap", "Largest peaks over executors of what the heap does not hold.", "bytes", [
        query('max(spark_executor_offheap_peak_bytes{RUN,stat="max"})', "JVM outside the heap"),
        query('max(spark_executor_direct_peak_bytes{RUN,stat="max"})', "direct buffers"),
        query('max(spark_executor_mapped_peak_bytes{RUN,stat="max"})', "mapped buffers")]),
    series("Peak resident memory", "Largest peaks over executors by process: what YARN and Kubernetes kill for. Needs "
           "spark.executor.processTreeMetrics.enabled.", "bytes",
           query('max by (process) (spark_executor_rss_peak_bytes{RUN,stat="max"})', "{{process}}")),
    series("Storage memory", "Memory for cached data, used and free, the driver included.", "bytes",
           query("sum by (location, state) (spark_app_storage_memory_bytes{RUN})", "{{location}} {{state}}"), stack=True),
    series("Garbage collection", "Share of the time of tasks that goes into it. Above 0.1 memory is short.", "percentunit",
           query(f'{rate("spark_app_executor_gc_seconds_total")} / ({rate("spark_app_task_seconds_total")} > 0)', "share"),
           defaults={"thresholds": steps(GREEN, (0.1, YELLOW), (0.2, RED))}),
    series("Collections by kind", "Seconds per second and collections per second, by kind.", "none", [
        query(rate("spark_app_executor_gc_seconds_by_kind_total", "gc"), "seconds {{gc}}"),
        query(rate("spark_app_executor_gc_total", "gc"), "collections {{gc}}")]),
    series("Peak execution memory of a stage", "Largest sum over the tasks of one stage.", "bytes",
           query("max(spark_stage_peak_execution_memory_bytes{RUN})", "peak")),
]
EXECUTORS = [
    series("Executors", "By state. Excluded ones get no tasks, because too many failed on them.", "none",
           query("sum by (state) (spark_app_executors{RUN})", "{{state}}")),
    bars("Executors removed", "Why executors went, in the time that is looked at.", "none",
         query("sum by (reason) (increase(spark_app_executors_removed_total{RUN}[$__range]))", "{{reason}}")),
    series("Cores", "Cores of the executors that live.", "none", query("sum(spark_app_cores_granted{RUN})", "cores")),
    series("Executors that came", "Executors that were added, within the last minutes.", "none",
           query("sum(increase(spark_app_executors_added_total{RUN}[$__rate_interval]))", "added")),
]

DASHBOARD = dashboard(
    "spark-job",
    "Spark job",
    "One Spark job over its runs: state, tasks, skew, spill, shuffles, memory, executors and logs.",
    [METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE, *job_variables("spark"), number("spark_ui", "History server", "http://localhost:18080")],
    [
        ("Now", NOW), ("Runs", RUNS), ("Tasks", TASKS), ("Skew and spill", SKEWED), ("Data", DATA), ("Memory", MEMORY),
        ("Executors", EXECUTORS),
        ("Logs", [logs("Log lines", "What the driver and the executors said, redacted.", '{service_name=~"$job_name"}')]),
    ],
    with_job_links=True,
    links=[link("Spark history server", "${spark_ui}")],
)
