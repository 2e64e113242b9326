#!/usr/bin/env python3
"""Draws a dashboard as a picture, from a Prometheus that has the series of a run.

    dashboards/pictures/render.py NAME PROMETHEUS_URL START END OUT.png [HEIGHT]

Not Grafana: it draws lines, numbers, bars, states and tables of the same queries in the same places, so
that a reader sees what is on a page. Needs `chromium`. SIDELIGHT_TEST_SERIES makes the runs of the tests
beside Spark and Flink keep their series.
"""

import html
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#e02f44", "#b877d9", "#37872d", "#8ab8ff", "#ffb357", "#c4162a"]
VARIABLES = {"$__rate_interval": "1m", "$__range": "10m", "$core_hour": "0.05", "$gib_hour": "0.006", "$engine": ".+",
             "$job_name": ".+", "$slot": ".+", "$cluster": ".+", "$instance": ".+", "$job": ".+"}
COLUMN, ROW = 50, 34


def ask(url, path, **parameters):
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
        return json.load(answer)["data"]["result"]


def filled(expr):
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


def legend(template, labels):
    for name, value in labels.items():
        template = template.replace("{{" + name + "}}", value)
    return template or ", ".join(labels.values())


def shown(value, unit):
    """A number as Grafana would say it."""
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit in ("bytes", "Bps"):
        for suffix in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or suffix == "GiB":
                return f"{value:.3g} {suffix}" + ("/s" if unit == "Bps" else "")
            value /= 1024
    if unit == "s" and abs(value) >= 60:
        return f"{value / 60:.3g} min" if abs(value) < 7200 else f"{value / 3600:.3g} h"
    if unit == "currencyUSD":
        return f"${value:.3g}"
    text = f"{value:.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
    return text + {"s": " s", "ops": "/s"}.get(unit, "")


