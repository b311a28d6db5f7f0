"""What each function is told by its environment; nothing else reads it.

A function's settings are one frozen model. The variables are the field names in upper case; ``template.yaml`` sets
them.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from itertools import permutations
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bucketbrush.domain.addresses import api_origin
from bucketbrush.domain.errors import SettingsInvalid
from bucketbrush.domain.layout import Inbox, demand_results_key, results_prefix
from bucketbrush.domain.money import micros

ResultsKey = Annotated[str, AfterValidator(demand_results_key)]
Seconds = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
_Csv = BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value)


class FunctionSettings(BaseModel):
    """Shared by all functions."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    jobs_table: str
    jobs_machine_arn: str
    limits_table: str
    keep_days: Annotated[int, Field(ge=400)]


class ProviderSettings(FunctionSettings):
    """Shared by the functions that ask the provider."""

    api_base_url: Annotated[str, AfterValidator(api_origin)]
    api_key_secret_arn: str
    provider_timeout_seconds: Seconds


class UnknownPolicy(StrEnum):
    """What happens to a job whose task nobody finds."""

    HOLD = "hold"  # its outcome is unknown
    RESEND = "resend-same-id"  # it is sent once more with the same client_business_id, and may be paid twice


class ReferenceHandover(StrEnum):
    """How the provider gets to a job's pictures."""

    AUTO = "auto"  # by a signed link, and by upload when that is longer than the provider takes
    PRESIGN = "presign"  # by a signed link to the inbox bucket
    UPLOAD = "upload"  # by the provider's upload endpoint: whoever has the link that it gives can read the picture


class ResultPage(StrEnum):
    """What people find beside the pictures: a page, and on it copies of what the pictures were made of."""

    WITH_REFERENCES = "with-references"
    WITHOUT_REFERENCES = "without-references"
    NONE = "none"


class BudgetSettings(FunctionSettings):
    """``monthly_budget_usd`` is 0 without a budget."""

    monthly_budget_usd: Usd

    @property
    def budget(self) -> int | None:
        """What a month may cost, in millionths of a US dollar; None without a budget."""
        return micros(self.monthly_budget_usd) or None


class SubmitSettings(ProviderSettings, BudgetSettings):
    """``lateness_price`` is what a second between a task's end and the look that sees it is worth, in looks.

    ``assumed_price_usd`` is 0 when nothing is assumed.
    """

    inbox_bucket: str
    inbox_prefix: str
    presets_prefix: str
    references_prefix: str
    results_bucket: str
    results_key: ResultsKey
    companion_seconds: Seconds
    batch_queue_url: str
    signer_role_arn: str
    durations_table: str
    lateness_price: Annotated[float, Field(gt=0, le=1_000)]
    deadline_seconds: Seconds
    refused_wait_seconds: Seconds
    lookup_wait_seconds: Seconds
    lookup_seconds: Seconds
    max_queue_seconds: Seconds
    unknown_policy: UnknownPolicy
    reference_handover: ReferenceHandover
    sweep_after_seconds: Seconds
    submits_per_second: Rate
    assumed_price_usd: Usd

    @model_validator(mode="after")
    def _keeps_apart(self) -> Self:
        """Each key of the inbox means one thing. Results may lie among the drops, which the inbox knows, but nothing
        among results.
        """
        kinds = ("inbox_prefix", "presets_prefix", "references_prefix")
        prefixes = {kind: getattr(self, kind) for kind in kinds}
        results = {"results_key": self.inbox.results} if self.inbox.results else {}
        pairs = [*permutations({**prefixes, **results}.items(), 2)]
        for (kind, prefix), (other, holder) in pairs:
            if prefix.startswith(holder) and (kind, other) != ("results_key", "inbox_prefix"):
                raise ValueError(f"{kind.upper()}: found {prefix}, which lies in {holder} ({other.upper()})")
        return self

    @property
    def inbox(self) -> Inbox:
        """What lies where in the inbox; results in the same bucket start nothing."""
        results = results_prefix(self.results_key) if self.results_bucket == self.inbox_bucket else ""
        return Inbox(self.inbox_bucket, self.inbox_prefix, self.presets_prefix, self.references_prefix, results)

    @property
    def assumed_price(self) -> int | None:
        """What a picture of unknown price is assumed to cost, in millionths of a US dollar; None: nothing is."""
        return micros(self.assumed_price_usd) or None


class StatusSettings(ProviderSettings):
    """Both times count from the task's acceptance."""

    deadline_seconds: Seconds
    late_seconds: Seconds


class FinalizeSettings(ProviderSettings):
    """``result_hosts`` are the ends of host names that results may be fetched from."""

    result_hosts: Annotated[tuple[str, ...], _Csv, Field(min_length=1)]
    inbox_prefix: str
    results_bucket: str
    results_key: ResultsKey
    durations_table: str
    result_page: ResultPage
    topic_arn: str
    lookup_seconds: Seconds
    deadline_seconds: Seconds
    sweep_after_seconds: Seconds


class SweepSettings(BudgetSettings):
    submits_per_second: Rate
    finalize_function: str
    deadline_seconds: Seconds
    sweep_after_seconds: Seconds


class BatchSettings(FunctionSettings):
    batches_table: str
    batch_queue_url: str
    submit_queue_url: str
    inbox_bucket: str
    inbox_prefix: str
    results_bucket: str
    results_key: ResultsKey
    topic_arn: str
    max_queue_seconds: Seconds
    deadline_seconds: Seconds


_Settings = TypeVar("_Settings", bound=FunctionSettings)


def read_settings(kind: type[_Settings], environment: Mapping[str, str]) -> _Settings:
    """The settings of one function. Raises SettingsInvalid naming each wrong variable and what it must be."""
    given = {name: environment[name.upper()] for name in kind.model_fields if name.upper() in environment}
    try:
        return kind(**given)
    except ValidationError as error:
        problems = [
            (f"{str(p['loc'][0]).upper()}: " if p["loc"] else "") + ("not set" if p["type"] == "missing" else _said(p))
            for p in error.errors()
        ]
        raise SettingsInvalid("; ".join(problems) + ".") from None


def _said(problem: Any) -> str:
    """An address is not quoted: a wrong one may hold a password."""
    found = "" if problem["type"] == "value_error" else f"found {problem['input']!r:.60}: "
    return f"{found}{problem['msg'].removeprefix('Value error, ')}"
