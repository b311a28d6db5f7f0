"""Parameters, outputs, environment variables and deployments fit each other and the code that reads them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pytest
from aws_lambda_powertools.shared import constants
from hypothesis import assume, given, seed
from hypothesis import strategies as st

from bucketbrush.adapters.toapis import RESULT_HOSTS
from bucketbrush.domain.departures import step_between
from bucketbrush.settings import (
    FinalizeSettings,
    FunctionSettings,
    ProviderSettings,
    StatusSettings,
    SubmitSettings,
    SweepSettings,
    UnknownPolicy,
    read_settings,
)
from local.cost import SUBMITS_PER_SECOND, dollars, pace
from tests.template.stack import Json, Resources, Values, is_allowed, load, most, overrides, samconfig, strings

SETTINGS = {
    "SubmitFunction": SubmitSettings,
    "StatusFunction": StatusSettings,
    "FinalizeFunction": FinalizeSettings,
    "SweepFunction": SweepSettings,
}
PARAMETERS: dict[str, Json] = load()["Parameters"]
NUMBERS = [name for name, parameter in PARAMETERS.items() if parameter["Type"] == "Number"]
DEPLOYMENTS = samconfig()


def settings(template: Json, resources: Resources, function: str, given: dict[str, str]) -> FunctionSettings:
    """The settings that a function reads in a deployment with these parameters."""
    variables = resources.properties(function)["Environment"]["Variables"]
    values = Values.deployed(template, given)
    return read_settings(SETTINGS[function], {name: values.resolve(value) for name, value in variables.items()})


# ---- Parameters and outputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_says_what_it_is_and_what_it_takes(name: str) -> None:
    parameter = PARAMETERS[name]
    assert len(parameter["Description"]) > 20
    bounded = {"AllowedPattern", "AllowedValues", "MinValue", "MaxValue"} & set(parameter)
    assert bounded or parameter["Type"] == "CommaDelimitedList"
    assert "ConstraintDescription" in parameter or "AllowedPattern" not in parameter, "a pattern explains nothing"
    assert is_allowed(parameter, str(parameter["Default"]))


def test_every_parameter_is_used(template: Json) -> None:
    """A reference is one string of its own, or stands in a Sub."""
    text = list(strings({key: value for key, value in template.items() if key not in ("Parameters", "Metadata")}))
    used = {*text, *(name for line in text for name in re.findall(r"\$\{(\w+)\}", line))}
    assert set(PARAMETERS) - used == set()


def test_every_parameter_stands_in_one_group(template: Json) -> None:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(PARAMETERS)
    assert set(interface["ParameterLabels"]) <= set(PARAMETERS)
    assert all(group["Label"]["default"] for group in interface["ParameterGroups"])


def test_every_output_is_described(template: Json) -> None:
    for name, output in template["Outputs"].items():
        assert len(output["Description"]) > 10, name


def test_the_target_is_arm64_with_python_3_13_unless_told_otherwise() -> None:
    assert PARAMETERS["Architecture"]["Default"] == "arm64"
    assert PARAMETERS["PythonRuntime"]["Default"] == "python3.13"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "ApiBaseUrl",
            ["https://toapis.cn", "https://toapis.com/v1/", "http://127.0.0.1:8080/v1", "http://localhost:1"],
            [
                "",
                "toapis.com",
                "http://toapis.com",
                "https://a..b",
                "https://-a.b",
                "http://127.0.0.1:80@evil.example",
                "https://toapis.com/v2",
                "https://a b",
                "https://x?key=1",
            ],
        ),
        (
            "ApiKeySecretArn",
            ["", "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:team/key-AbCdEf"],
            ["sk-123", "my-secret", "arn:aws:s3:::bucket"],
        ),
        ("ReferenceHandover", ["auto", "presign", "upload"], ["", "Upload", "base64"]),
        ("ResultHosts", ["toapis.com", "files.example.org,toapis.cn"], ["", "*", "com", "https://a.b", "a.b,"]),
        *(
            (name, ["", "my-bucket", "a.b-c"], ["My", "a/b", "arn:aws:s3:::b", "x" * 64])
            for name in ("ExistingInboxBucket", "ExistingResultsBucket")
        ),
        *(
            (name, ["inbox/", "a/b c/".replace(" ", "_"), "(x)/"], ["", "/", "inbox", "/inbox/", "a//", "../", "a*/"])
            for name in ("InboxPrefix", "PresetsPrefix", "ReferencesPrefix")
        ),
        (
            "ResultsKey",
            [
                "results/{folder}/{stem}/{job_id}/{index}.{ext}",
                "r/{job_id}/{index}.{ext}",
                "a/b/{date}/{job_id}/x/p-{index}.{ext}",
            ],
            [
                "",
                "{job_id}/{index}.{ext}",
                "results/{index}.{ext}",
                "results/{job_id}{index}.{ext}",
                "r*/{job_id}/1.{ext}",
                "r/{job_id}/pic.{ext}",
                "r/{user}/{job_id}/{index}.{ext}",
                "r/{job_id}/{stem}-{index}.{ext}",
            ],
        ),
        ("CompanionSeconds", ["1", "43200"], ["0", "43201"]),
        ("NotificationEmail", ["", "a.b@example.org"], ["a", "a@b", "a b@c.de", "a@b.c, d@e.f"]),
        ("PythonRuntime", ["python3.11", "python3.14"], ["python3.9", "python3.10", "nodejs22.x", "python3.131"]),
        ("Architecture", ["x86_64"], ["arm", "aarch64"]),
        ("SubmitsPerSecond", ["0.01", "0.5", "4", "50"], ["0", "0.009", "-1", "50.1"]),
        ("MaximumConcurrency", ["2", "1000"], ["1", "1001"]),
        ("MonthlyBudgetUsd", ["0", "12.50", "1000000000"], ["-0.01", "1000000001"]),
        ("AssumedPriceUsd", ["0", "0.0019", "1000"], ["-0.01", "1000.01"]),
        ("ResultPage", ["with-references", "without-references", "none"], ["", "None", "yes"]),
        ("InboxDays", ["0", "1", "3650"], ["-1", "3651"]),
        ("ResultsDays", ["0", "1", "3650"], ["-1", "3651"]),
        ("LatenessPrice", ["0.001", "0.2", "3", "1000"], ["0", "-1", "1000.1"]),
        ("MaxQueueSeconds", ["1", "86400"], ["0", "86401"]),
        ("DeadlineSeconds", ["1", "82800"], ["0", "82801"]),
        ("LateSeconds", ["1"], ["0"]),
        ("UnknownPolicy", ["hold", "resend-same-id"], ["", "Hold", "resend"]),
        ("SweepAfterSeconds", ["1"], ["0"]),
        ("SubmitTimeoutSeconds", ["3", "60"], ["2", "61"]),
        ("SubmitVisibilitySeconds", ["1", "43200"], ["0", "43201"]),
        ("KeepDays", ["400"], ["399", "3651"]),
        ("LogRetentionDays", ["1"], ["0", "31"]),
    ],
)
def test_a_parameter_takes_what_it_should(name: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not is_allowed(PARAMETERS[name], value)] == []
    assert [value for value in bad if is_allowed(PARAMETERS[name], value)] == []


# ---- Environment -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", SETTINGS)
def test_a_function_gets_the_variables_that_it_reads_and_no_others(resources: Resources, function: str) -> None:
    variables = set(resources.properties(function)["Environment"]["Variables"])
    powertools = {name for name in variables if name.startswith("POWERTOOLS_")}
    assert variables - powertools == {name.upper() for name in SETTINGS[function].model_fields}
    known = {value for value in vars(constants).values() if isinstance(value, str)}
    assert powertools <= known, "powertools reads no such variable"


@pytest.mark.parametrize("function", SETTINGS)
@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_settings_take_every_deployment(template: Json, resources: Resources, function: str, deployment: str) -> None:
    chosen = overrides(DEPLOYMENTS[deployment])
    read = settings(template, resources, function, chosen)
    assert read.keep_days == int(PARAMETERS["KeepDays"]["Default"])
    if isinstance(read, SubmitSettings):
        assert read.lateness_price == float(chosen.get("LatenessPrice", PARAMETERS["LatenessPrice"]["Default"]))
        assert read.jobs_machine_arn == (
            "arn:<AWS::Partition>:states:<AWS::Region>:<AWS::AccountId>:stateMachine:<AWS::StackName>-jobs"
        )


@pytest.mark.parametrize("function", SETTINGS)
@pytest.mark.parametrize("bound", ["MinValue", "MaxValue"])
def test_settings_take_the_bounds_of_every_number(
    template: Json, resources: Resources, function: str, bound: str
) -> None:
    extreme = {name: str(PARAMETERS[name].get(bound, PARAMETERS[name]["Default"])) for name in NUMBERS}
    read = settings(template, resources, function, extreme).model_dump()
    fields = {"".join(word.capitalize() for word in field.split("_")): field for field in read}
    told = {name: Decimal(str(read[field])) for name, field in fields.items() if name in extreme}
    assert told == {name: Decimal(extreme[name]) for name in told}
    assert {"KeepDays", "SweepAfterSeconds" if function != "StatusFunction" else "LateSeconds"} <= set(told)


@pytest.mark.parametrize(("bound", "step"), [("MinValue", 100_000), ("Default", 250), ("MaxValue", 20)])
def test_departures_lie_apart_at_every_rate(template: Json, resources: Resources, bound: str, step: int) -> None:
    rate = {"SubmitsPerSecond": str(PARAMETERS["SubmitsPerSecond"][bound])}
    read = settings(template, resources, "SubmitFunction", rate)
    assert isinstance(read, SubmitSettings)
    assert step_between(read.submits_per_second) == step


def test_the_offline_quote_takes_what_the_parameters_take() -> None:
    rate, price = PARAMETERS["SubmitsPerSecond"], PARAMETERS["AssumedPriceUsd"]
    assert rate["Default"] == SUBMITS_PER_SECOND
    for parameter, read in ((rate, pace), (price, dollars)):
        for bound in ("MinValue", "MaxValue"):
            assert read(str(parameter[bound])) == parameter[bound]
        for beyond in (parameter["MinValue"] - 1, parameter["MaxValue"] + 1):
            with pytest.raises(ArgumentTypeError, match="allowed"):
                read(str(beyond))


def test_an_account_takes_the_default_rate() -> None:
    """ToAPIs, async rate limits page: five submits a second; as the parameter's own text says."""
    rate = PARAMETERS["SubmitsPerSecond"]
    (allowed,) = re.findall(r"default allows (\d+)", rate["Description"])
    assert rate["Default"] < int(allowed)


