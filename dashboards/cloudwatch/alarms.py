"""The alarms. One alarm is for all jobs, also for those that come later: each job is a contributor of its own.

Such an alarm asks CloudWatch with a query, which sees the last three hours. Why each treats missing data as it
does stands beside it and in the template.
"""
from topic import TAGS, TOPIC_ARN


def alarm_name(name):
    return "sidelight-${ScopeValue}-" + name


def alarm_arn(name):
    return "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:" + alarm_name(name)


def alarm(name, description, missing, why, threshold, operator="GreaterThanThreshold", periods=1, condition=None, **what):
    return {
        "Type": "AWS::CloudWatch::Alarm",
        **({"Condition": condition} if condition else {}),
        "Why": why,
        "Properties": {
            "AlarmName": {"Fn::Sub": alarm_name(name)},
            "AlarmDescription": {"Fn::Sub": description} if "${" in description else description,
            "AlarmActions": [TOPIC_ARN],
            "OKActions": [TOPIC_ARN],
            "ComparisonOperator": operator,
            "Threshold": threshold,
            "EvaluationPeriods": periods,
            "TreatMissingData": missing,
            "Tags": TAGS,
            **what,
        },
    }


def of_each_job(statistic, metric, period, extra=None):
    """A query over one metric with one series for each job."""
    dimensions = ", ".join(["${ScopeName}", "job_name"] + ([extra[0]] if extra else []))
    where = "${ScopeName} = '${ScopeValue}'" + (f" AND {extra[0]} = '{extra[1]}'" if extra else "")
    text = (f'SELECT {statistic}({metric}) FROM SCHEMA("${{Namespace}}", {dimensions}) '
            f"WHERE {where} GROUP BY job_name ORDER BY {statistic}() DESC")
    return {"Metrics": [{"Id": "jobs", "Expression": {"Fn::Sub": text}, "Period": period, "ReturnData": True}]}


def of_agents(expression, period, *stats):
    """Math over metrics of all agents of the scope."""
    return {"Metrics": [
        {"Id": "result", "Expression": expression, "ReturnData": True},
        *({
            "Id": f"m{index}",
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": {"Ref": "Namespace"},
                    "MetricName": metric,
                    "Dimensions": [{"Name": {"Ref": "ScopeName"}, "Value": {"Ref": "ScopeValue"}}],
                },
                "Period": period,
                "Stat": stat,
            },
        } for index, (stat, metric) in enumerate(stats, 1)),
    ]}


AFTER_THE_END = "a job that has ended says nothing, and is well"

ALARMS = {
    "failed-run": alarm(
        "failed-run", "A run failed. Runs of which the engine does not tell the end (Spark before 4.3) are not seen.",
        "notBreaching", AFTER_THE_END, 0, **of_each_job("SUM", "job_runs_total", 300, ("outcome", "failed"))),
    "long-run": alarm(
        "long-run", "A run is older than ${LongRunSeconds} s. The age of a stream grows as well: use 0 there.",
        "notBreaching", AFTER_THE_END, {"Ref": "LongRunSeconds"}, condition="HasLongRuns",
        **of_each_job("MAX", "job_run_age_seconds", 300)),
    "no-success": alarm(
        "no-success", "No run has succeeded for ${SuccessAgeSeconds} s.",
        "ignore", "a daemon that restarts knows no end of a run yet; that is no success", {"Ref": "SuccessAgeSeconds"},
        condition="HasSuccessAge", **of_each_job("MAX", "job_last_success_age_seconds", 300)),
    "task-failures": alarm(
        "task-failures", "More than ${TaskFailures} tasks of a job failed in 15 minutes: lost executors, bad records.",
        "notBreaching", AFTER_THE_END, {"Ref": "TaskFailures"}, **of_each_job("SUM", "job_task_failures_total", 900)),
    "flink-restarts": alarm(
        "flink-restarts", "A Flink job restarted three times or more in 15 minutes: it will not get far.",
        "notBreaching", AFTER_THE_END, 3, "GreaterThanOrEqualToThreshold",
        **of_each_job("SUM", "flink_job_restarts_total", 900)),
    "stale-checkpoint": alarm(
        "stale-checkpoint", "The last checkpoint of a Flink job is older than ${CheckpointAgeSeconds} s: a restart does all since again.",
        "missing", "a JobManager that is gone has not made a checkpoint, so that is no OK; a job that was cancelled is no alarm",
        {"Ref": "CheckpointAgeSeconds"}, periods=2, **of_each_job("MAX", "flink_checkpoint_age_seconds", 60)),
    "lag": alarm(
        "lag", "A job is more than ${LagSeconds} s behind the events that it reads.",
        "missing", "a job that reads nothing tells no lag: neither better nor worse", {"Ref": "LagSeconds"}, periods=3,
        **of_each_job("MAX", "job_lag_seconds", 60, ("kind", "event_time"))),
    "cost-spike": alarm(
        "cost-spike", "Executors of a job held more than ${CoreSecondsPerHour} core seconds in an hour. Also: SpendUsd.",
        "notBreaching", AFTER_THE_END, {"Ref": "CoreSecondsPerHour"},
        **of_each_job("SUM", "spark_app_executor_core_seconds_total", 3600)),
    "run-cost": alarm(
        "run-cost", "A run has cost more than ${RunCost} so far.", "notBreaching", AFTER_THE_END, {"Ref": "RunCost"},
        condition="HasRunCost", **of_each_job("MAX", "job_cost_estimate", 300)),
    "agent-silent": alarm(
        "agent-silent", "Fewer than ${AgentsMin} agents say anything: jobs run unseen.",
        "breaching", "silence is what this is about", {"Ref": "AgentsMin"}, "LessThanThreshold", 2, condition="HasAgents",
        # Each says it once a minute, so five times in a period, or four.
        **of_agents("CEIL(m1 / 5)", 300, ("SampleCount", "sidelight_memory_bytes"))),
    "agent-losing": alarm(
        "agent-losing", "Agents gave up logs: files that went before they were read, full queues, refused records.",
        "notBreaching", "agents that do not run lose nothing; whether they run is another alarm", 0,
        **of_agents("FILL(m1, 0) + FILL(m2, 0) + FILL(m3, 0)", 300, ("Sum", "sidelight_lost_bytes_total"),
                    ("Sum", "sidelight_lane_dropped_records_total"), ("Sum", "sidelight_dead_letters_total"))),
    "agent-blocked": alarm(
        "agent-blocked", "A destination of an agent has not worked for 15 minutes; logs wait on its disk.",
        "notBreaching", "agents that do not run wait for nothing", 1, "GreaterThanOrEqualToThreshold", 3,
        **of_agents("m1", 300, ("Maximum", "sidelight_circuit_open"))),
}
