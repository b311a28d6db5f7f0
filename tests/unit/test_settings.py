"""A wrong environment is named, variable by variable."""

from __future__ import annotations

import pytest

from bucketbrush.domain.errors import SettingsInvalid
from bucketbrush.domain.layout import RESULTS_KEY
from bucketbrush.settings import (
    BatchSettings,
    FinalizeSettings,
    FunctionSettings,
    ProviderSettings,
    StatusSettings,
    SubmitSettings,
    SweepSettings,
    UnknownPolicy,
    read_settings,
)

SHARED = {"JOBS_TABLE": "jobs", "JOBS_MACHINE_ARN": "arn:machine", "LIMITS_TABLE": "limits", "KEEP_DAYS": "400"}
PROVIDER = {
    **SHARED,
    "API_BASE_URL": "https://toapis.com",
    "API_KEY_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:key",
    "PROVIDER_TIMEOUT_SECONDS": "25",
}
SUBMIT = {
    **PROVIDER,
    "INBOX_BUCKET": "in",
    "INBOX_PREFIX": "inbox/",
    "PRESETS_PREFIX": "presets/",
    "REFERENCES_PREFIX": "references/",
    "RESULTS_BUCKET": "out",
    "RESULTS_KEY": RESULTS_KEY,
    "COMPANION_SECONDS": "120",
    "BATCH_QUEUE_URL": "https://queue/batches",
    "SIGNER_ROLE_ARN": "arn:role",
    "DURATIONS_TABLE": "durations",
    "LATENESS_PRICE": "0.2",
    "DEADLINE_SECONDS": "21600",
    "REFUSED_WAIT_SECONDS": "10",
    "LOOKUP_WAIT_SECONDS": "20",
    "LOOKUP_SECONDS": "300",
    "MAX_QUEUE_SECONDS": "86400",
    "UNKNOWN_POLICY": "hold",
    "REFERENCE_HANDOVER": "auto",
    "SWEEP_AFTER_SECONDS": "900",
    "SUBMITS_PER_SECOND": "4",
    "MONTHLY_BUDGET_USD": "250.5",
    "ASSUMED_PRICE_USD": "0",
}
STATUS = {**PROVIDER, "DEADLINE_SECONDS": "21600", "LATE_SECONDS": "1800"}
FINALIZE = {
    **PROVIDER,
    "RESULT_HOSTS": "toapis.com,files.example.org",
    "INBOX_PREFIX": "inbox/",
    "RESULTS_BUCKET": "out",
    "RESULTS_KEY": RESULTS_KEY,
    "DURATIONS_TABLE": "durations",
    "RESULT_PAGE": "with-references",
    "TOPIC_ARN": "arn:topic",
    "LOOKUP_SECONDS": "900",
    "DEADLINE_SECONDS": "21600",
    "SWEEP_AFTER_SECONDS": "900",
}
BATCH = {
    **SHARED,
    "BATCHES_TABLE": "batches",
    "BATCH_QUEUE_URL": "https://queue/batches",
    "SUBMIT_QUEUE_URL": "https://queue/submits",
    "INBOX_BUCKET": "in",
    "INBOX_PREFIX": "inbox/",
    "RESULTS_BUCKET": "out",
    "RESULTS_KEY": RESULTS_KEY,
    "TOPIC_ARN": "arn:topic",
    "MAX_QUEUE_SECONDS": "86400",
    "DEADLINE_SECONDS": "21600",
}
SWEEP = {
    **SHARED,
    "FINALIZE_FUNCTION": "finalize",
    "DEADLINE_SECONDS": "3600",
    "SWEEP_AFTER_SECONDS": "900",
    "SUBMITS_PER_SECOND": "4",
    "MONTHLY_BUDGET_USD": "250.5",
}
KINDS: list[tuple[type[FunctionSettings], dict[str, str]]] = [
    (SubmitSettings, SUBMIT),
    (StatusSettings, STATUS),
    (FinalizeSettings, FINALIZE),
    (BatchSettings, BATCH),
    (SweepSettings, SWEEP),
]


