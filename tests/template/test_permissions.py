"""Who may do what, as the template is deployed: with buckets of its own, and with one of yours for everything."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pytest

from tests.permissions.permissions import listed_in
from tests.permissions.table import NOTICED, RESOURCE_POLICIES, UNASKED, noticed_by
from tests.template.stack import ROOT, Json, Resources, Values, listed, strings
from tests.template.test_resources import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator

# Statements that need every resource, and why.
ALL_RESOURCES = {
    "JobsMachineRole:DeliverLogs": "log delivery has no resource of its own (Step Functions Developer Guide, "
    '"Logging using CloudWatch Logs")',
    **dict.fromkeys(
        (f"{name}Role:Trace" for name in ("Submit", "Status", "Finalize", "Batch", "Sweep", "JobsMachine")),
        "X-Ray knows no resources (Service Authorization Reference, AWS X-Ray)",
    ),
}
_ACCOUNT = "<AWS::Region>:<AWS::AccountId>"
_MACHINE = "<AWS::StackName>-jobs"
# How a resource of the stack is named: by a reference to it, or by the name that begins with the stack's.
_OWN = re.compile(
    rf"<(?!AWS::)\w+(\.Arn)?>(/index/[\w-]+)?"
    rf"|arn:<AWS::Partition>:states:{_ACCOUNT}:(stateMachine:{_MACHINE}|execution:{_MACHINE}:\*)"
)
# An account has one default bus; the condition lets a role say there only what Bucketbrush says.
_BUS = f"arn:<AWS::Partition>:events:{_ACCOUNT}:event-bus/default"
_S3 = "arn:<AWS::Partition>:s3:::"
# Where each kind of resource says who else may do something to it.
_DOCUMENTS = {
    **dict.fromkeys(("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"), "PolicyDocument"),
    "AWS::KMS::Key": "KeyPolicy",
}


def _statements(resources: Resources) -> Iterator[tuple[str, str, Json]]:
    """Each role with each of its statements and the statement's name in the tables."""
    for role in resources.of("AWS::IAM::Role"):
        for statement in resources.statements(role):
            yield role, f"{role}:{statement['Sid']}", statement


# ---- Each permission is needed ---------------------------------------------------------------------------------------


def test_every_permission_is_missed_by_a_test_or_only_aws_asks_for_it(resources: Resources) -> None:
    roles = resources.of("AWS::IAM::Role")
    found = [it for role in roles for it in listed_in(role, resources.statements(role))]
    assert len(set(found)) == len(found), "two statements of a role have one Sid"
    for permission in found:
        noticed_by(permission)
    assert NOTICED.keys() & UNASKED.keys() == set()
    assert {*NOTICED, *UNASKED} - {name for permission in found for name in permission.names} == set()


def test_every_test_that_is_named_is_there() -> None:
    named = {*NOTICED.values(), *(test for _, test in RESOURCE_POLICIES.values())}
    places = [test.partition("[")[0].split("::") for test in named]
    assert [f"{file}::{name}" for file, name in places if f"\ndef {name}(" not in (ROOT / file).read_text()] == []


@pytest.mark.parametrize("name", UNASKED)
def test_what_only_aws_asks_for_is_what_is_meant(template: Json, resources: Resources, name: str) -> None:
    role, sid, *action = name.split(":", 2)
    (statement,) = [statement for statement in resources.statements(role) if statement["Sid"] == sid]
    found = Values.deployed(template, {"KmsKey": "create"}).resolve(statement["Resource"])
    assert tuple(listed(found)) == UNASKED[name].resources
    assert tuple(it for it in listed(statement["Action"]) if it in (action or [it])) == UNASKED[name].actions


def test_what_resources_let_others_do_has_a_test_each(resources: Resources) -> None:
    found = [
        f"{name}:{statement['Sid']}"
        for kind, document in _DOCUMENTS.items()
        for name, properties in resources.of(kind).items()
        for statement in properties[document]["Statement"]
    ]
    assert sorted([*found, *resources.of("AWS::Lambda::Permission")]) == sorted(RESOURCE_POLICIES)


# ---- Listed actions on named resources -------------------------------------------------------------------------------


