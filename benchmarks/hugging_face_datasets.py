"""Streaming Parquet files with Hugging Face's datasets; runs in its own environment."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serving import serve
from stretch import read_for


class Works:
    """What can be asked for."""

    def __init__(self) -> None:
        os.environ["HF_HOME"] = str(Path(os.environ["MINARI_DATASETS_PATH"]) / "hugging-face")
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        self._datasets: Any = importlib.import_module("datasets")

    def stream(self, urls: Sequence[str], seconds: float, batch_size: int) -> dict[str, float]:
        """Read batches through its shuffle buffer, which has its own size."""

        def read() -> Iterator[int]:
            rows = self._datasets.load_dataset(
                "parquet", data_files={"train": list(urls)}, split="train", streaming=True
            )
            for batch in rows.shuffle(seed=0).with_format("numpy").batch(batch_size):
                yield len(batch["rewards"])

        return read_for(seconds, read)


if __name__ == "__main__":
    serve(Works)
