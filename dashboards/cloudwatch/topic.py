"""Parameters, tags, the topic with its key, and the log group of the metrics."""

TAGS = [{"Key": key, "Value": {"Ref": key}} for key in ("CostCenter", "Purpose", "Ttl", "Owner")]


def text(description, default=None, **more):
    parameter = {"Type": "String", "Description": description, **more}
    if default is not None:
        parameter["Default"] = default
    return parameter


def number(description, default, **more):
    return {"Type": "Number", "Description": description, "Default": default, "MinValue": 0, **more}


YES_NO = {"AllowedValues": ["yes", "no"]}

PARAMETERS = {
    "Namespace": text("namespace of [exporters.cloudwatch_metrics]", "Sidelight", AllowedPattern="[A-Za-z0-9._/#:-]+"),
    "ScopeName": text("which dimension the agents send", "environment", AllowedValues=["environment", "cluster"]),
    "ScopeValue": text("its value, as in environment = \"prod\"", AllowedPattern="[A-Za-z0-9_-]+"),
    "MetricsLogGroup": text("group of [exporters.cloudwatch_metrics]", "/sidelight/metrics"),
    "MakeLogGroup": text("no: the group is there already", "yes", **YES_NO),
    "RetentionDays": number("days for which the log group keeps events; metrics stay", 30, AllowedValues=[1, 7, 14, 30, 60, 90, 180, 365]),
    "TopicArn": text("topic for alarms; empty: one is made", ""),
    "Email": text("address that the new topic sends to; empty: nobody yet", ""),
    "KmsKeyArn": text("key for topic and log group; empty: one is made", ""),
    "LongRunSeconds": number("a run that is older is too long; 0: no such alarm, as where jobs are streams", 14400),
    "SuccessAgeSeconds": number("no run has succeeded for so long; 0: no such alarm", 0),
    "TaskFailures": number("failed tasks of a job in 15 minutes that are too many", 50),
    "CheckpointAgeSeconds": number("age of the last checkpoint that is too old", 900),
    "LagSeconds": number("lag that is too long", 600),
    "CoreSecondsPerHour": number("executor cores of one job, seconds in an hour, that cost too much (200 cores)", 720000),
    "RunCost": number("cost of one run, by [pricing], that is too much; 0: no such alarm", 0),
    "SpendUsd": number("anomaly of the bill of this CostCenter that is told, in USD; 0: none", 0),
    "EmrEvents": text("yes: EMR itself tells each step and job run that failed, of the whole account and region", "no", **YES_NO),
    "AgentsMin": number("agents that always run, as on EMR; 0: they come and go with pods", 0),
    "CostCenter": text("tag: who pays", AllowedPattern=".+"),
    "Purpose": text("tag: what it is for", "observability of data jobs"),
    "Ttl": text("tag: date after which it may go, or never", "never"),
    "Owner": text("tag: whom to ask", AllowedPattern=".+"),
}

RULES = {
    "EmailGoesToTheNewTopic": {
        "RuleCondition": {"Fn::Not": [{"Fn::Equals": [{"Ref": "TopicArn"}, ""]}]},
        "Assertions": [{
            "Assert": {"Fn::Equals": [{"Ref": "Email"}, ""]},
            "AssertDescription": "Email is for the topic that the stack makes; subscribe to TopicArn yourself",
        }],
    },
}


def is_empty(name):
    return {"Fn::Equals": [{"Ref": name}, ""]}


def is_on(name):
    return {"Fn::Not": [{"Fn::Equals": [{"Ref": name}, 0]}]}


CONDITIONS = {
    "MakesTopic": is_empty("TopicArn"),
    "MakesKey": is_empty("KmsKeyArn"),
    "HasEmail": {"Fn::And": [{"Condition": "MakesTopic"}, {"Fn::Not": [is_empty("Email")]}]},
    "MakesLogGroup": {"Fn::Equals": [{"Ref": "MakeLogGroup"}, "yes"]},
    "HasLongRuns": is_on("LongRunSeconds"),
    "HasSuccessAge": is_on("SuccessAgeSeconds"),
    "HasAgents": is_on("AgentsMin"),
    "HasRunCost": is_on("RunCost"),
    "HasSpend": is_on("SpendUsd"),
    "HasEmrEvents": {"Fn::Equals": [{"Ref": "EmrEvents"}, "yes"]},
}

KEY_ARN = {"Fn::If": ["MakesKey", {"Fn::GetAtt": ["Key", "Arn"]}, {"Ref": "KmsKeyArn"}]}
TOPIC_ARN = {"Fn::If": ["MakesTopic", {"Ref": "Topic"}, {"Ref": "TopicArn"}]}
OF_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
# The key of AWS for topics would not do: alarms may not use it.
TELLERS = ["cloudwatch.amazonaws.com", "costalerts.amazonaws.com"]


def for_events(action, resource):
    """EventBridge publishes without the condition that the others meet, so it may only when it has something to tell."""
    statement = {
        "Sid": "Events", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": action, "Resource": resource,
    }
    return {"Fn::If": ["HasEmrEvents", statement, {"Ref": "AWS::NoValue"}]}



