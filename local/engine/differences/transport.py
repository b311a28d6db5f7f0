"""Requests count as secured by TLS.

AWS ("AWS global condition context keys", aws:SecureTransport): the key says whether a request came over TLS, and
bucket policies deny what did not. Every SDK call to AWS does.

The engine speaks plain HTTP on loopback, where nobody can listen, and says so: with IAM enforced, a template's own
TLS-only policy would shut everybody out. Closed by reporting TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ministack import app

if TYPE_CHECKING:
    from local.engine.differences import Settings


def close(_: Settings) -> None:
    """Report TLS for every request."""
    pin = app.pin_request_origin

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:  # noqa: ARG001
        pin(source_ip, secure_transport=True)

    app.pin_request_origin = pin_as_secure
