"""The dashboards, row by row, and the saved queries of Logs Insights.

A dimension set is written as the agent sends it (agent/src/export/cloudwatch_metrics/table.rs): scope, job_name,
and one more at most. `${...}` is filled in by CloudFormation.
"""
from alarms import ALARMS, alarm_arn

# What the variable of a dashboard puts the chosen job in place of.
JOB = "__job__"
REGION = "${AWS::Region}"


def search(name, statistic, period=300, extra=None, job=None):
    """One series for each job, or for each job and value of the third dimension; or those of one job."""
    dimension, value = extra if isinstance(extra, tuple) else (extra, None)
    names = ["${ScopeName}", "job_name"] + ([dimension] if dimension else [])
    where = f'MetricName="{name}" ${{ScopeName}}="${{ScopeValue}}"' + (f' {dimension}="{value}"' if value else "")
    where += f' job_name="{job}"' if job else ""
    return f"SEARCH('{{\"${{Namespace}}\",{','.join(names)}}} {where}', '{statistic}', {period})"


def expression(text, label=None, **more):
    return [{"expression": text, **({"label": label} if label else {}), **more}]


def of_jobs(name, statistic, extra=None, period=300):
    label = "${!PROP('Dim.job_name')}" + (f" ${{!PROP('Dim.{extra}')}}" if isinstance(extra, str) else "")
    return expression(search(name, statistic, period, extra), label)


def of_job(name, statistic, extra=None, **more):
    """A metric of the job that is chosen; `extra` is a third dimension and its value."""
    dimensions = ["${ScopeName}", "${ScopeValue}", "job_name", JOB, *(extra or ())]
    return ["${Namespace}", name, *dimensions, {"stat": statistic, **more}]


def of_values(name, statistic, dimension, period=300):
    """A metric of the job that is chosen, one series for each value of the third dimension."""
    return expression(search(name, statistic, period, dimension, JOB), f"${{!PROP('Dim.{dimension}')}}")


def of_agents(name, statistic, **more):
    return ["${Namespace}", name, "${ScopeName}", "${ScopeValue}", {"stat": statistic, **more}]


def hidden(identity, metric):
    metric[-1].update(id=identity, visible=False)
    return metric


def graph(title, *metrics, left=None, **more):
    """A graph over periods of five minutes, unless `more` says otherwise."""
    statistics = {metric[-1]["stat"] for metric in metrics if "stat" in metric[-1]}
    if len(statistics) == 1:
        # Once for all of them: the template may have 51,200 bytes.
        more = {"stat": statistics.pop(), **more}
        metrics = [[*metric[:-1], {key: it for key, it in metric[-1].items() if key != "stat"}] for metric in metrics]
    axis = {"yAxis": {"left": {"min": 0, **left}}} if left is not None else {}
    return {"type": "metric", "properties": {"title": title, "region": REGION, "metrics": abbreviated(metrics), **axis, **more}}


def abbreviated(metrics):
    """`.` stands for what the metric before has in the same place, as CloudWatch reads it."""
    short, before = [], []
    for metric in metrics:
        names = [part for part in metric if isinstance(part, str)]
        options = [part for part in metric if part and not isinstance(part, str)]
        same = [index < len(before) and before[index] == name for index, name in enumerate(names)]
        short.append(["." if is_same else name for is_same, name in zip(same, names)] + options)
        before = names or before
    return short


def percent(title, *metrics):
    return graph(title, *metrics, left={"max": 100, "label": "%"})


def logs(title, source, query, view="table"):
    return {"type": "log", "properties": {
        "title": title, "region": REGION, "view": view, "query": f"SOURCE '{source}' | {query}"}}


def text(markdown):
    return {"type": "text", "properties": {"markdown": markdown, "background": "transparent"}}


def variable(metric):
    """The jobs that have `metric` to choose from."""
    return [{
        "id": "job", "label": "job", "type": "pattern", "pattern": JOB, "inputType": "select", "visible": True,
        "defaultValue": "__FIRST", "populateFrom": "job_name",
        "search": f'{{"${{Namespace}}",${{ScopeName}},job_name}} MetricName="{metric}" ${{ScopeName}}="${{ScopeValue}}"',
    }]


