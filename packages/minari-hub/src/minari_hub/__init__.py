"""Remote datasets: list, download, upload and verify them.

This release holds the package's place and its version. What it will hold:

* a remote, which is an address such as ``gs://bucket`` and the few calls that reach it;
* ``list_remote_datasets``: the ids on a remote, with their metadata;
* ``download_dataset``: a dataset into the local root, resumed where it stopped and checked
  against the checksums of its manifest before it is seen;
* ``upload_dataset``: a local dataset to a remote, the manifest last, so that a reader finds
  the whole dataset or none of it;
* ``verify``: the files of a dataset against its manifest;
* the command line ``minari-hub`` over the four.

It depends on ``minari_core`` and never on ``minari_collect``.
"""

from __future__ import annotations

from minari_hub._version import __version__

__all__ = ["__version__"]
