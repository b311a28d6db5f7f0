"""What the bench of cold starts computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.cold import most_expensive, zipped

if TYPE_CHECKING:
    from pathlib import Path

_LOOK = """\
import time: self [us] | cumulative | imported package
import time:      1500 |       1500 |     botocore.model
import time:       700 |       2200 |   botocore
import time:       {third} |       9000 | app
the function's own line | 5 | 6
"""


def test_a_packages_modules_count_by_themselves_and_in_their_shortest_time() -> None:
    assert most_expensive([_LOOK.format(third=9000), _LOOK.format(third=600)]) == {"botocore": 2.2, "app": 0.6}


def test_only_the_most_expensive_are_named() -> None:
    look = "".join(f"import time: {number:9} | {number:9} | m{number}\n" for number in range(1000, 16_000, 1000))
    assert [*most_expensive([look])] == [f"m{number}" for number in range(15_000, 5_000, -1000)]


def test_sizes_are_those_in_an_archive_the_largest_first(tmp_path: Path) -> None:
    (tmp_path / "large" / "inner").mkdir(parents=True)
    (tmp_path / "small.py").write_bytes(b"x" * 100_000)
    (tmp_path / "large" / "inner" / "data").write_bytes(bytes(range(256)))
    found = zipped(tmp_path)
    assert [*found] == ["large", "small.py"]
    assert found["large"] >= 256
    assert found["small.py"] < 1_000, "it is compressed"
