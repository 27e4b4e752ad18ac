"""A digest of what an object holds, which another process computes alike.

Pickled bytes will not do: those of functions of a script have its line numbers, those of its
classes something random, and those of tensors addresses. So what pickling would take is walked
through here, and what differs by chance is left out:

- What can be imported counts by its name, as it does when it is pickled.
- Functions and classes of a script count by their code, and by the globals that it uses, without
  their docstrings.
- The state of random generators does not count, because policies and environments are seeded.
- What cannot be pickled counts by its type.
"""

from __future__ import annotations

import copyreg
import dis
import hashlib
import random
import sys
from collections.abc import Iterable, Iterator
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np

_PLAIN = (bool, int, float, complex, str, range, type(None), type(...), type(NotImplemented))
_RANDOM = (
    random.Random,
    np.random.Generator,
    np.random.BitGenerator,
    np.random.SeedSequence,
    np.random.RandomState,
)
_MAIN = ("__main__", "__mp_main__")
# The last one is what pickling notes in a class.
_OF_EVERY_CLASS = {
    "__dict__",
    "__weakref__",
    "__module__",
    "__doc__",
    "__qualname__",
    "__slotnames__",
}
# Of newer Pythons; the first is a line number.
_OF_NEWER_CLASSES = {"__firstlineno__", "__static_attributes__"}
# A function with a docstring, in newer Pythons.
_HAS_DOCSTRING = 0x4000000


def compute_digest(value: object) -> str | None:
    """Compute a digest of what an object holds.

    Returns:
        SHA-256 as hexadecimal text, or None where the object cannot be walked through.
    """
    try:
        return _Walk().digest(value).hex()
    except Exception:  # it may be nested too deeply, or raise whatever it likes
        return None


class _Walk:
    """A walk through the objects that belong to one."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        # An id is that of one object as long as it lives.
        self._kept: list[object] = []
        self._under_way: list[int] = []

    def digest(self, value: object) -> bytes:
        """Return the digest of an object; the same for equal ones, shared or not."""
        key = id(value)
        if key in self._known:
            return self._known[key]
        if key in self._under_way:
            return _hash("cycle", [str(self._under_way.index(key)).encode()])
        self._under_way.append(key)
        self._kept.append(value)
        try:
            found = _hash(type(value).__qualname__, self._list_parts(value))
        finally:
            self._under_way.pop()
        self._known[key] = found
        return found

    def _list_parts(self, value: Any) -> Iterable[bytes]:
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return [repr(value).encode()]
        if isinstance(value, bytes | bytearray):
            return [bytes(value)]
        if isinstance(value, _RANDOM):
            return []
        if isinstance(value, ModuleType):
            return [value.__name__.encode()]
        if isinstance(value, type | FunctionType | BuiltinFunctionType) and _is_importable(value):
            return [f"{value.__module__}:{value.__qualname__}".encode()]
        if isinstance(value, CodeType):
            return self._walk(_list_code(value))
        if isinstance(value, FunctionType):
            return self._walk(_list_function(value))
        if isinstance(value, type):
            return self._walk(_list_class(value))
        if isinstance(value, MethodType):
            return self._walk((value.__func__, value.__self__))
        if isinstance(value, staticmethod | classmethod):
            return self._walk((value.__func__,))
        if isinstance(value, property):
            return self._walk((value.fget, value.fset, value.fdel))
        if isinstance(value, CellType):
            return self._walk(_list_cell(value))
        if isinstance(value, np.ma.MaskedArray):
            data, mask = np.ma.getdata(value, subok=False), np.ma.getmaskarray(value)
            return self._walk((data, mask, value.fill_value))
        if isinstance(value, np.generic | np.ndarray) and not value.dtype.hasobject:
            array = np.asarray(value)
            return [repr(array.dtype.descr).encode(), repr(array.shape).encode(), array.tobytes()]
        if type(value) is dict:
            return sorted(_hash("item", self._walk(pair)) for pair in value.items())
        if type(value) in (set, frozenset):
            return sorted(self._walk(value))
        if type(value) in (list, tuple):
            return self._walk(value)
        return self._walk(_list_reduced(value))

    def _walk(self, values: Iterable[object]) -> list[bytes]:
        return [self.digest(value) for value in values]


def _hash(kind: str, parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _is_importable(value: Any) -> bool:
    """Return whether pickle would take a function or class by its name."""
    name = getattr(value, "__module__", None)
    if name is None or name in _MAIN:
        return False
    found: Any = sys.modules.get(name)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _list_code(code: CodeType) -> Iterator[object]:
    yield from (code.co_varnames, code.co_freevars, code.co_cellvars)
    yield from (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    yield code.co_flags & ~_HAS_DOCSTRING
    # What the instructions name, not where it lies: a docstring is a constant that none of them
    # takes, except that classes store theirs.
    done: list[tuple[str, object]] = []
    for instruction in dis.get_instructions(code):
        name, value = instruction.opname, instruction.argval
        if name == "STORE_NAME" and value in _OF_NEWER_CLASSES | {"__doc__"}:
            done.pop()
        elif name == "KW_NAMES" and instruction.arg is not None:  # unknown to Python 3.11
            done.append((name, code.co_consts[instruction.arg]))
        else:
            done.append((name, value))
    yield done
    yield getattr(code, "co_exceptiontable", b"")


def _list_function(function: FunctionType) -> Iterator[object]:
    yield function.__code__
    yield function.__defaults__
    yield function.__kwdefaults__
    yield function.__closure__
    for name in sorted(set(_list_global_names(function.__code__))):
        if name in function.__globals__:
            yield name
            yield function.__globals__[name]


def _list_global_names(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _list_global_names(constant)


def _list_class(of: type) -> Iterator[object]:
    yield of.__qualname__
    yield from of.__bases__
    for name, member in sorted(vars(of).items()):
        is_slot = isinstance(member, MemberDescriptorType)
        if name not in _OF_EVERY_CLASS | _OF_NEWER_CLASSES and not is_slot:
            yield name
            yield member


def _list_cell(cell: CellType) -> list[object]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing was assigned yet
        return []


def _list_reduced(value: Any) -> Iterator[object]:
    """List what an object is made of, as pickle is told."""
    yield type(value)
    if type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "untyped_storage"):
        # Pickled tensors have addresses.
        tensor = value.detach().cpu()
        yield str(tensor.dtype)
        yield (tensor.float() if "bfloat" in str(tensor.dtype) else tensor).numpy()
        return
    try:
        reducer = copyreg.dispatch_table.get(type(value))
        reduced = value.__reduce_ex__(4) if reducer is None else reducer(value)
    except Exception:  # what is not to be pickled raises whatever it likes
        reduced = ""
    if isinstance(reduced, str):
        yield reduced
        # Decorators in C, as that of a cache, have no code that names the function.
        wrapped = getattr(value, "__dict__", {}).get("__wrapped__")
        if wrapped is not None and not _is_importable(value):
            yield wrapped
        return
    # The callable, its arguments, and perhaps a state; then iterators of items, and of pairs.
    yield from reduced[:3]
    yield [list(each or ()) for each in reduced[3:5]]
