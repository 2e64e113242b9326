"""Alerts about the agents: whether they deliver, how they are, and whether they redact."""

from source.rules import alert, case

AT = {"instance": "a:9779"}
IN = 'job="sidelight",instance="a:9779"'
BY = "by (instance)"
OUT = {**AT, "exporter": "cloudwatch_logs"}
TO = f'{IN},exporter="cloudwatch_logs"'


def own(name, more=""):
    return f"{name}{{{IN}{more}}}"


DELIVERY = [
    alert(
        "AgentDown", "page", "platform", "5m", 'up{job=~".*sidelight.*"} == 0',
        "The agent {{ $labels.instance }} does not answer",
        "Prometheus has not reached the agent {{ $labels.instance }} for 5 minutes. Likely cause: it ended, its node did, or the network to it. "
        "Nothing is known of its jobs meanwhile; logs wait on disk.",
        "The name of the Prometheus job has to hold `sidelight`. An agent beside a job that ended is gone with it: let Prometheus forget such "
        "targets by service discovery.",
        ["`systemctl status sidelight`, or the container of the pod.", "The last lines of the agent's own log.",
         "`curl http://HOST:9779/readyz` on its host."],
        case({**AT, "job": "sidelight"}, "0", {own("up"): "1x30 0x60"}, {own("up"): "1x90"}),
    ),
    alert(
        "AgentAbsent", "page", "platform", "10m", "absent(sidelight_info)",
        "No agent is to be seen",
        "Prometheus has no series of any agent for 10 minutes. Likely cause: its targets, or the network to them.",
        "Not one agent answers, so that none of the other alerts can fire.",
        ["Targets, in Prometheus.", "NetworkPolicies and security groups.", "Whether the agents are installed at all."],
        case({}, "1", {"unrelated": "1x90"}, {own("sidelight_info", ',version="1.0.0"'): "1x90"}, missing_fires=True),
    ),
    alert(
        "AgentDropping", "page", "platform", "",
        'sum by (instance, exporter, reason) (increase(sidelight_lane_dropped_records_total{reason!="stale"}[10m])) > 0',
        "The agent {{ $labels.instance }} gives up records for {{ $labels.exporter }}",
        "{{ $value | printf \"%.0f\" }} records for {{ $labels.exporter }} were given up by {{ $labels.instance }} within 10 minutes: "
        "{{ $labels.reason }}. Likely cause: the destination is down for longer than the spool lasts, or there is none.",
        "What is counted here is gone for this destination. Samples that went stale while a destination was down are not among it.",
        ["Spool and Circuits, on the page of the agent.", "Why the destination does not work: the agent's log says it, and `sidelight check --online`.",
         "spool_bytes_max, and the room on the disk."],
        case({**OUT, "reason": "spool_full"}, "100", {f'sidelight_lane_dropped_records_total{{{TO},reason="spool_full"}}': "0+10x90"},
             {f'sidelight_lane_dropped_records_total{{{TO},reason="spool_full"}}': "40x90"}),
    ),
    alert(
        "AgentLosingBytes", "page", "platform", "",
        "sum by (instance, reason) (increase(sidelight_lost_bytes_total[10m])) > 0",
        "The agent {{ $labels.instance }} loses lines: {{ $labels.reason }}",
        "{{ $value | humanize1024 }}B of logs were gone before {{ $labels.instance }} had read them: {{ $labels.reason }}. Likely cause: files are "
        "rotated or deleted faster than they are delivered.",
        "Lines that no destination will ever have.",
        ["Lag, on the page of the agent: was it behind?", "The rotation: rename instead of copytruncate, and more files kept.",
         "Destinations that are slow: Failing share and Queues."],
        case({**AT, "reason": "deleted"}, "10ki", {own("sidelight_lost_bytes_total", ',reason="deleted"'): "0+1024x90"},
             {own("sidelight_lost_bytes_total", ',reason="deleted"'): "4096x90"}),
    ),
    alert(
        "AgentBehind", "ticket", "platform", "5m", f"min {BY} (min_over_time(sidelight_lag_bytes[10m])) > 268435456",
        "The agent {{ $labels.instance }} is {{ $value | humanize1024 }}B behind",
        "{{ $value | humanize1024 }}B of logs are not delivered by {{ $labels.instance }}. Likely cause: a destination that is slow or down, or logs "
        "that are faster than it.",
        "For 10 minutes there were never less than 256 MiB to be read and delivered.",
        ["Circuits and Failing share, on the page of the agent.", "Bytes read: does it read at all?", "What of the logs is worth its bytes: the level."],
        case(AT, "1Gi", {own("sidelight_lag_bytes"): "1073741824x90"}, {own("sidelight_lag_bytes"): "1048576x90"}),
    ),
    alert(
        "AgentExportFailing", "ticket", "platform", "10m",
        'sum by (instance, exporter) (rate(sidelight_exports_total{outcome!="ok"}[10m])) / '
        "(sum by (instance, exporter) (rate(sidelight_exports_total[10m])) > 0) > 0.1",
        "The agent {{ $labels.instance }} fails to deliver to {{ $labels.exporter }}",
        "{{ $value | humanizePercentage }} of deliveries of {{ $labels.instance }} to {{ $labels.exporter }} fail. Likely cause: throttling, rights, or "
        "a destination that is down. Nothing is lost yet.",
        "More than a tenth of the attempts of ten minutes failed. They are repeated.",
        ["Attempts by outcome, on the page of the agent.", "The agent's log: it names the reason once.", "`sidelight check --online`."],
        case(OUT, "50%", {f'sidelight_exports_total{{{TO},outcome="ok"}}': "0+6x90", f'sidelight_exports_total{{{TO},outcome="error"}}': "0+6x90"},
             {f'sidelight_exports_total{{{TO},outcome="ok"}}': "0+60x90", f'sidelight_exports_total{{{TO},outcome="error"}}': "3x90"}),
    ),
    alert(
        "AgentDestinationDown", "ticket", "platform", "",
        "min by (instance, exporter, signal) (min_over_time(sidelight_circuit_open[10m])) == 1",
        "{{ $labels.exporter }} takes no {{ $labels.signal }} of {{ $labels.instance }}",
        "For 10 minutes no delivery of {{ $labels.signal }} of {{ $labels.instance }} to {{ $labels.exporter }} worked. Likely cause: the destination is "
        "down, or its credentials are. Logs wait in the spool.",
        "The circuit of the lane is open: it asks now and then whether the destination works again.",
        ["The destination itself.", "Spool, on the page of the agent: how much is there, and how much may be?", "`sidelight check --online`."],
        case({**OUT, "signal": "logs"}, "1", {f'sidelight_circuit_open{{{TO},signal="logs"}}': "1x90"},
             {f'sidelight_circuit_open{{{TO},signal="logs"}}': "0x90"}),
    ),
    alert(
        "AgentSpoolLarge", "ticket", "platform", "5m", "sum by (instance, exporter) (sidelight_spool_bytes) > 536870912",
        "The spool of {{ $labels.instance }} for {{ $labels.exporter }} has {{ $value | humanize1024 }}B",
        "{{ $value | humanize1024 }}B wait on the disk of {{ $labels.instance }} for {{ $labels.exporter }}. Likely cause: the destination was down for "
        "long. When spool_bytes_max is reached, files are no longer read.",
        "Half a GiB waits for its destination.",
        ["Into and out of the spool, on the page of the agent: does it shrink?", "AgentDestinationDown.", "The room on the disk."],
        case(OUT, "1Gi", {f"sidelight_spool_bytes{{{TO}}}": "1073741824x90"}, {f"sidelight_spool_bytes{{{TO}}}": "1048576x90"}),
    ),
    alert(
        "AgentDeadLetters", "ticket", "platform", "", "sum by (instance, exporter) (increase(sidelight_dead_letters_total[15m])) > 0",
        "{{ $labels.exporter }} refused records of {{ $labels.instance }} for good",
        "{{ $labels.exporter }} refused {{ $value | printf \"%.0f\" }} records of {{ $labels.instance }} within 15 minutes. Likely cause: they are too old, "
        "too long, or not what the destination takes. They are kept.",
        "Dead letters stay on disk with the reason until somebody sends them again or deletes them.",
        ["`sidelight dlq list` and `sidelight dlq show` on the host.", "Clocks: a record too old or too new is refused.",
         "`sidelight dlq replay` once the reason is gone."],
        case(OUT, "15", {f"sidelight_dead_letters_total{{{TO}}}": "0+1x90"}, {f"sidelight_dead_letters_total{{{TO}}}": "3x90"}),
    ),
    alert(
        "AgentTargetsParked", "ticket", "platform", "5m", "sum by (instance, exporter) (sidelight_parked_targets) > 0",
        "{{ $value | printf \"%.0f\" }} targets of {{ $labels.exporter }} take nothing of {{ $labels.instance }}",
        "Log groups or streams of {{ $labels.exporter }} refuse all records of {{ $labels.instance }}. Likely cause: rights, or a group that was "
        "deleted and may not be made. Records wait on disk.",
        "One target does not hold up the others: what is for it is put aside.",
        ["The agent's log: which target, and why.", "The policy of the role: logs:CreateLogStream, logs:PutLogEvents.", "Parked, on the page of the agent."],
        case(OUT, "2", {f"sidelight_parked_targets{{{TO}}}": "2x90"}, {f"sidelight_parked_targets{{{TO}}}": "0x90"}),
    ),
]

