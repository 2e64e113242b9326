"""The agents themselves: what they read, deliver, keep, lose, and cost."""

from source.dashboard import METRICS_SOURCE, OWN_VARIABLES, dashboard
from source.panels import GREEN, RED, YELLOW, bars, query, series, stat, steps

BAD_IF_ANY = steps(GREEN, (1, RED))
RATE = "[$__rate_interval]"


def rate(metric, by="instance"):
    """Sum of the rate of a counter, by labels."""
    return f"sum by ({by}) (rate({metric}{{OWN}}{RATE}))"


def grown(metric, by="instance"):
    """How much a counter grew within the last minutes."""
    return f"sum by ({by}) (increase({metric}{{OWN}}{RATE}))"


NOW = [
    stat("Agents", "Agents that Prometheus reaches.", "none", "count(sidelight_info{OWN})"),
    stat("Agents down", "Targets that do not answer.", "none", "count(up{OWN} == 0) or vector(0)", BAD_IF_ANY),
    stat("Not delivered yet", "Bytes of logs that are not read and delivered yet.", "bytes", "sum(sidelight_lag_bytes{OWN})"),
    stat("Given up", "Records, samples and spans that lanes gave up in the time that is looked at.", "none",
         "sum(increase(sidelight_lane_dropped_records_total{OWN}[$__range])) or vector(0)", BAD_IF_ANY),
    stat("Lost bytes", "Bytes of logs that were gone before they were read.", "bytes",
         "sum(increase(sidelight_lost_bytes_total{OWN}[$__range]))", BAD_IF_ANY),
    stat("Destinations down", "Lanes whose last delivery failed.", "none", "sum(sidelight_circuit_open{OWN})", BAD_IF_ANY),
]
READING = [
    series("Bytes read", "From log files.", "Bps", query(rate("sidelight_read_bytes_total"), "{{instance}}")),
    series("Records", "Read, redacted and handed to the exporters; and those that the policy keeps back.", "ops", [
        query(rate("sidelight_records_total"), "{{instance}}"),
        query(rate("sidelight_records_dropped_total", "instance, reason"), "{{instance}} dropped: {{reason}}")]),
    series("Lag", "Bytes that are not read and delivered yet. It should fall back to nothing.", "bytes",
           query("max by (instance) (sidelight_lag_bytes{OWN})", "{{instance}}")),
    series("Files", "Log files that the agents know, by state.", "none", query("sum by (state) (sidelight_files{OWN})", "{{state}}"), stack=True),
    series("Rotations and replacements", "Files that were renamed, truncated or written anew, within the last minutes.", "none", [
        query(grown("sidelight_rotations_total"), "{{instance}} rotated"),
        query(grown("sidelight_files_replaced_total", "instance, reason"), "{{instance}} {{reason}}")]),
    series("Trouble with files", "Failed attempts to open or read, and bytes given up, within the last minutes.", "none", [
        query(grown("sidelight_file_errors_total", "instance, reason"), "{{instance}} {{reason}}"),
        query(grown("sidelight_lost_bytes_total", "instance, reason"), "{{instance}} lost: {{reason}}"),
        query(grown("sidelight_hole_bytes_total"), "{{instance}} bytes of holes")]),
    series("Record size", "Mean bytes of a record after redaction.", "bytes",
           query(f'{rate("sidelight_record_bytes_total")} / ({rate("sidelight_records_total")} > 0)', "{{instance}}")),
    series("Records cut", "Parts into which records longer than tail.record_bytes_max were cut.", "none",
           query(grown("sidelight_records_truncated_total"), "{{instance}}")),
]
DELIVERY = [
    series("Delivered", "Log records, samples and spans that destinations have.", "ops",
           query(rate("sidelight_exported_records_total", "exporter, signal"), "{{exporter}} {{signal}}")),
    series("Attempts", "Attempts to deliver a batch, by outcome.", "ops",
           query(f'{rate("sidelight_exports_total", "exporter, outcome")} > 0', "{{exporter}} {{outcome}}")),
    series("Failing share", "Share of attempts that failed.", "percentunit",
           query(f'sum by (exporter) (rate(sidelight_exports_total{{OWN,outcome!="ok"}}{RATE})) / '
                 f'(sum by (exporter) (rate(sidelight_exports_total{{OWN}}{RATE})) > 0)', "{{exporter}}"), maximum=1,
           defaults={"thresholds": steps(GREEN, (0.1, RED))}),
    series("Queues", "Batches that wait in memory.", "none",
           query("sum by (exporter, signal) (sidelight_queue_batches{OWN})", "{{exporter}} {{signal}}")),
    series("Circuits", "1 while the last delivery failed and batches wait or go to the spool.", "none",
           query("max by (instance, exporter, signal) (sidelight_circuit_open{OWN})", "{{instance}} {{exporter}} {{signal}}")),
    series("Spool", "Bytes on disk that wait for their destination.", "bytes",
           query("sum by (instance, exporter) (sidelight_spool_bytes{OWN})", "{{instance}} {{exporter}}")),
    series("Into and out of the spool", "Batches that were put aside, and that were delivered later.", "none", [
        query(grown("sidelight_spooled_batches_total", "exporter"), "{{exporter}} in"),
        query(grown("sidelight_spool_drained_batches_total", "exporter"), "{{exporter}} out")]),
    series("Given up", "Records, samples and spans, by reason, within the last minutes.", "none",
           query(grown("sidelight_lane_dropped_records_total", "exporter, reason"), "{{exporter}} {{reason}}")),
    series("Dead letters", "Records that a destination refused for good. `sidelight dlq list` shows them.", "none", [
        query(grown("sidelight_dead_letters_total", "exporter"), "{{exporter}} came"),
        query("sum by (exporter) (sidelight_dead_letters_bytes{OWN})", "{{exporter}} bytes kept")]),
    series("Parked", "Records that wait for a target, such as a log group, which takes nothing until somebody mends it.", "none", [
        query("sum by (exporter) (sidelight_parked_targets{OWN})", "{{exporter}} targets"),
        query("sum by (exporter) (sidelight_parked_records{OWN})", "{{exporter}} records")]),
]
DESTINATIONS = [
    series("CloudWatch requests", "Of PutLogEvents, by outcome.", "ops",
           query(f'{rate("sidelight_cloudwatch_requests_total", "outcome")} > 0', "{{outcome}}")),
    series("CloudWatch metrics billed", "Metrics that CloudWatch got in the last hour and bills for.", "none",
           query("sum by (instance) (sidelight_cloudwatch_metrics_estimate{OWN})", "{{instance}}")),
    series("OTLP requests", "By signal and outcome.", "ops",
           query(f'{rate("sidelight_otlp_requests_total", "signal, outcome")} > 0', "{{signal}} {{outcome}}")),
    series("Archive on S3", "Uploads by outcome.", "none",
           query(f'{grown("sidelight_s3_uploads_total", "outcome")} > 0', "{{outcome}}")),
    series("Bytes sent", "To CloudWatch, to receivers of OTLP before compression, and to S3 compressed.", "Bps", [
        query(rate("sidelight_cloudwatch_sent_bytes_total"), "CloudWatch {{instance}}"),
        query(rate("sidelight_otlp_sent_bytes_total", "signal"), "OTLP {{signal}}"),
        query(rate("sidelight_s3_sent_bytes_total"), "S3 {{instance}}")]),
    series("Staged for S3", "Bytes on disk that wait to become objects.", "bytes",
           query("sum by (instance) (sidelight_s3_staged_bytes{OWN})", "{{instance}}")),
]
SCRAPING = [
    series("Requests", "To Spark and Flink, by outcome.", "ops",
           query(f'{rate("sidelight_scrapes_total", "source, outcome")} > 0', "{{source}} {{outcome}}")),
    series("Answer time", "Mean time that a source took to answer.", "s",
           query(f'{rate("sidelight_scrape_seconds_total", "source")} / ({rate("sidelight_scrapes_total", "source")} > 0)', "{{source}}")),
    series("Answer size", "Bytes of answers per second.", "Bps", query(rate("sidelight_scrape_bytes_total", "source"), "{{source}}")),
    series("What scraping costs the scraped", "Share of the time for which a source is busy with us.", "percentunit",
           query("max by (instance, source) (sidelight_scrape_busy_ratio{OWN})", "{{instance}} {{source}}"),
           defaults={"thresholds": steps(GREEN, (0.01, YELLOW), (0.05, RED))}),
    series("Series of jobs", "On /metrics, and those that found no room.", "none", [
        query("max by (instance) (sidelight_series{OWN})", "{{instance}}"),
        query(grown("sidelight_series_dropped_total"), "{{instance}} left out")]),
    series("Left out and incomplete", "What limits made scrapers leave out, and sources whose numbers may be incomplete.", "none", [
        query(f'{grown("sidelight_scrape_cut_total", "source, what")} > 0', "{{source}} cut: {{what}}"),
        query("max by (source, reason) (sidelight_source_degraded{OWN}) > 0", "{{source}} {{reason}}")]),
]
PROCESS = [
    series("Memory", "Resident memory.", "bytes", query("max by (instance) (sidelight_memory_bytes{OWN})", "{{instance}}"), width=8),
    series("Processor", "Cores in use.", "none", query(rate("sidelight_cpu_seconds_total"), "{{instance}}"), width=8),
    series("Open files", "Descriptors that are held open.", "none", query("max by (instance) (sidelight_open_files{OWN})", "{{instance}}"), width=8),
    series("Age of the checkpoint", "Time since the last one was written. None is written while nothing changes.", "s",
           query("time() - max by (instance) (sidelight_checkpoint_last_success_timestamp_seconds{OWN})", "{{instance}}"), width=8),
    series("Checkpoints", "Written, and failed, within the last minutes.", "none", [
        query(grown("sidelight_checkpoints_total"), "{{instance}}"),
        query(grown("sidelight_checkpoint_errors_total"), "{{instance}} failed")], width=8),
    bars("Config reloads", "By what became of them.", "none",
         query("sum by (outcome) (increase(sidelight_config_reloads_total{OWN}[$__range])) > 0", "{{outcome}}"), width=8),
    series("Up for", "Time since the agent started. A saw is a process that something kills.", "s",
           query("time() - max by (instance) (sidelight_start_timestamp_seconds{OWN})", "{{instance}}"), width=12),
    bars("Versions", "Agents by version.", "none", query("count by (version) (sidelight_info{OWN})", "{{version}}"), width=12),
]

DASHBOARD = dashboard(
    "agent",
    "Agent",
    "The agents themselves: what they read and deliver, what waits, what was given up, and what they cost.",
    [METRICS_SOURCE, *OWN_VARIABLES],
    [("Now", NOW), ("Reading", READING), ("Delivery", DELIVERY), ("Destinations", DESTINATIONS), ("Scraping", SCRAPING), ("Process", PROCESS)],
)