TOPIC = {
    "Key": {
        "Type": "AWS::KMS::Key",
        "Condition": "MakesKey",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Description": {"Fn::Sub": "Alarms and metric events of sidelight ${ScopeValue}"},
            "EnableKeyRotation": True,
            "KeyPolicy": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "Account",
                        "Effect": "Allow",
                        "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                        "Action": "kms:*",
                        "Resource": "*",
                    },
                    {
                        "Sid": "Alarms",
                        "Effect": "Allow",
                        "Principal": {"Service": TELLERS},
                        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
                        "Resource": "*",
                        "Condition": OF_THIS_ACCOUNT,
                    },
                    for_events(["kms:Decrypt", "kms:GenerateDataKey*"], "*"),
                    {
                        "Sid": "LogGroup",
                        "Effect": "Allow",
                        "Principal": {"Service": {"Fn::Sub": "logs.${AWS::Region}.amazonaws.com"}},
                        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
                        "Resource": "*",
                        "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": {
                            "Fn::Sub": "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:${MetricsLogGroup}"
                        }}},
                    },
                ],
            },
            "Tags": TAGS,
        },
    },
    "Topic": {
        "Type": "AWS::SNS::Topic",
        "Condition": "MakesTopic",
        "Properties": {
            "TopicName": {"Fn::Sub": "sidelight-${ScopeValue}"},
            "DisplayName": {"Fn::Sub": "sidelight ${ScopeValue}"},
            "KmsMasterKeyId": KEY_ARN,
            "Tags": TAGS,
        },
    },
    "TopicPolicy": {
        "Type": "AWS::SNS::TopicPolicy",
        "Condition": "MakesTopic",
        "Properties": {
            "Topics": [{"Ref": "Topic"}],
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "Alarms",
                        "Effect": "Allow",
                        "Principal": {"Service": TELLERS},
                        "Action": "sns:Publish",
                        "Resource": {"Ref": "Topic"},
                        "Condition": OF_THIS_ACCOUNT,
                    },
                    for_events("sns:Publish", {"Ref": "Topic"}),
                ],
            },
        },
    },
    "EmailSubscription": {
        "Type": "AWS::SNS::Subscription",
        "Condition": "HasEmail",
        "Properties": {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": {"Ref": "Email"}},
    },
    "MetricsEvents": {
        "Type": "AWS::Logs::LogGroup",
        "Condition": "MakesLogGroup",
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "LogGroupName": {"Ref": "MetricsLogGroup"},
            "RetentionInDays": {"Ref": "RetentionDays"},
            # CloudWatch makes metrics of the events of no other class.
            "LogGroupClass": "STANDARD",
            "KmsKeyId": KEY_ARN,
            "Tags": TAGS,
        },
    },
    # Spark before 4.3 does not tell how a run ended; EMR does.
    "EmrFailures": {
        "Type": "AWS::Events::Rule",
        "Condition": "HasEmrEvents",
        "Properties": {
            "Name": {"Fn::Sub": "sidelight-${ScopeValue}-emr-failures"},
            "EventPattern": {
                "source": ["aws.emr", "aws.emr-serverless", "aws.emr-containers"],
                "detail-type": ["EMR Step Status Change", "EMR Serverless Job Run State Change", "EMR Job Run State Change"],
                "detail": {"state": ["FAILED"]},
            },
            "Targets": [{"Id": "topic", "Arn": TOPIC_ARN}],
            "Tags": TAGS,
        },
    },
    # What AWS bills: the alarms know what jobs use, and not what it costs.
    "SpendMonitor": {
        "Type": "AWS::CE::AnomalyMonitor",
        "Condition": "HasSpend",
        "Properties": {
            "MonitorName": {"Fn::Sub": "sidelight-${ScopeValue}"},
            "MonitorType": "CUSTOM",
            "MonitorSpecification": {"Fn::Sub": '{"Tags":{"Key":"CostCenter","Values":["${CostCenter}"]}}'},
            "ResourceTags": TAGS,
        },
    },
    "SpendAnomaly": {
        "Type": "AWS::CE::AnomalySubscription",
        "Condition": "HasSpend",
        "Properties": {
            "SubscriptionName": {"Fn::Sub": "sidelight-${ScopeValue}"},
            "Frequency": "IMMEDIATE",
            "MonitorArnList": [{"Fn::GetAtt": ["SpendMonitor", "MonitorArn"]}],
            "Subscribers": [{"Type": "SNS", "Address": TOPIC_ARN}],
            "ThresholdExpression": {"Fn::Sub": '{"Dimensions":{"Key":"ANOMALY_TOTAL_IMPACT_ABSOLUTE",'
                                               '"MatchOptions":["GREATER_THAN_OR_EQUAL"],"Values":["${SpendUsd}"]}}'},
            "ResourceTags": TAGS,
        },
    },
}