ERRORS = 'filter severity in ["ERROR", "FATAL"]'
QUERIES = {
    "failed-runs": 'filter job_run_state = 1 and state = "failed" | '
                   "stats latest(@timestamp) as ended by job_name, run_id, app_id, engine | sort ended desc",
    "errors": f"{ERRORS} | fields @timestamp, component, executor_id, logger, exception_type, body | sort @timestamp desc | limit 200",
    "exceptions": "filter ispresent(exception_type) | stats count(*) as n, latest(@timestamp) as last by exception_type, component | sort n desc",
    "errors-by-executor": f"{ERRORS} | stats count(*) as n by executor_id, host | sort n desc",
    "errors-over-time": f"{ERRORS} | stats count(*) as n by bin(5m)",
    "loudest-loggers": "stats count(*) as n by logger, severity | sort n desc | limit 50",
    "one-stage": "filter stage_id = 0 | fields @timestamp, task_id, executor_id, severity, body | sort @timestamp asc",
    "one-trace": 'filter trace_id = "0" | fields @timestamp, span_id, component, executor_id, severity, body | sort @timestamp asc',
}

# Those that ask the events of metrics, not log records.
OF_METRICS = ["failed-runs"]

DONE = search("job_runs_total", "Sum", 3600, ("outcome", "succeeded"))
LOST = search("job_runs_total", "Sum", 3600, ("outcome", "failed"))
TOP = "SLICE(SORT({}, SUM, DESC), 0, 10)"

FLEET = [
    (4, [text("# Jobs of ${ScopeValue}\nWhich job failed, is late or costs much? Then: *spark-job* or *flink-job*, and choose it there. "
              "Runs of Spark before 4.3 end as *unknown*: it does not tell how."),
         {"type": "alarm", "properties": {"title": "Alarms", "alarms": [alarm_arn(name) for name, alarm in ALARMS.items() if "Condition" not in alarm]}}]),
    (6, [graph("Runs that ended", expression(f"SUM({DONE})", "succeeded", color="#2ca02c"), expression(f"SUM({LOST})", "failed", color="#d62728"),
               *[expression(f"SUM({search('job_runs_total', 'Sum', 3600, ('outcome', outcome))})", outcome) for outcome in ("killed", "unknown")],
               view="bar", period=3600, stat="Sum", setPeriodToTimeRange=True),
         percent("Success rate", expression(f"100 * SUM({DONE}) / (SUM({DONE}) + FILL(SUM({LOST}), 0))", "succeeded of all that ended well or badly")),
         graph("Failed tasks", of_jobs("job_task_failures_total", "Sum"), left={})]),
    (6, [graph("How long runs took (s)", of_jobs("job_run_duration_seconds", "Maximum", "outcome", 3600), left={}),
         graph("Age of what runs now (s)", of_jobs("job_run_age_seconds", "Maximum"), left={}),
         graph("Since the last success (s)", of_jobs("job_last_success_age_seconds", "Minimum"), left={})]),
    (6, [graph("Core hours of executors, the ten most", expression(TOP.format(search("spark_app_executor_core_seconds_total", "Sum", 3600)) + " / 3600", "${!PROP('Dim.job_name')}"), left={}),
         percent("Used share of the cores (Spark)", expression(
             f"100 * SUM({search('job_cpu_seconds_total', 'Sum')}) / SUM({search('spark_app_executor_core_seconds_total', 'Sum')})", "processor time of cores held")),
         graph("Skew: the slowest task against the median", of_jobs("spark_stage_skew_ratio", "Maximum"), left={})]),
    (6, [graph("Lag by the time of events (s)", of_jobs("job_lag_seconds", "Maximum", ("kind", "event_time")), left={}),
         graph("Age of the last checkpoint (s)", of_jobs("flink_checkpoint_age_seconds", "Maximum"), left={}),
         graph("Restarts (Flink)", of_jobs("flink_job_restarts_total", "Sum"), left={})]),
    (6, [graph("Cost of runs so far, by [pricing]", of_jobs("job_cost_estimate", "Maximum"), left={}),
         logs("Runs that failed", "${MetricsLogGroup}", QUERIES["failed-runs"])]),
]

STATE = graph("State", of_values("job_run_state", "Maximum", "state", 60), period=60, left={"max": 1}, stacked=True)

