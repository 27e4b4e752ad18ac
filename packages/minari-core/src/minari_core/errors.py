"""Every error that this project raises, in one tree.

Each class is also the built-in that people already catch::

    MinariError
    ├── DatasetIdError (ValueError)             a malformed dataset id
    ├── DatasetExistsError (FileExistsError, ValueError)      an id that is already taken
    ├── DatasetNotFoundError (FileNotFoundError, ValueError)
    ├── NamespaceError (ValueError)             a namespace that is there, is not, or is not empty
    ├── DatasetDamagedError (OSError)           what is on disk is not what was written
    │   └── DatasetAccessError (PermissionError)    what is on disk may not be read
    ├── DatasetChangedError (RuntimeError)      another process replaced what was being read
    ├── FormatError (ValueError)                a data format or format version unknown here
    ├── DatasetWriteError (OSError)             the disk refused; nothing was committed
    ├── DatasetBusyError (TimeoutError)         another process has the lock; nothing can be opened
    ├── CacheError (OSError)                    a cache that is too small, or cannot be written
    ├── MetadataError (ValueError, TypeError)   metadata that is not JSON, or of the wrong type
    ├── SpaceError (ValueError)                 a space that cannot be stored, or does not fit
    │   └── UnknownSpaceError (NotImplementedError)   a space of a type that nobody has registered
    ├── IncompatibleDatasetsError (ValueError)  datasets that cannot be combined
    ├── DataError (ValueError)                  a value that cannot be stored without loss
    ├── EpisodeIndexError (IndexError)          an episode that is not there
    ├── SamplingError (ValueError)              a sample that cannot be drawn
    ├── RecordingError (RuntimeError)           a collector used out of order
    ├── EnvironmentNotRecoverableError (ValueError)
    │   └── UntrustedEnvironmentError           a spec that would run code its data names
    ├── RemoteError (ConnectionError)           a remote out of reach, or that answers wrongly
    │   ├── RemoteAccessError (PermissionError)
    │   ├── RemoteObjectNotFoundError (FileNotFoundError)
    │   └── RemoteObjectExistsError (FileExistsError)
    ├── RemoteUrlError (ValueError)             a URL that names no remote
    ├── UntrustedNameError (ValueError)         a file name that a remote must not choose
    ├── MissingDependencyError (ImportError)    an extra that is not installed
    ├── ViewerError (OSError)                   a page that cannot be served
    ├── ReplayError (RuntimeError)              an episode that cannot be replayed
    └── RenderError (ValueError)                a video that cannot be written as was asked
"""

from __future__ import annotations

import errno

__all__ = [
    "CacheError",
    "DataError",
    "DatasetAccessError",
    "DatasetBusyError",
    "DatasetChangedError",
    "DatasetDamagedError",
    "DatasetExistsError",
    "DatasetIdError",
    "DatasetNotFoundError",
    "DatasetWriteError",
    "EnvironmentNotRecoverableError",
    "EpisodeIndexError",
    "FormatError",
    "IncompatibleDatasetsError",
    "MetadataError",
    "MinariError",
    "MissingDependencyError",
    "NamespaceError",
    "RecordingError",
    "RemoteAccessError",
    "RemoteError",
    "RemoteObjectExistsError",
    "RemoteObjectNotFoundError",
    "RemoteUrlError",
    "RenderError",
    "ReplayError",
    "SamplingError",
    "SpaceError",
    "UnknownSpaceError",
    "UntrustedEnvironmentError",
    "UntrustedNameError",
    "ViewerError",
]


class MinariError(Exception):
    """The root of every error that this project raises."""


class DatasetIdError(MinariError, ValueError):
    """A dataset id that breaks the rule ``(namespace/…)name-vN``."""


class DatasetExistsError(MinariError, FileExistsError, ValueError):
    """A dataset id that is already taken; nothing is ever overwritten."""


class DatasetNotFoundError(MinariError, FileNotFoundError, ValueError):
    """No dataset of this id under the datasets' root, or on the remote that was asked."""


class NamespaceError(MinariError, ValueError):
    """A namespace that exists already, that does not exist, or that is not empty."""


class DatasetDamagedError(MinariError, OSError):
    """A file of a dataset is missing, cut short, or not what its manifest says."""


class DatasetAccessError(DatasetDamagedError, PermissionError):
    """A file of a dataset may not be read, so that nobody can say whether it is damaged."""


class DatasetChangedError(MinariError, RuntimeError):
    """The stored dataset was replaced by another one while this object was reading it."""


class FormatError(MinariError, ValueError):
    """A data format, or a version of one, that nothing installed here can read."""