@pytest.mark.parametrize(
    ("usd", "micros"), [("0", None), ("0.0", None), ("0.0000001", 1), ("0.0019", 1900), ("1000", 1_000_000_000)]
)
def test_amounts_are_exact_and_none_of_them_is_no_limit(
    template: Json, resources: Resources, usd: str, micros: int | None
) -> None:
    given = {"MonthlyBudgetUsd": usd, "AssumedPriceUsd": usd}
    submit = settings(template, resources, "SubmitFunction", given)
    sweep = settings(template, resources, "SweepFunction", given)
    assert isinstance(submit, SubmitSettings)
    assert isinstance(sweep, SweepSettings)
    assert (submit.budget, submit.assumed_price, sweep.budget) == (micros, micros, micros)


def test_the_policies_are_those_that_submit_knows() -> None:
    assert PARAMETERS["UnknownPolicy"]["AllowedValues"] == [policy.value for policy in UnknownPolicy]
    assert PARAMETERS["UnknownPolicy"]["Default"] == UnknownPolicy.HOLD, "nothing is paid twice unless somebody says so"


def test_the_hosts_of_results_are_those_that_the_client_knows() -> None:
    assert PARAMETERS["ResultHosts"]["Default"] == ",".join(RESULT_HOSTS)


def test_settings_take_every_address_that_the_parameter_takes(template: Json, resources: Resources) -> None:
    ascii_only = st.characters(codec="ascii")
    addresses = st.from_regex(PARAMETERS["ApiBaseUrl"]["AllowedPattern"], fullmatch=True, alphabet=ascii_only)

    @seed(1)
    @given(addresses)
    def check(address: str) -> None:
        parts = urlsplit(address)
        assume(len(parts.hostname or "") <= 253)
        assume(parts.netloc.rpartition(":")[2].isdecimal() is False or int(parts.netloc.rpartition(":")[2]) <= 65_535)
        read = settings(template, resources, "StatusFunction", {"ApiBaseUrl": address})
        assert isinstance(read, ProviderSettings)
        assert read.api_base_url == f"{parts.scheme}://{parts.netloc.lower()}"

    check()


