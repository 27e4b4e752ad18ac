"""The four packages: who may know whom, what each ships, and that core alone is enough."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest
from packaging.requirements import Requirement

import minari
import minari_core
from tests.helpers.markdown import python_blocks

REPOSITORY = Path(__file__).parents[1]
PACKAGES = {
    "minari-core": "minari_core",
    "minari-collect": "minari_collect",
    "minari-hub": "minari_hub",
    "minari": "minari",
}
MODULES = frozenset(PACKAGES.values())
# Which siblings each module may import.
ARROWS = {
    "minari_core": frozenset[str](),
    "minari_collect": frozenset({"minari_core"}),
    "minari_hub": frozenset({"minari_core"}),
    "minari": frozenset({"minari_core", "minari_collect", "minari_hub"}),
}
# Which modules of core its siblings may import, beside `minari_core` itself. Only what these
# modules have without an underscore is held stable within a minor release of core; everything else
# may move in a patch release. So keep it short, and take what is public from `minari_core`.
SHARED_CORE = """
    errors lazy_names messages arguments files json_values locks
    environments.env_specs environments.own_spaces environments.recovery
    environments.inferred_spaces environments.reference_scores images leaves
    environments.space_json
    cache.entries cache.entry cache.opening cache.settings
    columns
    episodes episodes.final_observation episodes.reward_metadata
    storage.base storage.copied_metadata
    formats.registry
    formats.shards.compression formats.shards.entry formats.shards.file_check
    formats.columnar.dataset_folder formats.columnar.episode_index
    formats.columnar.manifest formats.columnar.reading formats.columnar.shard_folder
    formats.public.arrow.bounded formats.public.files formats.public.hdf5.claims
    formats.public.hdf5.placeholder formats.public.hdf5.writable_file
    formats.public.limits formats.public.spaces
    formats.verification.episode_files formats.verification.folder
    local.dataset_id local.finding local.leftovers.leftover local.leftovers.listing
    local.locations local.namespaces local.publishing local.replacing local.staging
    metadata.parents metadata.publication metadata.splits
    ranges.cached_objects ranges.folder ranges.source
    sampling.gathering.info_rows
    tables.arrow tables.assembling tables.contents tables.gathering tables.images tables.parquet
    tables.reading tables.rows tables.source
    datasets.card datasets.creation datasets.dataset datasets.details
    datasets.flat.d4rl_file datasets.flat.episodes
    datasets.local datasets.public_storage datasets.source
    testing.expectations
"""
SHARED_CORE_MODULES = frozenset(f"minari_core.{module}" for module in SHARED_CORE.split())
# The modules that know HDF5; mypy looks past h5py's missing types for their sake only.
STORAGE_MODULES = frozenset(
    {
        "datasets/flat/d4rl_file.py",
        "formats/public/hdf5/checksums.py",
        "formats/public/hdf5/claims.py",
        "formats/public/hdf5/file.py",
        "formats/public/hdf5/mapped_file.py",
        "formats/public/hdf5/new_objects.py",
        "formats/public/hdf5/parts.py",
        "formats/public/hdf5/placeholder.py",
        "formats/public/hdf5/writable_file.py",
        "formats/public/hdf5/writers.py",
        "formats/shards/writer.py",
        "formats/verification/hdf5_structure.py",
        "interchange/demonstrations/groups.py",
        "interchange/flat/hdf5.py",
    }
)
# Modules that the documentation names, besides the packages themselves and the public Minari's.
DOCUMENTED_PATHS = (
    "minari_core.errors",
    "minari_core.integrations.d3rlpy",
    "minari_core.integrations.torchrl",
    "minari_core.jax",
    "minari_core.sampling",
    "minari_core.testing",
    "minari_core.torch",
    "minari_collect.ray",
    "minari_hub.testing",
)
# Modules that are called otherwise than what is installed for them.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "google.api_core": "google-api-core",
    "google.auth": "google-auth",
    "google.cloud": "google-cloud-storage",
    "google.oauth2": "google-auth",
    "google_crc32c": "google-crc32c",
    "huggingface_hub": "huggingface-hub",
    "typing_extensions": "typing-extensions",
    "yaml": "pyyaml",
}
every_package = pytest.mark.parametrize("package", PACKAGES)
every_module = pytest.mark.parametrize("module", sorted(MODULES))


def source_folder(package: str) -> Path:
    return REPOSITORY / "packages" / package / "src" / PACKAGES[package]


def source_files(module: str) -> list[Path]:
    (package,) = (name for name, itself in PACKAGES.items() if itself == module)
    return sorted(source_folder(package).rglob("*.py"))


def project_table(package: str) -> str:
    """The text of ``pyproject.toml``; Python 3.10 has no reader for it."""
    return (REPOSITORY / "packages" / package / "pyproject.toml").read_text(encoding="utf-8")


def dependencies(package: str) -> list[Requirement]:
    found = re.search(r"^dependencies = \[\n(.*?)^\]", project_table(package), re.M | re.S)
    assert found
    return [Requirement(text) for text in ast.literal_eval(f"[{found[1]}]")]


def optional_dependencies(package: str) -> list[Requirement]:
    table = re.search(
        r"^\[project\.optional-dependencies\]\n(.*?)^\[", project_table(package), re.M | re.S
    )
    lists = re.findall(r"= (\[.*?\])\n", table[1], re.S) if table else []
    return [Requirement(text) for each in lists for text in ast.literal_eval(each)]


def distribution_of(name: str) -> str:
    """What to install for a module, as it is called where dependencies are asked for."""
    for module, distribution in DISTRIBUTIONS.items():
        if name == module or name.startswith(f"{module}."):
            return distribution
    return name.partition(".")[0]


def imported_names(file: Path) -> Iterator[str]:
    """The full name of every module that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield node.module or ""


