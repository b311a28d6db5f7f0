"""What AWS does and stock MiniStack does not: each difference as something that can be seen through the API.

Every observation is made on both engines by `test_differences.py`.
"""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import ClientError

from tests.engine.workbench import archive
from tests.waiting import until, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.workbench import Workbench


@dataclass(frozen=True)
class Observation:
    """One thing to see, what is seen on AWS, and the module that makes our engine show it."""

    difference: str
    see: Callable[[Workbench], Any]
    aws: Any

    def __str__(self) -> str:
        return self.see.__name__


OBSERVATIONS: list[Observation] = []


def on_aws(difference: str, aws: Any) -> Callable[[Callable[[Workbench], Any]], Callable[[Workbench], Any]]:
    """Register an observation together with what AWS shows."""

    def register(see: Callable[[Workbench], Any]) -> Callable[[Workbench], Any]:
        OBSERVATIONS.append(Observation(difference, see, aws))
        return see

    return register


BUSY = """
import os
class JobBusy(Exception): pass
def handler(event, context):
    if event == "pid": return os.getpid()
    if event == "die": os._exit(1)
    raise JobBusy("held by another")
"""


@on_aws("python_runtime", {"errorType": "JobBusy", "traced": True, "environment kept": True})
def an_exception_has_its_own_name_and_the_environment_survives_it(bench: Workbench) -> Any:
    function = bench.function(BUSY)
    before, error, after = (bench.invoke(function, event) for event in ("pid", None, "pid"))
    return {
        "errorType": error["errorType"],
        "traced": bool(error.get("stackTrace")),
        "environment kept": before == after,
    }


@on_aws("python_runtime", "SUCCEEDED")
def a_workflow_catches_an_exception_by_its_class_name(bench: Workbench) -> str:
    task = {"Type": "Task", "Resource": bench.function(BUSY), "End": True}
    task["Catch"] = [{"ErrorEquals": ["JobBusy"], "Next": "Caught"}]
    machine = bench.machine({"StartAt": "Task", "States": {"Task": task, "Caught": {"Type": "Succeed"}}})
    return bench.final_status(bench.start(machine))


@on_aws("python_runtime", {"errorType": "Runtime.ExitError", "environment kept": False})
def an_environment_that_dies_is_replaced(bench: Workbench) -> Any:
    function = bench.function(BUSY)
    before, error, after = (bench.invoke(function, event) for event in ("pid", "die", "pid"))
    return {"errorType": error["errorType"], "environment kept": before == after}


@on_aws("python_runtime", "Runtime.ImportModuleError")
def a_missing_import_is_an_init_error(bench: Workbench) -> str:
    return str(bench.invoke(bench.function("import nothing_of_that_name\n"))["errorType"])


@on_aws("python_runtime", {"code comes first": True, "from layer": "layer", "leaked": []})
def function_code_precedes_layers_and_the_environment_is_clean(bench: Workbench) -> Any:
    layer = bench.client("lambda").publish_layer_version(
        LayerName=bench.name("layer"),
        Content={"ZipFile": archive({"python/only_here.py": "where = 'layer'", "python/app.py": "raise ImportError"})},
    )["LayerVersionArn"]
    code = """
import os, sys
import only_here
def handler(event, context):
    layer = os.path.dirname(only_here.__file__)
    return {
        "code comes first": sys.path.index(os.environ["LAMBDA_TASK_ROOT"]) < sys.path.index(layer),
        "from layer": only_here.where,
        "leaked": [name for name in ("GATEWAY_PORT", "SFN_WAIT_SCALE", "S3_DATA_DIR") if name in os.environ],
    }
"""
    return bench.invoke(bench.function(code, layers=[layer]))


@on_aws("python_runtime", {"level": "WARNING", "message": "attention"})
def logs_are_json_when_the_function_asks_for_it(bench: Workbench) -> Any:
    code = "import logging\ndef handler(event, context): logging.getLogger().warning('attention')\n"
    function = bench.function(code, LoggingConfig={"LogFormat": "JSON"})
    bench.invoke(function)
    line = next(line for line in bench.log_lines(function) if "attention" in line)
    try:
        document = json.loads(line)
    except ValueError:
        return line
    return {name: document[name] for name in ("level", "message")}