class Picture:
    def __init__(self, dashboard, url, start, end):
        self.dashboard, self.url, self.start, self.end = dashboard, url, start, end

    def lines(self, panel):
        found = []
        for target in panel["targets"]:
            step = max(2, (self.end - self.start) / 200)
            for series in ask(self.url, "query_range", query=filled(target["expr"]), start=self.start, end=self.end, step=step):
                points = [(float(at), float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")]
                if points:
                    found.append((legend(target.get("legendFormat", ""), series["metric"]), points))
        return found

    def now(self, panel):
        found = []
        for target in panel["targets"]:
            for series in ask(self.url, "query", query=filled(target["expr"]), time=self.end):
                if series["value"][1] not in ("NaN", "+Inf", "-Inf"):
                    found.append((legend(target.get("legendFormat", ""), series["metric"]), float(series["value"][1])))
        return found

    def across(self, at, width):
        return (at - self.start) / (self.end - self.start) * width

    def draw(self, panel, width, height):
        """The inside of one panel as HTML."""
        unit = panel["fieldConfig"]["defaults"].get("unit", "none")
        kind = panel["type"]
        if kind == "text":
            return f'<p class=text>{html.escape(panel["options"]["content"]).replace("**", "")}</p>'
        if kind == "stat":
            values = self.now(panel)
            said = [f'{shown(value, unit)}{"<small>" + html.escape(name) + "</small>" if "{{" in panel["targets"][0]["legendFormat"] else ""}'
                    for name, value in values[:1]]
            return f'<div class=stat>{said[0] if said else "<i>no data</i>"}</div>'
        if kind == "bargauge":
            return self.bars(self.now(panel), unit)
        if kind == "table":
            return self.table(panel)
        if kind == "logs":
            return "<p class=text>Log lines, from Loki.</p>"
        if kind == "state-timeline":
            return self.states(panel, width, height)
        return self.graph(self.lines(panel), unit, width, height)

    def bars(self, values, unit):
        if not values:
            return "<i>nothing in this time</i>"
        top = max(value for _, value in values) or 1
        rows = [f'<div class=bar><span>{html.escape(name[:40])}</span><b style="width:{max(value, 0) / top * 45}%"></b>{shown(value, unit)}</div>'
                for name, value in sorted(values, key=lambda it: -it[1])[:9]]
        return "".join(rows)

    def table(self, panel):
        if panel["transformations"][0]["id"] == "organize":
            hidden = panel["transformations"][0]["options"]["excludeByName"]
            rows = [series["metric"] for series in ask(self.url, "query", query=filled(panel["targets"][0]["expr"]), time=self.end)]
            names = sorted({name for row in rows for name in row if name not in hidden})
            cells = [[row.get(name, "") for name in names] for row in rows[:4]]
        else:
            units = {it["matcher"]["options"]: it["properties"][0].get("value") for it in panel["fieldConfig"]["overrides"]}
            titles = list(panel["transformations"][1]["options"]["renameByName"].values())
            rows = {}
            for column, target in enumerate(panel["targets"]):
                for series in ask(self.url, "query", query=filled(target["expr"]), time=self.end):
                    row = rows.setdefault(series["metric"].get("job_name", ""), [""] * len(titles))
                    row[column] = shown(float(series["value"][1]), units.get(titles[column], "none"))
            names, cells = ["job_name", *titles], [[name, *row] for name, row in rows.items()]
        head = "".join(f"<th>{html.escape(name)}" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in row) for row in cells)
        return f"<table><tr>{head}{body}</table>"

    def states(self, panel, width, height):
        mapping = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        drawn, y = [], 4
        for name, points in self.lines(panel)[:5]:
            drawn.append(f'<text x=4 y={y + 17}>{html.escape(name)}</text>')
            for (at, value), (then, _) in zip(points, points[1:] + [(points[-1][0] + 2, 0)]):
                left = 160 + self.across(at, width - 170)
                right = 160 + self.across(min(then, self.end), width - 170)
                color = {"#EAB839": "#eab839", "dark-green": "#37872d"}.get(mapping[str(int(value))]["color"], mapping[str(int(value))]["color"])
                drawn.append(f'<rect x={left:.1f} y={y} width={max(right - left + 0.5, 1):.1f} height=24 fill="{color}" />')
            y += 32
        return f'<svg width={width} height={height - 30}>{"".join(drawn)}</svg>'

    def graph(self, lines, unit, width, height):
        if not lines:
            return "<i>nothing in this time</i>"
        shown_lines = sorted(lines, key=lambda it: -max(value for _, value in it[1]))[:6]
        tall = height - 34 - 15 * ((len(shown_lines) + 1) // 2) - 8
        top = max(max(value for _, value in points) for _, points in lines) or 1
        drawn = []
        for part in (0, 0.5, 1):
            y = 6 + (1 - part) * (tall - 12)
            drawn.append(f'<line x1=62 x2={width - 8} y1={y:.0f} y2={y:.0f} stroke="#2c3235" /><text x=2 y={y + 4:.0f}>{shown(top * part, unit)}</text>')
        for index, (_, points) in enumerate(shown_lines):
            path = " ".join(f"{62 + self.across(at, width - 70):.1f},{6 + (1 - max(value, 0) / top) * (tall - 12):.1f}" for at, value in points)
            drawn.append(f'<polyline points="{path}" fill=none stroke="{COLORS[index % 10]}" stroke-width=1.4 />')
        names = "".join(f'<span><b style="background:{COLORS[index % 10]}"></b>{html.escape(name[:44])} {shown(points[-1][1], unit)}</span>'
                        for index, (name, points) in enumerate(shown_lines))
        return f'<svg width={width} height={tall}>{"".join(drawn)}</svg><div class=legend>{names}</div>'

    def page(self):
        boxes = []
        for panel in self.dashboard["panels"]:
            at = panel["gridPos"]
            x, y, width, height = at["x"] * COLUMN, 40 + at["y"] * ROW, at["w"] * COLUMN - 8, at["h"] * ROW - 8
            title = html.escape(panel["title"])
            inside = f"<h2>{title}</h2>" if panel["type"] == "row" else f"<h3>{title}</h3>{self.draw(panel, width - 16, height)}"
            style = "row" if panel["type"] == "row" else "panel"
            boxes.append(f'<div class={style} style="left:{x + 4}px;top:{y}px;width:{width}px;height:{height}px">{inside}</div>')
        return STYLE + f'<h1>{html.escape(self.dashboard["title"])}</h1>' + "".join(boxes)


STYLE = """<meta charset=utf-8><style>
body{background:#111217;color:#ccccdc;font:12px DejaVu Sans,sans-serif;margin:0}h1{font-size:17px;margin:10px}
.row,.panel{position:absolute;box-sizing:border-box;overflow:hidden}.panel{background:#181b1f;border:1px solid #25282d;padding:4px 8px}
h2{font-size:13px;margin:6px}h3{font-size:12px;font-weight:600;margin:2px 0 4px}text{fill:#8e9199;font-size:10px}
.stat{font-size:28px;color:#5794f2;text-align:center;padding-top:20px}small{display:block;font-size:11px}i{color:#6e7077}
.legend span{display:inline-block;width:50%;font-size:10px;white-space:nowrap;overflow:hidden;height:15px}.legend b{display:inline-block;width:10px;height:3px;margin:3px 5px 3px 0}
.bar{height:22px;white-space:nowrap}.bar span{display:inline-block;width:38%;overflow:hidden;vertical-align:middle}.bar b{display:inline-block;height:12px;background:#5794f2;margin-right:6px;vertical-align:middle}
table{border-collapse:collapse;width:100%;font-size:11px}td,th{text-align:left;padding:3px 6px;border-bottom:1px solid #25282d;white-space:nowrap;max-width:230px;overflow:hidden}.text{font-size:11px}
</style>"""


def main(arguments):
    if len(arguments) not in (5, 6):
        print(__doc__, file=sys.stderr)
        return 64
    name, url, start, end, out = arguments[:5]
    path = pathlib.Path(__file__).resolve().parent.parent / f"grafana/{name}.json"
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    page = Picture(dashboard, url, float(start), float(end)).page()
    rows = max(it["gridPos"]["y"] + it["gridPos"]["h"] for it in dashboard["panels"])
    height = min(50 + rows * ROW, int(arguments[5]) if len(arguments) == 6 else 1600)
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "page.html"
        source.write_text(page, encoding="utf-8")
        subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={24 * COLUMN + 4},{height}",
                        f"--screenshot={out}", source.as_uri()], check=True, capture_output=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
