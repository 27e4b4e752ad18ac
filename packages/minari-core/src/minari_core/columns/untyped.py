"""Choose columns for values that no space describes: infos, extra columns, episode metadata.

The recorded keys are the union of what the rows have, a missing value is masked, and the column
of each key is the narrowest one that keeps every value exactly:

=============================================  ==================
the values of a key                            column
=============================================  ==================
numbers or arrays of one dtype and shape       fixed
numbers whose common dtype holds all exactly   fixed
arrays of one dtype, shapes that change        ragged
text, bytes                                    text, bytes
dicts with text keys                           struct of columns
a mixture, lists that are not numbers          json
=============================================  ==================

None means that the row has no value. Lists of numbers become arrays (not in metadata), and an
array without elements takes the dtype of the key's other arrays. What none of the columns can
hold is dropped, and named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minari_core.columns.base import Array, Column
from minari_core.columns.exact import cast_exactly, is_faithful
from minari_core.columns.fixed import MOST_DIMENSIONS, NUMERIC_KINDS, make_fixed_column
from minari_core.columns.nested import MaskedColumn, StructColumn
from minari_core.columns.variable import BytesColumn, JsonColumn, RaggedColumn, TextColumn
from minari_core.errors import DataError
from minari_core.json_values import is_plain_key, to_json_text
from minari_core.messages import advise_text, format_value

_IMMUTABLE = frozenset({float, int, bool, complex, str, bytes, type(None)})
# A schema is read back recursively, so what is nested deeper is kept as JSON.
_DEEPEST_STRUCT = 16


class Unstorable:
    """A stand-in for a recorded value that no column can hold."""

    __slots__ = ("reason",)

    def __init__(self, value: object, reason: str | None = None) -> None:
        self.reason = reason or _explain_refusal(value)


def _explain_refusal(value: object) -> str:
    # The type itself: an object may raise anything when it is asked for its class.
    kind = type(value)
    if issubclass(kind, np.ma.MaskedArray):
        return "an array of which only a part is masked"
    if issubclass(kind, np.ndarray):
        return f"an array of {format_value(np.asarray(value).dtype)}{advise_text(value)}"
    return f"a value of type {kind.__name__}{advise_text(value)}"


def freeze(value: object, within: tuple[int, ...] = ()) -> object:
    """Copy a value, so that later changes to it do not reach the copy; never raise.

    Args:
        value: Anything.
        within: The identities of the containers that it lies in.
    """
    kind = value.__class__
    if kind in _IMMUTABLE or isinstance(value, np.generic | Unstorable):
        return value
    if isinstance(value, np.ma.MaskedArray):
        return _freeze_masked(value)
    if isinstance(value, np.ndarray):
        return Unstorable(value) if value.dtype.kind not in "biufcU" else np.array(value)
    if id(value) in within:
        return Unstorable(value, f"a {kind.__name__} that contains itself")
    within = (*within, id(value))
    try:
        if isinstance(value, dict):
            return {freeze(key): freeze(item, within) for key, item in value.items()}
        if isinstance(value, list | tuple):
            items = [item if type(item) in _IMMUTABLE else freeze(item, within) for item in value]
            return items if isinstance(value, list) else tuple(items)
        if hasattr(value, "__array__"):
            return freeze(np.array(value))
        if isinstance(value, Mapping):
            return freeze(dict(value), within)
    except RecursionError:
        return Unstorable(value, f"a {kind.__name__} that is nested too deep")
    except Exception:  # an object of the environment's may raise anything when it is looked at
        return Unstorable(value)
    return Unstorable(value)


def _freeze_masked(value: np.ma.MaskedArray[tuple[int, ...], np.dtype[np.generic]]) -> object:
    """Copy a masked array of which nothing is masked; None if it is masked as a whole."""
    if not np.ma.is_masked(value):
        return freeze(np.array(value.data))
    if np.all(np.ma.getmaskarray(value)):
        return None
    return Unstorable(value)


def encode_dynamic(
    values: Sequence[object],
    where: str,
    dropped: dict[str, str],
    *,
    lists_are_json: bool = False,
    depth: int = 0,
    always_none: set[str] | None = None,
) -> tuple[Column, list[Array]] | None:
    """Choose the column of some frozen values, and encode them.

    Args:
        values: One value a row, None where there is none.
        where: The key's name.
        dropped: Gets the name of each key that lost a value, with the reason.
        lists_are_json: Keep lists of numbers as lists and dicts as they are, as metadata does;
            else lists are arrays, and a dict without a value is the same as none.
        depth: The number of dicts that the values lie in.
        always_none: Gets the name of each key that is None in every row.

    Returns:
        The column and its arrays, or None if no row has a value that can be stored.
    """
    kinds = {value.__class__ for value in values}
    has_missing = type(None) in kinds
    kinds.discard(type(None))
    if Unstorable in kinds:
        _note_unstorable(values, where, dropped)
        values = [None if isinstance(value, Unstorable) else value for value in values]
        return encode_dynamic(values, where, dropped, lists_are_json=lists_are_json, depth=depth)
    if not kinds:
        if always_none is not None:
            always_none.add(where)
        return None
    is_struct = kinds == {dict} and depth < _DEEPEST_STRUCT and _has_plain_keys(values)
    # A struct cannot tell a row without a dict from one whose dict is empty.
    tells_empty = is_struct and lists_are_json and depth > 0 and not all(values)
    if is_struct and not (tells_empty and _are_json(values, where)):
        struct, parts = _encode_struct(values, where, dropped, lists_are_json, depth, always_none)
        if not (tells_empty and has_missing):
            return struct, parts
        return MaskedColumn(struct), [np.array([v is not None for v in values]), *parts]
    if kinds <= {str, np.str_}:
        column: Column = TextColumn()
    elif kinds == {bytes}:
        column = BytesColumn()
    else:
        numeric = _encode_numeric(values, kinds, has_missing, lists_are_json)
        if numeric is not None:
            return numeric
        column = JsonColumn()
        values = _keep_json(values, where, dropped)
        has_missing = any(value is None for value in values)
        if all(value is None for value in values):
            return None
    if has_missing:
        column = MaskedColumn(column)
    return column, column.encode(values, where)


def _note_unstorable(values: Sequence[object], where: str, dropped: dict[str, str]) -> None:
    for value in values:
        if isinstance(value, Unstorable):
            dropped.setdefault(where, value.reason)
            return


def _has_plain_keys(values: Sequence[object]) -> bool:
    return all(is_plain_key(key) for value in values if isinstance(value, dict) for key in value)


def _are_json(values: Sequence[object], where: str) -> bool:
    refused: dict[str, str] = {}
    _keep_json(values, where, refused)
    return not refused


def _encode_struct(
    values: Sequence[object],
    where: str,
    dropped: dict[str, str],
    lists_are_json: bool,
    depth: int,
    always_none: set[str] | None,
) -> tuple[Column, list[Array]]:
    dicts = [value if isinstance(value, dict) else {} for value in values]
    keys = dict.fromkeys(key for value in dicts for key in value)
    fields: dict[str, Column] = {}
    arrays: list[Array] = []
    for key in keys:
        encoded = encode_dynamic(
            [value.get(key) for value in dicts],
            f"{where}[{key!r}]",
            dropped,
            lists_are_json=lists_are_json,
            depth=depth + 1,
            always_none=always_none,
        )
        if encoded is not None:
            fields[key] = encoded[0]
            arrays += encoded[1]
    return StructColumn(fields), arrays


def _encode_numeric(
    values: Sequence[object],
    kinds: set[type],
    has_missing: bool,
    lists_are_json: bool,
) -> tuple[Column, list[Array]] | None:
    """Encode values as a fixed or ragged column; return None if they are not all numeric."""
    if not has_missing and kinds in ({float}, {bool}, {np.float64}, {np.bool_}):
        rows: Array = np.array(values)
        return make_fixed_column(rows.dtype, ()), [rows]
    if lists_are_json and not kinds.isdisjoint({list, tuple}):
        return None
    arrays = [None if value is None else _as_numeric(value) for value in values]
    given = [array for array in arrays if array is not None]
    if len(given) != sum(value is not None for value in values):
        return None
    filled = {array.dtype for array in given if array.size} or {array.dtype for array in given}
    # numpy's common dtype is always of its own byte order.
    dtype = next(iter(filled)) if len(filled) == 1 else np.result_type(*filled)
    if any(cast_exactly(array, dtype) is None for array in given if array.size):
        return None
    shapes = {array.shape for array in given}
    (shape, *others) = shapes
    # A mask cannot say that a row without elements is missing.
    if not others and not (has_missing and 0 in shape):
        present = np.array([array is not None for array in arrays])
        stacked: Array = np.zeros((len(values), *shape), dtype=dtype)
        if given[0].size:
            stacked[present] = given
        fixed = make_fixed_column(dtype, shape)
        return (MaskedColumn(fixed), [present, stacked]) if has_missing else (fixed, [stacked])
    dimensions = {len(shape) for shape in shapes}
    if len(dimensions) > 1 or len(filled) > 1:
        return None
    column: Column = RaggedColumn(dtype, dimensions.pop())
    if has_missing:
        column = MaskedColumn(column)
    return column, column.encode(arrays, "")


def _as_numeric(value: object) -> Array | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return None
    try:
        array: Array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in NUMERIC_KINDS or array.ndim > MOST_DIMENSIONS:
        return None
    if isinstance(value, list | tuple) and not is_faithful(value, array.dtype):
        return None
    return array


def _keep_json(values: Sequence[object], where: str, dropped: dict[str, str]) -> list[object]:
    kept: list[object] = []
    for value in values:
        try:
            to_json_text(value, where)
            kept.append(value)
        except DataError as error:
            inside = _find_unstorable(value)
            told = str(error).removeprefix(f"{where}: ")
            dropped.setdefault(where, inside.reason if inside else told)
            kept.append(None)
    return kept


def _find_unstorable(value: object) -> Unstorable | None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Unstorable):
            return item
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
    return None
