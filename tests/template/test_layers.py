"""What the layers' Makefiles build: for the target and not for this machine, with bytecode where it can be had."""

from __future__ import annotations

import marshal
import os
import re
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.template.stack import ENVIRONMENTS, ROOT

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = ROOT / "layers"
LOCKS = [LAYERS / "dependencies" / "requirements.txt", *sorted((ROOT / "requirements").glob("*.txt"))]
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"
UNCHECKED_HASH = 0b01  # the flags of a .pyc that is taken without a look at its source (PEP 552)
ELF_AARCH64 = 183


def _built(layer: str, target: str, into: Path, **variables: str) -> str:
    """Build one layer from a copy of its folder, and what make printed."""
    source, artifacts = into / "source", into / "artifacts"
    shutil.copytree(LAYERS / layer, source, ignore=shutil.ignore_patterns("__pycache__"))
    artifacts.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LAYER_", "MAKE"))}
    done = subprocess.run(
        ["make", target, f"ARTIFACTS_DIR={artifacts}", *(f"{name}={value}" for name, value in variables.items())],
        cwd=source,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _bytecode(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.pyc"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The package's layer, built by this interpreter, zipped and unpacked elsewhere as in Lambda; and what was said."""
    folder = tmp_path_factory.mktemp("package")
    said = _built("bucketbrush", "build-BucketbrushLayer", folder, LAYER_PYTHON=RUNNING, TARGET_PYTHON=sys.executable)
    archive = shutil.make_archive(str(folder / "layer"), "zip", folder / "artifacts")
    shutil.rmtree(folder / "artifacts")
    with zipfile.ZipFile(archive) as layer:
        layer.extractall(folder / "opt")
    return folder / "opt" / "python", said


def test_the_package_layer_holds_the_package_and_its_bytecode(package: tuple[Path, str]) -> None:
    folder, said = package
    assert said == f"BucketbrushLayer: Python {RUNNING}, with bytecode\n"
    sources = sorted(path.relative_to(LAYERS / "bucketbrush") for path in (LAYERS / "bucketbrush").rglob("*.py"))
    assert sorted(path.relative_to(folder) for path in folder.rglob("*.py")) == sources
    assert len(_bytecode(folder)) == len(sources)
    assert (folder / "bucketbrush" / "py.typed").exists()
    assert [path.name for path in folder.iterdir()] == ["bucketbrush"]


def test_bytecode_is_never_compared_with_its_source(package: tuple[Path, str]) -> None:
    for path in _bytecode(package[0]):
        assert int.from_bytes(path.read_bytes()[4:8], "little") == UNCHECKED_HASH, path


def test_bytecode_knows_no_path_of_this_machine(package: tuple[Path, str]) -> None:
    """Tracebacks show where the code lies in Lambda."""
    folder = package[0]
    for path in _bytecode(folder):
        code = marshal.loads(path.read_bytes()[16:])
        lies_at = path.parent.parent.relative_to(folder) / f"{path.name.split('.')[0]}.py"
        assert code.co_filename == f"/opt/python/{lies_at}"
        assert str(folder.parent.parent).encode() not in path.read_bytes()
        assert str(ROOT).encode() not in path.read_bytes()


def test_bytecode_is_used_after_unpacking(package: tuple[Path, str], tmp_path: Path) -> None:
    """Even with a source that is newer and different: what runs is the bytecode."""
    folder = shutil.copytree(package[0], tmp_path / "python")
    errors = folder / "bucketbrush" / "domain" / "errors.py"
    errors.write_text("raise SystemExit('the source was read')\n", encoding="utf-8")
    os.utime(errors, (4_000_000_000, 4_000_000_000))
    program = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); import bucketbrush.domain.errors as e; print(e.__file__)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == (str(errors), "")


@pytest.mark.parametrize(("layer_python", "target_python"), [("3.13", "/nonexistent/python"), ("3.9", sys.executable)])
def test_without_the_targets_interpreter_the_build_says_so(
    tmp_path: Path, layer_python: str, target_python: str
) -> None:
    """Bytecode of another Python would lie in the layer unread."""
    chosen = {"LAYER_PYTHON": layer_python, "TARGET_PYTHON": target_python}
    said = _built("bucketbrush", "build-BucketbrushLayer", tmp_path, **chosen)
    reason = f"{target_python} is not a working Python {layer_python} here"
    assert said == f"BucketbrushLayer: Python {layer_python}, without bytecode ({reason}): slower cold starts\n"
    assert _bytecode(tmp_path / "artifacts") == []
    assert (tmp_path / "artifacts" / "python" / "bucketbrush" / "intake.py").exists()


@pytest.mark.timeout(180)
def test_the_dependencies_are_those_of_the_target(tmp_path: Path) -> None:
    said = _built(
        "dependencies",
        "build-DependenciesLayer",
        tmp_path,
        PIP=f"{ENVIRONMENTS / 'uv' / 'bin' / 'python'} -m pip",
        TARGET_PYTHON="/nonexistent/python",
    )
    assert said.endswith(
        "DependenciesLayer: arm64, Python 3.13, without bytecode "
        "(/nonexistent/python is not a working Python 3.13 here): slower cold starts\n"
    )
    folder = tmp_path / "artifacts" / "python"
    binaries = sorted(folder.rglob("*.so*"))
    assert binaries, "pydantic has a compiled core"
    for path in binaries:
        assert "cpython-313-aarch64" in path.name
        assert int.from_bytes(path.read_bytes()[18:20], "little") == ELF_AARCH64, path
    assert _bytecode(folder) == []
    assert not (folder / "bin").exists()
    locked = {name.lower().replace("_", "-") for name in _requirements(LOCKS[0])}
    installed = {path.name.split("-")[0].lower().replace("_", "-") for path in folder.glob("*.dist-info")}
    assert {"httpx", "pydantic", "aws-lambda-powertools"} <= installed <= locked


def _requirements(lock: Path) -> dict[str, str]:
    """Each locked requirement by name, with its whole entry."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    return {re.split(r"==", line)[0]: line for line in lines}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_locked_requirement_has_a_hash_and_no_index_is_named(lock: Path) -> None:
    entries = _requirements(lock)
    assert entries
    for name, entry in entries.items():
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,-]+\])?", name), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), name
        assert not re.search(r"://|--(?!hash=)|\s-[a-z]\b", entry), "an address or an option of pip"
