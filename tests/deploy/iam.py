"""Checks configs/aws/iam: valid, narrow, and no action that the agent does not call.

usage: iam.py CONFIGS
"""
import json
import pathlib
import re
import sys

from parliament import analyze_policy_string

CONFIGS = pathlib.Path(sys.argv[1])
CODE = CONFIGS.parent / "agent/src"
# Rights of which no call has the name: multipart uploads are puts, a bucket is asked by its list.
FOR_CALLS = {
    "s3:PutObjectTagging": "tags",
    "s3:ListBucketMultipartUploads": "list_multipart_uploads",
    "s3:ListBucket": "list_objects_v2",
    "logs:TagResource": "tags",
    "kms:Decrypt": "kms_key_id",
    "kms:GenerateDataKey": "kms_key_id",
    "sts:AssumeRole": "aws_config",
    "sts:TagSession": "aws_config",
    "sts:AssumeRoleWithWebIdentity": "aws_config",
}
problems, n_checks = [], 0


def expect(is_true, what):
    global n_checks
    n_checks += 1
    if not is_true:
        problems.append(what)


def listed(value):
    return value if isinstance(value, list) else [value]


def findings(text):
    """What parliament says; trust policies have a principal, which it does not judge."""
    # It knows DescribeLogGroups with `*` only; CloudWatch asks for the right on the ARN of a group without a name.
    is_known = lambda it: it.issue == "RESOURCE_MISMATCH" and "DescribeLogGroups" in str(it)
    return [str(it) for it in analyze_policy_string(text).findings if not is_known(it)]


def main():
    code = "".join(path.read_text() for path in CODE.glob("**/*.rs"))
    policies = sorted((CONFIGS / "aws/iam").glob("*.json"))
    expect(len(policies) >= 8, f"only {policies}")
    for path in policies:
        policy = json.loads(path.read_text())
        is_trust = path.name.startswith("trust-")
        for statement in policy["Statement"]:
            for action in listed(statement["Action"]):
                expect("*" not in action, f"{path.name}: {action}")
                name = re.sub(r"(?<!^)(?=[A-Z])", "_", action.split(":")[1]).lower()
                call = FOR_CALLS.get(action, f".{name}(")
                expect(call in code, f"{path.name}: the agent calls nothing that needs {action}")
            for resource in listed(statement.get("Resource", [])):
                expect(resource != "*" and not resource.endswith(":::*"), f"{path.name}: {resource}")
            expect(is_trust == ("Principal" in statement), f"{path.name}: principal")
        if not is_trust:
            found = findings(path.read_text())
            expect(not found, f"{path.name}: {found}")
    broken = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObjects", "Resource": "*"}]}'
    expect(findings(broken), "parliament lets an unknown action pass")


main()
for problem in problems:
    print("PROBLEM", problem)
print(f"{n_checks} checks of IAM policies, {len(problems)} problems")
sys.exit(bool(problems))