def run_fresh(program: str) -> str:
    """What a program prints in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    ).stdout


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after a statement."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    return set(json.loads(run_fresh(program)))


@every_module
def test_a_module_imports_no_sibling_that_its_arrow_does_not_point_at(module: str) -> None:
    for file in source_files(module):
        siblings = {name.partition(".")[0] for name in imported_names(file)} & MODULES
        assert siblings <= ARROWS[module] | {module}, file


def test_the_siblings_import_those_modules_of_core_that_are_shared_and_no_others() -> None:
    importers: dict[str, list[str]] = {}
    for module in sorted(MODULES - {"minari_core"}):
        for file in source_files(module):
            for name in imported_names(file):
                if name.startswith("minari_core."):
                    importers.setdefault(name, []).append(file.name)
    others = {name: files for name, files in importers.items() if name not in SHARED_CORE_MODULES}

    assert others == {}
    assert importers.keys() >= SHARED_CORE_MODULES, "some are shared with nobody"


def test_the_siblings_take_what_is_public_from_the_package_itself() -> None:
    roundabout = [
        f"{file.name}: {node.module}.{alias.name}"
        for module in sorted(MODULES - {"minari_core"})
        for file in source_files(module)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("minari_core.")
        and node.module != "minari_core.errors"
        for alias in node.names
        if alias.name in minari_core.__all__ or alias.name.startswith("_")
    ]

    assert roundabout == []


@every_module
def test_a_fresh_process_loads_no_sibling_that_the_arrow_does_not_point_at(module: str) -> None:
    loaded = loaded_by(f"import {module}")

    assert loaded & MODULES <= ARROWS[module] | {module}


def test_importing_core_loads_no_google_library_no_command_line_and_no_network_code() -> None:
    loaded = loaded_by("import minari_core")

    unwanted = {"google", "typer", "click", "rich", "requests", "urllib3", "httpx", "aiohttp"}
    assert loaded & unwanted == set()


@every_package
def test_the_siblings_that_a_package_depends_on_are_the_ones_it_may_import(package: str) -> None:
    siblings = {PACKAGES[each.name] for each in dependencies(package) if each.name in PACKAGES}

    assert siblings == ARROWS[PACKAGES[package]]


@every_package
def test_a_sibling_is_asked_for_by_a_range_that_holds_its_version(package: str) -> None:
    for dependency in dependencies(package):
        if dependency.name not in PACKAGES:
            continue
        version = importlib.import_module(f"{PACKAGES[dependency.name]}._version").__version__
        operators = {specifier.operator for specifier in dependency.specifier}
        assert operators == {">=", "<"}, dependency
        assert dependency.specifier.contains(version, prereleases=True), dependency


@every_package
def test_the_third_party_packages_that_are_imported_are_those_asked_for(package: str) -> None:
    names = {name for file in source_files(PACKAGES[package]) for name in imported_names(file)}
    outside = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    needed = {distribution_of(name) for name in outside} - MODULES
    asked_for = {each.name for each in dependencies(package)} - PACKAGES.keys()
    extras = {each.name for each in optional_dependencies(package)} - PACKAGES.keys()

    assert asked_for <= needed
    assert needed - asked_for <= extras


def test_h5py_is_imported_by_the_storage_modules_only() -> None:
    importers = {
        file.relative_to(source_folder(package)).as_posix()
        for package, module in PACKAGES.items()
        for file in source_files(module)
        if any(name.partition(".")[0] == "h5py" for name in imported_names(file))
    }

    assert importers <= STORAGE_MODULES


@every_package
def test_a_package_ships_its_types_its_readme_its_changelog_and_its_license(package: str) -> None:
    folder = REPOSITORY / "packages" / package
    version = importlib.import_module(f"{PACKAGES[package]}._version").__version__

    assert (source_folder(package) / "py.typed").is_file()
    assert (folder / "README.md").read_text(encoding="utf-8").startswith(f"# {package}\n")
    assert f"## [{version}]" in (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (folder / "LICENSE").read_bytes() == (REPOSITORY / "LICENSE").read_bytes()


@every_package
def test_the_changelog_lists_modules_that_moved_and_where_they_are(package: str) -> None:
    changelog = (REPOSITORY / "packages" / package / "CHANGELOG.md").read_text(encoding="utf-8")
    moved = re.findall(r"^  \| `([\w.]+)` \| `([\w.]+)` \|$", changelog, re.M)

    assert moved
    assert {was.partition(".")[0] for was, _ in moved} == {PACKAGES[package]}
    assert [now for _, now in moved if importlib.util.find_spec(now) is None] == []


@every_package
def test_the_version_is_written_in_one_place(package: str) -> None:
    module = importlib.import_module(PACKAGES[package])

    assert re.fullmatch(r"\d+\.\d+\.\d+", module.__version__)
    assert f'path = "src/{PACKAGES[package]}/_version.py"' in project_table(package)
    assert 'dynamic = ["version"]' in project_table(package)


@every_module
def test_the_public_names_are_explicit_unique_and_there(module: str) -> None:
    package = importlib.import_module(module)
    tree = ast.parse(inspect.getsource(package))
    (assignment,) = (
        node
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["__all__"]
    )
    names = ast.literal_eval(assignment.value)
    # The errors are listed where they are defined, and nowhere else.
    starred = [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["*"]
    ]
    assert starred in ([], ["minari_core.errors"])
    names += minari_core.errors.__all__ if starred else []

    assert package.__all__ == names
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(package, name)] == []


@pytest.mark.parametrize("path", DOCUMENTED_PATHS)
def test_a_documented_module_stays_where_it_is(path: str) -> None:
    try:
        module = importlib.import_module(path)
    except minari.MissingDependencyError as error:  # an extra that is not installed here
        assert "pip install" in str(error)  # noqa: PT017  # it need not be raised
    else:
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def documented_imports(document: Path) -> Iterator[str]:
    """The modules of the packages that the Python blocks of a document import."""
    for block in python_blocks(document):
        prompts = (line for line in block.source.splitlines() if line.startswith((">>> ", "... ")))
        source = "\n".join(line[4:] for line in prompts) if block.is_session else block.source
        for line in re.findall(r"^ *(?:from [\w.]+ )?import [\w.]+(?:, *\w+)*", source, re.M):
            (statement,) = ast.parse(line.strip()).body
            if isinstance(statement, ast.ImportFrom) and statement.module is not None:
                for alias in statement.names:
                    name = f"{statement.module}.{alias.name}"
                    yield name if name in DOCUMENTED_PATHS else statement.module
            elif isinstance(statement, ast.Import):
                yield from (alias.name for alias in statement.names)


def test_whatever_the_documents_import_is_said_to_stay_where_it_is() -> None:
    documents = [
        path
        for pattern in ("README.md", "docs/**/*.md", "packages/*/README.md")
        for path in REPOSITORY.glob(pattern)
    ]
    imported = {name for document in documents for name in documented_imports(document)}
    ours = {name for name in imported if name.partition(".")[0] in MODULES}
    assert "minari_core.sampling" in ours
    # The paths of the public Minari have tests of their own.
    assert {name for name in ours if not name.startswith("minari.")} - MODULES <= set(
        DOCUMENTED_PATHS
    )


@every_module
def test_dir_shows_the_public_names_and_nothing_else(module: str) -> None:
    program = f"""
