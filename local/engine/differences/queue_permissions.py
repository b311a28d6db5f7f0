"""Whoever may send a message may send ten at once.

AWS ("Actions, resources, and condition keys for Amazon SQS"): the batch requests have no permissions of their own; who
may do sqs:SendMessage may do SendMessageBatch, and the same goes for deleting and for the visibility.

With IAM enforced the engine demands an action by the request's own name, which no policy can hold on AWS. Closed by
naming the action of the single request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Name the single request's action for a batch of them."""
    extract = iam_actions.extract_iam_action

    def extract_single(*arguments: Any, **options: Any) -> str | None:
        action: str | None = extract(*arguments, **options)
        return action.removesuffix("Batch") if action and action.startswith("sqs:") else action

    iam_actions.extract_iam_action = extract_single
