"""Datasets, and folders as LeRobot writes them, made by code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from gymnasium import spaces

import minari
from minari import MinariDataset

SPACE = spaces.Dict(
    {
        "camera/left": spaces.Box(0, 255, (12, 10, 3), np.uint8),
        "grey": spaces.Box(0, 255, (9, 9), np.uint8),
        "state": spaces.Box(-1, 1, (3,), np.float64),
        "matrix": spaces.Box(-1, 1, (2, 3), np.float32),
        "größe": spaces.Box(-1, 1, (1,), np.float32),
        "speed": spaces.Box(-1, 1, (), np.float32),
        "a.b": spaces.Discrete(3),
        "word": spaces.Text(4),
        "nothing": spaces.Box(-1, 1, (0,), np.float32),
    }
)


def make_rich_dataset(dataset_id: str = "rich-v0", without: tuple[str, ...] = ()) -> MinariDataset:
    """Make a dataset with values of many kinds, of which LeRobot cannot carry all."""
    space = spaces.Dict({key: part for key, part in SPACE.items() if key not in without})
    space.seed(0)
    rng = np.random.default_rng(0)
    buffers = []
    for number, steps in enumerate((3, 1, 5)):
        rows = [space.sample() for _ in range(steps + 1)]
        observations: dict[str, Any] = {
            key: [row[key] for row in rows]
            if key == "word"
            else np.stack([row[key] for row in rows])
            for key in space
        }
        is_last = np.arange(steps) == steps - 1
        buffers.append(
            minari.EpisodeBuffer(
                observations=observations,
                actions=rng.normal(size=(steps, 2)).astype(np.float32),
                rewards=rng.normal(size=steps),
                terminations=is_last & (number != 1),
                truncations=is_last & (number > 0),
                infos={
                    "success": rng.random(steps + 1) < 0.5,
                    "note": [None if row % 2 else "up" for row in range(steps + 1)],
                    "ragged": [np.arange(row) for row in range(steps + 1)],
                },
                extras={"value": rng.normal(size=steps + 1)},
                seed=number,
                options={"hard": True},
                metadata={"task": f"lift {number % 2}", "grade": number},
            )
        )
    return minari.create_dataset_from_buffers(
        dataset_id,
        buffers,
        observation_space=space,
        action_space=spaces.Box(-1, 1, (2,), np.float32),
        author="Ada",
    )


def make_foreign_folder(root: Path, **features: Any) -> Path:
    """Write three episodes of LeRobot 3.0 that nothing but LeRobot knows of.

    Args:
        root: The folder.
        **features: Columns to have besides, or in place of others; None leaves one out.
    """
    lengths = (3, 2, 4)
    total = sum(lengths)
    rng = np.random.default_rng(1)
    steps = np.concatenate([np.arange(length) for length in lengths])
    episodes = np.repeat(range(3), lengths)
    is_last = np.append(episodes[1:] != episodes[:-1], True)
    columns: dict[str, Any] = {
        "observation.state": rng.normal(size=(total, 3)).astype(np.float32),
        "action": rng.normal(size=(total, 2)).astype(np.float32),
        "next.reward": steps.astype(np.float32),
        "next.done": is_last,
        "next.success": is_last & (episodes == 1),
        "timestamp": (steps / 10).astype(np.float32),
        "frame_index": steps,
        "episode_index": episodes,
        "index": np.arange(total),
        "task_index": episodes % 2,
        **{name.replace("__", "."): column for name, column in features.items()},
    }
    columns = {name: column for name, column in columns.items() if column is not None}
    described = {
        name: {
            "dtype": np.asarray(column).dtype.name.replace("str32", "string"),
            "shape": list(np.shape(column)[1:]) or [1],
            "names": None,
        }
        for name, column in columns.items()
    }
    for folder in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / folder).mkdir(parents=True)
    table = pa.table(
        {name: list(column) if np.ndim(column) > 1 else column for name, column in columns.items()}
    )
    parquet.write_table(table, root / "data/chunk-000/file-000.parquet")
    parquet.write_table(
        pa.table({"task_index": [0, 1], "task": ["push", "pull"]}), root / "meta/tasks.parquet"
    )
    parquet.write_table(
        pa.table(
            {
                "episode_index": [0, 1, 2],
                "tasks": [["push"], ["pull"], ["push"]],
                "length": lengths,
                "data/chunk_index": [0, 0, 0],
                "data/file_index": [0, 0, 0],
            }
        ),
        root / "meta/episodes/chunk-000/file-000.parquet",
    )
    write_info(root, {"codebase_version": "v3.0", "fps": 10, "features": described})
    return root


def make_old_folder(root: Path) -> Path:
    """Write the same episodes as LeRobot 2.1 lays them out."""
    new = make_foreign_folder(root.with_name("new"))
    (root / "meta").mkdir(parents=True)
    (root / "data/chunk-000").mkdir(parents=True)
    table = parquet.read_table(new / "data/chunk-000/file-000.parquet")
    said = []
    for number in range(3):
        rows = table.filter(pa.compute.equal(table["episode_index"], number))
        parquet.write_table(rows, root / f"data/chunk-000/episode_{number:06d}.parquet")
        task = ["push", "pull"][number % 2]
        said.append({"episode_index": number, "tasks": [task], "length": len(rows)})
    write_lines(root / "meta/episodes.jsonl", said)
    tasks = [{"task_index": 0, "task": "push"}, {"task_index": 1, "task": "pull"}]
    write_lines(root / "meta/tasks.jsonl", tasks)
    info = json.loads((new / "meta/info.json").read_text())
    info["data_path"] = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    write_info(root, {**info, "codebase_version": "v2.1", "chunks_size": 1000})
    return root


def write_info(root: Path, info: dict[str, Any]) -> None:
    """Write ``info.json``."""
    (root / "meta/info.json").write_text(json.dumps(info))


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write a file with a JSON object a line."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
