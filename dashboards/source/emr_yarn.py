"""What can be seen of an EMR or YARN cluster from the jobs that run on it. There is no scraper of YARN."""

from source.dashboard import LOGS_SOURCE, METRICS_SOURCE, OWN_VARIABLES, TRACES_SOURCE, choice, dashboard
from source.panels import GREEN, RED, bars, born_or_increased, query, series, stat, steps, table, text

BAD_IF_ANY = steps(GREEN, (1, RED))
LOST = 'spark_app_executors_removed_total{FLEET,reason=~"preempted|decommission|lost|oom|heartbeat"}'

DASHBOARD = dashboard(
    "emr-yarn",
    "EMR and YARN",
    "What the jobs of a cluster hold of it, and what it takes away from them.",
    [
        METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE,
        choice("engine", "Engine", "job_run_state"), choice("job_name", "Job", 'job_run_state{engine=~"$engine"}'),
        *OWN_VARIABLES,
    ],
    [
        ("Now", [
            text("What this page does not have", "The limits of this page.",
                 "The agent does not ask YARN's ResourceManager yet. Queues, pending containers, unhealthy nodes, HDFS, spot "
                 "notices and steps are **not** here: look at the ResourceManager, or at CloudWatch's `AWS/ElasticMapReduce`. "
                 "Below is what jobs themselves hold and lose.", width=8, height=4),
            stat("Jobs running", "Runs of all jobs that are under way.", "none", 'sum(job_run_state{FLEET,state="running"})'),
            stat("Cores held", "Cores of the executors of all Spark jobs.", "none", "sum(spark_app_cores_granted{FLEET})"),
            stat("Slots idle", "Share of the task slots of Spark jobs that nobody uses.", "percentunit",
                 'sum(spark_app_slots{FLEET,state="idle"}) / sum(spark_app_slots{FLEET})', steps(GREEN, (0.5, RED))),
            stat("Executors taken", "Executors that were preempted, decommissioned or lost in the time that is looked at.", "none",
                 f"sum(increase({LOST}[$__range]))", BAD_IF_ANY),
        ]),
        ("What jobs hold", [
            series("Cores by job", "Cores of the executors that live.", "none",
                   query("sum by (job_name) (spark_app_cores_granted{FLEET})", "{{job_name}}"), stack=True),
            series("Memory by job", "Bytes of executor memory that a job holds, as its resource profile says.", "bytes",
                   query("sum by (job_name) (rate(spark_app_executor_memory_byte_seconds_total{FLEET}[$__rate_interval]))",
                         "{{job_name}}"), stack=True),
            series("Slots busy and idle", "Task slots of all Spark jobs.", "none",
                   query("sum by (state) (spark_app_slots{FLEET})", "{{state}}"), stack=True),
            series("Flink slots", "Task slots of Flink clusters.", "none",
                   query("sum by (state) (flink_slots)", "{{state}}"), stack=True),
        ]),
        ("What the cluster takes away", [
            bars("Executors lost by reason", "Preempted: another queue wanted the room. Decommission: a node leaves, often a spot "
                 "node. Oom: the container was killed for its memory.", "none",
                 query(f"sum by (reason) (increase({LOST}[$__range]))", "{{reason}}")),
            series("Executors lost over time", "The same, within the last minutes, by job.", "none",
                   query(f"sum by (job_name, reason) (increase({LOST}[$__rate_interval]))", "{{job_name}} {{reason}}")),
            series("Executors that came", "Churn of executors costs start-up time.", "none",
                   query("sum by (job_name) (increase(spark_app_executors_added_total{FLEET}[$__rate_interval]))", "{{job_name}}")),
            series("TaskManagers", "Registered TaskManagers of Flink clusters, and those that get no new tasks.", "none", [
                query("sum(flink_taskmanagers)", "registered"), query("sum(flink_taskmanagers_blocked)", "blocked")]),
        ]),
        ("Runs", [
            table("Runs by job", "How runs of each job ended, in the time that is looked at.", [
                ("Succeeded", "none", "sum by (job_name) (" + born_or_increased('job_runs_total{FLEET,outcome="succeeded"}') + ")", None),
                ("Failed", "none", "sum by (job_name) (" + born_or_increased('job_runs_total{FLEET,outcome="failed"}') + ")", BAD_IF_ANY),
                ("Killed", "none", "sum by (job_name) (" + born_or_increased('job_runs_total{FLEET,outcome="killed"}') + ")", None),
                ("Not known", "none", "sum by (job_name) (" + born_or_increased('job_runs_total{FLEET,outcome="unknown"}') + ")", None),
            ], "job_name", height=8),
        ]),
        ("Agents of the nodes", [
            series("Bytes not delivered yet", "What agents have still to read and deliver, by node.", "bytes",
                   query("max by (instance) (sidelight_lag_bytes{OWN})", "{{instance}}")),
            series("Memory of agents", "Resident memory of agents, by node.", "bytes",
                   query("max by (instance) (sidelight_memory_bytes{OWN})", "{{instance}}")),
        ]),
    ],
    with_job_links=True,
    since="now-24h",
)
