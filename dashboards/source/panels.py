"""Builds the JSON of Grafana dashboards from tables of panels. Knows nothing of single metrics.

In queries RUN, JOB, FLEET, CLUSTER and OWN stand for the matchers of the variables of a dashboard, so
that `sum(spark_app_slots{RUN,state="busy"})` is what a table says.
"""

import json
import re
import urllib.parse

MATCHERS = {
    "RUN": 'job_name=~"$job_name",slot=~"$slot"',
    "JOB": 'job_name=~"$job_name"',
    "FLEET": 'engine=~"$engine",job_name=~"$job_name"',
    "CLUSTER": 'cluster=~"$cluster"',
    "OWN": 'job=~"$job",instance=~"$instance"',
}
METRICS = {"type": "prometheus", "uid": "${datasource}"}
LOGS = {"type": "loki", "uid": "${logs}"}
TRACES = {"type": "tempo", "uid": "${traces}"}
# Grafana 11 to 13 read it and migrate it when they load the dashboard.
SCHEMA_VERSION = 39
WIDTH = 24

GREEN, YELLOW, RED, BLUE, GREY = "green", "#EAB839", "red", "blue", "#8e8e8e"
# What job_run_state says, as a number for timelines.
STATES = {
    "starting": (1, BLUE),
    "running": (2, GREEN),
    "restarting": (3, YELLOW),
    "succeeded": (4, "dark-green"),
    "failed": (5, RED),
    "killed": (6, "purple"),
    "unknown": (7, GREY),
}


def expand(query):
    """Puts the matchers into a query."""
    return re.sub(r"\b(RUN|JOB|FLEET|CLUSTER|OWN)\b", lambda found: MATCHERS[found[1]], query)


def born_or_increased(selector, window="$__range"):
    """How often something was counted within a window, of a counter that may begin at 1.

    A counter of runs has no series before the first run ended, so `increase` alone would miss that
    one: a series that was not there a window ago counts for one more.
    """
    last = f"last_over_time({selector}[{window}])"
    born = f"(({last} unless last_over_time({selector}[{window}] offset {window})) ^ 0 or 0 * {last})"
    return f"(increase({selector}[{window}]) + {born})"


def state_codes(selector):
    """One series per run with the number of its state in STATES."""
    parts = [
        f'{number} * (job_run_state{{{selector},state="{state}"}} == 1)'
        for state, (number, _) in STATES.items()
    ]
    return f"max by (job_name, slot) ({' or '.join(parts)})"


def query(expr, legend="", **more):
    """One query of a panel."""
    return {"expr": expand(expr), "legendFormat": legend, **more}


def steps(*pairs):
    """Thresholds: a colour from the beginning, then pairs of a value and a colour."""
    first, rest = pairs[0], pairs[1:]
    listed = [{"color": first, "value": None}]
    listed += [{"color": color, "value": value} for value, color in rest]
    return {"mode": "absolute", "steps": listed}


def panel(kind, title, description, unit, queries, width, height, **more):
    """Any panel of metrics. `defaults`, `options` and the like go where Grafana wants them."""
    if isinstance(queries, (str, dict)):
        queries = [queries]
    targets = []
    for index, item in enumerate(queries):
        item = query(item) if isinstance(item, str) else item
        targets.append({"refId": chr(ord("A") + index), "datasource": METRICS, **item})
    defaults = {"unit": unit, **more.pop("defaults", {})}
    defaults.setdefault("thresholds", steps(GREEN))
    defaults.setdefault("color", {"mode": "palette-classic"})
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": METRICS,
        "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        "options": more.pop("options", {}),
        "size": (width, height),
        **more,
    }


def series(title, description, unit, queries, width=12, stack=False, maximum=None, **more):
    """Lines over time."""
    custom = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stack else 8,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if "thresholds" in more.get("defaults", {}) else "off"},
    }
    defaults = {"custom": custom, "min": 0, **more.pop("defaults", {})}
    if maximum is not None:
        defaults["max"] = maximum
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    height = more.pop("height", 8)
    return panel("timeseries", title, description, unit, queries, width, height, defaults=defaults, options=options, **more)


def stat(title, description, unit, queries, thresholds=None, width=4, **more):
    """One large number."""
    defaults = {"thresholds": thresholds or steps(BLUE), "color": {"mode": "thresholds"}, **more.pop("defaults", {})}
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": more.pop("graph", "area"),
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": more.pop("text", "auto"),
    }
    return panel("stat", title, description, unit, queries, width, 4, defaults=defaults, options=options, **more)


