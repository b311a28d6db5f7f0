"""The rules of the house for the resources, on what CloudFormation gets after the transform."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bucketbrush.adapters import ledger
from bucketbrush.domain import layout
from bucketbrush.domain.jobs import Job
from bucketbrush.domain.life import State
from bucketbrush.events import ExecutionEnded, parse
from tests.template.stack import ROOT, Json, Resources, Values, listed, most, strings

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = ["SubmitFunction", "StatusFunction", "FinalizeFunction", "BatchFunction", "SweepFunction"]
BUCKETS = {"InboxBucket": "InboxBucketPolicy", "ResultsBucket": "ResultsBucketPolicy"}
QUEUES = [
    *("SubmitQueue", "SubmitDeadLetters", "DropRuleDeadLetters"),
    *("BatchQueue", "BatchDeadLetters", "ExecutionEndedQueue", "ExecutionEndedDeadLetters"),
]
# Each rule with the queues that it sends to.
RULES = {
    **dict.fromkeys(("DropRule", "RequestRule"), ("SubmitQueue", "DropRuleDeadLetters")),
    "ExecutionEndedRule": ("ExecutionEndedQueue",),
}
DEAD_LETTERS = {"SubmitDeadLetters", "BatchDeadLetters", "DropRuleDeadLetters", "ExecutionEndedDeadLetters"}
FOURTEEN_DAYS = 14 * 24 * 60 * 60

# Deployments with buckets of their own, and with one that exists for both: what stands where, and who may touch it.
MINE = {
    "ExistingInboxBucket": "mine",
    "InboxPrefix": "photos/in/",
    "PresetsPrefix": "photos/presets/",
    "ReferencesPrefix": "photos/refs/",
    "ExistingResultsBucket": "mine",
    "ResultsKey": "photos/out/{date}/{job_id}/{index}.{ext}",
}
PLACES = {
    "own": ({}, "<InboxBucket>", ("inbox/", "references/", "presets/"), "<ResultsBucket>", "results/"),
    "mine": (MINE, "mine", ("photos/in/", "photos/refs/", "photos/presets/"), "mine", "photos/out/"),
}


def _arn(name: str) -> Json:
    return {"Fn::GetAtt": [name, "Arn"]}


def _roles(resources: Resources) -> Iterator[tuple[str, Json]]:
    for role in resources.of("AWS::IAM::Role"):
        for statement in resources.statements(role):
            yield role, statement


# ---- Functions and their roles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLACES)
def test_the_functions_are_told_where_things_lie(template: Json, resources: Resources, name: str) -> None:
    overrides, inbox, (drops, references, presets), results, prefix = PLACES[name]
    values = Values.deployed(template, overrides)
    given = resources.properties("SubmitFunction")["Environment"]["Variables"]
    variables = {variable: values.resolve(value) for variable, value in given.items()}
    prefixes = [variables[f"{kind}_PREFIX"] for kind in ("INBOX", "REFERENCES", "PRESETS")]
    assert (variables["INBOX_BUCKET"], *prefixes) == (inbox, drops, references, presets)
    assert variables["RESULTS_BUCKET"] == results
    assert layout.results_prefix(variables["RESULTS_KEY"]) == prefix
    outputs = {output: values.resolve(item["Value"]) for output, item in template["Outputs"].items()}
    assert (outputs["InboxBucket"], outputs["ResultsBucket"]) == (inbox, results)


def test_a_bucket_that_exists_is_left_alone(template: Json) -> None:
    """Neither made nor given a policy; and what the stack makes it can take away from nobody."""
    made = {name: item.get("Condition") for name, item in template["Resources"].items() if "Bucket" in name}
    assert {name: condition for name, condition in made.items() if "Layer" not in name} == {
        **dict.fromkeys(("InboxBucket", "InboxBucketPolicy"), "CreateInbox"),
        **dict.fromkeys(("ResultsBucket", "ResultsBucketPolicy"), "CreateResults"),
    }


def _holders(resources: Resources) -> dict[str, set[str]]:
    """The roles that may do each action."""
    holders: dict[str, set[str]] = {}
    for role, statement in _roles(resources):
        for action in listed(statement["Action"]):
            holders.setdefault(action, set()).add(role)
    return holders


def test_only_submit_may_pay(resources: Resources) -> None:
    """Who may start executions, which call submit, and sign links; each calls exactly what it is there to call."""
    holders = _holders(resources)
    assert holders["states:StartExecution"] == {"SubmitRole", "SweepRole"}
    assert holders["sts:AssumeRole"] == {"SubmitRole"}
    assert holders["secretsmanager:GetSecretValue"] == {"SubmitRole", "StatusRole", "FinalizeRole"}
    assert holders["lambda:InvokeFunction"] == {"JobsMachineRole", "SweepRole"}
    called = {
        role: listed(statement["Resource"])
        for role, statement in _roles(resources)
        if statement["Action"] == "lambda:InvokeFunction"
    }
    assert called == {
        "JobsMachineRole": [_arn(name) for name in ("SubmitFunction", "StatusFunction", "FinalizeFunction")],
        "SweepRole": [_arn("FinalizeFunction")],
    }


def test_only_finalize_and_batch_touch_results(resources: Resources) -> None:
    touching = {role for role, statement in _roles(resources) if "ResultsBucket" in " ".join(strings(statement))}
    assert touching == {"FinalizeRole", "BatchRole"}
    holders = _holders(resources)
    assert holders["s3:PutObject"] == holders["sns:Publish"] == {"FinalizeRole", "BatchRole"}
    assert holders["events:PutEvents"] == {"SubmitRole", "StatusRole", "FinalizeRole", "BatchRole"}
    assert not {"s3:DeleteObject", "s3:DeleteObjectVersion", "dynamodb:DeleteItem"} & set(holders)


def test_the_sweep_reaches_neither_the_provider_nor_an_object(template: Json, resources: Resources) -> None:
    statements = resources.statements("SweepRole")
    actions = {action for statement in statements for action in listed(statement["Action"])}
    assert {action.split(":")[0] for action in actions} == {
        "logs",
        "xray",
        "kms",
        "sqs",
        "dynamodb",
        "states",
        "lambda",
    }
    variables = resources.properties("SweepFunction")["Environment"]["Variables"]
    assert not {"API_BASE_URL", "API_KEY_SECRET_ARN", "RESULTS_BUCKET", "INBOX_BUCKET"} & set(variables)
    assert Values.deployed(template, {}).resolve(variables["FINALIZE_FUNCTION"]) == "<FinalizeFunction>"


# What each does to the jobs and, in the rows of the schedule and the budgets, to the limits; who stands not here does
# nothing. A transaction needs no permission but those of its writes (DynamoDB Developer Guide, "Using IAM with DynamoDB
# transactions").
DOES = {
    "JobsTable": {
        "SubmitRole": {"GetItem", "PutItem", "UpdateItem"},
        "StatusRole": {"UpdateItem"},
        "FinalizeRole": {"GetItem", "PutItem", "UpdateItem"},
        "SweepRole": {"GetItem", "UpdateItem"},
        "BatchRole": {"BatchGetItem"},
        "JobsMachineRole": {"GetItem"},
    },
    "BatchesTable": {"BatchRole": {"GetItem", "PutItem"}},
    "its index": {"SweepRole": {"Query"}},
    "LimitsTable": {"SubmitRole": {"GetItem", "UpdateItem"}, "FinalizeRole": {"UpdateItem"}, "SweepRole": {"GetItem"}},
    "DurationsTable": {"SubmitRole": {"BatchGetItem"}, "FinalizeRole": {"BatchGetItem", "PutItem", "UpdateItem"}},
}


def test_each_does_to_the_tables_what_its_part_needs(resources: Resources) -> None:
    index = {"Fn::Sub": f"${{JobsTable.Arn}}/index/{ledger._OPEN_INDEX}"}
    arns = {**{name: _arn(name) for name in TABLES}, "its index": index}
    found: dict[str, dict[str, set[str]]] = {}
    for role, statement in _roles(resources):
        for action in listed(statement["Action"]):
            service, verb = action.split(":")
            if service == "dynamodb":
                (name,) = [name for name, arn in arns.items() if [arn] == listed(statement["Resource"])]
                found.setdefault(name, {}).setdefault(role, set()).add(verb)
    assert found == DOES


def test_the_sweep_looks_at_this_machines_executions_only(template: Json, resources: Resources) -> None:
    values = Values.deployed(template, {})
    (look,) = [item for item in resources.statements("SweepRole") if item["Action"] == "states:DescribeExecution"]
    machine = values.resolve(resources.properties("SweepFunction")["Environment"]["Variables"]["JOBS_MACHINE_ARN"])
    assert values.resolve(look["Resource"]) == machine.replace(":stateMachine:", ":execution:") + ":*"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_writes_only_to_its_own_log_group(resources: Resources, function: str) -> None:
    properties = resources.properties(function)
    group = properties["LoggingConfig"]["LogGroup"]["Ref"]
    assert properties["LoggingConfig"]["LogFormat"] == "JSON"
    assert resources.properties(group)["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    role = properties["Role"]["Fn::GetAtt"][0]
    logs = [item for item in resources.statements(role) if any("logs:" in action for action in listed(item["Action"]))]
    assert [item["Resource"] for item in logs] == [_arn(group)]
    users = [other["LoggingConfig"]["LogGroup"]["Ref"] for other in resources.of("AWS::Lambda::Function").values()]
    assert users.count(group) == 1


def test_every_log_group_is_named_by_the_stack_and_ends(resources: Resources) -> None:
    for name, group in resources.of("AWS::Logs::LogGroup").items():
        assert "${AWS::StackName}" in group["LogGroupName"]["Fn::Sub"], name
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_run_where_the_parameters_say(resources: Resources, function: str) -> None:
    properties = resources.properties(function)
    assert properties["Runtime"] == {"Ref": "PythonRuntime"}
    assert properties["Architectures"] == [{"Ref": "Architecture"}]
    layers = [resources.all[layer["Ref"]]["Properties"]["LayerName"] for layer in properties["Layers"]]
    assert len(layers) == 2


# ---- The ways in -------------------------------------------------------------------------------------------------


def test_the_rules_filter_as_little_as_they_can(template: Json, resources: Resources) -> None:
    """Suffixes are compared in code, caseless: a rule that filters them would drop files without a word."""
    rules = {name: rule["EventPattern"] for name, rule in resources.of("AWS::Events::Rule").items() if name in RULES}
    key = rules["DropRule"]["detail"]["object"]["key"]
    bucket = rules["DropRule"]["detail"]["bucket"].pop("name")
    assert [Values.deployed(template, overrides).resolve(bucket) for overrides in ({}, MINE)] == [
        ["<InboxBucket>"],
        ["mine"],
    ]
    assert rules == {
        "DropRule": {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {}, "object": {"key": key}},
        },
        # It must name the stack: two that hear one event would both pay for it.
        "RequestRule": {"detail-type": ["Image Job Requested"], "detail": {"stack": [{"Ref": "AWS::StackName"}]}},
        "ExecutionEndedRule": {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "stateMachineArn": [{"Ref": "JobsMachine"}],
                "status": ["FAILED", "TIMED_OUT", "ABORTED"],
            },
        },
    }
    assert key == [{"prefix": {"Ref": "InboxPrefix"}}, {"prefix": {"Ref": "PresetsPrefix"}}]


@pytest.mark.parametrize("rule", RULES)
def test_what_a_rule_cannot_deliver_is_kept_or_found_by_the_sweep(resources: Resources, rule: str) -> None:
    (target,) = resources.properties(rule)["Targets"]
    queue, *dead_letters = RULES[rule]
    assert target["Arn"] == _arn(queue)
    # What an execution's end becomes when it cannot be delivered is the whole event, the execution's input included.
    assert target.get("DeadLetterConfig") == next(({"Arn": _arn(name)} for name in dead_letters), None)
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


@pytest.mark.parametrize("rule", RULES)
def test_only_the_rule_may_send_to_its_queues(resources: Resources, rule: str) -> None:
    queues = [*RULES[rule]]
    policies = resources.of("AWS::SQS::QueuePolicy").values()
    (policy,) = [item for item in policies if item["Queues"] == [{"Ref": name} for name in queues]]
    (statement,) = [item for item in policy["PolicyDocument"]["Statement"] if item["Effect"] == "Allow"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] in ([_arn(name) for name in queues], _arn(queues[0]))
    rules = [_arn(name) for name in RULES if RULES[name] == RULES[rule]]
    assert listed(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == rules
    assert [*statement["Condition"]] == ["ArnEquals", "StringEquals"]
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_nobody_else_may_send_from_outside(resources: Resources) -> None:
    """What a policy of a queue allows beside the rules would hold for everybody that it names."""
    allowed = [
        policy["Queues"]
        for policy in resources.of("AWS::SQS::QueuePolicy").values()
        if any(statement["Effect"] == "Allow" for statement in policy["PolicyDocument"]["Statement"])
    ]
    assert allowed == [[{"Ref": name} for name in queues] for queues in dict.fromkeys(RULES.values())]


def test_of_an_execution_the_name_alone_passes(resources: Resources) -> None:
    """EventBridge User Guide, "Input transformation": a text in place of <name> gets its quotes."""
    event = json.loads((ROOT / "events" / "execution-ended.json").read_text())
    (target,) = resources.properties("ExecutionEndedRule")["Targets"]
    assert set(target["InputTransformer"]) == {"InputPathsMap", "InputTemplate"}
    assert target["InputTransformer"]["InputPathsMap"] == {"execution": "$.detail.name"}
    body = target["InputTransformer"]["InputTemplate"].replace("<execution>", json.dumps(event["detail"]["name"]))
    (record,) = json.loads((ROOT / "events" / "sweep-queue-batch.json").read_text())["Records"]
    assert body == record["body"]
    assert parse(ExecutionEnded, body) == ExecutionEnded(execution="starry-cat-0001")
    pattern = resources.properties("ExecutionEndedRule")["EventPattern"]
    assert event["source"] in pattern["source"]
    assert event["detail-type"] in pattern["detail-type"]
    assert event["detail"]["status"] in pattern["detail"]["status"]


def test_the_sweep_runs_by_schedule_too(resources: Resources) -> None:
    """Status changes of executions are sent as well as AWS can; who lost one is found all the same."""
    ((name, rule),) = [item for item in resources.of("AWS::Events::Rule").items() if item[0] not in RULES]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert rule.get("State", "ENABLED") == "ENABLED"
    assert [target["Arn"] for target in rule["Targets"]] == [_arn("SweepFunction")]
    (permission,) = resources.of("AWS::Lambda::Permission").values()
    assert (permission["FunctionName"], permission["SourceArn"]) == ({"Ref": "SweepFunction"}, _arn(name))


def test_lambda_repeats_only_what_nobody_else_does(resources: Resources) -> None:
    configs = resources.of("AWS::Lambda::EventInvokeConfig").values()
    assert {item["FunctionName"]["Ref"]: item["MaximumRetryAttempts"] for item in configs} == {
        "FinalizeFunction": 2,
        "SweepFunction": 0,
    }


@pytest.mark.parametrize("queue", QUEUES)
def test_messages_are_kept_for_fourteen_days(resources: Resources, queue: str) -> None:
    assert sorted(resources.of("AWS::SQS::Queue")) == sorted(QUEUES)
    assert resources.properties(queue)["MessageRetentionPeriod"] == FOURTEEN_DAYS


def test_a_drop_is_tried_five_times(template: Json, resources: Resources) -> None:
    queue = resources.properties("SubmitQueue")
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": _arn("SubmitDeadLetters"), "maxReceiveCount": 5}
    assert queue["VisibilityTimeout"] == {"Ref": "SubmitVisibilitySeconds"}
    default = template["Parameters"]["SubmitVisibilitySeconds"]["Default"]
    assert default >= 6 * most(template, resources.properties("SubmitFunction")["Timeout"])


def test_an_ended_execution_is_tried_five_times(resources: Resources) -> None:
    queue = resources.properties("ExecutionEndedQueue")
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": _arn("ExecutionEndedDeadLetters"), "maxReceiveCount": 5}
    assert queue["VisibilityTimeout"] >= 6 * resources.properties("SweepFunction")["Timeout"]


def test_a_turn_of_a_batch_is_tried_five_times(resources: Resources) -> None:
    queue = resources.properties("BatchQueue")
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": _arn("BatchDeadLetters"), "maxReceiveCount": 5}
    assert queue["VisibilityTimeout"] >= 6 * resources.properties("BatchFunction")["Timeout"]


def test_messages_are_taken_one_at_a_time(resources: Resources) -> None:
    mappings = {item["FunctionName"]["Ref"]: item for item in resources.of("AWS::Lambda::EventSourceMapping").values()}
    assert mappings == {
        "SubmitFunction": {
            "EventSourceArn": _arn("SubmitQueue"),
            "FunctionName": {"Ref": "SubmitFunction"},
            "BatchSize": 1,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}},
        },
        "BatchFunction": {
            "EventSourceArn": _arn("BatchQueue"),
            "FunctionName": {"Ref": "BatchFunction"},
            "BatchSize": 1,
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
        "SweepFunction": {
            "EventSourceArn": _arn("ExecutionEndedQueue"),
            "FunctionName": {"Ref": "SweepFunction"},
            "BatchSize": 1,
            "ScalingConfig": {"MaximumConcurrency": 2},
        },
    }


# ---- What is kept ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bucket", BUCKETS)
def test_buckets_are_closed_and_versioned(resources: Resources, bucket: str) -> None:
    assert set(resources.of("AWS::S3::Bucket")) == set(BUCKETS)
    properties = resources.properties(bucket)
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"], True
    )
    assert "BucketName" not in properties, "a fixed name would let only one stack exist"


@pytest.mark.parametrize("bucket", BUCKETS)
def test_unfinished_uploads_are_cleared_away(resources: Resources, bucket: str) -> None:
    rules = resources.properties(bucket)["LifecycleConfiguration"]["Rules"]
    assert any(rule["Status"] == "Enabled" and "AbortIncompleteMultipartUpload" in rule for rule in rules)
    assert not any(name for rule in rules for name in rule if "Expiration" in name), "nothing that was paid expires"


def test_only_the_inbox_tells_eventbridge(resources: Resources) -> None:
    told = {name: item.get("NotificationConfiguration") for name, item in resources.of("AWS::S3::Bucket").items()}
    on = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert told == {"InboxBucket": on, "ResultsBucket": None}


TABLES = {"JobsTable": "job_id", "BatchesTable": "batch_id", "LimitsTable": "name", "DurationsTable": "name"}


@pytest.mark.parametrize(("name", "key"), TABLES.items())
def test_tables_cost_by_use_and_can_be_restored(resources: Resources, name: str, key: str) -> None:
    assert set(resources.of("AWS::DynamoDB::Table")) == set(TABLES)
    table = resources.properties(name)
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert {"AttributeName": key, "AttributeType": "S"} in table["AttributeDefinitions"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "TableName" not in table, "a fixed name would let only one stack exist"


def test_jobs_and_batches_are_forgotten_by_ttl(resources: Resources) -> None:
    ttl = {"AttributeName": "expires_at", "Enabled": True}
    found = {name: table.get("TimeToLiveSpecification") for name, table in resources.of("AWS::DynamoDB::Table").items()}
    assert found == {"JobsTable": ttl, "BatchesTable": ttl, "LimitsTable": None, "DurationsTable": None}


def test_the_index_is_the_ledgers_and_holds_no_more_than_it_needs(resources: Resources) -> None:
    """Its partition key is there while a job is open, and what the index copies is what the sweep asks for."""
    table = resources.properties("JobsTable")
    (index,) = table["GlobalSecondaryIndexes"]
    assert index == {
        "IndexName": ledger._OPEN_INDEX,
        "KeySchema": [
            {"AttributeName": "open", "KeyType": "HASH"},
            {"AttributeName": "next_check", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    open_job = Job(job_id="j", state=State.WAITING, created_at=1, next_check=2)
    written = ledger._to_item(ledger._row(open_job))
    for attribute in table["AttributeDefinitions"]:
        assert set(written[attribute["AttributeName"]]) == {attribute["AttributeType"]}
    ended = ledger._row(open_job.model_copy(update={"state": State.ENDED, "next_check": None}))
    assert not {"open", "next_check"} & set(ended)


# ---- The workflow ------------------------------------------------------------------------------------------------


def test_the_machine_is_standard_and_logs_no_data(resources: Resources) -> None:
    machine = resources.properties("JobsMachine")
    assert machine["StateMachineType"] == "STANDARD"
    assert machine["StateMachineName"] == {"Fn::Sub": "${AWS::StackName}-jobs"}
    logging = machine["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False
    assert logging["Destinations"] == [{"CloudWatchLogsLogGroup": {"LogGroupArn": _arn("JobsMachineLogs")}}]


@pytest.mark.parametrize("stem", ["Submit", "Sweep"])
def test_who_starts_executions_knows_the_machines_arn_by_its_name(
    template: Json, resources: Resources, stem: str
) -> None:
    """By Sub: a reference would close a circle, as the machine needs the functions' ARNs."""
    values = Values.deployed(template, {})
    name = values.resolve(resources.properties("JobsMachine")["StateMachineName"])
    arn = resources.properties(f"{stem}Function")["Environment"]["Variables"]["JOBS_MACHINE_ARN"]
    assert values.resolve(arn).endswith(f":stateMachine:{name}")
    start = [item for item in resources.statements(f"{stem}Role") if item["Action"] == "states:StartExecution"]
    assert [item["Resource"] for item in start] == [arn]