@pytest.mark.parametrize(("kind", "environment"), KINDS)
def test_each_function_reads_its_own(kind: type[FunctionSettings], environment: dict[str, str]) -> None:
    settings = read_settings(kind, {**environment, "PATH": "/bin", "SOMETHING_ELSE": "x"})
    assert {name.upper() for name in kind.model_fields} == set(environment)
    assert (settings.jobs_table, settings.limits_table, settings.keep_days) == ("jobs", "limits", 400)
    seconds = {name: value for name, value in environment.items() if name.endswith("_SECONDS") and value.isdecimal()}
    assert {name: str(getattr(settings, name.lower())) for name in seconds} == seconds


def test_the_sweep_knows_no_key_of_the_provider() -> None:
    assert "api_key_secret_arn" in ProviderSettings.model_fields
    assert set(SweepSettings.model_fields).isdisjoint(
        {*ProviderSettings.model_fields} - {*FunctionSettings.model_fields}
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("API_BASE_URL", "http://toapis.com"),
        ("API_BASE_URL", "http://localhost.evil.example"),
        ("API_BASE_URL", "http://127.0.0.1.evil.example/v1"),
        ("API_BASE_URL", "toapis.com"),
        ("PROVIDER_TIMEOUT_SECONDS", "0"),
        ("PROVIDER_TIMEOUT_SECONDS", "soon"),
        ("KEEP_DAYS", "399"),
        ("LATENESS_PRICE", ""),
        ("LATENESS_PRICE", "0"),
        ("LATENESS_PRICE", "1001"),
        ("LATENESS_PRICE", "nan"),
        ("LATENESS_PRICE", "2 polls"),
        ("LOOKUP_SECONDS", "1.5"),
        ("MAX_QUEUE_SECONDS", "0"),
        ("SWEEP_AFTER_SECONDS", "-1"),
        ("UNKNOWN_POLICY", "resend"),
        ("UNKNOWN_POLICY", "Hold"),
        ("REFERENCE_HANDOVER", "uploads"),
        ("SUBMITS_PER_SECOND", "0"),
        ("SUBMITS_PER_SECOND", "-1"),
        ("SUBMITS_PER_SECOND", "many"),
        ("SUBMITS_PER_SECOND", "nan"),
        ("MONTHLY_BUDGET_USD", "-0.01"),
        ("MONTHLY_BUDGET_USD", "1e10"),
        ("MONTHLY_BUDGET_USD", "NaN"),
        ("MONTHLY_BUDGET_USD", "250 USD"),
        ("ASSUMED_PRICE_USD", "-1"),
        ("ASSUMED_PRICE_USD", ""),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"^{variable}: found ") as caught:
        read_settings(SubmitSettings, {**SUBMIT, variable: value})
    assert "Correct the stack's parameters" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "variable"), [(kind, given, variable) for kind, given in KINDS for variable in given]
)
def test_a_missing_variable_is_named(kind: type[FunctionSettings], given: dict[str, str], variable: str) -> None:
    environment = {name: value for name, value in given.items() if name != variable}
    with pytest.raises(SettingsInvalid, match=rf"^{variable}: not set\. "):
        read_settings(kind, environment)


def test_wrong_and_missing_variables_are_named_together_and_the_right_ones_are_not() -> None:
    environment = {name: value for name, value in SUBMIT.items() if name != "JOBS_TABLE"} | {"KEEP_DAYS": "1"}
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(SubmitSettings, environment)
    named = {variable for variable in SUBMIT if variable in str(caught.value)}
    assert named == {"JOBS_TABLE", "KEEP_DAYS"}


@pytest.mark.parametrize(
    "address",
    [
        "https://toapis.cn/v1",
        "http://127.0.0.1:8080",
        "http://localhost:9/v1/",
        "http://localhost",
        "https://toapis.com/",
    ],
)
def test_addresses(address: str) -> None:
    origin = address.rstrip("/").removesuffix("/v1")
    assert read_settings(ProviderSettings, {**PROVIDER, "API_BASE_URL": address}).api_base_url == origin


