"""Build the site of the documentation, strictly: a broken link or a missing name is an error.

The pages are copied below ``build/website`` first, where what GitHub and the site would show in
different ways is written for the site.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zlib import decompress

from gallery import write_gallery

import minari
import minari_collect
import minari_core
import minari_hub

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "benchmarks" / "RESULTS.md"
STAGE = REPOSITORY / "build" / "website"
PAGES = STAGE / "docs"
SITE = STAGE / "site"
PACKAGES = (minari, minari_collect, minari_core, minari_hub)


def main() -> None:
    stage_pages()
    with TemporaryDirectory() as folder:
        os.environ |= {"MINARI_DATASETS_PATH": folder, "MINARI_CACHE_PATH": f"{folder}/.cache"}
        write_gallery(PAGES / "gallery")
    subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict", "--clean"],
        cwd=STAGE,
        check=True,
    )
    if missing := find_undocumented_names():
        sys.exit(f"docs/api has no docstring of {', '.join(missing)}")
    print(f"built {SITE}")


def stage_pages() -> None:
    """Copy the pages to where the site is built from."""
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.copytree(REPOSITORY / "docs", PAGES)
    shutil.copytree(REPOSITORY / "website" / "assets", PAGES / "assets")
    shutil.copy(REPOSITORY / "website" / "zensical.toml", STAGE)
    shutil.copy(RESULTS, PAGES / "figures.md")
    for page in PAGES.rglob("*.md"):
        text = resolve_addresses(page.read_text(encoding="utf-8"), page)
        # What a block needs stands behind its language, where the site knows no word.
        text = re.sub(r"(?m)^```python \w+$", "```python", text)
        if page == PAGES / "api.md":
            text = link_names(text)
        page.write_text(text, encoding="utf-8")


def resolve_addresses(text: str, page: Path) -> str:
    """Write links to the site's addresses, such as ``/api/errors``, and to the figures as links
    to their pages."""

    def link_to(target: Path) -> str:
        return f"]({Path(os.path.relpath(target, page.parent)).as_posix()})"

    def resolve(link: re.Match[str]) -> str:
        return link_to(PAGES / f"{link[1]}.md")

    figures = os.path.relpath(RESULTS, REPOSITORY / "docs" / page.parent.relative_to(PAGES))
    text = text.replace(f"]({Path(figures).as_posix()})", link_to(PAGES / "figures.md"))
    return re.sub(r"\]\(/([\w/]+)\)", resolve, text)


def link_names(text: str) -> str:
    """Link the names in the first column of the tables to their docstrings."""

    def link(name: re.Match[str]) -> str:
        *_, last = name[1].split(".")
        for owner, path in ((minari, "minari"), (minari.MinariDataset, "minari.MinariDataset")):
            if last in dir(owner) and name[1] in (last, f"dataset.{last}"):
                return f"[{name[0]}][{path}.{last}]"
        return name[0]

    def link_cell(cell: re.Match[str]) -> str:
        return re.sub(r"`([\w.]+)(?:\([^`]*)?`", link, cell[0])

    return re.sub(r"(?m)^\|[^|]*\|", link_cell, text)


def find_undocumented_names() -> list[str]:
    """Find the public names of the packages that have no docstring on the site."""
    # The inventory's four first lines say what it is.
    inventory = decompress((SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    documented = {line.split()[0].rpartition(".")[2] for line in inventory.splitlines()}
    public = {name for package in PACKAGES for name in package.__all__} - {"__version__"}
    return sorted(public - documented)


if __name__ == "__main__":
    main()