def test_actions_are_allowed_one_by_one(resources: Resources) -> None:
    for _, name, statement in _statements(resources):
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}, name
        assert statement["Effect"] == "Allow", name
        assert [it for it in listed(statement["Action"]) if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", it)] == [], name
    for role, properties in resources.of("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in properties, role


@pytest.mark.parametrize("place", PLACES)
def test_what_they_are_allowed_on_is_this_stacks(template: Json, resources: Resources, place: str) -> None:
    """Its own resources, the key's secret, parts of the buckets; all of something for a reason alone."""
    overrides, inbox, _, results, _ = PLACES[place]
    values = Values.deployed(template, {**overrides, "KmsKey": "create"})
    buckets = {f"{_S3}{bucket}" for bucket in (inbox, results)}
    wide = set()
    for _, name, statement in _statements(resources):
        for arn in listed(values.resolve(statement["Resource"])):
            if arn == "*":
                wide.add(name)
            elif arn == _BUS:
                condition = {"StringEqualsIfExists": {"events:source": "bucketbrush"}}
                assert (statement["Action"], statement["Condition"]) == ("events:PutEvents", condition), name
            elif arn.partition("/")[0] not in buckets:
                assert _OWN.fullmatch(arn), f"{name}: found {arn}; allowed: a resource of this stack"
    assert wide == set(ALL_RESOURCES)


def test_arns_name_no_partition(template: Json) -> None:
    """China and GovCloud are partitions of their own."""
    arns = [text for text in strings(template) if re.search(r"\barn:(?!\$\{(AWS::)?Partition\}:|\[a-z-\]\+:)", text)]
    assert arns == []


# ---- Who is allowed to be whom ---------------------------------------------------------------------------------------


def test_each_role_is_one_services_and_one_functions(resources: Resources) -> None:
    functions = {name: _role(it["Role"]) for name, it in resources.of("AWS::Lambda::Function").items()}
    machines = {name: _role(it["RoleArn"]) for name, it in resources.of("AWS::StepFunctions::StateMachine").items()}
    held = [*functions.values(), *machines.values(), "SignerRole"]
    assert sorted(held) == sorted(resources.of("AWS::IAM::Role")), "each role is held once, and the transform made none"
    trusts = {
        role: properties["AssumeRolePolicyDocument"]["Statement"]
        for role, properties in resources.of("AWS::IAM::Role").items()
    }
    may_assume = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    machine = resources.properties("SubmitFunction")["Environment"]["Variables"]["JOBS_MACHINE_ARN"]
    own_account = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": machine},
    }
    assert trusts == {
        **{role: [{**may_assume, "Principal": {"Service": "lambda.amazonaws.com"}}] for role in functions.values()},
        "JobsMachineRole": [{**may_assume, "Principal": {"Service": "states.amazonaws.com"}, "Condition": own_account}],
        "SignerRole": [{**may_assume, "Principal": {"AWS": {"Fn::GetAtt": ["SubmitRole", "Arn"]}}}],
    }


def test_the_signers_session_ends_within_the_hour(resources: Resources) -> None:
    assert resources.properties("SignerRole")["MaxSessionDuration"] == 3600


def _role(arn: Json) -> str:
    role: str = arn["Fn::GetAtt"][0]
    return role


# ---- Whose objects ---------------------------------------------------------------------------------------------------

_READ = {"GetObject", "GetObjectVersion"}
_STORE = {"GetObject", "PutObject", "AbortMultipartUpload"}
# What each may do to an object of each kind; who stands not here may do nothing to any.
MAY = {
    "SubmitRole": {"drop": _READ, "reference": _READ, "preset": _READ},
    "SignerRole": {"drop": _READ, "reference": _READ},
    "FinalizeRole": {"drop": _READ, "reference": _READ, "result": _STORE | {"PutObjectTagging"}},
    "BatchRole": {"drop": _READ, "result": _STORE},
}
_LISTS = {"ListBucket", "ListBucketVersions"}


@pytest.mark.parametrize("place", PLACES)
def test_each_role_reaches_the_objects_of_its_part_and_no_others(
    template: Json, resources: Resources, place: str
) -> None:
    overrides, inbox, (drops, references, presets), results, stored = PLACES[place]
    objects = {
        "drop": f"{inbox}/{drops}a/cat.png",
        "reference": f"{inbox}/{references}cat.png",
        "preset": f"{inbox}/{presets}a.json",
        "result": f"{results}/{stored}a/cat/1.png",
        "else in the inbox": f"{inbox}/private/cat.png",
        "else in the results": f"{results}/private/cat.png",
        "beside a prefix": f"{inbox}/{drops.rstrip('/')}-2/cat.png",
        "in a bucket of another": "another/inbox/cat.png",
    }
    values = Values.deployed(template, overrides)
    found: dict[str, dict[str, set[str]]] = {}
    for role, _, statement in _statements(resources):
        for action in listed(statement["Action"]):
            verb = action.removeprefix("s3:")
            for what, key in objects.items():
                if action.startswith("s3:") and _matches(values.resolve(statement["Resource"]), f"{_S3}{key}"):
                    found.setdefault(role, {}).setdefault(what, set()).add(verb)
    assert found == MAY


@pytest.mark.parametrize("place", PLACES)
def test_lists_are_of_a_prefix_but_for_telling_missing_from_forbidden(
    template: Json, resources: Resources, place: str
) -> None:
    """Of a list without its prefix nobody makes use; S3 asks for it when an object is not there, with no prefix."""
    overrides, inbox, (drops, _, _), results, stored = PLACES[place]
    values = Values.deployed(template, overrides)
    found = {}
    for _, name, statement in _statements(resources):
        if verbs := [it for it in listed(statement["Action"]) if it.removeprefix("s3:") in _LISTS]:
            condition = values.resolve(statement.get("Condition"))
            found[name] = (verbs, values.resolve(statement["Resource"]), condition)
    in_inbox, in_results = f"{_S3}{inbox}", f"{_S3}{results}"
    assert found == {
        "SubmitRole:TellMissingFromForbidden": (["s3:ListBucket"], in_inbox, None),
        "SubmitRole:SeeWhatCameWhen": (["s3:ListBucketVersions"], in_inbox, _prefixed(drops)),
        "FinalizeRole:SeeWhatIsStored": (["s3:ListBucket"], in_results, _prefixed(stored)),
        "BatchRole:TellMissingFromForbidden": (["s3:ListBucket"], in_inbox, None),
    }


def _prefixed(prefix: str) -> Json:
    return {"StringLike": {"s3:prefix": f"{prefix}*"}}


def _matches(patterns: str | list[str], arn: str) -> bool:
    return any(fnmatchcase(arn, pattern) for pattern in listed(patterns))