def test_cloudformation_gets_no_null(translated: Json) -> None:
    """It refuses a template that has one ("'null' values are not allowed in templates")."""
    assert None not in list(_values(translated))


def _values(value: Any) -> Iterator[Any]:
    """All that stand in a JSON value, at any depth."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield value
    for item in inner:
        yield from _values(item)


@pytest.mark.parametrize(("rate", "mode"), [("0.05", "Active"), ("0", "PassThrough")])
def test_functions_and_workflow_are_traced_together_or_not_at_all(
    template: Json, resources: Resources, rate: str, mode: str
) -> None:
    values = Values.deployed(template, {"TraceSamplingRate": rate})
    modes = [values.resolve(item["TracingConfig"]) for item in resources.of("AWS::Lambda::Function").values()]
    assert modes == [{"Mode": mode}] * len(FUNCTIONS)
    machine = resources.properties("JobsMachine")
    assert values.resolve(machine["TracingConfiguration"]) == {"Enabled": mode == "Active"}
    assert resources.all["JobsSampling"]["Condition"] == "Traces"
    rule = resources.properties("JobsSampling")["SamplingRule"]
    assert rule["FixedRate"] == {"Ref": "TraceSamplingRate"}
    assert rule["ReservoirSize"] == 0, "a reservoir would trace more than was asked for"
    assert rule["ServiceName"] == machine["StateMachineName"]