@on_aws("bounded_environments", aws=True)
def a_burst_is_served_by_at_most_four_environments(bench: Workbench) -> bool:
    code = "import os, time\ndef handler(event, context):\n    time.sleep(0.2)\n    return os.getpid()\n"
    function = bench.function(code)
    with ThreadPoolExecutor(8) as callers:
        environments = set(callers.map(lambda _: bench.invoke(function), range(8)))
    return len(environments) <= 4


def _ends_before(bench: Workbench, retrier: dict[str, Any], wait: int) -> bool:
    """Whether a task that always fails is through with its retries before a wait started at the same time is over.

    The task calls a function that does not exist, so delays are all that takes time, and both are scaled alike.
    """
    waiting = bench.machine({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": wait, "End": True}}})
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}
    task |= {"Parameters": {"FunctionName": "absent"}, "Retry": [{"ErrorEquals": ["States.ALL"], **retrier}]}
    retrying = bench.machine({"StartAt": "Task", "States": {"Task": task}})
    over, retried = bench.start(waiting), bench.start(retrying)
    bench.final_status(over)
    return bench.status(retried) == "FAILED"


@on_aws("retry_delays", aws=True)
def no_retry_waits_longer_than_its_maximum(bench: Workbench) -> bool:
    """Three delays of 1 second, against 1, 50 and 60 when the maximum is ignored."""
    retrier = {"IntervalSeconds": 1, "BackoffRate": 50, "MaxDelaySeconds": 1, "MaxAttempts": 3}
    return _ends_before(bench, retrier, wait=60)


@on_aws("retry_delays", aws=True)
def full_jitter_shortens_delays(bench: Workbench) -> bool:
    """Twelve delays of 10 seconds, drawn between nothing and that: 60 seconds on average instead of 120."""
    retrier = {"IntervalSeconds": 10, "BackoffRate": 1, "JitterStrategy": "FULL", "MaxAttempts": 12}
    return _ends_before(bench, retrier, wait=110)


@on_aws("execution_timeout", "TIMED_OUT")
def a_machine_ends_an_execution_that_takes_too_long(bench: Workbench) -> str:
    wait = {"Type": "Wait", "Seconds": 50, "End": True}
    return bench.final_status(
        bench.start(bench.machine({"TimeoutSeconds": 5, "StartAt": "Wait", "States": {"Wait": wait}}))
    )


LATE = "def handler(event, context): return event\n"


def _echo_of_a_function(name: str) -> dict[str, Any]:
    """A machine that ends with what this function is given: a variable, the state's input and the execution's."""
    seen = {"n": "{% $n %}", "state": "{% $states.input %}", "execution": "{% $states.context.Execution.Input %}"}
    call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "End"}
    call |= {"Arguments": {"FunctionName": name, "Payload": seen}, "Output": "{% $states.result.Payload %}"}
    begin = {"Type": "Pass", "Assign": {"n": 2}, "Output": {"x": 3}, "Next": "Call"}
    states = {"Begin": begin, "Call": call, "End": {"Type": "Succeed"}}
    return {"QueryLanguage": "JSONata", "StartAt": "Begin", "States": states}


def _refusal(call: Callable[..., Any], **arguments: Any) -> str | None:
    """The name of the error that a call answers, if it does."""
    try:
        call(**arguments)
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    return None


@on_aws(
    "redrive",
    {
        "output": {"n": 2, "state": {"x": 3}, "execution": {"a": 1}},
        "begun": 1,
        "redrives": 1,
        "refusals": ["ExecutionNotRedrivable", "ExecutionDoesNotExist"],
    },
)
def a_redriven_execution_goes_on_where_it_failed(bench: Workbench) -> Any:
    """Even when the machine has another definition by then."""
    states, name = bench.client("stepfunctions"), bench.name("late")
    machine = bench.machine(_echo_of_a_function(name))
    execution = bench.start(machine, input='{"a": 1}')
    assert bench.final_status(execution) == "FAILED"
    bench.function(LATE, FunctionName=name)
    other = {"StartAt": "Other", "States": {"Other": {"Type": "Succeed"}}}
    states.update_state_machine(stateMachineArn=machine, definition=json.dumps(other))
    refused = _refusal(states.redrive_execution, executionArn=execution)
    if refused:
        return refused
    bench.final_status(execution)
    described = states.describe_execution(executionArn=execution)
    history = states.get_execution_history(executionArn=execution)["events"]
    return {
        "output": json.loads(described["output"]),
        "begun": sum(event["type"] == "PassStateEntered" for event in history),
        "redrives": described["redriveCount"],
        "refusals": [_refusal(states.redrive_execution, executionArn=arn) for arn in (execution, f"{execution}-other")],
    }


