"""What is deleted by itself, which is nothing unless a parameter says after how many days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.template.stack import Values

if TYPE_CHECKING:
    from tests.template.stack import Json, Resources

BUCKETS = {"InboxBucket": ("InboxDays", "inbox/"), "ResultsBucket": ("ResultsDays", "results/")}
ABORT = {
    "Id": "abort-incomplete-uploads",
    "Status": "Enabled",
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}


def rules(template: Json, resources: Resources, bucket: str, **given: str) -> list[Any]:
    """The lifecycle of a bucket in a deployment with these parameters."""
    values = Values.deployed(template, given)
    found = []
    for rule in resources.properties(bucket)["LifecycleConfiguration"]["Rules"]:
        condition, then, otherwise = rule.get("Fn::If", (None, rule, None))
        assert otherwise in (None, {"Ref": "AWS::NoValue"})
        if condition is None or values.resolve(template["Conditions"][condition]):
            found.append({name: _plain(values, value) for name, value in then.items()})
    return found


def _plain(values: Values, value: Any) -> Any:
    is_function = isinstance(value, dict) and next(iter(value)).startswith(("Ref", "Fn::"))
    return values.resolve(value) if is_function else value


@pytest.mark.parametrize("bucket", BUCKETS)
def test_everything_is_kept_unless_somebody_says_for_how_long(
    template: Json, resources: Resources, bucket: str
) -> None:
    others = {parameter: "30" for other, (parameter, _) in BUCKETS.items() if other != bucket}
    assert rules(template, resources, bucket, **others) == [ABORT]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_after_its_days_an_object_and_its_old_versions_go(template: Json, resources: Resources, bucket: str) -> None:
    """One rule cannot have both a number of days and ExpiredObjectDeleteMarker (CloudFormation, S3 bucket Rule)."""
    parameter, prefix = BUCKETS[bucket]
    _, expiration, versions = rules(template, resources, bucket, **{parameter: "30"})
    assert expiration == {"Id": "forget", "Status": "Enabled", "Prefix": prefix, "ExpirationInDays": "30"}
    assert versions == {
        "Id": "forget-old-versions",
        "Status": "Enabled",
        "Prefix": prefix,
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        "ExpiredObjectDeleteMarker": True,
    }


def test_only_drops_and_results_go(template: Json, resources: Resources) -> None:
    """Presets and references of job documents lie in the same bucket as the drops, and are wanted again."""
    given = {
        "InboxDays": "1",
        "InboxPrefix": "team/in/",
        "ResultsDays": "3650",
        "ResultsKey": "team/out/{date}/{job_id}/{index}.{ext}",
    }
    prefixes = {
        bucket: {rule["Prefix"] for rule in rules(template, resources, bucket, **given) if rule != ABORT}
        for bucket in BUCKETS
    }
    assert prefixes == {"InboxBucket": {"team/in/"}, "ResultsBucket": {"team/out/"}}
