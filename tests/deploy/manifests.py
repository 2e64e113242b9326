"""Checks configs/kubernetes: schemas of Kubernetes, and the rules that a sidecar must keep.

usage: manifests.py CONFIGS [CRDS]     CRDS: folder with the published CRDs; without it they are not asked
"""
import copy
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import jsonschema
import kubernetes_validate
import yaml

CONFIGS = pathlib.Path(sys.argv[1])
CRDS = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
ROOT = CONFIGS / "kubernetes"
VERSIONS = ["1.29", "1.30", "1.31", "1.32", "1.33", "1.34", "1.35", "1.36"]
# Before native sidecars: what must work there has a plain one.
VERSION_BEFORE = "1.27"
CORE = ("v1", "apps/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1")
MAIN = {"spark-kubernetes-driver", "spark-kubernetes-executor", "flink-main-container"}
# What EMR on EKS takes of a pod template, as far as ours use it (its development guide, "pod templates").
EMR_POD = {"containers", "initContainers", "volumes", "terminationGracePeriodSeconds"}
EMR_MAIN = {"name", "env", "volumeMounts", "resources", "ports"}
EMR_VOLUMES = {"emr-container-communicate", "emr-container-application-log-dir"}

problems, n_checks = [], 0


def expect(is_true, what):
    global n_checks
    n_checks += 1
    if not is_true:
        problems.append(what)


def documents(path):
    return [it for it in yaml.safe_load_all(path.read_text()) if it]


def is_valid(document, version):
    try:
        kubernetes_validate.validate(document, version, strict=True)
        return None
    except (kubernetes_validate.ValidationError, jsonschema.ValidationError) as error:
        return str(error).split("\n")[0]


def pod(spec):
    """Any pod spec as a pod; what an operator adds to Spark's and Flink's own container is added."""
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": copy.deepcopy(spec)}
    for container in whole["spec"].get("containers", []):
        container.setdefault("image", "main")
    return whole


def pod_specs(document):
    """Every pod spec in a document, by what it is."""
    spec = document.get("spec", {})
    if document["kind"] == "Pod":
        yield "pod", spec
    elif document["kind"] in ("DaemonSet", "Deployment"):
        yield "template", spec["template"]["spec"]
    elif document["kind"] == "FlinkDeployment":
        yield "podTemplate", spec["podTemplate"]["spec"]
    elif document["kind"] == "SparkApplication":
        for role in ("driver", "executor"):
            it = spec[role]
            if "template" in it:
                yield role, it["template"]["spec"]
            else:
                # What the webhook of the operator makes of it.
                main = {"name": f"spark-kubernetes-{role}", "volumeMounts": it["volumeMounts"]}
                yield role, {
                    "securityContext": it["podSecurityContext"],
                    "initContainers": it["initContainers"],
                    "containers": [main],
                    "volumes": spec["volumes"],
                }