SPARK_JOB = [
    (5, [STATE,
         percent("Progress", expression("100 * m1", "of the tasks of running jobs"), hidden("m1", of_job("job_progress_ratio", "Maximum"))),
         graph("Age of the run (s)", of_job("job_run_age_seconds", "Maximum", label="now"), of_job("job_run_duration_seconds", "Maximum", ("outcome", "succeeded"), label="took when it succeeded"), left={})]),
    (6, [percent("Utilisation of the cores", expression("100 * m1 / m3", "processor"), expression("100 * m2 / m3", "tasks"),
                 hidden("m1", of_job("job_cpu_seconds_total", "Sum")), hidden("m2", of_job("job_task_seconds_total", "Sum")), hidden("m3", of_job("spark_app_executor_core_seconds_total", "Sum"))),
         graph("Slots", of_job("spark_app_slots", "Maximum", ("state", "busy"), label="busy"), of_job("spark_app_slots", "Maximum", ("state", "idle"), label="idle"), stacked=True, left={}),
         graph("Executors", *[of_job("spark_app_executors", "Maximum", ("state", state), label=state) for state in ("active", "dead", "excluded")], left={}),
         graph("Removed executors", of_values("spark_app_executors_removed_total", "Sum", "reason"), stacked=True, left={})]),
    (6, [graph("Skew: the slowest task against the median", of_job("spark_stage_skew_ratio", "Maximum", label="worst stage"), left={}),
         graph("Stages (s)", of_job("spark_stage_duration_seconds", "p50", label="median"), of_job("spark_stage_duration_seconds", "Maximum", label="longest"), left={}),
         graph("Failures", of_job("job_task_failures_total", "Sum", label="tasks"), of_job("spark_app_stage_retries_total", "Sum", label="stages again"), left={}),
         percent("Garbage collection", expression("100 * m1 / m2", "of the time of tasks"), hidden("m1", of_job("job_gc_seconds_total", "Sum")), hidden("m2", of_job("job_task_seconds_total", "Sum")))]),
    (6, [graph("Records", of_job("job_records_read_total", "Sum", label="read"), of_job("job_records_written_total", "Sum", label="written"), left={}),
         graph("Bytes", of_job("job_read_bytes_total", "Sum", label="read"), of_job("job_written_bytes_total", "Sum", label="written"), left={}),
         graph("Shuffle (bytes)", of_job("spark_stage_shuffle_read_bytes_total", "Sum", label="read"), of_job("spark_stage_shuffle_write_bytes_total", "Sum", label="written"), left={}),
         graph("Spilled (bytes)", *[of_job("spark_stage_spilled_bytes_total", "Sum", ("medium", medium), label=medium) for medium in ("memory", "disk")], left={})]),
    (6, [percent("Peak of the heap of executors", expression("100 * m1", "of its limit"), hidden("m1", of_job("spark_executor_heap_peak_ratio", "Maximum"))),
         graph("Peak memory (bytes)", of_job("spark_executor_rss_peak_bytes", "Maximum", label="executor, resident"), of_job("spark_driver_heap_peak_bytes", "Maximum", label="heap of the driver"), left={}),
         logs("Exceptions", f"/sidelight/spark/{JOB}", QUERIES["exceptions"])]),
    (7, [logs("Errors", f"/sidelight/spark/{JOB}", QUERIES["errors"])]),
]