import json, {module}
before = dir({module})
[getattr({module}, name) for name in {module}.__all__]
print(json.dumps([before, dir({module}), sorted({module}.__all__)]))
"""
    before, after, public = json.loads(run_fresh(program))

    assert before == after == public


@every_module
def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'load_datset'"):
        importlib.import_module(module).load_datset  # noqa: B018  # the access is what is tested


@every_module
def test_every_public_name_and_every_public_method_says_what_it_is(module: str) -> None:
    package = importlib.import_module(module)
    silent = []
    for name in package.__all__:
        thing = getattr(package, name)
        if not (inspect.isclass(thing) or inspect.isroutine(thing)):
            continue
        if not thing.__doc__:
            silent.append(name)
        if inspect.isclass(thing):
            silent += [
                f"{name}.{member}"
                for member, value in inspect.getmembers(thing)
                if not member.startswith("_")
                and (inspect.isroutine(value) or isinstance(value, property))
                and not inspect.getdoc(value)
            ]

    assert silent == []


def test_minari_gives_the_names_that_the_documentation_uses() -> None:
    assert {
        "DataCollectorV0",
        "EpisodeBuffer",
        "EpisodeData",
        "MinariDataset",
        "combine_datasets",
        "create_dataset_from_buffers",
        "create_dataset_from_collector_env",
        "delete_dataset",
        "list_local_datasets",
        "load_dataset",
        "split_dataset",
    } <= set(minari.__all__)


@pytest.mark.filterwarnings("ignore:.*is (set to )?None:minari.MinariWarning")
@pytest.mark.slow
def test_core_installed_alone_reads_a_dataset(tmp_path: Path, datasets_root: Path) -> None:
    env = minari.DataCollectorV0(gym.make("CartPole-v1"))
    lengths = []
    for seed in range(3):
        env.reset(seed=seed)
        over = False
        length = 0
        while not over:
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
            length += 1
        lengths.append(length)
    minari.create_dataset_from_collector_env(dataset_name="made-by-all-v0", collector_env=env)
    env.close()
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "alone")], check=True, timeout=120)
    folder = "Scripts" if os.name == "nt" else "bin"
    python = str(tmp_path / "alone" / folder / "python")
    # Nothing of the environment that runs the test may be seen from the new one.
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    core = REPOSITORY / "packages" / "minari-core"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-input", str(core)],
        check=True,
        env=surroundings,
        timeout=600,
    )
    program = """
