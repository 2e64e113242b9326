"""What was redacted, by which rules, and whether something was missed."""

from source.dashboard import METRICS_SOURCE, OWN_VARIABLES, dashboard
from source.panels import GREEN, RED, bars, facts, query, series, stat, steps, text

BAD_IF_ANY = steps(GREEN, (1, RED))

DASHBOARD = dashboard(
    "privacy",
    "Privacy and audit",
    "What the agents redacted before anything left, under which rules, and what a second look still found.",
    [METRICS_SOURCE, *OWN_VARIABLES],
    [
        ("Now", [
            stat("Values redacted", "Values that were replaced in the time that is looked at.", "short",
                 "sum(increase(sidelight_redactions_total{OWN}[$__range]))", width=5),
            stat("Suspects", "What still looked like PII or a secret in the sample that is searched again. Anything but zero: "
                 "look at the kind, and add a rule.", "none", "sum(increase(sidelight_redaction_suspects_total{OWN}[$__range]))",
                 BAD_IF_ANY, width=5),
            stat("Lines hidden whole", "Lines that the redactor could not finish, and replaced as a whole: nothing of them left.",
                 "none", "sum(increase(sidelight_redaction_failures_total{OWN}[$__range]))", BAD_IF_ANY, width=5),
            stat("Records dropped by policy", "Records that the policy says must not leave at all.", "none",
                 'sum(increase(sidelight_records_dropped_total{OWN,reason="redaction_policy"}[$__range]))', width=5),
            stat("Sets of rules", "Different rules that run now. More than one: some agents redact other things than the rest.",
                 "none", "count(count by (hash) (sidelight_redaction_rules_info{OWN}))", steps(GREEN, (2, RED)), graph="none"),
        ]),
        ("What was found", [
            series("Redactions by type", "Values that were replaced, per second, by type.", "ops",
                   query("sum by (type) (rate(sidelight_redactions_total{OWN}[$__rate_interval])) > 0", "{{type}}"), stack=True),
            bars("Types in this time", "How often each type was found in the time that is looked at.", "none",
                 query("topk(15, sum by (type) (increase(sidelight_redactions_total{OWN}[$__range])) > 0)", "{{type}}")),
            series("Redactions by strategy", "Replaced by a placeholder, a hash, a token, or otherwise.", "ops",
                   query("sum by (strategy) (rate(sidelight_redactions_total{OWN}[$__rate_interval]))", "{{strategy}}"), stack=True),
            series("Redactions by agent", "An agent that suddenly redacts much reads a log that says too much.", "ops",
                   query("sum by (instance) (rate(sidelight_redactions_total{OWN}[$__rate_interval]))", "{{instance}}")),
        ]),
        ("What was missed or held back", [
            series("Suspects by kind", "One of 64 chunks is searched again with looser rules. What that finds is counted here, "
                   "and is no proof of a leak: a long random word is a suspect too.", "none",
                   query("sum by (kind) (increase(sidelight_redaction_suspects_total{OWN}[$__rate_interval]))", "{{kind}}")),
            series("Lines hidden and records dropped", "Lines that were replaced as a whole because redaction failed on them, and "
                   "records that the policy keeps back.", "none", [
                       query("sum(increase(sidelight_redaction_failures_total{OWN}[$__rate_interval]))", "lines hidden"),
                       query("sum by (reason) (increase(sidelight_records_dropped_total{OWN}[$__rate_interval]))", "dropped: {{reason}}"),
                   ]),
        ]),
        ("Audit", [
            facts("Rules of each agent", "Version of the redactor and hash of its rules. Equal hashes redact the same.",
                  "sidelight_redaction_rules_info{OWN}", width=12, height=7),
            text("How to read this page", "What the numbers are.",
                 "Redaction comes first: what is on this page was counted **before** anything was logged, stored or exported. "
                 "`sidelight detectors` lists the types with samples, `sidelight redact --stats FILE` shows what a file would "
                 "give. A suspect names a kind, never the text.", width=12, height=7),
        ]),
    ],
    since="now-24h",
)
# The agents are what this page is about.
for _panel in DASHBOARD["panels"]:
    if _panel["title"] == "Rules of each agent":
        _panel["transformations"][0]["options"]["excludeByName"].pop("instance")
