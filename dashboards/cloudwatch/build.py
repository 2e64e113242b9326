#!/usr/bin/env python3
"""Writes sidelight.yaml, the CloudFormation template beside this file: dashboards, alarms, queries, topic, key.

usage: build.py [--check]

The panels are in panels.py, the alarms in alarms.py. --check writes nothing and fails where the file differs.
"""
import json
import pathlib
import sys

from alarms import ALARMS
from panels import DASHBOARDS, OF_METRICS, QUERIES
from topic import CONDITIONS, PARAMETERS, RULES, TOPIC, TOPIC_ARN

HERE = pathlib.Path(__file__).parent
WIDTH = 24


def laid_out(rows):
    """Widgets of rows of equal width, with their places."""
    widgets, y = [], 0
    for height, panels in rows:
        width = WIDTH // len(panels)
        for index, panel in enumerate(panels):
            widgets.append({"x": index * width, "y": y, "width": width, "height": height, **panel})
        y += height
    return widgets


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def body(spec):
    """The body of a dashboard, a line for each widget."""
    head = {"start": spec["start"], "periodOverride": "inherit", "variables": spec.get("variables", [])}
    return [dump(head)[:-1] + ',"widgets":[', *(dump(it) + "," for it in laid_out(spec["rows"]))]


def dashboard(name, spec):
    *lines, last = body(spec)
    return [
        f" {camel(name)}Dashboard:",
        "  Type: AWS::CloudWatch::Dashboard",
        "  Properties:",
        f"   DashboardName: {dump({'Fn::Sub': 'sidelight-${ScopeValue}-' + name})}",
        "   DashboardBody:",
        "    Fn::Sub: |",
        *("     " + line for line in lines),
        f"     {last[:-1]}]}}",
    ]


def query(title, text, of_metrics):
    return {
        "Type": "AWS::Logs::QueryDefinition",
        "Properties": {
            "Name": {"Fn::Sub": "sidelight/${ScopeValue}/" + title},
            "QueryString": text,
            # Whoever runs another chooses the groups, which are named after jobs.
            **({"LogGroupNames": [{"Ref": "MetricsLogGroup"}]} if of_metrics else {}),
        },
    }


def camel(name):
    return "".join(word.capitalize() for word in name.split("-"))


def section(title, entries):
    return [f"{title}:", *(f" {name}: {dump(it)}" for name, it in entries.items())]


def template():
    """YAML, whose values are JSON: one line for each small thing, so that a change shows where it is."""
    lines = [
        "# Made by build.py beside this file; change that.",
        'AWSTemplateFormatVersion: "2010-09-09"',
        "Description: Sidelight's dashboards, alarms and saved queries for Spark and Flink jobs",
        *section("Parameters", PARAMETERS),
        *section("Rules", RULES),
        *section("Conditions", CONDITIONS),
        *section("Resources", TOPIC),
    ]
    for name, spec in ALARMS.items():
        spec = dict(spec)
        lines.append(f" # Without data: {spec['Properties']['TreatMissingData']}, as {spec.pop('Why')}.")
        lines.append(f" {camel(name)}Alarm: {dump(spec)}")
    for name, spec in DASHBOARDS.items():
        lines += dashboard(name, spec)
    for title, text in QUERIES.items():
        lines.append(f" {camel(title)}Query: {dump(query(title, text, title in OF_METRICS))}")
    console = "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}#dashboards/dashboard/"
    lines += section("Outputs", {
        "Topic": {"Value": TOPIC_ARN},
        "Fleet": {"Value": {"Fn::Sub": console + "sidelight-${ScopeValue}-fleet"}},
    })
    return "\n".join(lines) + "\n"


def main():
    text = template()
    # More than this has to lie on S3 before a stack can be made of it.
    assert len(text.encode()) <= 51_200, f"{len(text.encode())} bytes are too many for one command"
    path = HERE / "sidelight.yaml"
    if "--check" in sys.argv[1:]:
        if path.read_text() != text:
            sys.exit("sidelight.yaml is not what build.py makes; run dashboards/cloudwatch/build.py")
    else:
        path.write_text(text)


main()