FLINK_JOB = [
    (5, [STATE,
         graph("Uptime (s)", of_job("flink_job_uptime_seconds", "Minimum", label="since it runs"), left={}),
         graph("Restarts", of_job("flink_job_restarts_total", "Sum", label="restarts"), left={})]),
    (6, [graph("Age of the last checkpoint (s)", of_job("flink_checkpoint_age_seconds", "Maximum", label="age"), left={}),
         graph("How long checkpoints took (s)", of_job("flink_checkpoint_duration_seconds", "p50", label="median"), of_job("flink_checkpoint_duration_seconds", "Maximum", label="longest"), left={}),
         percent("Share of the interval that a checkpoint takes", expression("100 * m1", "of the interval"), hidden("m1", of_job("flink_checkpoint_interval_utilization_ratio", "Maximum"))),
         graph("Checkpoints", *[of_job("flink_checkpoints_total", "Sum", ("outcome", outcome), label=outcome) for outcome in ("completed", "failed")],
               of_job("flink_checkpoint_consecutive_failures", "Maximum", label="failed in a row"), left={})]),
    (6, [graph("Lag (s)", *[of_job("job_lag_seconds", "Maximum", ("kind", kind), label=kind) for kind in ("event_time", "processing")], left={}),
         graph("Records that wait in the source", of_job("job_lag_records", "Maximum", label="records"), left={}),
         percent("The worst vertex", expression("100 * m1", "busy"), expression("100 * m2", "backpressured"),
                 hidden("m1", of_job("flink_vertex_busy_ratio", "Maximum")), hidden("m2", of_job("flink_vertex_backpressured_ratio", "Maximum"))),
         graph("Skew: the hottest subtask against the average", of_job("flink_vertex_skew_ratio", "Maximum", label="worst vertex"), left={})]),
    (6, [graph("Records", of_job("job_records_read_total", "Sum", label="read"), of_job("job_records_written_total", "Sum", label="written"), left={}),
         graph("Bytes", of_job("job_read_bytes_total", "Sum", label="read"), of_job("job_written_bytes_total", "Sum", label="written"), left={}),
         graph("Records that are lost to the result", of_job("flink_vertex_late_records_dropped_total", "Sum", label="too late"), of_job("flink_sink_send_errors_total", "Sum", label="not sent"), left={}),
         logs("Exceptions", f"/sidelight/flink/{JOB}", QUERIES["exceptions"])]),
    (7, [logs("Errors", f"/sidelight/flink/{JOB}", QUERIES["errors"])]),
]

EMF_ERRORS = ("EMFValidationErrors", "EMFParsingErrors")
AGENT = [
    (6, [graph("Agents", expression("CEIL(m1 / 5)", "that said something"), hidden("m1", of_agents("sidelight_memory_bytes", "SampleCount")), left={}),
         graph("Memory of the largest (bytes)", of_agents("sidelight_memory_bytes", "Maximum", label="resident"), left={}),
         graph("Cores that all use", expression("m1 / PERIOD(m1)", "cores"), hidden("m1", of_agents("sidelight_cpu_seconds_total", "Sum")), left={}),
         percent("Time that the busiest source spends on us", expression("100 * m1", "of its time"), hidden("m1", of_agents("sidelight_scrape_busy_ratio", "Maximum")))]),
    (6, [graph("Not delivered yet, the most (bytes)", of_agents("sidelight_lag_bytes", "Maximum", label="of log files"), of_agents("sidelight_spool_bytes", "Maximum", label="in the spool"), left={}),
         graph("Given up", of_agents("sidelight_lost_bytes_total", "Sum", label="bytes not read"), of_agents("sidelight_lane_dropped_records_total", "Sum", label="records dropped"),
               of_agents("sidelight_dead_letters_total", "Sum", label="dead letters"), left={}),
         graph("A destination does not work", of_agents("sidelight_circuit_open", "Maximum", label="1: yes"), left={"max": 1}),
         graph("Records", of_agents("sidelight_records_total", "Sum", label="read"), left={})]),
    (6, [graph("Redacted", of_agents("sidelight_redactions_total", "Sum", label="findings"), of_agents("sidelight_redaction_failures_total", "Sum", label="lines hidden whole"), left={}),
         graph("Metrics that CloudWatch bills", expression("m1 * CEIL(m2 / 5)", "estimate"), hidden("m1", of_agents("sidelight_cloudwatch_metrics_estimate", "Average")), hidden("m2", of_agents("sidelight_memory_bytes", "SampleCount")), left={}),
         graph("Events that are no metrics", *[["AWS/Logs", name, "LogGroupName", "${MetricsLogGroup}", {"stat": "Sum"}] for name in EMF_ERRORS], left={})]),
    (6, [logs("Last word of each agent", "${MetricsLogGroup}", "stats latest(@timestamp) as last, count(*) as n by @logStream | sort last asc")]),
]

DASHBOARDS = {
    "fleet": {"start": "-P1D", "rows": FLEET},
    "spark-job": {"start": "-PT6H", "rows": SPARK_JOB, "variables": variable("spark_app_cores_granted")},
    "flink-job": {"start": "-PT6H", "rows": FLINK_JOB, "variables": variable("flink_job_uptime_seconds")},
    "agent": {"start": "-PT6H", "rows": AGENT},
}