@on_aws("redrive", ["TIMED_OUT", "TIMED_OUT", "ABORTED", "FAILED"])
def a_stopped_execution_can_be_redriven_again_and_again(bench: Workbench) -> Any:
    """The time limit starts anew, and a Fail state fails again."""
    states = bench.client("stepfunctions")
    wait, fail = {"Type": "Wait", "Seconds": 40, "Next": "Fail"}, {"Type": "Fail", "Error": "rejected"}
    limited = bench.start(
        bench.machine({"TimeoutSeconds": 5, "StartAt": "Wait", "States": {"Wait": wait, "Fail": fail}})
    )
    failing = bench.start(bench.machine({"StartAt": "Fail", "States": {"Fail": fail}}))
    seen = [bench.final_status(limited)]
    bench.final_status(failing)
    for execution in (limited, failing):
        if refused := _refusal(states.redrive_execution, executionArn=execution):
            return refused
    seen.append(bench.final_status(limited))
    states.redrive_execution(executionArn=limited)
    states.stop_execution(executionArn=limited)
    return [*seen, bench.final_status(limited), bench.final_status(failing)]


@on_aws("ended_executions", "ExecutionAborted")
def the_retries_of_a_task_end_with_its_execution(bench: Workbench) -> Any:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "absent"}}
    task |= {"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10, "BackoffRate": 1}], "End": True}
    execution = bench.start(bench.machine({"StartAt": "Task", "States": {"Task": task}}))

    def last() -> str:
        found = bench.client("stepfunctions").get_execution_history(executionArn=execution, reverseOrder=True)
        return str(found["events"][0]["type"])

    until(lambda: last() == "TaskFailed")
    bench.client("stepfunctions").stop_execution(executionArn=execution)
    return watch(last, lambda event: event != "ExecutionAborted", seconds=0.6)


@on_aws("execution_names", aws=True)
def starting_a_running_execution_again_is_the_same_start(bench: Workbench) -> bool:
    wait = {"Type": "Wait", "Seconds": 100, "End": True}
    machine = bench.machine({"StartAt": "Wait", "States": {"Wait": wait}})
    first = bench.start(machine, name="job", input='{"a": 1}')
    try:
        return bench.start(machine, name="job", input='{"a": 1}') == first
    except bench.client("stepfunctions").exceptions.ExecutionAlreadyExists:
        return False


@on_aws("versioned_events", aws=True)
def an_event_names_the_version_of_its_object(bench: Workbench) -> bool:
    url, arn = bench.queue()
    bucket = bench.announcing_bucket(arn)
    version = bench.client("s3").put_object(Bucket=bucket, Key="inbox/a b+c.png", Body=b"x")["VersionId"]
    body = bench.message(url)
    assert body is not None
    return bool(json.loads(body)["detail"]["object"].get("version-id") == version)


@on_aws("undeliverable_events", aws=True)
def an_event_for_a_queue_that_is_gone_is_a_dead_letter(bench: Workbench) -> bool:
    (gone, target), (dead, dead_arn) = bench.queue(), bench.queue()
    rule, source = bench.name("rule"), bench.name("source")
    events = bench.client("events")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": target, "DeadLetterConfig": {"Arn": dead_arn}}])
    bench.client("sqs").delete_queue(QueueUrl=gone)
    events.put_events(Entries=[{"Source": source, "DetailType": "Lost", "Detail": "{}"}])
    body = bench.message(dead, seconds=4)
    return body is not None and json.loads(body)["source"] == source


@on_aws("embedded_metrics", 7.0)
def a_log_line_in_the_embedded_format_is_a_metric(bench: Workbench) -> float:
    namespace = bench.name("Namespace")
    code = f"""
import json
def handler(event, context):
    metric = {{"Namespace": "{namespace}", "Dimensions": [["model"]], "Metrics": [{{"Name": "Jobs", "Unit": "Count"}}]}}
    print(json.dumps({{"_aws": {{"Timestamp": 0, "CloudWatchMetrics": [metric]}}, "model": "m", "Jobs": event}}))
"""
    function = bench.function(code)
    for value in (3, [2, 2]):
        bench.invoke(function, value)
    return bench.metric_sum(namespace, "Jobs", {"model": "m"})


@on_aws("invocation_metrics", {"Invocations": 2.0, "Errors": 2.0})
def invocations_are_counted_whoever_makes_them(bench: Workbench) -> Any:
    function = bench.function(BUSY)
    bench.client("lambda").put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0)
    bench.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload="{}")
    task = {"Type": "Task", "Resource": function, "End": True}
    bench.final_status(bench.start(bench.machine({"StartAt": "Task", "States": {"Task": task}})))

    def counted() -> dict[str, float]:
        dimensions = {"FunctionName": function.rpartition(":")[2]}
        return {name: bench.metric_sum("AWS/Lambda", name, dimensions) for name in ("Invocations", "Errors")}

    return watch(counted, lambda counts: counts["Errors"] == 2, seconds=2)


