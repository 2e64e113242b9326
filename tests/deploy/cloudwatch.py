"""Checks dashboards/cloudwatch: the template is what its program makes, cfn-lint finds nothing, and moto makes a
stack of it, whose dashboards, topic, key, log group and alarms are read back.

usage: cloudwatch.py DASHBOARDS MOTO_URL
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import boto3
from cfnlint.decode import cfn_yaml

FOLDER, URL = pathlib.Path(sys.argv[1]), sys.argv[2]
TEMPLATE = FOLDER / "sidelight.yaml"
REGION, ACCOUNT = "eu-west-1", "123456789012"
PARAMETERS = {
    "ScopeValue": "prod", "CostCenter": "4711", "Owner": "etl@example.com", "Email": "etl@example.com",
    "SuccessAgeSeconds": "90000", "AgentsMin": "3", "SpendUsd": "100", "RunCost": "20", "EmrEvents": "yes",
}
TAGGED = {"CostCenter", "Purpose", "Ttl", "Owner"}
problems, n_checks = [], 0


def expect(is_true, what):
    global n_checks
    n_checks += 1
    if not is_true:
        problems.append(str(what))


def lint(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        program = pathlib.Path(sys.executable).parent / "cfn-lint"
        return subprocess.run([program, "--include-checks", "I", "--", file.name], capture_output=True, text=True).stdout


def check_lint(text):
    found = lint(text)
    expect(not found, found)
    for good, broken in [
        ('"TreatMissingData":"breaching"', '"TreatMissingData":"braching"'),
        ('"LogGroupClass":"STANDARD"', '"LogGroupClas":"STANDARD"'),
        ('{"Ref":"RetentionDays"}', "15"),
    ]:
        expect(good in text and lint(text.replace(good, broken)), f"cfn-lint lets {broken} pass")


def check_tags(template):
    for name, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource["Properties"]
        tags = properties.get("Tags") or properties.get("ResourceTags")
        takes_tags = kind.rsplit("::", 1)[1] not in ("Dashboard", "QueryDefinition", "TopicPolicy", "Subscription")
        expect(takes_tags == bool(tags), f"{name}: tags {tags}")
        expect(not tags or {tag["Key"] for tag in tags} == TAGGED, f"{name}: tags {tags}")
        if kind == "AWS::SNS::Topic":
            expect("KmsMasterKeyId" in properties, f"{name}: no key")
        if kind == "AWS::Logs::LogGroup":
            expect({"KmsKeyId", "RetentionInDays"} <= set(properties), f"{name}: {properties}")


class Resolver:
    """What CloudFormation makes of functions, as far as alarms use them: moto makes no alarms of a template."""

    def __init__(self, template, outputs):
        self.names = {name: it.get("Default") for name, it in template["Parameters"].items()}
        self.names |= PARAMETERS | {"AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "Topic": outputs["Topic"]}

    def value(self, it):
        if isinstance(it, list):
            return [self.value(part) for part in it]
        if not isinstance(it, dict):
            return it
        if set(it) == {"Ref"}:
            return self.names[it["Ref"]]
        if set(it) == {"Fn::Sub"}:
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self.names[found[1]]), it["Fn::Sub"]).replace("${!", "${")
        if set(it) == {"Fn::If"}:
            # The one that alarms have is about the topic, which this stack makes.
            assert it["Fn::If"][0] == "MakesTopic"
            return self.value(it["Fn::If"][1])
        return {key: self.value(part) for key, part in it.items()}


def client(name):
    return boto3.client(name, endpoint_url=URL, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")


def check_stack(text, template):
    formation, watch = client("cloudformation"), client("cloudwatch")
    # moto takes tags of keys only as the API of KMS writes them.
    text = re.sub(r'(?m)^( Key: .*),"Tags":\[.*?\]', r"\1", text)
    parameters = [{"ParameterKey": key, "ParameterValue": it} for key, it in PARAMETERS.items()]
    formation.create_stack(StackName="sidelight", TemplateBody=text, Parameters=parameters)
    stack = formation.describe_stacks(StackName="sidelight")["Stacks"][0]
    expect(stack["StackStatus"] == "CREATE_COMPLETE", stack)
    outputs = {it["OutputKey"]: it["OutputValue"] for it in stack["Outputs"]}
    topic = client("sns").get_topic_attributes(TopicArn=outputs["Topic"])["Attributes"]
    keys = [it["KeyArn"] for it in client("kms").list_keys()["Keys"]]
    expect(outputs["Topic"].endswith(":sidelight-prod"), outputs)
    group = client("logs").describe_log_groups(logGroupNamePrefix="/sidelight/metrics")["logGroups"][0]
    # moto forgets the key of a log group.
    expect(int(group["retentionInDays"]) == 30 and keys == [topic["KmsMasterKeyId"]], [group, topic, keys])
    rule = client("events").describe_rule(Name="sidelight-prod-emr-failures")
    expect(json.loads(rule["EventPattern"])["detail"] == {"state": ["FAILED"]}, rule)
    resolver = Resolver(template, outputs)
    check_dashboards(watch, resolver, template)
    check_alarms(watch, resolver, template, outputs["Topic"])


def check_dashboards(watch, resolver, template):
    names = [it["DashboardName"] for it in watch.list_dashboards()["DashboardEntries"]]
    expect(sorted(names) == [f"sidelight-prod-{it}" for it in ("agent", "fleet", "flink-job", "spark-job")], names)
    alarms = [it for it in template["Resources"].values() if it["Type"] == "AWS::CloudWatch::Alarm"]
    known = {resolver.value(it["Properties"]["AlarmName"]) for it in alarms}
    for name in names:
        body = json.loads(watch.get_dashboard(DashboardName=name)["DashboardBody"])
        text = json.dumps(body)
        left = [it for it in re.findall(r"\$\{[^}]*", text) if not it.startswith("${PROP(")]
        expect(not left, f"{name}: {left}")
        arns = [arn for widget in body["widgets"] for arn in widget["properties"].get("alarms", [])]
        expect({arn.rsplit(":", 1)[1] for arn in arns} <= known, f"{name}: {arns}")


def check_alarms(watch, resolver, template, topic):
    wanted = {}
    for name, it in template["Resources"].items():
        if it["Type"] == "AWS::CloudWatch::Alarm":
            properties = resolver.value(it["Properties"])
            properties["Threshold"] = float(properties["Threshold"])
            # boto3 holds it to the model of the API.
            watch.put_metric_alarm(**properties)
            wanted[properties["AlarmName"]] = properties
    stored = {it["AlarmName"]: it for it in watch.describe_alarms()["MetricAlarms"]}
    expect(stored.keys() == wanted.keys() and len(stored) >= 8, sorted(stored))
    for name, alarm in stored.items():
        for key in ("Threshold", "ComparisonOperator", "EvaluationPeriods", "TreatMissingData", "AlarmDescription"):
            expect(alarm[key] == wanted[name][key], f"{name}: {key} is {alarm[key]}")
        expect(alarm["AlarmActions"] == alarm["OKActions"] == [topic], f"{name}: {alarm['AlarmActions']}")
        returned = [it for it in alarm["Metrics"] if it.get("ReturnData", True)]
        expect(len(returned) == 1, f"{name}: {alarm['Metrics']}")
        query = returned[0].get("Expression", "")
        if "SELECT" in query:
            # Older data are not there for such an alarm.
            expect(returned[0]["Period"] * alarm["EvaluationPeriods"] <= 3 * 3600, f"{name}: looks back too far")
            expect("GROUP BY" in query and "ORDER BY" in query, f"{name}: {query}")


def main():
    made = subprocess.run([sys.executable, "-B", FOLDER / "build.py", "--check"], capture_output=True, text=True)
    expect(made.returncode == 0, made.stderr)
    text = TEMPLATE.read_text()
    template = cfn_yaml.loads(text)
    check_lint(text)
    check_tags(template)
    check_stack(text, template)


main()
for problem in problems:
    print("PROBLEM", problem)
print(f"{n_checks} checks of the template of CloudFormation, {len(problems)} problems")
sys.exit(bool(problems))
