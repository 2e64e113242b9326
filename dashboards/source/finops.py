"""What jobs cost, at prices that the reader fills in, and where that money is wasted."""

from source.dashboard import METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE, choice, dashboard, number
from source.panels import GREEN, RED, YELLOW, bars, query, series, stat, steps, table, text

RANGE, RATE = "[$__range]", "[$__rate_interval]"
GIB = "1073741824"


def cost(window, kind="increase", by=" by (job_name)"):
    """Money for cores and memory of executors: seconds times price per hour / 3600."""
    cores = f"sum{by} ({kind}(spark_app_executor_core_seconds_total{{FLEET}}{window}))"
    memory = f"sum{by} ({kind}(spark_app_executor_memory_byte_seconds_total{{FLEET}}{window}))"
    return f"({cores} * $core_hour + {memory} / {GIB} * $gib_hour) / 3600"


IDLE = (f"clamp_min(sum by (job_name) (increase(spark_app_executor_core_seconds_total{{FLEET}}{RANGE})) - "
        f"sum by (job_name) (increase(spark_app_task_seconds_total{{FLEET}}{RANGE})), 0) * $core_hour / 3600")
IDLE_SHARE = (f"clamp_min(1 - sum(increase(spark_app_task_seconds_total{{FLEET}}{RANGE})) / "
              f"(sum(increase(spark_app_executor_core_seconds_total{{FLEET}}{RANGE})) > 0), 0)")
GC = f"sum by (job_name) (increase(spark_app_executor_gc_seconds_total{{FLEET}}{RANGE})) * $core_hour / 3600"
READ = f"sum by (job_name) (increase(job_read_bytes_total{{FLEET}}{RANGE}))"
RECORDS = f"sum by (job_name) (increase(job_records_read_total{{FLEET}}{RANGE}))"

SAVINGS = table(
    "What to change first",
    "One row per job, with the share that each setting would act upon. Idle: spark.dynamicAllocation.enabled, or fewer executors. "
    "Heap below 0.5: less spark.executor.memory. Garbage collection above 0.1: more of it. Skew: another key, or AQE.",
    [
        ("Cost", "currencyUSD", cost(RANGE), None),
        ("Idle cores", "currencyUSD", IDLE, None),
        ("Garbage collection", "currencyUSD", GC, None),
        ("Peak heap", "percentunit", 'max by (job_name) (spark_executor_heap_peak_ratio{FLEET,stat="max"})', None),
        ("Skew", "none", 'max by (job_name) (spark_stage_skew_ratio{FLEET,dimension="duration"})',
         steps(GREEN, (3.2, YELLOW), (10, RED))),
        ("Spilled", "bytes", f'sum by (job_name) (increase(spark_stage_spilled_bytes_total{{FLEET,medium="disk"}}{RANGE}))', None),
        ("Failed tasks", "none", f"sum by (job_name) (increase(job_task_failures_total{{FLEET}}{RANGE}))", None),
    ],
    "job_name",
)

DASHBOARD = dashboard(
    "finops",
    "FinOps",
    "What Spark jobs hold of processors and memory, in money at the prices that are filled in above, and what of it is wasted.",
    [
        METRICS_SOURCE, LOGS_SOURCE, TRACES_SOURCE,
        choice("engine", "Engine", "job_run_state"), choice("job_name", "Job", 'job_run_state{engine=~"$engine"}'),
        number("core_hour", "Price of a core for an hour", "0.05"),
        number("gib_hour", "Price of a GiB for an hour", "0.006"),
    ],
    [
        ("Now", [
            text("Whose prices", "Where the prices come from.",
                 "The agent knows no prices: **fill in** what a core and a GiB of memory cost you for an hour. Everything here is "
                 "executor time times these two; storage, traffic, drivers, Flink and the fee of EMR are not in it.",
                 width=8, height=4),
            stat("Cost", "Of all chosen jobs in the time that is looked at.", "currencyUSD", cost(RANGE, by=""), graph="none"),
            stat("Cost of an hour", "What the executors that live now cost in an hour.", "currencyUSD",
                 cost(RATE, "rate", "").replace("/ 3600", "")),
            stat("Idle share", "Share of the core time in which no task ran.", "percentunit", IDLE_SHARE,
                 steps(GREEN, (0.3, YELLOW), (0.5, RED)), graph="none"),
            stat("Core hours", "Hours of cores that executors held.", "none",
                 f"sum(increase(spark_app_executor_core_seconds_total{{FLEET}}{RANGE})) / 3600", graph="none"),
        ]),
        ("Spend", [
            bars("Cost by job", "In the time that is looked at.", "currencyUSD", query(f"topk(15, {cost(RANGE)})", "{{job_name}}")),
            series("Cost of an hour by job", "What it costs while it runs.", "currencyUSD",
                   query(cost(RATE, "rate").replace("/ 3600", ""), "{{job_name}}"), stack=True),
            series("Against a week before", "Cost of the last day, and of the same day of the week before.", "currencyUSD", [
                query(cost("[1d]", by=""), "last day"),
                query(cost("[1d] offset 7d", by=""), "a week before")]),
            bars("Cost of a GiB read", "Money for each GiB that the job read.", "currencyUSD",
                 query(f"topk(15, ({cost(RANGE)}) / ({READ} > 0) * {GIB})", "{{job_name}}"), defaults={"decimals": 4}),
            bars("Cost of a million records", "Money for each million records that the job read.", "currencyUSD",
                 query(f"topk(15, ({cost(RANGE)}) / ({RECORDS} > 0) * 1e6)", "{{job_name}}"), defaults={"decimals": 4}),
        ]),
        ("Waste", [
            SAVINGS,
            bars("Idle cores", "Core time in which no task ran, in money.", "currencyUSD", query(f"topk(15, {IDLE})", "{{job_name}}")),
            bars("Garbage collection", "Time of tasks that went into it, in money.", "currencyUSD", query(f"topk(15, {GC})", "{{job_name}}")),
            bars("Memory that nobody uses", "Share of the heap that even the fullest executor never used.", "percentunit",
                 query('topk(15, 1 - max by (job_name) (spark_executor_heap_peak_ratio{FLEET,stat="max"}))', "{{job_name}}"),
                 defaults={"max": 1}),
            bars("Failed tasks", "Task attempts that failed: work that was paid and thrown away.", "none",
                 query(f"topk(15, sum by (job_name) (increase(job_task_failures_total{{FLEET}}{RANGE})))", "{{job_name}}")),
        ]),
    ],
    with_job_links=True,
    since="now-24h",
)
