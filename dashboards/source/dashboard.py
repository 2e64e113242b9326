"""Puts panels together to dashboards: variables, places, links and what Grafana wants around them."""

from source.panels import LOGS_LINK, METRICS, SCHEMA_VERSION, TRACES_LINK, WIDTH, link

TAG = "sidelight-dashboards"


def datasource(name, label, kind):
    """Which source of metrics, logs or traces is asked."""
    return {
        "type": "datasource", "name": name, "label": label, "query": kind, "hide": 0, "regex": "", "refresh": 1,
        "current": {"selected": False, "text": "default", "value": "default"},
        "includeAll": False, "multi": False, "options": [], "skipUrlSync": False,
    }


def choice(name, label, values, several=True):
    """A variable whose values are those of a label."""
    query = {"query": f"label_values({values}, {name})", "refId": "Variable", "qryType": 1}
    everything = {"selected": True, "text": "All", "value": "$__all"}
    return {
        "type": "query", "name": name, "label": label, "datasource": METRICS, "definition": query["query"],
        "query": query, "refresh": 2, "regex": "", "sort": 1, "hide": 0, "multi": several, "includeAll": several,
        "allValue": ".+" if several else None, "current": everything if several else {}, "options": [], "skipUrlSync": False,
    }


def number(name, label, value):
    """A variable that is typed in."""
    current = {"selected": True, "text": value, "value": value}
    return {
        "type": "textbox", "name": name, "label": label, "query": value, "current": current, "options": [current],
        "hide": 0, "skipUrlSync": False,
    }


METRICS_SOURCE = datasource("datasource", "Metrics", "prometheus")
LOGS_SOURCE = datasource("logs", "Logs", "loki")
TRACES_SOURCE = datasource("traces", "Traces", "tempo")
OWN_VARIABLES = [choice("job", "Prometheus job", "sidelight_info"), choice("instance", "Agent", 'sidelight_info{job=~"$job"}')]


def job_variables(engine):
    """Pick a job, then a slot: the number among the runs of one name at the same time."""
    return [
        choice("job_name", "Job", f'job_run_state{{engine="{engine}"}}'),
        choice("slot", "Slot", f'job_run_state{{engine="{engine}",job_name=~"$job_name"}}'),
    ]


def place(rows):
    """Gives every panel its number and its place, row after row."""
    panels, y = [], 0
    for title, members in rows:
        panels.append({
            "type": "row", "title": title, "id": len(panels) + 1, "collapsed": False, "panels": [],
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
        })
        y, x, height = y + 1, 0, 0
        for member in members:
            member = dict(member)
            width, tall = member.pop("size")
            if x + width > WIDTH:
                x, y, height = 0, y + height, 0
            member["gridPos"] = {"h": tall, "w": width, "x": x, "y": y}
            member["id"] = len(panels) + 1
            panels.append(member)
            x, height = x + width, max(height, tall)
        y += height
    return panels


def dashboard(name, title, description, variables, rows, with_job_links=False, links=(), since="now-6h"):
    """A whole dashboard. With `with_job_links` every panel leads to the logs and traces of its job."""
    panels = place(rows)
    for panel in panels:
        if with_job_links and panel["type"] in ("timeseries", "stat", "bargauge", "state-timeline"):
            panel["fieldConfig"]["defaults"]["links"] = [LOGS_LINK, TRACES_LINK]
    others = {
        "type": "dashboards", "title": "Sidelight", "tags": [TAG], "asDropdown": True, "includeVars": True,
        "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
    }
    tops = [{
        "type": "link", "icon": "external link", "tooltip": "", "tags": [], "asDropdown": False, "includeVars": False,
        "keepTime": False, **it,
    } for it in links]
    return {
        "id": None, "uid": f"sidelight-{name}", "title": f"Sidelight: {title}", "description": description,
        "tags": [TAG], "schemaVersion": SCHEMA_VERSION, "version": 1, "editable": False, "graphTooltip": 1,
        "fiscalYearStartMonth": 0, "liveNow": False, "weekStart": "", "timezone": "browser", "refresh": "30s",
        "time": {"from": since, "to": "now"},
        "timepicker": {"refresh_intervals": ["10s", "30s", "1m", "5m", "15m", "1h"]},
        "annotations": {"list": [{
            "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
            "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
        }, {
            "datasource": METRICS, "enable": True, "hide": False, "iconColor": "red", "name": "Firing alerts",
            "expr": 'max by (alertname, job_name) (ALERTS{alertstate="firing",product="sidelight"})',
            "titleFormat": "{{alertname}}", "textFormat": "{{job_name}}", "useValueForTime": False,
        }]},
        "templating": {"list": variables},
        "links": [others, *tops],
        "panels": panels,
    }


def upload(made):
    """The form that grafana.com and the upload dialog take: sources are asked for by name."""
    import json

    names = {"datasource": ("DS_METRICS", "prometheus", "Prometheus"), "logs": ("DS_LOGS", "loki", "Loki"),
             "traces": ("DS_TRACES", "tempo", "Tempo")}
    kept = [it for it in made["templating"]["list"] if it["type"] != "datasource"]
    used = [it["name"] for it in made["templating"]["list"] if it["type"] == "datasource"]
    text = json.dumps({**made, "templating": {"list": kept}})
    inputs = []
    for name in used:
        given, kind, plugin = names[name]
        text = text.replace("${" + name + "}", "${" + given + "}")
        inputs.append({"name": given, "label": plugin, "description": "", "type": "datasource", "pluginId": kind, "pluginName": plugin})
    kinds = sorted({it["type"] for it in made["panels"]} - {"row"})
    requires = [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.0.0"}]
    requires += [{"type": "datasource", "id": it["pluginId"], "name": it["pluginName"], "version": "1.0.0"} for it in inputs]
    requires += [{"type": "panel", "id": kind, "name": kind, "version": ""} for kind in kinds]
    return {"__inputs": inputs, "__elements": {}, "__requires": requires, **json.loads(text)}
