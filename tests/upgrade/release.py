"""What the release before this tree deploys, in one archive (docs/decisions/0019)."""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHIVE = Path(__file__).with_name("release.tar.xz")
DEPLOYED = ("template.yaml", "functions", "layers")


def unpacked() -> Path:
    """The release's template. Whoever updates keeps their samconfig.toml, so this tree's lies beside it.

    What is built there is found again by the next run.
    """
    folder = ROOT / "build" / "release" / hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:12]
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    shutil.copy(ROOT / "samconfig.toml", folder)
    return folder / "template.yaml"


def keep(revision: str) -> None:
    """Put what a git revision deploys into the archive; the same revision makes the same archive."""
    packed = subprocess.run(["git", "archive", revision, *DEPLOYED], cwd=ROOT, check=True, capture_output=True).stdout
    ARCHIVE.write_bytes(subprocess.run(["xz", "-9e"], input=packed, check=True, capture_output=True).stdout)


def main() -> None:
    """Keep the revision that is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade.release", description=keep.__doc__)
    parser.add_argument("revision", help="of git, such as the release's tag")
    keep(parser.parse_args().revision)


if __name__ == "__main__":
    main()
