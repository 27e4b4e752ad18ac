"""What the documents say is true: their Python runs, their commands are the real ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import pytest
from typer.main import get_group

import minari
from minari.command_line.app import app
from tests.helpers.markdown import Block, python_blocks, run_block, session_examples

REPOSITORY = Path(__file__).parents[1]
BASIC_USAGE = REPOSITORY / "docs" / "basic_usage.md"
BASIC_USAGE_SHA256 = "c16f491c5f1448726a58fe241cd39724c012263ca746299c5047782907f9a9f1"
README = REPOSITORY / "README.md"
DOCUMENTS = sorted(
    [README, *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("packages/*/README.md")]
)

# Gymnasium 1.0 took LunarLander-v2 away; where it is still there, no letter is changed.
LUNAR_LANDER_V2_IS_GONE = "LunarLander-v2" not in gym.registry


def with_installed_environments(source: str) -> str:
    """The source with LunarLander's version raised in ``gym.make``, and nowhere else."""
    if not LUNAR_LANDER_V2_IS_GONE:
        return source
    return re.sub(r"""(gym\.make\(['"]LunarLander)-v2(['"])""", r"\1-v3\2", source)


def collect(dataset_id: str) -> None:
    """Any environment does: AdroitHandDoor is not a part of Gymnasium."""
    env = minari.DataCollectorV0(gym.make("CartPole-v1"))
    for seed in range(2):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
    minari.create_dataset_from_collector_env(
        dataset_name=dataset_id,
        collector_env=env,
        algorithm_name="random policy",
        author="Farama",
        author_email="contact@farama.org",
        code_permalink="https://github.com/Farama-Foundation/Minari",
    )
    env.close()


def before_checkpoint(_folder: Path, _patch: pytest.MonkeyPatch) -> None:
    """The section collects the dataset of the section before it again, under the same id."""
    minari.delete_dataset("LunarLander-v2-test-v0")


def before_download(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The section has a remote with three datasets, and no local dataset."""
    patch.setenv("MINARI_DATASETS_PATH", str(folder / "downloads"))
    patch.setenv("MINARI_REMOTE", (folder / "remote").as_uri())
    for dataset_id in ("door-human-v0", "door-expert-v0", "door-cloned-v0"):
        collect(dataset_id)
        minari.upload_dataset(dataset_id)
        minari.delete_dataset(dataset_id)


def before_recover(_folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The section has the datasets that were collected before something was downloaded."""
    patch.undo()


def before_combine(_folder: Path, _patch: pytest.MonkeyPatch) -> None:
    """The section has the two downloaded datasets, and only them."""
    for dataset_id in minari.list_local_datasets():
        minari.delete_dataset(dataset_id)
    for dataset_id in ("door-human-v0", "door-expert-v0"):
        collect(dataset_id)


# What a section of docs/basic_usage.md takes for granted, by its heading.
PREPARATIONS: dict[str, Callable[[Path, pytest.MonkeyPatch], None]] = {
    "Checkpoint Minari Dataset": before_checkpoint,
    "Download Remote Datasets": before_download,
    "Recover Gymnasium Environment": before_recover,
    "Combine Minari Datasets": before_combine,
}


def lists_local_datasets(source: str) -> bool:
    """The last statement of docs/basic_usage.md shows the keys of the dict that it gives."""
    return source == "minari.list_local_datasets()"


def has_its_extras(block: Block) -> bool:
    """The others run where what they need is installed: in the training environment."""
    return all(find_spec(module) is not None for module in block.needs)


# Nobody needs an author's address to see how something works.
@pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda document: str(document.relative_to(REPOSITORY))
)
def test_every_python_block_of_a_document_runs_in_order(document: Path, tmp_path: Path) -> None:
    preparations = dict(PREPARATIONS) if document == BASIC_USAGE else {}
    namespace: dict[str, object] = {"__name__": "__main__"}

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for block in filter(has_its_extras, python_blocks(document)):
            if prepare := preparations.pop(block.heading, None):
                prepare(tmp_path, patch)
            run_block(
                block,
                namespace,
                with_installed_environments,
                is_mapping_shown_as_keys=lists_local_datasets,
            )

    assert not preparations, "a section that is prepared for is no longer in the document"


