"""The start page: all jobs, which of them need somebody, and whether the agents are there."""

from source.dashboard import LOGS_SOURCE, METRICS_SOURCE, OWN_VARIABLES, TRACES_SOURCE, choice, dashboard
from source.panels import (
    GREEN, RED, STATES, YELLOW, bars, born_or_increased, link, query, series, stat, state_codes, steps, table, timeline,
)

RUNS = born_or_increased("job_runs_total{FLEET}")
FAILED = born_or_increased('job_runs_total{FLEET,outcome="failed"}')
TO_JOB = link("Spark job", "/d/sidelight-spark-job?var-job_name=${__data.fields.job_name}&${__url_time_range}")
TO_FLINK = link("Flink job", "/d/sidelight-flink-job?var-job_name=${__data.fields.job_name}&${__url_time_range}")
BAD_IF_ANY = steps(GREEN, (1, RED))

HEALTH = table(
    "Jobs",
    "One row per job. Empty where a job has no such number: a batch job has no lag, a job that never "
    "succeeded has no last success. A click on the name leads to the page of the job.",
    [
        ("Running", "none", 'sum by (job_name) (job_run_state{FLEET,state=~"starting|running|restarting"})', None),
        ("Failed runs", "none", f"sum by (job_name) ({FAILED})", BAD_IF_ANY),
        ("Last success", "s", "time() - max by (job_name) (job_last_success_timestamp_seconds{FLEET})", None),
        ("Runs for", "s", 'max by (job_name) ((time() - job_run_start_timestamp_seconds{FLEET}) and ignoring(state) '
                          '(job_run_state{FLEET,state="running"} == 1))', None),
        ("Mean duration", "s", "sum by (job_name) (job_run_duration_seconds_sum{FLEET}) / "
                               "sum by (job_name) (job_run_duration_seconds_count{FLEET})", None),
        ("Failed tasks", "none", "sum by (job_name) (increase(job_task_failures_total{FLEET}[$__range]))", BAD_IF_ANY),
        ("Skew", "none", 'max by (job_name) (spark_stage_skew_ratio{FLEET,dimension="duration"})',
         steps(GREEN, (3.2, YELLOW), (10, RED))),
        ("Lag", "s", "max by (job_name) (job_lag_seconds{FLEET})", steps(GREEN, (60, YELLOW), (180, RED))),
        ("Restarts", "none", "sum by (job_name) (increase(flink_job_restarts_total{FLEET}[$__range]))", BAD_IF_ANY),
    ],
    "job_name",
    height=11,
    links=[("job_name", TO_JOB), ("Restarts", TO_FLINK)],
)

DASHBOARD = dashboard(
    "fleet",
    "Fleet",
    "All jobs that agents of Sidelight observe: which run, which failed, which are slow, and where work is wasted.",
    [
        METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE,
        choice("engine", "Engine", "job_run_state"),
        choice("job_name", "Job", 'job_run_state{engine=~"$engine"}'),
        *OWN_VARIABLES,
    ],
    [
        ("Now", [
            stat("Runs now", "Runs of all jobs that are under way.", "none",
                 'sum(job_run_state{FLEET,state="running"})'),
            stat("Runs that ended", "Runs that ended in the time that is looked at, however they ended.", "none",
                 f"sum({RUNS}) or vector(0)", graph="none"),
            stat("Runs that failed", "Runs that failed in the time that is looked at.", "none",
                 f"sum({FAILED}) or vector(0)", BAD_IF_ANY, graph="none"),
            stat("Jobs restarting", "Flink jobs that are between two lives.", "none",
                 'sum(job_run_state{FLEET,state="restarting"})', BAD_IF_ANY),
            stat("Agents", "Agents that Prometheus reaches.", "none", "count(sidelight_info{OWN})"),
            stat("Agents down", "Targets of Prometheus that do not answer, of the chosen Prometheus jobs.", "none",
                 'count(up{OWN} == 0) or vector(0)', BAD_IF_ANY),
        ]),
        ("Jobs", [
            HEALTH,
            timeline("State of runs", "What every run was doing when. Unknown: it went away without saying how it ended.",
                     query(state_codes("FLEET"), "{{job_name}} {{slot}}"), STATES, height=8),
        ]),
        ("Runs and failures", [
            series("Runs by outcome, of the last hour", "Runs that ended within the hour before, by how they ended.", "none",
                   query("sum by (outcome) (" + born_or_increased("job_runs_total{FLEET}", "1h") + ")", "{{outcome}}"), stack=True),
            series("Failed task attempts", "Task attempts that failed, per second. Retries hide them from the result, not from the bill.",
                   "ops", query("sum by (job_name) (rate(job_task_failures_total{FLEET}[$__rate_interval]))", "{{job_name}}")),
            series("Records read", "What jobs take in. A fall without a reason is the first sign of trouble upstream.", "ops",
                   query("sum by (job_name) (rate(job_records_read_total{FLEET}[$__rate_interval]))", "{{job_name}}")),
            series("Lag", "How far streams are behind: by the time of events, and by the time at which they were fetched.", "s",
                   query("max by (job_name, kind) (job_lag_seconds{FLEET})", "{{job_name}} {{kind}}")),
            bars("Exceptions of Flink jobs", "The ten most frequent classes of exceptions that made Flink jobs fail.", "none",
                 query("topk(10, sum by (job_name, exception) (increase(flink_job_exceptions_total{FLEET}[$__range])))",
                       "{{job_name}}: {{exception}}")),
            bars("Executors lost", "Executors that Spark jobs lost, by reason. Idle ones went because they were not needed.", "none",
                 query('topk(10, sum by (job_name, reason) (increase(spark_app_executors_removed_total{FLEET,reason!="idle"}[$__range])))',
                       "{{job_name}}: {{reason}}")),
        ]),
        ("Waste", [
            bars("Idle task slots", "Share of the slots that a Spark job holds and does not use, now. Above one half it holds "
                 "twice what it needs.", "percentunit",
                 query('topk(10, sum by (job_name) (spark_app_slots{FLEET,state="idle"}) / '
                       "sum by (job_name) (spark_app_slots{FLEET}))", "{{job_name}}"), width=8, defaults={"max": 1}),
            bars("Garbage collection", "Share of the time of tasks that went into garbage collection.", "percentunit",
                 query("topk(10, sum by (job_name) (rate(job_gc_seconds_total{FLEET}[$__rate_interval])) / "
                       "(sum by (job_name) (rate(job_task_seconds_total{FLEET}[$__rate_interval])) > 0))", "{{job_name}}"), width=8),
            bars("Spilled to disk", "Bytes that Spark jobs wrote to disk because memory was short.", "bytes",
                 query('topk(10, sum by (job_name) (increase(spark_stage_spilled_bytes_total{FLEET,medium="disk"}[$__range])))',
                       "{{job_name}}"), width=8),
        ]),
        ("Agents", [
            series("Log records handed on", "Records that agents read, redacted and handed to their exporters.", "ops",
                   query("sum by (instance) (rate(sidelight_records_total{OWN}[$__rate_interval]))", "{{instance}}")),
            series("Records given up", "What agents could not keep: read the page of the agent. It should be zero.", "ops",
                   query("sum by (instance, exporter, reason) (rate(sidelight_lane_dropped_records_total{OWN}[$__rate_interval]))",
                         "{{instance}} {{exporter}} {{reason}}")),
        ]),
    ],
    with_job_links=True,
    since="now-24h",
)