@on_aws("execution_metrics", {"ExecutionsStarted": 2.0, "ExecutionsFailed": 2.0, "ExecutionsAborted": 0.0})
def executions_are_counted(bench: Workbench) -> Any:
    machine = bench.machine({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "rejected"}}})
    for _ in range(2):
        bench.final_status(bench.start(machine))

    def counted() -> dict[str, float]:
        names = ("ExecutionsStarted", "ExecutionsFailed", "ExecutionsAborted")
        return {name: bench.metric_sum("AWS/States", name, {"StateMachineArn": machine}) for name in names}

    return watch(counted, lambda counts: counts["ExecutionsFailed"] == 2, seconds=1)


@on_aws("queue_metrics", aws=True)
def waiting_messages_are_a_metric(bench: Workbench) -> bool:
    url, arn = bench.queue()
    bench.client("sqs").send_message(QueueUrl=url, MessageBody="lost")
    name = {"QueueName": arn.rpartition(":")[2]}
    return watch(
        lambda: bench.metric_sum("AWS/SQS", "ApproximateNumberOfMessagesVisible", name) >= 1,
        seconds=4,
    )


@on_aws("alarms", ["OK", "ALARM"])
def an_alarm_watches_only_the_metric_with_its_dimensions(bench: Workbench) -> list[str]:
    namespace = bench.name("Namespace")
    quiet, ringing = (bench.alarm(namespace, "Waiting", {"Queue": queue}) for queue in ("submit", "dead"))
    datum = {"MetricName": "Waiting", "Dimensions": [{"Name": "Queue", "Value": "dead"}], "Value": 5}
    bench.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])
    return [bench.alarm_state(quiet), bench.alarm_state(ringing)]


@on_aws("alarms", "OK")
def an_alarm_is_evaluated_without_being_asked(bench: Workbench) -> str:
    """A state that was set by hand lasts until the next evaluation ("CloudWatch: SetAlarmState")."""
    alarm = bench.alarm(bench.name("Namespace"), "Waiting", {})
    bench.client("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="by hand")
    return watch(lambda: bench.alarm_state(alarm), lambda state: state == "OK", seconds=4)


@on_aws("alarms", "ALARM")
def an_alarm_may_watch_a_sum(bench: Workbench) -> str:
    namespace = bench.name("Namespace")
    metrics = [
        {"Id": f"m{number}", "ReturnData": False, "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": metric}}
        for number, metric in enumerate({"Namespace": namespace, "MetricName": name} for name in ("One", "Other"))
    ]
    alarm = {"Metrics": [{"Id": "all", "Expression": "SUM(METRICS())"}, *metrics], "Threshold": 5}
    alarm |= {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}
    resources = {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}
    try:
        outputs = bench.stack({"Resources": resources, "Outputs": {"Name": {"Value": {"Ref": "Alarm"}}}})
    except AssertionError:
        return "no stack"
    for name, value in (("One", 2), ("Other", 3)):
        datum = {"MetricName": name, "Value": value}
        bench.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])
    return watch(lambda: bench.alarm_state(outputs["Name"]), lambda state: state == "ALARM", seconds=4)


@on_aws("secret_reference", aws=True)
def ref_of_a_secret_is_its_arn(bench: Workbench) -> bool:
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "key"}}
    outputs = {"Reference": {"Value": {"Ref": "Secret"}}}
    reference = bench.stack({"Resources": {"Secret": secret}, "Outputs": outputs})["Reference"]
    return bool(reference == bench.client("secretsmanager").describe_secret(SecretId=reference)["ARN"])