import importlib.util, json
import minari_core
dataset = minari_core.load_dataset("made-by-all-v0")
siblings = ("minari", "minari_collect", "minari_hub")
print(json.dumps({
    "lengths": [len(episode) for episode in dataset],
    "shapes": [list(episode.observations.shape) for episode in dataset],
    "sampled": len(dataset.sample_episodes(2)),
    "siblings": [name for name in siblings if importlib.util.find_spec(name)],
}))
"""
    done = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=surroundings,
        timeout=120,
    )

    assert json.loads(done.stdout) == {
        "lengths": lengths,
        "shapes": [[length + 1, 4] for length in lengths],
        "sampled": 2,
        "siblings": [],
    }


def install_hints() -> Iterator[tuple[str, str]]:
    """Each requirement behind a ``pip install`` of this project's, and the file that names it."""
    documents = [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("packages/*/README.md"),
        *(path for module in MODULES for path in source_files(module)),
    ]
    for path in documents:
        for command in re.findall(r"pip install ((?:[\"']?[./\w-]*minari[^\s`]*\s*)+)", read(path)):
            for word in command.split():
                yield word.strip("\"'`\\").rstrip(",;.)`"), path.relative_to(REPOSITORY).as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def list_extras(package: str) -> set[str]:
    table = project_table(package).partition("[project.optional-dependencies]")[2]
    return set(re.findall(r"^([\w-]+) = \[", table.partition("\n[")[0], re.M))


def test_every_hint_names_what_can_be_installed_from_a_clone_and_from_an_index() -> None:
    hints = list(install_hints())
    wrong = []
    for hint, file in hints:
        requirement = Requirement(hint.removeprefix("./packages/"))
        is_path = hint.startswith("./packages/")
        # An extra is added to what is installed, wherever that came from. Without one, an index may
        # lack the package, or have another: the public Minari.
        is_safe = is_path or requirement.extras or not requirement.specifier.contains("0.5.4")
        if not is_safe or not requirement.extras <= list_extras(requirement.name):
            wrong.append(f"{file}: {hint}")

    assert not wrong, wrong
    assert {file for _, file in hints} >= {
        "README.md",
        *(f"packages/{package}/README.md" for package in PACKAGES),
        "packages/minari-core/src/minari_core/formats/public/jpeg.py",
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_names_every_extra(package: str) -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(rf"^\| `{package}\[([\w,]+)\]` \|", readme, re.M))

    assert {name for group in named for name in group.split(",")} == list_extras(package)


def test_the_extras_of_the_public_minari_are_there() -> None:
    assert list_extras("minari") >= {"all", "arrow", "create", "gcs", "hdf5", "hf"}
