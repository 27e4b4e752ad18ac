"""What hosts, package indexes and contributors read of the project, and that it agrees."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = sorted(folder.name for folder in (REPOSITORY / "packages").iterdir())
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
CI_RUN = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
WORKSPACE = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
every_package = pytest.mark.parametrize("package", PACKAGES)
every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)


def text_of(package: str, file: str) -> str:
    return (REPOSITORY / "packages" / package / file).read_text(encoding="utf-8")


def home() -> str:
    """The address of the project, which is written once."""
    (address,) = re.findall(r'^\[tool\.minari\]\n(?:#.*\n)*repository = "(.*)"$', WORKSPACE, re.M)
    return str(address)


def urls(package: str) -> dict[str, str]:
    (table,) = re.findall(
        r"^\[project\.urls\]\n((?:.+\n)+)", text_of(package, "pyproject.toml"), re.M
    )
    return dict(re.findall(r'^(\w+) = "(.*)"$', table, re.M))


def pythons_of_the_workflow() -> list[str]:
    """The Pythons on which the hosted workflow runs the README's test command."""
    (versions,) = re.findall(r"^ +python: (\[.*\])$", workflow_text("test"), re.M)
    return list(ast.literal_eval(versions))


def workflow_text(name: str) -> str:
    return (REPOSITORY / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")


def run_lines(workflow: Path) -> Iterator[str]:
    """The shell lines of a workflow; a step has one."""
    for line in workflow.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r" +(?:- )?run: (.*)", line):
            yield found[1]


def hatch_commands(shell: str) -> list[str]:
    """The scripts that a shell text has hatch run, each with its environment, without arguments."""
    return re.findall(r"\.venv/(?:bin|Scripts)/hatch run ([\w:.$-]+)", shell)


@every_package
def test_a_readme_that_package_indexes_show_has_no_relative_link(package: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)|^\[[^\]]+\]: *(\S+)", text_of(package, "README.md"), re.M)
    targets = [inline or reference for inline, reference in links]

    assert [target for target in targets if not re.match(r"https://|#", target)] == []


@every_package
def test_the_urls_of_a_package_lead_to_this_project_only(package: str) -> None:
    addresses = urls(package)

    assert addresses.keys() == {"Repository", "Documentation", "Issues", "Changelog"}
    assert addresses["Repository"] == home()
    assert addresses["Changelog"] == f"{home()}/blob/main/packages/{package}/CHANGELOG.md"
    assert addresses["Documentation"] == f"{home()}/tree/main/docs"
    assert addresses["Issues"] == f"{home()}/issues"


@every_package
def test_the_classifiers_of_a_package_name_the_pythons_that_are_tested(package: str) -> None:
    table = text_of(package, "pyproject.toml")

    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', table)
    assert named == pythons_of_the_workflow()
    assert f'requires-python = ">={named[0]}"' in table


def test_every_tested_python_has_an_environment_for_the_short_suite() -> None:
    (versions,) = re.findall(
        r"^\[\[tool\.hatch\.envs\.pythons\.matrix\]\]\npython = (\[.*\])$", WORKSPACE, re.M
    )
    (minors,) = re.findall(r"^for minor in (.*); do$", CI_RUN, re.M)

    assert ast.literal_eval(versions) == pythons_of_the_workflow()
    assert [f"3.{minor}" for minor in minors.split()] == pythons_of_the_workflow()


def test_the_workflow_runs_the_readmes_test_command_letter_by_letter() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^.*hatch run test.*$", readme, re.M)
    lines = list(run_lines(REPOSITORY / ".github" / "workflows" / "test.yml"))

    assert command in lines
    assert command.replace("python3", "python").replace("/bin/", "/Scripts/") in lines


@every_workflow
def test_a_workflow_only_runs_what_ci_runs_too(workflow: Path) -> None:
    known = set(hatch_commands(CI_RUN))
    setup = re.compile(
        r'python3? -m venv \.venv && \.venv/(bin|Scripts)/pip install "hatch>=1\.16"'
    )
    lines = list(run_lines(workflow))

    assert lines
    for line in lines:
        for command in line.split(" && "):
            if not setup.match(line) or "hatch run" in command:
                called = hatch_commands(command)
                assert len(called) == 1, command
                assert called[0] in known, command


@every_workflow
def test_a_workflow_has_one_line_a_step_with_nothing_pasted_into_it(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    lines = list(run_lines(workflow))

    assert text.count("run: ") == len(lines)
    assert [line for line in lines if "${{" in line or line[0] in "|>"] == []


@every_workflow
def test_a_workflow_may_read_the_repository_and_one_job_may_ask_for_an_identity(
    workflow: Path,
) -> None:
    text = workflow.read_text(encoding="utf-8")
    allowed = re.findall(r"^ +([\w-]+): (read|write)$", text, re.M)

    assert re.search(r"^permissions:( \{\}|\n  contents: read)$", text, re.M)
    assert set(allowed) <= {("contents", "read"), ("id-token", "write")}
    assert (("id-token", "write") in allowed) == (workflow.stem == "release")
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")


def test_a_tag_of_each_package_releases_it() -> None:
    (tags,) = re.findall(r"^ +tags: (\[.*\])$", workflow_text("release"), re.M)

    assert sorted(ast.literal_eval(tags)) == sorted(f"{package}-v*" for package in PACKAGES)


def test_the_hooks_before_a_commit_are_those_of_the_check() -> None:
    hooks = (REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    scripts = WORKSPACE.partition("[tool.hatch.envs.default.scripts]")[2]
    (check,) = re.findall(r"\A.*?^check = (\[\n.*?^\])$", scripts, re.M | re.S)
    checked = {command.removeprefix("hatch run ").split()[0] for command in ast.literal_eval(check)}

    tools = re.findall(r"^ +entry: hatch run ([\w-]+)", hooks, re.M)
    assert set(tools) == {"ruff", "mypy", "codespell", "lint-page"}
    assert set(tools) <= checked