AT_WORK = """
import os, pathlib, time
def handler(folder, context):
    if folder:
        pathlib.Path(folder, "began").touch()
        while not pathlib.Path(folder, "go").exists(): time.sleep(0.02)
    return os.environ.get("COLOUR", "none")
"""


@on_aws("updated_functions", ("none", "blue"))
def who_is_at_work_finishes_as_before_an_update_and_the_next_one_has_it(bench: Workbench) -> Any:
    function = bench.function(AT_WORK)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as caller:
        at_work = caller.submit(bench.invoke, function, folder)
        until(Path(folder, "began").exists, "the function is at work")
        colour = {"Variables": {"COLOUR": "blue"}}
        bench.client("lambda").update_function_configuration(FunctionName=function, Environment=colour)
        Path(folder, "go").touch()
        return at_work.result(), bench.invoke(function)


@on_aws("table_ttl", ("ENABLED", "expires"))
def a_template_turns_time_to_live_on(bench: Workbench) -> Any:
    properties = {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    }
    template = {
        "Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}},
        "Outputs": {"Table": {"Value": {"Ref": "Table"}}},
    }
    table = bench.stack(template)["Table"]
    described = bench.client("dynamodb").describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    return described["TimeToLiveStatus"], described.get("AttributeName")


@on_aws("scaling_numbers", 4)
def a_number_from_a_parameter_is_a_number_in_an_event_source_mapping(bench: Workbench) -> Any:
    _, queue = bench.queue()
    properties = {
        "EventSourceArn": queue,
        "FunctionName": bench.function("def handler(event, context): return None\n"),
        "ScalingConfig": {"MaximumConcurrency": {"Ref": "Most"}},
    }
    template = {
        "Parameters": {"Most": {"Type": "Number"}},
        "Resources": {"Mapping": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}},
        "Outputs": {"Mapping": {"Value": {"Ref": "Mapping"}}},
    }
    mapping = bench.stack(template, Most="4")["Mapping"]
    # boto3 would turn a string into the number that it should have been.
    answer = httpx.get(f"{bench.engine.endpoint}/2015-03-31/event-source-mappings/{mapping}", trust_env=False)
    return answer.json()["ScalingConfig"]["MaximumConcurrency"]


@on_aws("resource_types", {"made": ["fields @message"], "changed": ["fields @log"], "rule": True, "deleted": []})
def a_stack_has_saved_queries_and_sampling_rules(bench: Workbench) -> Any:
    cloudformation, name = bench.client("cloudformation"), bench.name("folder/query")
    query = {"Name": name, "QueryString": {"Ref": "Query"}, "LogGroupNames": ["group"]}
    rule = {"RuleName": bench.name("rule"), "FixedRate": 0.05, "ReservoirSize": 0, "Priority": 1, "Version": 1}
    rule |= dict.fromkeys(("Host", "HTTPMethod", "ResourceARN", "ServiceName", "ServiceType", "URLPath"), "*")
    template = {
        "Parameters": {"Query": {"Type": "String"}},
        "Resources": {
            "Saved": {"Type": "AWS::Logs::QueryDefinition", "Properties": query},
            "Rule": {"Type": "AWS::XRay::SamplingRule", "Properties": {"SamplingRule": rule}},
        },
        "Outputs": {
            name.removeprefix("AWS::"): {"Value": {"Ref": name}} for name in ("AWS::StackName", "Saved", "Rule")
        },
    }

    def texts() -> list[str]:
        found = bench.client("logs").describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
        assert {query["queryDefinitionId"] for query in found} <= {made["Saved"]}
        return [query["queryString"] for query in found]

    try:
        made = bench.stack(template, Query="fields @message")
    except ClientError as refused:
        return refused.response["Error"]["Message"]
    seen: dict[str, Any] = {"made": texts(), "rule": made["Rule"].startswith("arn:aws:xray:")}
    changed = [{"ParameterKey": "Query", "ParameterValue": "fields @log"}]
    cloudformation.update_stack(StackName=made["StackName"], UsePreviousTemplate=True, Parameters=changed)
    seen["changed"] = watch(texts, lambda found: found != seen["made"], seconds=5)
    cloudformation.delete_stack(StackName=made["StackName"])
    return {**seen, "deleted": watch(texts, lambda found: not found, seconds=5)}