def test_an_existing_secret_takes_the_place_of_a_new_one(template: Json, resources: Resources) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf"
    assert settings(template, resources, "StatusFunction", {}).api_key_secret_arn == "<ApiKeySecret>"
    assert settings(template, resources, "StatusFunction", {"ApiKeySecretArn": arn}).api_key_secret_arn == arn
    for role in ("SubmitRole", "StatusRole", "FinalizeRole"):
        (read,) = [item for item in resources.statements(role) if item["Action"] == "secretsmanager:GetSecretValue"]
        assert Values.deployed(template, {"ApiKeySecretArn": arn}).resolve(read["Resource"]) == arn
        assert Values.deployed(template, {}).resolve(read["Resource"]) == "<ApiKeySecret>"
    assert template["Resources"]["ApiKeySecret"]["Condition"] == "CreateSecret"


def test_the_provider_is_given_up_before_the_function_is_killed(template: Json, resources: Resources) -> None:
    asking = [function for function, kind in SETTINGS.items() if issubclass(kind, ProviderSettings)]
    assert len(asking) == 3
    for function in asking:
        timeout = most(template, resources.properties(function)["Timeout"])
        assert 2 * PARAMETERS["ProviderTimeoutSeconds"]["MaxValue"] < timeout, function
    default = PARAMETERS["SubmitTimeoutSeconds"]["Default"]
    assert 2 * PARAMETERS["ProviderTimeoutSeconds"]["Default"] < default