SELF = [
    alert(
        "AgentCheckpointFailing", "page", "platform", "5m", f"sum {BY} (increase(sidelight_checkpoint_errors_total[10m])) > 0",
        "The agent {{ $labels.instance }} cannot write its checkpoint",
        "{{ $labels.instance }} fails to write how far it is. Likely cause: the disk of state_dir is full or read-only. After a restart it would "
        "deliver again what it has delivered since.",
        "Delivery goes on; its progress is not kept.",
        ["Room and rights of state_dir.", "The agent's log.", "Age of the checkpoint, on the page of the agent."],
        case(AT, "10", {own("sidelight_checkpoint_errors_total"): "0+1x90"}, {own("sidelight_checkpoint_errors_total"): "2x90"}),
    ),
    alert(
        "AgentScrapeFailing", "ticket", "platform", "10m",
        'sum by (instance, source) (rate(sidelight_scrapes_total{outcome!~"ok|gone"}[10m])) / '
        "(sum by (instance, source) (rate(sidelight_scrapes_total[10m])) > 0) > 0.5",
        "The agent {{ $labels.instance }} cannot read from {{ $labels.source }}",
        "{{ $value | humanizePercentage }} of the requests of {{ $labels.instance }} to {{ $labels.source }} fail. Likely cause: authentication, TLS, or an "
        "interface that is overloaded.",
        "Metrics of its jobs are old or absent. That nothing listens there is not counted as failure: no job is a rule, not a fault.",
        ["Requests by outcome, on the page of the agent: http_4xx is rights, timeout is load.", "The agent's log.", "`curl` to the interface from its host."],
        case({**AT, "source": "spark"}, "75%",
             {own("sidelight_scrapes_total", ',source="spark",outcome="timeout"'): "0+9x90", own("sidelight_scrapes_total", ',source="spark",outcome="ok"'): "0+3x90"},
             {own("sidelight_scrapes_total", ',source="spark",outcome="timeout"'): "0+1x90", own("sidelight_scrapes_total", ',source="spark",outcome="ok"'): "0+9x90"}),
    ),
    alert(
        "AgentTooHeavy", "ticket", "platform", "15m", "max by (instance, source) (sidelight_scrape_busy_ratio) > 0.05",
        "{{ $labels.source }} is busy {{ $value | humanizePercentage }} of the time with {{ $labels.instance }}",
        "Requests of {{ $labels.instance }} keep {{ $labels.source }} busy for {{ $value | humanizePercentage }} of the time. Likely cause: a very large "
        "application, or an interface that is slow for other reasons.",
        "More than a twentieth of the time an answer is under way.",
        ["Answer time and size, on the page of the agent.", "A longer interval of the scraper.", "Memory of the driver or JobManager."],
        case({**AT, "source": "spark"}, "10%", {own("sidelight_scrape_busy_ratio", ',source="spark"'): "0.1x90"},
             {own("sidelight_scrape_busy_ratio", ',source="spark"'): "0.01x90"}),
    ),
    alert(
        "AgentCutsOff", "info", "platform", "15m",
        f"sum {BY} (increase(sidelight_series_dropped_total[15m])) + sum {BY} (increase(sidelight_scrape_cut_total[15m])) > 0",
        "The agent {{ $labels.instance }} leaves out series",
        "{{ $labels.instance }} reached a limit and leaves something out. Likely cause: more jobs, stages or vertices than its limits were made for.",
        "Some series are absent; which kind is on the page of the agent.",
        ["Left out and incomplete, on the page of the agent.", "exporters.prometheus.series_max.", "Names of jobs that change with every run: set job_name."],
        case(AT, "15", {own("sidelight_series_dropped_total"): "0+1x90", own("sidelight_scrape_cut_total", ',source="spark",what="stage"'): "0x90"},
             {own("sidelight_series_dropped_total"): "7x90", own("sidelight_scrape_cut_total", ',source="spark",what="stage"'): "4x90"}),
    ),
    alert(
        "AgentMemoryHigh", "ticket", "platform", "10m", f"max {BY} (sidelight_memory_bytes) > 209715200",
        "The agent {{ $labels.instance }} uses {{ $value | humanize1024 }}B of memory",
        "{{ $labels.instance }} uses {{ $value | humanize1024 }}B. Likely cause: very many files or series, or large records. The shipped manifests "
        "allow 256 MiB.",
        "Above 200 MiB it is near the limit of the shipped manifests.",
        ["Files and Series of jobs, on the page of the agent.", "memory_bytes_max in the config.", "The limit of its container."],
        case(AT, "240Mi", {own("sidelight_memory_bytes"): "251658240x90"}, {own("sidelight_memory_bytes"): "20971520x90"}),
    ),
    alert(
        "AgentRestarting", "ticket", "platform", "", f"max {BY} (changes(sidelight_start_timestamp_seconds[1h])) >= 3",
        "The agent {{ $labels.instance }} started {{ $value | printf \"%.0f\" }} times within an hour",
        "{{ $labels.instance }} starts again and again. Likely cause: it is killed for its memory, or by a probe.",
        "Three starts or more within an hour.",
        ["Its exit status: `systemctl status sidelight`, `kubectl describe pod`.", "The last lines of its log before each end.", "Memory, on the page of the agent."],
        case(AT, "3", {own("sidelight_start_timestamp_seconds"): "100x15 900x15 1800x15 2700x40"}, {own("sidelight_start_timestamp_seconds"): "100x90"},
             # One new start is a deployment.
             reset={own("sidelight_start_timestamp_seconds"): "100x20 _x5 1500x60"}),
    ),
    alert(
        "AgentConfigRefused", "ticket", "platform", "", 'sum by (instance, outcome) (increase(sidelight_config_reloads_total{outcome=~"refused|failed"}[1h])) > 0',
        "The agent {{ $labels.instance }} did not take its new config",
        "A reload of the config of {{ $labels.instance }} was {{ $labels.outcome }}. Likely cause: a mistake in the file. What ran before goes on.",
        "It runs with the config that it had.",
        ["`sidelight check FILE` on the host.", "The agent's log.", "What deploys the config: it should check first."],
        case({**AT, "outcome": "refused"}, "6", {own("sidelight_config_reloads_total", ',outcome="refused"'): "0+0.1x90"},
             {own("sidelight_config_reloads_total", ',outcome="refused"'): "1x90", own("sidelight_config_reloads_total", ',outcome="applied"'): "0+1x90"}),
    ),
    alert(
        "AgentFilesUnreadable", "ticket", "platform", "10m", 'sum by (instance, reason) (increase(sidelight_file_errors_total{reason=~"permission|io|too_many"}[15m])) > 0',
        "The agent {{ $labels.instance }} cannot read log files: {{ $labels.reason }}",
        "{{ $labels.instance }} fails to open or read log files: {{ $labels.reason }}. Likely cause: it is not in the group of the files, a disk has "
        "errors, or too many files are open.",
        "Lines of these files are not delivered. They are tried again.",
        ["The agent's log: it names a file.", "Group and mode of the files; configs/ has units and manifests that get it right.", "LimitNOFILE, for too_many."],
        case({**AT, "reason": "permission"}, "15", {own("sidelight_file_errors_total", ',reason="permission"'): "0+1x90"},
             {own("sidelight_file_errors_total", ',reason="permission"'): "1x90"}),
    ),
    alert(
        "AgentCloudWatchThrottled", "ticket", "platform", "15m",
        'sum by (instance) (rate(sidelight_cloudwatch_requests_total{outcome="throttled"}[10m])) / '
        "(sum by (instance) (rate(sidelight_cloudwatch_requests_total[10m])) > 0) > 0.2",
        "CloudWatch throttles {{ $labels.instance }}",
        "{{ $value | humanizePercentage }} of the requests of {{ $labels.instance }} to CloudWatch Logs are throttled. Likely cause: the quota of "
        "PutLogEvents of the account, which all agents share.",
        "It sends fewer requests at a time and goes on; lag grows.",
        ["Service Quotas: PutLogEvents requests per second.", "How many agents of the account send: the page Fleet.", "Lag, on the page of the agent."],
        case(AT, "50%", {own("sidelight_cloudwatch_requests_total", ',outcome="throttled"'): "0+6x90", own("sidelight_cloudwatch_requests_total", ',outcome="ok"'): "0+6x90"},
             {own("sidelight_cloudwatch_requests_total", ',outcome="throttled"'): "3x90", own("sidelight_cloudwatch_requests_total", ',outcome="ok"'): "0+6x90"}),
    ),
    alert(
        "AgentArchiveFull", "ticket", "platform", "", f"sum {BY} (increase(sidelight_s3_staging_full_total[15m])) > 0",
        "The archive of {{ $labels.instance }} has no room on disk",
        "Records for the archive of {{ $labels.instance }} wait because staging_bytes_max is reached. Likely cause: S3 cannot be reached, or refuses.",
        "Log files are read only as fast as the archive takes them, until objects are sent.",
        ["Archive on S3, on the page of the agent: uploads by outcome.", "The policy of the role: s3:PutObject on the prefix.", "staging_bytes_max and the room on the disk."],
        case(AT, "15", {own("sidelight_s3_staging_full_total"): "0+1x90"}, {own("sidelight_s3_staging_full_total"): "8x90"}),
    ),
]

