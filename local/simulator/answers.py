"""The JSON that ToAPIs answers with, one function per documented shape."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

Json = dict[str, Any]

LIMITED = (429, "rate_limit_exceeded", "too many requests", "rate_limit_error")  # the parts of a RefusedError
LINK_SECONDS = 86_400  # ToAPIs task status page: expires_at is completed_at plus a day


class RefusedError(Exception):
    """A request that the API answers with an error body; carries that answer's parts."""

    def __init__(
        self, status: int, code: str | int, message: str, kind: str = "invalid_request_error", retry_after: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.kind = status, code, message, kind
        self.headers = {"Retry-After": retry_after} if retry_after else {}

    def response(self) -> JSONResponse:
        """As an answer, with its Retry-After if it has one."""
        return JSONResponse(error_body(self.code, self.message, self.kind), self.status, headers=self.headers)


def error_body(code: str | int, message: str, kind: str = "invalid_request_error") -> Json:
    """The shape that every ToAPIs page shows."""
    return {"error": {"code": code, "message": message, "type": kind}}


def unknown_task() -> RefusedError:
    """ToAPIs task status page: HTTP 404 with an integer code."""
    return RefusedError(404, 404, "the task does not exist", "not_found_error")


def submitted(task_id: str, model: str, created_at: int) -> Json:
    """The answer to an accepted POST, as both model pages print it (section "Response")."""
    return {**_head(task_id, model, "queued", 0, created_at), "metadata": {}}


def waiting(task_id: str, model: str, status: str, progress: int, created_at: int) -> Json:
    """A task that is queued or in progress; its money is reserved but not settled."""
    return {**_head(task_id, model, status, progress, created_at), "billing": {"status": "pending"}}


def completed(task_id: str, model: str, created_at: int, completed_at: int, urls: list[str]) -> Json:
    """A finished task: one link per picture, amounts as decimal strings (illustrative: 3 credits a picture)."""
    pictures = len(urls)
    return {
        **_head(task_id, model, "completed", 100, created_at),
        "completed_at": completed_at,
        "expires_at": completed_at + LINK_SECONDS,
        "result": {"type": "image", "data": [{"url": url} for url in urls]},
        "billing": {"status": "settled", "credits": str(3 * pictures), "cost_usd": f"{0.015 * pictures:.3f}"},
        "usage": {"input_tokens": 100, "output_tokens": 900 * pictures, "total_tokens": 100 + 900 * pictures},
    }


def failed(task_id: str, model: str, created_at: int, message: str) -> Json:
    """A failed task is answered with HTTP 200 and has been refunded."""
    return {
        **_head(task_id, model, "failed", 0, created_at),
        "billing": {"status": "refunded", "credits": "0", "cost_usd": "0"},
        "error": {"code": "generation_failed", "message": message},
    }


def _head(task_id: str, model: str, status: str, progress: int, created_at: int) -> Json:
    return {
        "id": task_id,
        "object": "generation.task",
        "model": model,
        "status": status,
        "progress": progress,
        "created_at": created_at,
    }
