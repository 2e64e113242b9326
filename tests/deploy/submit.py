"""Submits jobs with real Spark to an API server that writes down what it is asked for, and checks the pods.

usage: submit.py SPARK_HOME PYTHON CONFIGS FOLDER

The driver's pod is what spark-submit makes of podtemplate-driver.yaml in cluster mode, the executor's what a
driver makes of podtemplate-executor.yaml.
"""
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import kubernetes_validate

SPARK_HOME, PYTHON = sys.argv[1:3]
SPARK = pathlib.Path(sys.argv[3]).resolve() / "kubernetes/spark"
FOLDER = pathlib.Path(sys.argv[4])
LIMIT_S = 240
made = {}


class Api(http.server.BaseHTTPRequestHandler):
    """Takes everything that is made, and knows of nothing else."""

    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def take(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if body.get("kind") == "Pod":
            made.setdefault(body["metadata"]["labels"]["spark-role"], body)
        body.setdefault("metadata", {}).update(uid="0a1b2c3d-0000-4000-8000-0123456789ab", resourceVersion="1")
        self.answer(201, body)

    do_POST = do_PUT = do_PATCH = take

    def do_GET(self):
        path = self.path.split("?")[0]
        if "watch=true" in self.path:
            # Nothing ever happens.
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            time.sleep(LIMIT_S)
        elif path.endswith(("/pods", "/configmaps", "/services", "/persistentvolumeclaims")):
            self.answer(200, {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []})
        else:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"})

    def do_DELETE(self):
        self.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def log_message(self, *_):
        pass


def submit(role, *options):
    """Runs spark-submit until the pod of this role is asked for, and returns that pod."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = dict(os.environ, SPARK_HOME=SPARK_HOME, PYSPARK_PYTHON=PYTHON, SPARK_LOCAL_IP="127.0.0.1",
                       SPARK_CONF_DIR=str(FOLDER / "conf"))
    command = [f"{SPARK_HOME}/bin/spark-submit", "--master", f"k8s://http://127.0.0.1:{server.server_port}",
               "--name", "orders", "--properties-file", str(SPARK / "spark-defaults.conf"),
               "--conf", "spark.kubernetes.container.image=spark", *options]
    with open(FOLDER / f"{role}.log", "wb") as log:
        # The templates are named without a folder, so it is theirs.
        job = subprocess.Popen(command, cwd=SPARK, env=environment, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + LIMIT_S
        while role not in made and time.monotonic() < end and (job.poll() is None):
            time.sleep(0.2)
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    if role not in made:
        sys.exit(f"no pod of the {role}:\n" + (FOLDER / f"{role}.log").read_text()[-3000:])
    return made[role]


def check(role, pod):
    def expect(is_true, what):
        if not is_true:
            sys.exit(f"{role}: {what}:\n{json.dumps(pod, indent=1)}")

    spec = pod["spec"]
    sidecar = [it for it in spec["initContainers"] if it["name"] == "sidelight"]
    expect(len(sidecar) == 1 and sidecar[0]["restartPolicy"] == "Always", "the native sidecar is as in the template")
    main = [it for it in spec["containers"] if it["name"] == f"spark-kubernetes-{role}"]
    expect(len(spec["containers"]) == 1 and len(main) == 1, "Spark takes its container by its name")
    expect(main[0].get("args"), "and fills it")
    mounts = {it["name"]: it["mountPath"] for it in main[0]["volumeMounts"]}
    expect(mounts.get("logs") == "/var/log/spark" and "spark-log4j" in mounts, "the log volume is mounted")
    expect({"spark-app-selector", "spark-role"} <= set(pod["metadata"]["labels"]), "the labels that the agent reads")
    # Spark writes amounts and ports as numbers and texts of its own; the server takes both.
    kubernetes_validate.validate(pod, "1.36", strict=True)


def main():
    (FOLDER / "conf").mkdir()
    pod = submit("driver", "--deploy-mode", "cluster", "--conf", "spark.kubernetes.submission.waitAppCompletion=false",
                 "local:///opt/spark/orders.py")
    check("driver", pod)
    script = FOLDER / "orders.py"
    script.write_text("from pyspark.sql import SparkSession\n"
                      "SparkSession.builder.getOrCreate().range(10).count()\n")
    # A driver on this machine, which has no folder for log4j's file, asks for its executors.
    pod = submit("executor", "--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.instances=1",
                 "--conf", "spark.driver.defaultJavaOptions=", "--conf", "spark.ui.enabled=false", str(script))
    check("executor", pod)
    options = json.dumps(pod["spec"]["containers"][0])
    if "-Dlog4j2.configurationFile=file:/etc/spark-log4j/log4j2.properties" not in options:
        sys.exit(f"executor: the log4j file is not named: {options}")
    print("driver and executor: pods are as the templates want them")


main()
