"""Build packages into dist/ and check what would be published.

``hatch run build`` builds all four, ``hatch run build minari-core-v0.2.0`` what that tag releases.
"""

from __future__ import annotations

import argparse
import email
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PACKAGES = sorted(folder.name for folder in (ROOT / "packages").iterdir())


def build(package: str) -> Message:
    """Build the source archive and the wheel of a package; return the wheel's metadata."""
    subprocess.run(
        ["hatch", "build", str(DIST / package)], cwd=ROOT / "packages" / package, check=True
    )
    (wheel,) = (DIST / package).glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(path))
    files = [str(file) for file in (DIST / package).iterdir()]
    subprocess.run(["twine", "check", "--strict", *files], check=True)
    for file in files:
        shutil.move(file, DIST)
    (DIST / package).rmdir()
    return metadata


def problems_of(metadata: Message, version: str | None, repository: str | None) -> list[str]:
    """Say what of a built package is not as its release asks for."""
    problems = []
    if version is not None and metadata["Version"] != version:
        problems.append(f"its version is {metadata['Version']}, its tag says {version}")
    if repository is not None:
        for url in metadata.get_all("Project-URL", []):
            address = url.partition(", ")[2]
            if not f"{address}/".startswith(f"{repository}/"):
                problems.append(f"{url!r} does not lead to {repository}")
    return [f"{metadata['Name']}: {problem}" for problem in problems]


def main() -> None:
    """Build and check what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", nargs="?", help="<package>-v<version>; else all packages are built")
    parser.add_argument("--repository", help="the address that the packages' URLs must lead to")
    arguments = parser.parse_args()
    package, _, version = (arguments.tag or "").rpartition("-v")
    if arguments.tag is not None and package not in PACKAGES:
        parser.error(f"{arguments.tag!r} is no <package>-v<version> of {', '.join(PACKAGES)}")

    shutil.rmtree(DIST, ignore_errors=True)
    problems = []
    for name in [package] if package else PACKAGES:
        problems += problems_of(build(name), version or None, arguments.repository)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
