"""Rules about runs of jobs, the same for Spark and Flink."""

from source.panels import born_or_increased
from source.rules import alert, case, record

JOB = {"engine": "spark", "job_name": "nightly-orders"}
RUN = {**JOB, "slot": "0"}
OF = 'engine="spark",job_name="nightly-orders"'
AT = 'job="sidelight",instance="a:9779"'
ENDED = f"job_runs_total{{{AT},{OF},outcome=\"%s\"}}"
STATE = f"job_run_state{{{AT},{OF},slot=\"0\",state=\"%s\"}}"

RECORDED = [
    record("job:runs:increase6h", f'sum by (engine, job_name, outcome) ({born_or_increased("job_runs_total", "6h")})'),
    record(
        "job:run_duration_seconds:mean14d",
        'sum by (engine, job_name) (max_over_time(job_run_duration_seconds_sum{outcome="succeeded"}[14d])) / '
        '(sum by (engine, job_name) (max_over_time(job_run_duration_seconds_count{outcome="succeeded"}[14d])) >= 3)',
    ),
    record(
        "job:idle_slots:ratio",
        'sum by (engine, job_name) (spark_app_slots{state="idle"}) / (sum by (engine, job_name) (spark_app_slots) > 0)',
    ),
    record(
        "job:gc:ratio10m",
        "sum by (engine, job_name) (rate(spark_app_executor_gc_seconds_total[10m])) / "
        "(sum by (engine, job_name) (rate(spark_app_task_seconds_total[10m])) > 0)",
    ),
    record(
        "job:failed_tasks:ratio10m",
        'sum by (engine, job_name) (rate(spark_app_tasks_total{outcome="failed"}[10m])) / '
        '(sum by (engine, job_name) (rate(spark_app_tasks_total{outcome=~"succeeded|failed"}[10m])) > 0)',
    ),
]

