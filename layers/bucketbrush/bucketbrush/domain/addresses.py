"""Which web addresses we talk to: the API's own, and the hosts that result links may name."""

import re
from collections.abc import Iterable

MAX_PORT = 65_535
MAX_LINK_BYTES = 2048  # the longest source link that ToAPIs documents (video review page)
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_BASE = re.compile(r"(https?)://([a-z0-9_.-]+|\[::1\])(?::([1-9][0-9]{0,4}))?(?:/v1)?/*", re.IGNORECASE)
_BASE_ALLOWED = (
    "allowed: https://host or https://host:port, with or without /v1; http only for 127.0.0.1, localhost and [::1]"
)


def api_origin(base_url: str) -> str:
    """Scheme, host and port of the API, in lower case; the address may end with ``/v1`` and slashes.

    It is a grammar of its own and no URL parser, so that what connects later can read nothing else into it: no user
    info, query, fragment, other path or other scheme. Raises ValueError, which does not quote the address, because a
    wrong one may hold a password.
    """
    found = _BASE.fullmatch(base_url)
    if not found:
        raise ValueError(f"found something else; {_BASE_ALLOWED}")
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    if not (is_loopback(host) or is_host(host)) or int(port or 1) > MAX_PORT:
        raise ValueError(f"found no such host or port; {_BASE_ALLOWED}")
    if scheme == "http" and not is_loopback(host):
        raise ValueError(f"found http; {_BASE_ALLOWED}")
    return f"{scheme}://{host}" + (f":{port}" if port else "")


def is_loopback(host: str) -> bool:
    return host.strip("[]") in LOOPBACK


def is_host(host: str) -> bool:
    """Whether it is a name in lower case that DNS can look up (RFC 1035, 2.3.4: labels of 63, 253 letters in all).

    IDNA names are in their ASCII form. A final dot, which certificates do not have, is none of ours.
    """
    return bool(_HOST.fullmatch(host))


def is_below(host: str, suffixes: Iterable[str]) -> bool:
    """Whether a host is one of the suffixes or, at the boundary of a label, below one; all in lower case."""
    return is_host(host) and any(host == suffix or host.endswith(f".{suffix}") for suffix in suffixes)