def test_basic_usage_is_the_document_that_was_agreed_on_to_the_letter() -> None:
    assert hashlib.sha256(BASIC_USAGE.read_bytes()).hexdigest() == BASIC_USAGE_SHA256


def test_only_the_version_of_lunar_lander_is_replaced_and_only_where_it_must_be() -> None:
    text = BASIC_USAGE.read_text(encoding="utf-8")
    rewritten = with_installed_environments(text)

    if LUNAR_LANDER_V2_IS_GONE:
        assert rewritten == text.replace("gym.make('LunarLander-v2')", "gym.make('LunarLander-v3')")
        assert rewritten.count("LunarLander-v3") == 3
    else:
        assert rewritten == text


def test_a_statement_that_goes_on_without_dots_is_read_as_one(tmp_path: Path) -> None:
    file = tmp_path / "session.md"
    file.write_text("# Words\n```python\n>>> total = sum([1,\n    2])\n>>> total\n3\n```\n")

    (block,) = python_blocks(file)
    first, second = session_examples(block)

    assert (block.heading, block.line) == ("Words", 3)
    assert (first.source, first.expected) == ("total = sum([1,\n    2])\n", "")
    assert (second.line, second.source, second.expected) == (5, "total\n", "3\n")


@pytest.mark.parametrize("shown", ["4\n", "", "3\n3\n"])
def test_a_session_that_shows_something_else_fails(tmp_path: Path, shown: str) -> None:
    file = tmp_path / "session.md"
    file.write_text(f"```python\n>>> 1 + 2\n{shown}```\n")
    (block,) = python_blocks(file)

    with pytest.raises(AssertionError, match=r"session\.md:2: 1 \+ 2"):
        run_block(block, {}, str)


def test_readme_has_two_commands_and_ci_runs_the_second_letter_by_letter() -> None:
    fences = re.findall(r"^```bash\n(.*?)^```$", README.read_text(encoding="utf-8"), re.M | re.S)
    commands = [fence.strip() for fence in fences if "hatch run" in fence]

    assert len(commands) == 2
    quickstart, tests = commands
    assert "\n" not in quickstart
    assert "\n" not in tests
    assert quickstart.endswith("hatch run quickstart")
    assert tests in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, REPOSITORY / "CONTRIBUTING.md"],
    ids=lambda document: str(document.relative_to(REPOSITORY)),
)
def test_every_relative_link_of_a_document_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    # Links from the root are addresses on the documentation's site.
    relative = [link for link in links if not re.match(r"/|\w+:", link)]

    assert [link for link in relative if not (document.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page",
    [page for page in DOCUMENTS if page.is_relative_to(REPOSITORY / "docs")],
    ids=lambda page: str(page.relative_to(REPOSITORY)),
)
def test_a_page_links_to_pages_of_the_site_alone(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    relative = [link for link in links if not re.match(r"/|\w+:", link)]
    targets = {(page.parent / link).resolve() for link in relative}
    # The site has the figures, too.
    outside = targets - {REPOSITORY / "benchmarks" / "RESULTS.md"}

    assert [str(path) for path in outside if not path.is_relative_to(REPOSITORY / "docs")] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_every_row_belongs_to_a_table(document: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```", "", document.read_text(encoding="utf-8"))
    for table in re.findall(r"(?m)(?:^\|.*\n)+", text):
        head, *rows = table.splitlines()
        assert rows, f"{head} stands alone"
        assert re.fullmatch(r"[|: -]+", rows[0]), f"{head} is no head of a table"


def test_the_table_of_commands_has_every_command() -> None:
    page = (REPOSITORY / "docs" / "command_line.md").read_text(encoding="utf-8")
    listed, *_ = re.findall(r"\| command \| does \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    names = re.findall(r"(?m)^\| `([a-z]+)` \|", listed)
    assert sorted(names) == sorted(get_group(app).commands)
