"""A placeholder in columnar datasets, for programs that look for the public Minari's file.

Some open ``main_data.hdf5`` themselves, such as TorchRL's ``MinariExperienceReplay``. They take
each of its keys for an episode, and print the one that they cannot read. So the only key of the
placeholder says what to do.
"""

from __future__ import annotations

from pathlib import Path

from h5py import h5f, h5g, h5p

from minari_core.files import MAIN_FILE

_INCREMENT = 4096
_KEY = (
    "episode_ is not here: the dataset is columnar; `minari convert ID NEW_ID --data-format hdf5` "
    "makes one of it that has its episodes in this file"
)


def write_placeholder(folder: Path) -> Path:
    """Write the placeholder; neither the file nor its name is flushed to the disk yet.

    Args:
        folder: The ``data`` folder of a new columnar dataset.

    Returns:
        The file.

    Raises:
        OSError: The file system refused.
    """
    access = h5p.create(h5p.FILE_ACCESS)
    # In memory: of a full disk, HDF5 would crash the process.
    access.set_fapl_core(_INCREMENT, False)
    path = folder / MAIN_FILE
    file = h5f.create(str(path).encode(), h5f.ACC_TRUNC, fapl=access)
    h5g.create(file, _KEY.encode())
    h5f.flush(file)
    image = file.get_file_image()
    file.close()
    path.write_bytes(image)
    return path
