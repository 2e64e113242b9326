#!/usr/bin/env python3
"""Writes dashboards, rules, their tests and the runbooks from the tables in source/.

    dashboards/generate.py           writes every generated file
    dashboards/generate.py --check   exits with 1 and says which file is not what the tables say

Needs nothing but Python 3.9. What it writes is committed, so that users need no Python.
"""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from source import agent, emr_yarn, finops, fleet, flink_job, privacy, rules, spark_job  # noqa: E402
from source.alerts import agent as of_agents, flink as of_flink, job as of_jobs, spark as of_spark  # noqa: E402
from source.dashboard import upload  # noqa: E402

DASHBOARDS = [module.DASHBOARD for module in (fleet, spark_job, flink_job, emr_yarn, finops, agent, privacy)]
# Folders that hold nothing but generated files: what is in them and not in the tables is old.
OWNED = ["grafana", "prometheus", "runbooks"]
ALERTS = {
    "job": of_jobs.ALERTS, "spark": of_spark.ALERTS, "flink": of_flink.ALERTS, "delivery": of_agents.DELIVERY,
    "agent": of_agents.SELF, "redaction": of_agents.REDACTION,
}


def document(value):
    """JSON as it is committed: keys in the order of the tables."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def files():
    """Every generated file by its path below this folder."""
    made = {}
    for item in DASHBOARDS:
        name = item["uid"].removeprefix("sidelight-")
        made[f"grafana/{name}.json"] = document(item)
        made[f"grafana/upload/{name}.json"] = document(upload(item))
    made.update(rules.files(of_jobs.RECORDED, ALERTS))
    return made


def main(arguments):
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 64
    made, problems = files(), []
    present = {str(path.relative_to(HERE)) for folder in OWNED for path in (HERE / folder).rglob("*") if path.is_file()}
    for name in sorted(present - set(made)):
        problems.append(f"{name}: nothing makes it; remove it")
        if not arguments:
            (HERE / name).unlink()
    for name, text in made.items():
        path = HERE / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        problems.append(f"{name}: is not what the tables say; run dashboards/generate.py")
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if arguments:
        print("\n".join(problems) if problems else f"{len(made)} files are as the tables say")
        return 1 if problems else 0
    print(f"{len(made)} files, {len(problems)} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