class _RefusalError(Exception):
    """An error whose message says what to do about what the system said, which is its cause."""

    def __str__(self) -> str:
        """Return the message, and what to do."""
        return "; ".join(filter(None, (super().__str__(), advise_on_refusal(self))))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with all of the message, for no cause goes along."""
        return type(self), (str(self),)


class DatasetWriteError(_RefusalError, MinariError, OSError):
    """The file system refused a write; what was committed before is untouched.

    The message says what to do about full disks, permissions and limits of the process.
    """


class DatasetBusyError(MinariError, TimeoutError):
    """Another process has held the dataset's lock for too long, or no more files can be opened."""


class CacheError(_RefusalError, MinariError, OSError):
    """The cache cannot be written to, is too small, or its size is set to what is none."""


class MetadataError(MinariError, ValueError, TypeError):
    """Metadata that cannot be kept as JSON, or a key of the wrong type."""


class SpaceError(MinariError, ValueError):
    """A space that cannot be written as JSON, or that does not fit the data."""


class UnknownSpaceError(SpaceError, NotImplementedError):
    """A space of a type that is neither one of Gymnasium's nor registered."""


class IncompatibleDatasetsError(MinariError, ValueError):
    """Datasets whose spaces or environments differ and which cannot be combined."""


class DataError(MinariError, ValueError):
    """A value that cannot be stored without changing it."""


class EpisodeIndexError(MinariError, IndexError):
    """An episode index outside the dataset."""


class SamplingError(MinariError, ValueError):
    """A sample that cannot be drawn: larger than its source, or with invalid arguments."""


class RecordingError(MinariError, RuntimeError):
    """A collector used out of order: a step before the first reset, or after it was closed."""


class EnvironmentNotRecoverableError(MinariError, ValueError):
    """The environment that made a dataset cannot be made here."""


class UntrustedEnvironmentError(EnvironmentNotRecoverableError):
    """An environment spec that would run code which only the dataset names."""


class RemoteError(MinariError, ConnectionError):
    """A remote that cannot be reached, or whose answers are not what they should be."""


class RemoteAccessError(RemoteError, PermissionError):
    """A remote refuses who asks, or there are no usable credentials."""


class RemoteObjectNotFoundError(RemoteError, FileNotFoundError):
    """A remote has no object of this name."""


class RemoteObjectExistsError(RemoteError, FileExistsError):
    """A remote has an object of this name already; nothing is ever overwritten."""


class RemoteUrlError(MinariError, ValueError):
    """A URL that names no remote known here."""


class UntrustedNameError(MinariError, ValueError):
    """A file name from a remote that leads elsewhere, or that is no plain name everywhere."""


class MissingDependencyError(MinariError, ImportError):
    """A package of an optional extra is not installed."""


class ViewerError(MinariError, OSError):
    """The page of a dataset cannot be served, because its port is taken."""


class ReplayError(MinariError, RuntimeError):
    """A recorded episode has no seed, or its environment fails in a replay; the step is named."""


class RenderError(MinariError, ValueError):
    """A video that is there already, of a format that is not known, or without a frame."""


_MORE = "close some, or let the process have more of them"
_RIGHT = "ask whoever owns it for the right to change it"
_ADVICE = {
    errno.ENOSPC: "that disk is full: free some space on it, and try again",
    getattr(errno, "EDQUOT", -1): "your quota on that disk is used up: free some space, and try "
    "again",
    errno.EFBIG: "no file may be as large there: let the process write larger ones (ulimit -f), "
    "or choose another disk",
    errno.EACCES: _RIGHT,
    errno.EPERM: _RIGHT,
    errno.EROFS: "that file system can only be read: choose a folder on another",
    errno.ENOLCK: "that file system gives no more locks: try again, or choose a folder on another",
    errno.EMFILE: f"as many files are open as may be: {_MORE}",
    errno.ENFILE: f"as many files are open as may be: {_MORE}",
    errno.ENOMEM: f"as many files are mapped, or as much memory is taken, as may be: {_MORE}",
}


def advise_on_refusal(error: BaseException) -> str:
    """Return what to do if an error was caused by a disk, a right or a limit, or "".

    Args:
        error: The error.
    """
    cause: BaseException | None = error.__cause__ if isinstance(error, MinariError) else error
    while cause is not None:
        # HDF5 has the number in its text alone.
        for number, advice in _ADVICE.items():
            if getattr(cause, "errno", None) == number or f"errno = {number}," in str(cause):
                return advice
        cause = cause.__cause__ if isinstance(cause, MinariError) else None
    return ""