def check_pod(name, spec, is_daemon_set, is_emr):
    containers = spec.get("containers", []) + spec.get("initContainers", [])
    ours = [it for it in containers if it["name"] == "sidelight"]
    expect(len(ours) == 1, f"{name}: one container named sidelight")
    it = ours[0]
    context = it.get("securityContext", {})
    if not is_emr:
        expect(context.get("allowPrivilegeEscalation") is False, f"{name}: privilege escalation")
        expect(context.get("readOnlyRootFilesystem") is True, f"{name}: read-only root")
        expect(context.get("capabilities", {}).get("drop") == ["ALL"], f"{name}: drops ALL")
        expect(context.get("seccompProfile") == {"type": "RuntimeDefault"}, f"{name}: seccomp")
    if not (is_daemon_set or is_emr):
        # The Pod Security Standard `restricted`, with what is above.
        expect(context.get("runAsNonRoot") is True, f"{name}: not root")
        expect(context.get("runAsUser") == 65532, f"{name}: user of the image")
        expect("add" not in context["capabilities"], f"{name}: no capability")
        restricted = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
                      "projected", "secret"}
        kinds = {key for volume in spec.get("volumes", []) for key in volume if key != "name"}
        expect(kinds <= restricted, f"{name}: volumes {kinds}")
        expect(not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), f"{name}: nothing of the host")
    expect(not spec.get("shareProcessNamespace"), f"{name}: process namespace")
    expect("privileged" not in context, f"{name}: privileged")
    resources = it["resources"]
    expect({"cpu", "memory"} <= set(resources["requests"]), f"{name}: requests")
    expect("memory" in resources["limits"] and "cpu" not in resources["limits"], f"{name}: limits")
    for variable in it.get("env", []):
        is_identity = not variable["name"].startswith("SIDELIGHT_")
        expect(is_identity == ("fieldRef" in variable.get("valueFrom", {})), f"{name}: {variable['name']}")
    mounts = {mount["name"]: mount for mount in it["volumeMounts"]}
    for volume, mount in mounts.items():
        is_state = mount["mountPath"] == "/var/lib/sidelight"
        expect(bool(mount.get("readOnly")) != is_state, f"{name}: {volume} is read only but for the state")
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for volume in mounts.keys() - volumes.keys():
        expect(is_emr and volume in EMR_VOLUMES, f"{name}: volume {volume} is missing")
    for volume in volumes.values():
        if "emptyDir" in volume:
            expect("sizeLimit" in volume["emptyDir"], f"{name}: {volume['name']} has a size limit")
    if is_daemon_set:
        return
    is_native = any(c["name"] == "sidelight" for c in spec.get("initContainers", []))
    expect(is_native == (it.get("restartPolicy") == "Always"), f"{name}: restartPolicy")
    heartbeat = [v for v in it.get("env", []) if v["name"] == "SIDELIGHT_SHUTDOWN__HEARTBEAT_FILE"]
    expect(is_native != bool(heartbeat), f"{name}: a plain sidecar has a heartbeat, a native one none")
    main = [c for c in spec.get("containers", []) if c["name"] != "sidelight"]
    if not main:
        return
    expect(len(main) == 1 and main[0]["name"] in MAIN, f"{name}: main container by its name")
    expect(spec["containers"][0]["name"] in MAIN, f"{name}: main container first")
    if not is_emr:
        path = next(m["mountPath"] for m in main[0]["volumeMounts"] if m["name"] == "logs")
        expect(path == mounts["logs"]["mountPath"], f"{name}: logs at one path")
        expect(not next(m for m in main[0]["volumeMounts"] if m["name"] == "logs").get("readOnly"),
               f"{name}: main container writes logs")
    if is_emr:
        expect(set(spec) <= EMR_POD, f"{name}: fields of the pod {set(spec)}")
        expect(set(main[0]) <= EMR_MAIN, f"{name}: fields of the main container")
        expect(not context, f"{name}: no security context")


def check_schema(name, document):
    for version in VERSIONS:
        problem = is_valid(document, version)
        expect(problem is None, f"{name} for {version}: {problem}")
    unknown = copy.deepcopy(document)
    unknown["spec"]["sidecars"] = []
    expect(is_valid(unknown, VERSIONS[-1]), f"{name}: the validator lets an unknown field pass")