def test_the_sweep_does_not_overtake_who_works_on_a_job(resources: Resources) -> None:
    """As the parameter's own text demands; the invocation that a sweep starts is over when the next one may come."""
    default = PARAMETERS["SweepAfterSeconds"]["Default"]
    assert default >= resources.properties("FinalizeFunction")["Timeout"]
    assert default > PARAMETERS["SubmitTimeoutSeconds"]["MaxValue"]
    assert str(resources.properties("FinalizeFunction")["Timeout"]) in PARAMETERS["SweepAfterSeconds"]["Description"]
    (config,) = [
        item
        for item in resources.of("AWS::Lambda::EventInvokeConfig").values()
        if item["FunctionName"]["Ref"] == "FinalizeFunction"
    ]
    assert config["MaximumEventAgeInSeconds"] <= default, "a call that waited for longer has a younger one beside it"


def test_nobody_is_told_of_a_late_job_that_has_expired() -> None:
    assert PARAMETERS["LateSeconds"]["Default"] < PARAMETERS["DeadlineSeconds"]["Default"]


def test_the_ledger_outlives_every_execution() -> None:
    """Step Functions forgets an execution, and its name, after 90 days: then only the row knows the job."""
    assert PARAMETERS["KeepDays"]["MinValue"] > 90


# ---- Deployments -----------------------------------------------------------------------------------------------------


def test_there_is_a_deployment_for_each_purpose() -> None:
    assert set(DEPLOYMENTS) == {"default", "prod", "local"}
    names = [deployment["deploy"]["parameters"]["stack_name"] for deployment in DEPLOYMENTS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_deployment_sets_parameters_that_exist_to_values_they_take(deployment: str) -> None:
    for name, value in overrides(DEPLOYMENTS[deployment]).items():
        assert is_allowed(PARAMETERS[name], value), name


@pytest.mark.parametrize("deployment", ["default", "prod"])
def test_a_deployment_to_aws_waits_for_a_yes_and_keeps_what_is_safe(deployment: str) -> None:
    assert DEPLOYMENTS[deployment]["deploy"]["parameters"]["confirm_changeset"] is True
    tuned_for_a_laptop = {"SubmitVisibilitySeconds", "SubmitTimeoutSeconds", "SweepAfterSeconds", "UnknownPolicy"}
    assert not tuned_for_a_laptop & set(overrides(DEPLOYMENTS[deployment]))


def test_deployments_hold_no_secret() -> None:
    known = {"stack_name", "lint", "cached", "parallel", "resolve_s3", "s3_prefix", "capabilities", "confirm_changeset"}
    known |= {"fail_on_empty_changeset", "parameter_overrides"}
    for deployment in DEPLOYMENTS.values():
        for command in deployment.values():
            assert set(command["parameters"]) <= known
        text = " ".join(strings(deployment))
        assert not re.search(r"(?i)secret|password|token|api_?key|\bsk-|\bAKIA|\d{12}", text)


def test_the_simulators_address_is_an_address(template: Json, resources: Resources) -> None:
    """The launcher adds it to the local deployment."""
    local: dict[str, Any] = {**overrides(DEPLOYMENTS["local"]), "ApiBaseUrl": "http://127.0.0.1:40123"}
    assert is_allowed(PARAMETERS["ApiBaseUrl"], local["ApiBaseUrl"])
    assert settings(template, resources, "SubmitFunction", local).api_base_url == "http://127.0.0.1:40123"