ALERTS = [
    alert(
        "JobFailed", "page", "job-team", "",
        'max by (engine, job_name, slot, app_id, run_id) ((job_run_state{state="failed"} == 1) '
        "* on (job, instance, engine, job_name, slot) group_left (app_id, run_id) job_run_info)",
        "{{ $labels.job_name }} failed",
        "Run {{ $labels.run_id }} of the {{ $labels.engine }} job {{ $labels.job_name }} ({{ $labels.app_id }}) ended with failure. "
        "Likely cause: the last exception in its log.",
        "A run of the job ended and said that it failed: Spark by its exit code, Flink by its state. The alert goes away by itself when "
        "the agent forgets the run, five minutes later; that does not mean that it is mended.",
        ["The last ERROR lines of the run: Logs on the page of the job, or `sidelight analyze` on the event log.",
         "Whether it failed before: JobFailingRepeatedly, and Runs on the page of the job.",
         "Failed tasks and lost executors of the last minutes, on the page of the job."],
        case({**RUN, "app_id": "application_1_0007", "run_id": "r-7"}, "1",
             {STATE % "failed": "0x30 1x60", f'job_run_info{{{AT},{OF},slot="0",app_id="application_1_0007",run_id="r-7"}}': "1x90"},
             {STATE % "failed": "0x90", STATE % "succeeded": "1x90",
              f'job_run_info{{{AT},{OF},slot="0",app_id="application_1_0007",run_id="r-7"}}': "1x90"}),
    ),
    alert(
        "JobFailingRepeatedly", "page", "job-team", "",
        'job:runs:increase6h{outcome="failed"} >= 3 unless on (engine, job_name) job:runs:increase6h{outcome="succeeded"} > 0',
        "{{ $labels.job_name }} failed {{ $value | printf \"%.0f\" }} times in 6 hours",
        "No run of {{ $labels.job_name }} succeeded within 6 hours, {{ $value | printf \"%.0f\" }} failed. Likely cause: not a passing "
        "fault but its code, its input or its rights.",
        "Three runs or more failed within six hours and none succeeded. Trying again will not help.",
        ["What changed since the last success: code, config, schema of the input, credentials.",
         "Whether all runs fail at the same place: compare their last exceptions.",
         "Whether other jobs of the same cluster fail too: the page Fleet."],
        case({**JOB, "outcome": "failed"}, "4",
             # The first failure begins the counter, three follow.
             {ENDED % "failed": "_x10 1x20 2x20 3x20 4x60"},
             {ENDED % "failed": "_x10 1x20 2x20 3x20 4x60", ENDED % "succeeded": "_x20 1x120"}, at="2h",
             # 900 failures that Prometheus finds at its start are old ones, and the second life counts its own.
             reset={ENDED % "failed": "900x60 0x20 1x60"}),
    ),
    alert(
        "JobNotSucceededLately", "page", "job-team", "5m",
        "time() - max by (engine, job_name) (last_over_time(job_last_success_timestamp_seconds[7d])) > 93600",
        "{{ $labels.job_name }} has not succeeded for {{ $value | humanizeDuration }}",
        "The last success of {{ $labels.job_name }} is {{ $value | humanizeDuration }} ago. Likely cause: its runs fail, hang, or are not "
        "started at all.",
        "The job succeeded once within the last week, and then not for 26 hours, which is a day and some slack. For jobs that run more "
        "or less often change the number, for example by a rule of its own with another job_name.",
        ["Whether it was started: the scheduler.", "Whether a run hangs: Runs for, on the page of the job.",
         "Whether it fails: JobFailed and JobFailingRepeatedly."],
        # The epoch of a test is 0: the last success is at second 60, and 27 hours are 97200 s.
        case(JOB, "1d 2h 59m 0s", {f"job_last_success_timestamp_seconds{{{AT},{OF}}}": "60x1700"},
             {f"job_last_success_timestamp_seconds{{{AT},{OF}}}": "36000x1700"}, at="27h"),
    ),
    alert(
        "JobSlowerThanUsual", "ticket", "job-team", "5m",
        "max by (engine, job_name, slot) ((time() - job_run_start_timestamp_seconds) and ignoring (state) "
        '(job_run_state{state="running"} == 1)) > on (engine, job_name) group_left () 1.5 * job:run_duration_seconds:mean14d',
        "{{ $labels.job_name }} has been running for {{ $value | humanizeDuration }}",
        "This run of {{ $labels.job_name }} has taken {{ $value | humanizeDuration }} by now, half as much again as successful runs of the "
        "last two weeks. Likely cause: more data, skew, or executors that it does not get.",
        "A run is under way for more than one and a half times the mean of successful runs. It needs three of them to compare with.",
        ["Records read against the days before, on the page of the job.", "Skew and task slots on the page of the job.",
         "Whether it gets its executors: Cores, and the queue of the cluster."],
        case(RUN, "1h 0m 0s",
             {f'job_run_start_timestamp_seconds{{{AT},{OF},slot="0"}}': "0x90", STATE % "running": "1x90",
              f'job_run_duration_seconds_sum{{{AT},{OF},outcome="succeeded"}}': "4000x90",
              f'job_run_duration_seconds_count{{{AT},{OF},outcome="succeeded"}}': "4x90"},
             # The same run of a job that takes 50 minutes as a rule.
             {f'job_run_start_timestamp_seconds{{{AT},{OF},slot="0"}}': "0x90", STATE % "running": "1x90",
              f'job_run_duration_seconds_sum{{{AT},{OF},outcome="succeeded"}}': "12000x90",
              f'job_run_duration_seconds_count{{{AT},{OF},outcome="succeeded"}}': "4x90"},
             # What the first life of the agent counted is still what to compare with.
             reset={f'job_run_start_timestamp_seconds{{{AT},{OF},slot="0"}}': "0x20 _x5 0x90", STATE % "running": "1x20 _x5 1x90",
                    f'job_run_duration_seconds_sum{{{AT},{OF},outcome="succeeded"}}': "12000x20",
                    f'job_run_duration_seconds_count{{{AT},{OF},outcome="succeeded"}}': "4x20"}),
    ),
    alert(
        "JobSilent", "ticket", "job-team", "5m",
        'max by (engine, job_name, instance) (job_run_state{state="running"} == 1) and on (instance) '
        "(sum by (instance) (increase(sidelight_records_total[15m])) == 0) and on (instance) (sum by (instance) (sidelight_files) > 0)",
        "{{ $labels.job_name }} runs and says nothing",
        "{{ $labels.job_name }} is running, and for 15 minutes no line came from the logs that the agent {{ $labels.instance }} reads. Likely "
        "cause: it hangs, or logs elsewhere.",
        "The engine says that the job runs, the agent knows its log files, and nothing was written to them for 15 minutes.",
        ["What its tasks do: task slots on the page of the job. Busy slots and no progress are a task that hangs.",
         "A thread dump of the driver, from the UI of the engine.",
         "Whether the log went elsewhere: sidelight_files by state, and the log configuration of the job."],
        case({**JOB, "instance": "a:9779"}, "1",
             {STATE % "running": "1x90", f"sidelight_records_total{{{AT}}}": "500x90", f'sidelight_files{{{AT},state="active"}}': "2x90"},
             {STATE % "running": "1x90", f"sidelight_records_total{{{AT}}}": "500+1x90", f'sidelight_files{{{AT},state="active"}}': "2x90"}),
    ),
]
