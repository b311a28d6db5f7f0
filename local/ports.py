"""Ports as the commands of this folder take them."""

from __future__ import annotations

import argparse
import errno

_LARGEST = 65535


def port(text: str) -> int:
    """A command line argument: a port, or 0 for any free one."""
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST):
        raise argparse.ArgumentTypeError(f"found {text}; allowed: a port, 0 (any free one) to {_LARGEST}")
    return int(text)


def port_problem(number: int, fault: OSError, way_out: str) -> str:
    """One line about a port that cannot be opened."""
    why = "is in use" if fault.errno == errno.EADDRINUSE else f"cannot be opened ({fault.strerror})"
    return f"port {number} {why}; {way_out}"
