"""What strangers have named stands in the logs as text, in one line of plain letters."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from bucketbrush.observability import logger

if TYPE_CHECKING:
    import io


@pytest.mark.parametrize(
    "name",
    [
        'inbox/cat.png","level":"ERROR","message":"all is lost',
        'inbox/cat\r\n{"level":"ERROR"}.png',
        "inbox/\x1b[2J\x1b]0;title\x07.png",
        "inbox/\x9b31m.png",  # the same command in one letter
        "inbox/\u202egnp.tac\u2066.exe",
        "inbox/line\u2028paragraph\u2029next\x85.png",
        "inbox/half \ud83d.png",
        "inbox/猫.png",
    ],
)
def test_a_name_is_one_field_of_one_line_of_plain_letters(logs: io.StringIO, name: str) -> None:
    logger.info("preset is sound", key=name)
    text = logs.getvalue()
    assert text.endswith("}\n")
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    line = json.loads(text)
    assert (line["level"], line["message"], line["key"]) == ("INFO", "preset is sound", name)


def test_libraries_do_not_log_the_addresses_that_they_ask(caplog: pytest.LogCaptureFixture) -> None:
    """Result links and signed links are among them; Lambda lets everything log at INFO."""
    caplog.set_level(logging.INFO)
    assert [name for name in ("httpx", "botocore") if logging.getLogger(name).isEnabledFor(logging.INFO)] == []
