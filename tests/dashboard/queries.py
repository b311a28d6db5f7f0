"""Saved queries as Logs Insights reads them ("CloudWatch Logs Insights language query syntax", CloudWatch Logs)."""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
FUNCTIONS = {"avg", "coalesce", "count", "count_distinct", "latest", "max", "sum"}
# What a line has of itself, or the workflow's have ("Logging using CloudWatch Logs", Step Functions Developer Guide).
OF_LOGS = {"@timestamp", "@message", "type"}
_WORDS = {"and", "as", "asc", "by", "desc", "in", "like", "not", "or"}
_TEXT = re.compile(r'"[^"]*"')
_NAME = re.compile(r"@?[a-z_]+\b")
_CALL = re.compile(r"([a-z_]+)\(")
_ALIAS = re.compile(r"\bas ([a-z_]+)")
_MESSAGE = re.compile(r'\bmessage = "([^"]*)"')


@dataclass(frozen=True)
class Query:
    """The text of a query, and what it uses."""

    text: str

    @property
    def commands(self) -> list[str]:
        """The first word of each step."""
        return [step.split()[0] for step in _TEXT.sub("", self.text).split("|")]

    @property
    def functions(self) -> set[str]:
        return set(_CALL.findall(_TEXT.sub("", self.text)))

    @property
    def fields(self) -> set[str]:
        """What it reads from the lines of a log."""
        names = set(_NAME.findall(_TEXT.sub("", self.text)))
        return names - set(self.commands) - self.functions - _WORDS - set(_ALIAS.findall(self.text))

    @property
    def messages(self) -> list[str]:
        """The messages of the lines that it looks for."""
        return _MESSAGE.findall(self.text)
