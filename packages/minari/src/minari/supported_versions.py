"""The releases whose datasets can be read, as the public Minari lists them."""

from __future__ import annotations

from minari_core import __version__

supported_dataset_versions = {
    *("0.1.0", __version__),
    *("0.4.0", "0.4.1", "0.4.2", "0.4.3"),
    *("0.5.0", "0.5.1", "0.5.2", "0.5.3", "0.5.4"),
}
"""What ``metadata["minari_version"]`` may be; see `MinariDataset.minari_version`.

Nothing here depends on it: what a reader needs of a file is said by the file's format.
"""
