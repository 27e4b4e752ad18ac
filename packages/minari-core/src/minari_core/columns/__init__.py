"""Columns: how values are laid out in flat arrays."""

from __future__ import annotations

from minari_core.columns.base import (
    Array,
    ArraySpec,
    Column,
    Reader,
    StoredArray,
    read_whole,
)
from minari_core.columns.exact import cast_exactly
from minari_core.columns.fixed import FixedColumn, as_numeric_array, make_fixed_column
from minari_core.columns.for_space import choose_column, has_fixed_values
from minari_core.columns.joining import join_pieces
from minari_core.columns.nested import (
    MaskedColumn,
    StructColumn,
    TupleColumn,
    fill_missing_keys,
    merge_columns,
)
from minari_core.columns.schema import AXES, Axis, Schema, schema_from_json
from minari_core.columns.untyped import Unstorable, encode_dynamic, freeze
from minari_core.columns.variable import JsonColumn, TextColumn
from minari_core.columns.widening import find_wider_dtype, holds_all

__all__ = [
    "AXES",
    "Array",
    "ArraySpec",
    "Axis",
    "Column",
    "FixedColumn",
    "JsonColumn",
    "MaskedColumn",
    "Reader",
    "Schema",
    "StoredArray",
    "StructColumn",
    "TextColumn",
    "TupleColumn",
    "Unstorable",
    "as_numeric_array",
    "cast_exactly",
    "choose_column",
    "encode_dynamic",
    "fill_missing_keys",
    "find_wider_dtype",
    "freeze",
    "has_fixed_values",
    "holds_all",
    "join_pieces",
    "make_fixed_column",
    "merge_columns",
    "read_whole",
    "schema_from_json",
]