REDACTION = [
    alert(
        "RedactionSuspects", "page", "security", "", "sum by (instance, kind) (increase(sidelight_redaction_suspects_total[15m])) > 0",
        "Something that looks like {{ $labels.kind }} passed redaction at {{ $labels.instance }}",
        "The second look at a sample of what {{ $labels.instance }} redacted found {{ $value | printf \"%.0f\" }} times what looks like {{ $labels.kind }}. "
        "Likely cause: a format that no rule knows, or a long random word.",
        "One of 64 chunks is searched again with looser rules. What they find may have left the host in clear.",
        ["The log lines of that time at the destination: what is it?", "A rule for it: `[[redaction.rules]]`, and `sidelight redact` to try it.",
         "If it was a secret: change it, and delete it at the destination."],
        case({**AT, "kind": "token"}, "15", {own("sidelight_redaction_suspects_total", ',kind="token"'): "0+1x90"},
             {own("sidelight_redaction_suspects_total", ',kind="token"'): "5x90"}),
    ),
    alert(
        "RedactionFailures", "ticket", "security", "", f"sum {BY} (increase(sidelight_redaction_failures_total[15m])) > 0",
        "The agent {{ $labels.instance }} hides lines that it could not redact",
        "{{ $value | printf \"%.0f\" }} lines of {{ $labels.instance }} were replaced by [REDACTION_FAILED] within 15 minutes. Likely cause: a rule that "
        "never comes to an end on them, or an error of the redactor.",
        "Nothing of these lines left the host. They are still in the file.",
        ["Which rules were added last.", "`sidelight redact --stats FILE` on the host.", "A report of the fault, with the line made harmless."],
        case(AT, "15", {own("sidelight_redaction_failures_total"): "0+1x90"}, {own("sidelight_redaction_failures_total"): "5x90"}),
    ),
    alert(
        "RedactionRulesDiffer", "ticket", "security", "1h", "count(count by (hash) (sidelight_redaction_rules_info)) > 1",
        "Agents redact by {{ $value | printf \"%.0f\" }} different sets of rules",
        "Not all agents have the same redaction rules for an hour. Likely cause: a deployment that did not reach all, or configs that differ on purpose.",
        "Equal hashes redact the same. If yours differ on purpose, leave this alert out.",
        ["Rules of each agent, on the page Privacy and audit.", "Versions, on the page of the agent.", "[redaction] of the agents that differ."],
        case({}, "2", {own("sidelight_redaction_rules_info", ',hash="a"'): "1x200", 'sidelight_redaction_rules_info{instance="b:9779",hash="b"}': "1x200"},
             {own("sidelight_redaction_rules_info", ',hash="a"'): "1x200", 'sidelight_redaction_rules_info{instance="b:9779",hash="a"}': "1x200"}, at="2h"),
    ),
]