def test_a_wrong_address_is_not_quoted() -> None:
    """It may hold a password, or the key that somebody put into the wrong field."""
    with pytest.raises(SettingsInvalid, match="API_BASE_URL: found") as caught:
        read_settings(ProviderSettings, {**PROVIDER, "API_BASE_URL": "http://127.0.0.1:80@evil.example/"})
    assert "evil" not in str(caught.value)


def test_results_come_from_a_list_of_hosts() -> None:
    assert read_settings(FinalizeSettings, FINALIZE).result_hosts == ("toapis.com", "files.example.org")


@pytest.mark.parametrize(("value", "price"), [("0.2", 0.2), ("0.001", 0.001), ("1000", 1000.0)])
def test_the_price_of_lateness_may_be_a_fraction(value: str, price: float) -> None:
    assert read_settings(SubmitSettings, {**SUBMIT, "LATENESS_PRICE": value}).lateness_price == price


@pytest.mark.parametrize(("value", "policy"), [("hold", UnknownPolicy.HOLD), ("resend-same-id", UnknownPolicy.RESEND)])
def test_the_policy_is_one_of_two(value: str, policy: UnknownPolicy) -> None:
    assert read_settings(SubmitSettings, {**SUBMIT, "UNKNOWN_POLICY": value}).unknown_policy is policy


@pytest.mark.parametrize(("value", "rate"), [("4", 4.0), ("0.5", 0.5), ("2.75", 2.75), ("0.001", 0.001)])
def test_the_rate_of_submits_may_be_a_fraction(value: str, rate: float) -> None:
    assert read_settings(SubmitSettings, {**SUBMIT, "SUBMITS_PER_SECOND": value}).submits_per_second == rate


@pytest.mark.parametrize(
    ("value", "amount"),
    [("0", None), ("0.0", None), ("250.5", 250_500_000), ("0.000001", 1), ("1000000000", 10**15)],
)
def test_no_amount_of_money_is_none(value: str, amount: int | None) -> None:
    """Amounts are read exactly: as a float, 250.1 would be a fraction of a millionth less or more."""
    given = {"MONTHLY_BUDGET_USD": value, "ASSUMED_PRICE_USD": value}
    submit = read_settings(SubmitSettings, {**SUBMIT, **given})
    sweep = read_settings(SweepSettings, {**SWEEP, **given})
    assert (submit.budget, sweep.budget, submit.assumed_price) == (amount, amount, amount)


ONE_BUCKET = {"INBOX_BUCKET": "one", "RESULTS_BUCKET": "one"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PRESETS_PREFIX": "inbox/presets/"}, ["PRESETS_PREFIX: found inbox/presets/", "inbox/ (INBOX_PREFIX)"]),
        ({"REFERENCES_PREFIX": "inbox/"}, ["lies in inbox/"]),
        ({**ONE_BUCKET, "INBOX_PREFIX": "results/in/"}, ["INBOX_PREFIX: found results/in/", "results/ (RESULTS_KEY)"]),
        ({"RESULTS_KEY": "results/{index}.{ext}"}, ["RESULTS_KEY: ", "{job_id}"]),
        (
            {**ONE_BUCKET, "RESULTS_KEY": "presets/out/{job_id}/{index}.{ext}"},
            ["RESULTS_KEY: found presets/out/", "presets/ (PRESETS_PREFIX)"],
        ),
    ],
)
def test_places_that_hold_one_another_are_named(changes: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        read_settings(SubmitSettings, {**SUBMIT, **changes})
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("changes", "results"),
    [
        ({}, ""),
        (ONE_BUCKET, "results/"),
        ({**ONE_BUCKET, "INBOX_PREFIX": "in/", "RESULTS_KEY": "in/out/{job_id}/{index}.{ext}"}, "in/out/"),
    ],
)
def test_results_in_the_inbox_bucket_are_known_there(changes: dict[str, str], results: str) -> None:
    assert read_settings(SubmitSettings, {**SUBMIT, **changes}).inbox.results == results
