"""Imports point inward, and only the wiring touches AWS clients and the environment."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers" / "bucketbrush" / "bucketbrush"
USE_CASES = (
    *("intake", "documents", "prepare", "handover", "depart", "submit", "status"),
    *("finalize", "store", "display", "bill", "knowledge", "sweep", "batch"),
)
# What stands beside the rooms: it makes the clients, or touches none.
OTHERS = ("observability", "__init__")
WIRING = PACKAGE / "wiring"
MOST_LINES = 40
STDLIB = tuple(sys.stdlib_module_names)


@dataclass(frozen=True)
class Rule:
    """What the files of one room may import (None: anything), and what they may not. A name covers what is below it."""

    files: tuple[Path, ...]
    allowed: tuple[str, ...] | None = None
    forbidden: tuple[str, ...] = ()

    def broken_by(self, source: str) -> list[str]:
        """The imports that break the rule."""
        return [
            name
            for name in imports(source)
            if (self.allowed is not None and not covers(self.allowed, name)) or covers(self.forbidden, name)
        ]


def imports(source: str) -> Iterator[str]:
    """Every module that a file imports when it runs; imports for the type checker do no harm."""
    tree = ast.parse(source)
    unused = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unused:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they point"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def covers(names: Iterable[str], module: str) -> bool:
    """Whether a module is one of the named, or below one."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def code_lines(source: str) -> int:
    """Lines that hold code: no blank ones, comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return len(ast.unparse(tree).replace("\n\n", "\n").splitlines())


def reads_environment(source: str) -> bool:
    """Whether the code touches os.environ or os.getenv."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in ast.walk(ast.parse(source))
    )


def files(folder: Path, pattern: str = "*.py") -> tuple[Path, ...]:
    found = tuple(sorted(folder.rglob(pattern)))
    assert found, folder
    return found


HANDLERS = files(ROOT / "functions", "app.py")
RULES = {
    "the domain": Rule(files(PACKAGE / "domain"), allowed=(*STDLIB, "pydantic", "bucketbrush.domain")),
    "adapters": Rule(
        files(PACKAGE / "adapters"),
        allowed=(
            *STDLIB,
            "boto3",
            "botocore",
            "httpx",
            "aws_lambda_powertools",
            "bucketbrush.domain",
            "bucketbrush.adapters.announcements",
            "bucketbrush.adapters.answers",
            "bucketbrush.adapters.budgets",
        ),
        forbidden=("os",),
    ),
    "use cases": Rule(
        tuple(PACKAGE / f"{name}.py" for name in USE_CASES),
        forbidden=("boto3", "botocore", "httpx", "os", "aws_lambda_powertools", "bucketbrush.wiring"),
    ),
    "events and settings": Rule(
        tuple(PACKAGE / f"{name}.py" for name in ("events", "messages", "settings")),
        forbidden=("boto3", "httpx", "os", "bucketbrush.wiring"),
    ),
    "the wiring": Rule(files(WIRING), forbidden=("httpx",)),
    "handlers": Rule(HANDLERS, forbidden=("boto3", "botocore", "os", "httpx", "bucketbrush.adapters")),
    "the simulator": Rule(files(ROOT / "local" / "simulator"), forbidden=("bucketbrush", "local.engine")),
    "the engine": Rule(files(ROOT / "local" / "engine"), forbidden=("bucketbrush", "local.simulator")),
}
BAD_SAMPLES = {
    "the domain": "import boto3",
    "adapters": "from bucketbrush.submit import Submit",
    "use cases": "import os",
    "events and settings": "from bucketbrush.wiring import build_intake",
    "the wiring": "import httpx",
    "handlers": "import boto3.session",
    "the simulator": "from bucketbrush.domain import layout",
    "the engine": "from local import simulator",
}


@pytest.mark.parametrize(("room", "file"), [(room, file) for room, rule in RULES.items() for file in rule.files])
def test_imports_keep_to_their_room(room: str, file: Path) -> None:
    assert RULES[room].broken_by(file.read_text()) == []


def test_every_module_has_a_room() -> None:
    roomy = {file for rule in RULES.values() for file in rule.files}
    assert {file.stem for file in files(PACKAGE) if file not in roomy} == set(OTHERS)


@pytest.mark.parametrize("room", RULES)
def test_each_rule_can_fail(room: str) -> None:
    assert RULES[room].broken_by(BAD_SAMPLES[room])


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def late():\n    import httpx", ["httpx"]),
        ("from TYPE import x\nif TYPE_CHECKING:\n    from boto3 import client", ["TYPE.x"]),
        ("import json, os.path", ["json", "os.path"]),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, found: list[str]) -> None:
    assert list(imports(source)) == found


def test_only_the_wiring_makes_clients_and_reads_the_environment() -> None:
    outside = {file.name: file.read_text() for file in files(PACKAGE) if WIRING not in file.parents}
    assert [name for name, source in outside.items() if covers(imports(source), "boto3")] == []
    assert [name for name, source in outside.items() if reads_environment(source)] == []
    assert [file for file in HANDLERS if reads_environment(file.read_text())] == []


@pytest.mark.parametrize("file", HANDLERS, ids=lambda file: file.parent.name)
def test_handlers_are_short(file: Path) -> None:
    assert code_lines(file.read_text()) < MOST_LINES


def test_code_lines_counts_code() -> None:
    assert code_lines('"""Doc."""\n\n# comment\nx = 1\n\n\ndef f():\n    """Doc."""\n    return x\n') == 3
