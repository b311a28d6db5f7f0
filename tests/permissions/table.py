"""Who notices that a permission is gone, and why nobody can for some. Each stands in exactly one of the two tables.

A key is a statement, ``Role:Sid``, or one of its actions, ``Role:Sid:service:Action``, which goes before. An action and
not a whole statement is what is taken away: it costs some seconds more, and a statement is needed when each of its
actions is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.permissions.permissions import Permission

_PROBES = "tests/permissions/probes.py::"
_PIPELINE = "tests/workflow/test_pipeline.py::"
_ENDINGS = "tests/workflow/test_endings.py::"
_BESIDE = "tests/workflow/test_beside.py::"
_ENCRYPTION, _RESOURCES = "tests/template/test_encryption.py", "tests/template/test_resources.py"

DROPPED = f"{_PIPELINE}test_a_dropped_picture_comes_back_edited"
_LIES_BESIDE = f"{_PIPELINE}test_what_lies_beside_the_pictures"
_TOLD = f"{_PIPELINE}test_an_end_is_told_three_times_alike"
_MASK = f"{_BESIDE}test_a_mask_and_its_picture_come_in_any_order"
_PRESET = f"{_BESIDE}test_a_preset_with_a_mistake_is_told_when_it_is_uploaded"
_DOCUMENT = (
    "tests/workflow/test_documents.py::"
    "test_a_dropped_document_is_a_job_with_its_pictures_in_order_however_they_are_handed_over"
)
_AHEAD = "tests/workflow/test_limits.py::test_a_schedule_that_is_ahead_holds_a_drop_once_and_pays_nothing_meanwhile"
_LATE = f"{_ENDINGS}test_a_task_without_end_is_late_once_and_expires_after_a_last_look"
STOPPED = f"{_ENDINGS}test_stopping_the_execution_cancels_a_job_that_waits_for_its_task"
_UNSTORED = f"{_ENDINGS}test_what_cannot_be_stored_is_unstored_and_stored_later_without_paying"
_AGAIN = f"{_PROBES}test_a_rejected_job_runs_again"
_SUBMITTED = f"{_PROBES}test_listeners_hear_of_a_task"
_DURATIONS = f"{_PROBES}test_durations_are_known_and_noted"
BATCH = f"{_PROBES}test_a_batch_ends"
_KILLED = f"{_PROBES}test_what_an_earlier_turn_of_a_batch_has_written_stays"
_BUDGET = f"{_PROBES}test_a_budget_is_settled_and_measured"
_ORPHAN = f"{_PROBES}test_a_job_without_an_execution_gets_one"
_ROWLESS = f"{_PROBES}test_what_died_before_it_had_a_row_is_told"
_BROKEN = f"{_PROBES}test_nothing_stays_of_a_picture_that_is_none"

# The test that fails without it.
NOTICED = {
    "SubmitRole:Ledger": DROPPED,
    "SubmitRole:Ledger:dynamodb:GetItem": _AGAIN,
    "SubmitRole:Limits": DROPPED,
    "SubmitRole:Limits:dynamodb:GetItem": _AHEAD,
    "SubmitRole:Durations": _DURATIONS,
    "SubmitRole:LookAtReferences": _DOCUMENT,
    "SubmitRole:ReadPresets": DROPPED,
    "SubmitRole:ReadPresets:s3:GetObjectVersion": _PRESET,
    "SubmitRole:SeeWhatCameWhen": _MASK,
    "SubmitRole:HandOverBatches": BATCH,
    "SubmitRole:TellTheBus": _SUBMITTED,
    "SubmitRole:ApiKey": DROPPED,
    "SubmitRole:StartJobs": DROPPED,
    "SubmitRole:Sign": DROPPED,
    "SignerRole:ReadPictures": DROPPED,
    "StatusRole:Ledger": DROPPED,
    "StatusRole:ApiKey": DROPPED,
    "StatusRole:TellTheBus": _LATE,
    "FinalizeRole:Ledger": DROPPED,
    "FinalizeRole:Ledger:dynamodb:PutItem": _ROWLESS,
    "FinalizeRole:Budget": _BUDGET,
    "FinalizeRole:Durations": _DURATIONS,
    "FinalizeRole:StoreResults": DROPPED,
    "FinalizeRole:StoreResults:s3:GetObject": _UNSTORED,
    "FinalizeRole:StoreResults:s3:AbortMultipartUpload": _BROKEN,
    "FinalizeRole:CopyReferences": _LIES_BESIDE,
    "FinalizeRole:SeeWhatIsStored": DROPPED,
    "FinalizeRole:ApiKey": DROPPED,
    "FinalizeRole:Tell": _TOLD,
    "FinalizeRole:TellTheBus": _TOLD,
    "BatchRole:SendTurnsAndLines": BATCH,
    "BatchRole:Batches": BATCH,
    "BatchRole:LookAtJobs": BATCH,
    "BatchRole:ReadBatches": BATCH,
    "BatchRole:StoreSummaries": BATCH,
    "BatchRole:StoreSummaries:s3:GetObject": _KILLED,
    "BatchRole:Tell": BATCH,
    "BatchRole:TellTheBus": BATCH,
    "SweepRole:Ledger": STOPPED,
    "SweepRole:Budget": _BUDGET,
    "SweepRole:OpenJobs": _ORPHAN,
    "SweepRole:LookAtJobs": STOPPED,
    "SweepRole:StartJobs": _ORPHAN,
    "SweepRole:EndJobs": STOPPED,
}


@dataclass(frozen=True)
class Unasked:
    """Why nobody can notice it here, and what it must say: its actions, and the resources as they would be deployed."""

    reason: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


_WORKFLOW = "the engine's workflows call what they call without a look at their role"
_MISSING = "the engine answers 404 for an object that is not there, whoever asks; AWS answers 403 without this"
_UNVERSIONED = "only in a bucket of yours that keeps no versions: where there are versions, each read names one"
_INBOX, _RESULTS = "arn:<AWS::Partition>:s3:::<InboxBucket>", "arn:<AWS::Partition>:s3:::<ResultsBucket>/results/*"
_PICTURES = (f"{_INBOX}/inbox/*", f"{_INBOX}/references/*")


def _written(group: str) -> Unasked:
    reason = "the engine writes a function's log lines itself and asks no role"
    return Unasked(reason, ("logs:CreateLogStream", "logs:PutLogEvents"), (f"<{group}.Arn>",))


def _polled(queue: str) -> Unasked:
    reason = "the engine polls a queue for its function and asks no role"
    return Unasked(reason, ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"), (f"<{queue}.Arn>",))


def _traced(*further: str) -> Unasked:
    actions = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", *further)
    return Unasked("the engine traces nothing, and X-Ray knows no resources", actions, ("*",))


def _encrypted(*verbs: str) -> Unasked:
    reason = "the engine encrypts nothing, and its stack has no key"
    return Unasked(reason, tuple(f"kms:{verb}" for verb in verbs), ("<Key.Arn>",))


_USED = _encrypted("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "DescribeKey")

# What only AWS asks for. tests/template/test_permissions.py holds the template to what stands here.
UNASKED = {
    "SubmitRole:Logs": _written("SubmitLogs"),
    "StatusRole:Logs": _written("StatusLogs"),
    "FinalizeRole:Logs": _written("FinalizeLogs"),
    "BatchRole:Logs": _written("BatchLogs"),
    "SweepRole:Logs": _written("SweepLogs"),
    "SubmitRole:Trace": _traced(),
    "StatusRole:Trace": _traced(),
    "FinalizeRole:Trace": _traced(),
    "BatchRole:Trace": _traced(),
    "SweepRole:Trace": _traced(),
    "JobsMachineRole:Trace": _traced("xray:GetSamplingRules", "xray:GetSamplingTargets"),
    "SubmitRole:UseKey": _USED,
    "StatusRole:UseKey": _USED,
    "FinalizeRole:UseKey": _USED,
    "BatchRole:UseKey": _USED,
    "SweepRole:UseKey": _USED,
    "JobsMachineRole:UseKey": _USED,
    "SignerRole:ReadEncrypted": _encrypted("Decrypt"),
    "SubmitRole:Queue": _polled("SubmitQueue"),
    "BatchRole:Queue": _polled("BatchQueue"),
    "SweepRole:Queue": _polled("ExecutionEndedQueue"),
    "JobsMachineRole:ReadLedger": Unasked(_WORKFLOW, ("dynamodb:GetItem",), ("<JobsTable.Arn>",)),
    "JobsMachineRole:CallFunctions": Unasked(
        _WORKFLOW,
        ("lambda:InvokeFunction",),
        ("<SubmitFunction.Arn>", "<StatusFunction.Arn>", "<FinalizeFunction.Arn>"),
    ),
    "JobsMachineRole:DeliverLogs": Unasked(
        "the engine delivers no logs of executions",
        (
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ),
        ("*",),
    ),
    "SubmitRole:TellMissingFromForbidden": Unasked(_MISSING, ("s3:ListBucket",), (_INBOX,)),
    "BatchRole:TellMissingFromForbidden": Unasked(_MISSING, ("s3:ListBucket",), (_INBOX,)),
    "FinalizeRole:StoreResults:s3:PutObjectTagging": Unasked(
        "the engine asks for s3:PutObject alone when an object is written with its tags",
        ("s3:PutObjectTagging",),
        (_RESULTS,),
    ),
    "SignerRole:ReadPictures:s3:GetObject": Unasked(_UNVERSIONED, ("s3:GetObject",), _PICTURES),
    "FinalizeRole:CopyReferences:s3:GetObject": Unasked(_UNVERSIONED, ("s3:GetObject",), _PICTURES),
    "BatchRole:ReadBatches:s3:GetObject": Unasked(_UNVERSIONED, ("s3:GetObject",), _PICTURES[:1]),
    "BatchRole:StoreSummaries:s3:AbortMultipartUpload": Unasked(
        "only for a report of more than 5 MiB that another turn has written meanwhile",
        ("s3:AbortMultipartUpload",),
        (_RESULTS,),
    ),
}

_TLS = ("every request to the engine counts as one over TLS", f"{_ENCRYPTION}::test_nothing_is_served_without_tls")
_RULES = "the engine's rules reach every target, whatever its policy says"
_TO_QUEUE = (_RULES, f"{_RESOURCES}::test_only_the_rule_may_send_to_its_queues")
_KEY = "the engine encrypts nothing"
_SERVICES = (_KEY, f"{_ENCRYPTION}::test_the_stacks_key_lets_each_service_in_and_nobody_elses")

# What resources themselves let others do, none of which the engine asks for: why not, and the test that pins it.
RESOURCE_POLICIES = {
    "InboxBucketPolicy:TlsOnly": _TLS,
    "ResultsBucketPolicy:TlsOnly": _TLS,
    "DropRuleQueuePolicy:OnlyTheRules": _TO_QUEUE,
    "DropRuleQueuePolicy:TlsOnly": _TLS,
    "ExecutionEndedQueuePolicy:OnlyTheEndedRule": _TO_QUEUE,
    "ExecutionEndedQueuePolicy:TlsOnly": _TLS,
    "OtherQueuesPolicy:TlsOnly": _TLS,
    "TopicPolicy:TlsOnly": _TLS,
    "AlarmTopicPolicy:OnlyThisAccountsAlarms": (
        "the engine's alarms reach every topic, whatever its policy says",
        f"{_ENCRYPTION}::test_alarms_reach_their_topic_whatever_the_key",
    ),
    "AlarmTopicPolicy:TlsOnly": _TLS,
    "Key:Administer": _SERVICES,
    "Key:Alarms": _SERVICES,
    "Key:Rules": _SERVICES,
    "Key:Logs": (_KEY, f"{_ENCRYPTION}::test_the_key_opens_every_log_group_of_the_stack"),
    "Key:WorkflowLogs": _SERVICES,
    "SweepFunctionSchedulePermission": (_RULES, f"{_RESOURCES}::test_the_sweep_runs_by_schedule_too"),
}


def noticed_by(permission: Permission) -> str | None:
    """The test that fails without a permission; None for one that only AWS asks for.

    Raises LookupError for one that stands in neither table.
    """
    for name in permission.names:
        if name in NOTICED or name in UNASKED:
            return NOTICED.get(name)
    raise LookupError(f"{permission}: found in neither table of tests/permissions/table.py; allowed: in one of them")
