"""`MinariStorage`, under the path of the public Minari."""

from __future__ import annotations

from minari.serialization import deserialize_space, serialize_space
from minari_core import EpisodeBuffer
from minari_core.datasets.public_storage import MinariStorage
from minari_core.files import MANIFEST_NAME as METADATA_FILE_NAME
from minari_core.formats.public.spaces import is_image_space

__all__ = [
    "METADATA_FILE_NAME",
    "EpisodeBuffer",
    "MinariStorage",
    "deserialize_space",
    "is_image_space",
    "serialize_space",
]
