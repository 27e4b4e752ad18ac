"""A digest of what an object holds, which another process computes alike.

Pickled bytes will not do: those of functions of a script have its line numbers, those of its
classes something random, and those of tensors addresses. So what pickling would take is walked
through here, and what differs by chance is left out:

- What can be imported from an installed package counts by its name, as it does when it is pickled.
- Other functions and classes, those of a script or of modules beside it, count by their code, and
  by the globals that it uses, without their docstrings.
- Random generators of numpy count by their seeds, however much was drawn from them, and not at all
  where nobody seeded them.
- What was computed once and is kept (`functools.cached_property`, a Box as text) does not count.
- What cannot be pickled counts by its type.
"""

from __future__ import annotations

import copyreg
import dis
import hashlib
import os
import random
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
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
from gymnasium.spaces import Box

DIGEST_VERSION = 3
"""Another one for each way to compute digests, because those of others cannot be compared."""

_PLAIN = (bool, int, float, complex, str, range, type(None), type(...), type(NotImplemented))
# The generators behind the functions of modules, which nobody holds.
_GLOBAL_RANDOM: tuple[object, ...] = (
    getattr(random.random, "__self__", None),
    getattr(np.random.random, "__self__", None),
)
# The entropy that numpy asks the system for has 128 bits.
_FEWEST_BITS_OF_FRESH_ENTROPY = 97
_INSTALLED = {"site-packages", "dist-packages"}
_STANDARD_LIBRARY = Path(os.__file__).parent
_OWN_PACKAGES = {"minari", "minari_core", "minari_collect", "minari_hub"}
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
_OF_PRINTED_BOXES = {"low_repr", "high_repr"}
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
        return _Walk().digest_all(value).hex()
    except Exception:  # it may be nested too deeply, or raise whatever it likes
        return None


class _Walk:
    """A walk through the objects that belong to one."""

    def __init__(self) -> None:
        self._known: dict[int, bytes] = {}
        # An id is that of one object as long as it lives.
        self._kept: list[object] = []
        self._under_way: list[int] = []
        # What can be imported, by name: one after the other, however deeply it is nested.
        self._imported: dict[str, type | FunctionType] = {}

    def digest_all(self, value: object) -> bytes:
        """Return the digest of an object, and of the code it needs that is not installed."""
        parts = [self.digest(value)]
        done: dict[str, bytes] = {}
        while self._imported.keys() - done.keys():
            for name in sorted(self._imported.keys() - done.keys()):
                code = self._imported[name]
                parts_of = _list_class(code) if isinstance(code, type) else _list_function(code)
                done[name] = _hash(name, self._walk(parts_of))
        return _hash("all", parts + [done[name] for name in sorted(done)])

    def digest(self, value: object) -> bytes:
        """Return the digest of an object; the same for equal ones, shared or not."""
        if _is_unseeded(value):
            value = None
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
        if isinstance(value, np.random.Generator):
            return self._walk((value.bit_generator,))
        if isinstance(value, np.random.BitGenerator):
            return self._walk((_find_seed(value),))
        if isinstance(value, np.random.SeedSequence):
            return self._walk((value.entropy, value.spawn_key))
        if isinstance(value, ModuleType):
            return [value.__name__.encode()]
        if isinstance(value, type | FunctionType | BuiltinFunctionType) and _is_importable(value):
            name = f"{value.__module__}:{value.__qualname__}"
            if not isinstance(value, BuiltinFunctionType) and not _is_installed(value.__module__):
                self._imported[name] = value
            return [name.encode()]
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
        if isinstance(value, cached_property):
            return self._walk((value.func,))
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


def _is_installed(module_name: str) -> bool:
    """Return whether a module is a library's, whose code its version stands for."""
    file = getattr(sys.modules.get(module_name), "__file__", None)
    if file is None or module_name.partition(".")[0] in _OWN_PACKAGES:
        return True
    path = Path(file)
    return bool(_INSTALLED & set(path.parts)) or _STANDARD_LIBRARY in path.parents


def _find_seed(generator: np.random.BitGenerator) -> object:
    return getattr(generator, "seed_seq", None) or getattr(generator, "_seed_seq", None)


def _is_unseeded(value: object) -> bool:
    """Return whether this is a generator that nobody seeded."""
    if any(value is generator for generator in _GLOBAL_RANDOM):
        return True
    if isinstance(value, np.random.Generator):
        value = value.bit_generator
    if isinstance(value, np.random.BitGenerator):
        value = _find_seed(value)
    entropy = getattr(value, "entropy", None)
    return (
        isinstance(value, np.random.SeedSequence)
        and isinstance(entropy, int)
        and entropy.bit_length() >= _FEWEST_BITS_OF_FRESH_ENTROPY
    )


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
    # A function may have a reset, as a policy.
    yield vars(function)
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
        if wrapped is not None and not (_is_importable(value) and _is_installed(value.__module__)):
            yield wrapped
        return
    kind, arguments, *state = reduced[:3]
    # The callable, its arguments, and perhaps a state; then iterators of items, and of pairs.
    yield from (kind, arguments)
    yield _drop_cached(type(value), state[0] if state else None)
    yield [list(each or ()) for each in reduced[3:5]]


def _drop_cached(kind: type, state: object) -> object:
    """Return the state of an object without what it has computed once and keeps."""
    if type(state) is not dict:
        return state
    held = {
        key: value
        for key, value in state.items()
        if not isinstance(getattr(kind, str(key), None), cached_property)
        and not (issubclass(kind, Box) and key in _OF_PRINTED_BOXES)
    }
    return held or None