def closed(schema):
    """The schema with unknown fields forbidden, which they are not by themselves."""
    if not isinstance(schema, dict):
        return schema
    schema = {key: ([closed(it) for it in value] if isinstance(value, list) else closed(value))
              for key, value in schema.items() if key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        schema.pop("type", None)
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
    return schema


def check_custom(path, document):
    plural = document["kind"].lower() + "s.yaml"
    definition = CRDS / plural if CRDS else None
    if not definition or not definition.is_file():
        print(f"        {path.name}: no {plural} here, so its own schema is not asked")
        return
    crd = documents(definition)[0]
    version = document["apiVersion"].split("/")[1]
    schema = closed(next(v for v in crd["spec"]["versions"] if v["name"] == version)["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"metadata": {"type": "object"}, "apiVersion": {}, "kind": {}}
    validator = jsonschema.Draft7Validator(schema)
    errors = [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in validator.iter_errors(document)]
    expect(not errors, f"{path.name}: {errors}")
    unknown = copy.deepcopy(document)
    unknown["spec"]["unknownField"] = 1
    expect(list(validator.iter_errors(unknown)), f"{path.name}: the schema lets an unknown field pass")


def check_component():
    """A Deployment with the label gets the sidecar, another one does not."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder).resolve()
        component = os.path.relpath((ROOT / "components/sidecar").resolve(), folder)
        (folder / "kustomization.yaml").write_text(
            f"resources: [a.yaml]\ncomponents: [{component}]\n")

        def deployment(name, labels):
            container = {"name": "flink-main-container", "image": "flink",
                         "volumeMounts": [{"name": "logs", "mountPath": "/opt/flink/log"}]}
            spec = {"containers": [container], "volumes": [{"name": "logs", "emptyDir": {"sizeLimit": "1Gi"}}]}
            return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels},
                    "spec": {"selector": {"matchLabels": {"app": name}},
                             "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}}
        (folder / "a.yaml").write_text(yaml.safe_dump_all(
            [deployment("with", {"sidelight.io/inject": "true"}), deployment("without", {})]))
        rendered = kustomize(folder)
    for document in rendered:
        spec = document["spec"]["template"]["spec"]
        is_in = any(it["name"] == "sidelight" for it in spec.get("initContainers", []))
        expect(is_in == (document["metadata"]["name"] == "with"), "component: who gets the sidecar")
        if is_in:
            check_schema("component", document)
            names = {volume["name"] for volume in spec["volumes"]}
            expect({"logs", "sidelight-state", "sidelight-config"} <= names, f"component: {names}")


def kustomize(folder):
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    expect(done.returncode == 0, f"kustomize {folder}: {done.stderr}")
    return [it for it in yaml.safe_load_all(done.stdout) if it]


def main():
    for path in sorted(ROOT.glob("**/*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        is_emr = path.parent.name == "emr-on-eks"
        if is_emr:
            expect(path.stat().st_size < 2048, f"{path.name}: larger than 2 KB")
        for document in documents(path):
            is_component = path.parent.parent.name == "components"
            for what, spec in pod_specs(document):
                name = f"{path.relative_to(ROOT)} {what}"
                if is_component:
                    continue  # checked when it is rendered
                check_pod(name, spec, document["kind"] == "DaemonSet", is_emr)
                check_schema(name, pod(pod_without_emr_volumes(spec) if is_emr else spec))
                if any(it["name"] == "sidelight" for it in spec.get("initContainers", [])):
                    expect(is_valid(pod(spec), VERSION_BEFORE), f"{name}: {VERSION_BEFORE} takes it?")
                elif document["kind"] == "Pod" and not is_emr:
                    expect(is_valid(pod(spec), VERSION_BEFORE) is None, f"{name}: for {VERSION_BEFORE} too")
            if document["apiVersion"] not in CORE:
                check_custom(path, document)
            elif document["kind"] not in ("Pod", "Deployment"):
                for version in VERSIONS:
                    problem = is_valid(document, version)
                    expect(problem is None, f"{path.name} {document['kind']} for {version}: {problem}")

    log4j = CONFIGS / "log4j"
    shipped = (log4j / "spark3-log4j2.properties").read_text()
    expect((ROOT / "base/log4j2.properties").read_text() == shipped, "base/log4j2.properties is another file")
    flink = documents(ROOT / "flink/flinkdeployment.yaml")[0]["spec"]["logConfiguration"]
    shipped = (log4j / "flink1-log4j-console.properties").read_text()
    expect(flink["log4j-console.properties"] == shipped, "flinkdeployment.yaml has another log4j file")

    if not shutil.which("kubectl"):
        print("        no kubectl here, so nothing was rendered by kustomize")
        return
    for folder in (ROOT / "base", ROOT / "daemonset"):
        for document in kustomize(folder):
            problem = is_valid(document, VERSIONS[-1])
            expect(problem is None, f"{folder.name} {document['kind']}: {problem}")
    check_component()


def pod_without_emr_volumes(spec):
    """EMR adds the volumes that it predefines."""
    spec = copy.deepcopy(spec)
    spec["volumes"] += [{"name": name, "emptyDir": {}} for name in sorted(EMR_VOLUMES)]
    return spec


main()
for problem in problems:
    print("PROBLEM", problem)
print(f"{n_checks} checks of manifests, {len(problems)} problems")
sys.exit(bool(problems))