def bars(title, description, unit, queries, width=12, height=8, **more):
    """The largest of something, as horizontal bars."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "gradient",
        "showUnfilled": True,
        "valueMode": "color",
        "minVizHeight": 12,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "sizing": "auto",
    }
    defaults = {"min": 0, "thresholds": steps(BLUE), "color": {"mode": "thresholds"}, **more.pop("defaults", {})}
    listed = queries if isinstance(queries, list) else [queries]
    instant = [{**item, "instant": True, "range": False} for item in listed]
    return panel("bargauge", title, description, unit, instant, width, height, defaults=defaults, options=options, **more)


def timeline(title, description, queries, states, width=24, height=6):
    """States over time; `states` maps a name to its number and its colour."""
    mapping = {
        str(number): {"text": name, "color": color, "index": index}
        for index, (name, (number, color)) in enumerate(states.items())
    }
    defaults = {
        "custom": {"fillOpacity": 70, "lineWidth": 0},
        "mappings": [{"type": "value", "options": mapping}],
        "color": {"mode": "thresholds"},
    }
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel("state-timeline", title, description, "none", queries, width, height, defaults=defaults, options=options)


def table(title, description, columns, by, width=24, height=9, links=()):
    """A table with one row for each value of the label `by`.

    `columns` are tuples of name, unit, query and thresholds or None.
    """
    queries = [
        {**query(expr), "format": "table", "instant": True, "range": False} for _, _, expr, _ in columns
    ]
    renamed, overrides = {}, []
    for index, (name, unit, _, thresholds) in enumerate(columns):
        value = "Value" if len(columns) == 1 else f"Value #{chr(ord('A') + index)}"
        renamed[value] = name
        properties = [{"id": "unit", "value": unit}]
        if thresholds:
            properties += [
                {"id": "thresholds", "value": thresholds},
                {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                {"id": "color", "value": {"mode": "thresholds"}},
            ]
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    overrides += [
        {"matcher": {"id": "byName", "options": field}, "properties": [{"id": "links", "value": [link]}]}
        for field, link in links
    ]
    hidden = {"Time": True, **{f"Time {index}": True for index in range(1, len(columns) + 1)}}
    transformations = [
        {"id": "joinByField", "options": {"byField": by, "mode": "outer"}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": renamed, "indexByName": {}}},
    ]
    options = {"showHeader": True, "cellHeight": "sm", "footer": {"show": False, "reducer": ["sum"], "countRows": False, "fields": ""}}
    custom = {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}
    return panel("table", title, description, "none", queries, width, height, defaults={"custom": custom},
                 overrides=overrides, options=options, transformations=transformations)


def facts(title, description, expr, width=24, height=5, links=(), hidden=()):
    """The labels of an info metric as a table."""
    made = table(title, description, [("Value", "none", expr, None)], "job_name", width, height, links)
    always = {name: True for name in ("Time", "Value", "__name__", "job", "instance", "engine", *hidden)}
    made["transformations"] = [{"id": "organize", "options": {"excludeByName": always, "renameByName": {}, "indexByName": {}}}]
    return made


def logs(title, description, expr, width=24, height=10):
    """Log lines, from Loki."""
    made = panel("logs", title, description, "none", [], width, height)
    made["datasource"] = LOGS
    made["targets"] = [{"refId": "A", "datasource": LOGS, "expr": expr}]
    made["options"] = {
        "showTime": True, "wrapLogMessage": True, "enableLogDetails": True, "sortOrder": "Descending",
        "dedupStrategy": "none", "showLabels": False, "showCommonLabels": False, "prettifyLogMessage": False,
    }
    return made


def text(title, description, content, width=24, height=5):
    """Words, in Markdown."""
    return {
        "type": "text", "title": title, "description": description, "size": (width, height),
        "options": {"mode": "markdown", "content": content, "code": {"language": "plaintext", "showLineNumbers": False, "showMiniMap": False}},
        "fieldConfig": {"defaults": {}, "overrides": []}, "targets": [],
    }


def explore(source, kind, **what):
    """A link into Explore for the time that is looked at. Variables stay readable for Grafana."""
    pane = {"datasource": source, "queries": [{"refId": "A", "datasource": {"type": kind, "uid": source}, **what}],
            "range": {"from": "${__from}", "to": "${__to}"}}
    pieces = re.split(r"(\$\{[^}]*\})", json.dumps({"a": pane}, separators=(",", ":")))
    quoted = [piece if piece.startswith("${") else urllib.parse.quote(piece, safe="") for piece in pieces]
    return "/explore?schemaVersion=1&orgId=1&panes=" + "".join(quoted)


def link(title, url):
    """A link that opens beside the dashboard."""
    return {"title": title, "url": url, "targetBlank": True}


LOGS_LINK = link("Logs of this time", explore("${logs}", "loki", expr='{service_name=~"${job_name:regex}"}'))
TRACES_LINK = link(
    "Traces of this time",
    explore("${traces}", "tempo", queryType="traceql", query='{resource.sidelight.job_name=~"${job_name:regex}"}'),
)
