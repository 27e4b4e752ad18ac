"""Small faults: a comparison turned, a constant moved, a statement dropped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_TUNED = re.compile(r"^_?[A-Z0-9_]*(SECONDS|TIMEOUT|NBYTES|BLOCK|CHUNK|SPARE|MOST|LARGEST|THREADS)")


@dataclass(frozen=True)
class Fault:
    """One change of a module's text."""

    path: Path
    """The module, from the root of the repository."""
    line: int
    kind: str
    start: int
    """Where the bytes begin that are replaced."""
    stop: int
    replacement: str
    looks_equivalent: str = ""
    """Why nobody is likely to notice, if so."""

    def apply(self, source: bytes) -> bytes:
        """The module with the fault."""
        return source[: self.start] + self.replacement.encode() + source[self.stop :]

    def is_one(self, source: bytes) -> bool:
        """Whether the module with the fault is Python, and another program than before."""
        try:
            changed = ast.parse(self.apply(source))
            compile(changed, str(self.path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            return False
        return ast.dump(changed) != ast.dump(ast.parse(source))

    def describe(self, source: bytes) -> str:
        """The changed line, before and after."""
        begin = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.stop)
        before = source[begin:end].decode()
        after = source[begin : self.start].decode() + self.replacement
        after += source[self.stop : end].decode()
        shown = [" ".join(text.split()) for text in (before, after)]
        return f"{self.kind}\n      {shown[0][:300]}\n    → {shown[1][:300]}"


def faults_in(path: Path, source: bytes) -> list[Fault]:
    """What may be a fault of a module, in the order of its lines; `Fault.is_one` tells."""
    found = _Finder(path, source).find(ast.parse(source))
    return sorted(found, key=lambda fault: (fault.start, fault.stop, fault.replacement))


class _Finder:
    """Walks through a module; what is only said to people and type checkers is passed over."""

    def __init__(self, path: Path, source: bytes) -> None:
        self._path = path
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def find(self, node: ast.AST, why: str = "") -> Iterator[Fault]:
        """The faults in a node, and why they look equivalent."""
        why = why or _reason(node)
        yield from self._faults_of(node, why)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params", "decorator_list"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_passed_over(child):
                    yield from self.find(child, why)

    def _faults_of(self, node: ast.AST, why: str) -> Iterator[Fault]:
        if isinstance(node, ast.Compare):
            for index, operator in enumerate(node.ops):
                for turned in _TURNED[type(operator)]:
                    ops = [*node.ops[:index], turned(), *node.ops[index + 1 :]]
                    comparison = ast.Compare(node.left, ops, node.comparators)
                    yield self._fault(node, "a comparison turned", comparison, why)
        elif isinstance(node, ast.BoolOp):
            joint = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
            yield self._fault(node, "the other of and, or", ast.BoolOp(joint, node.values), why)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield self._fault(node, "a not dropped", node.operand, why)
        elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            other = _OPERATORS[type(node.op)]()
            changed = ast.BinOp(node.left, other, node.right)
            yield self._fault(node, "another operator", changed, why)
        elif isinstance(node, ast.Constant):
            for value in _moved(node.value):
                yield self._fault(node, "a constant moved", ast.Constant(value), why)
        elif isinstance(node, ast.If | ast.IfExp | ast.While):
            turned_test = ast.UnaryOp(ast.Not(), node.test)
            if not isinstance(node.test, ast.Compare | ast.UnaryOp):
                yield self._fault(node.test, "a condition turned", turned_test, why)
        elif _can_be_dropped(node):
            yield self._fault(node, "a statement dropped", ast.Pass(), why)

    def _fault(self, node: ast.AST, kind: str, changed: ast.AST, why: str) -> Fault:
        assert isinstance(node, ast.expr | ast.stmt)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        text = ast.unparse(changed)
        return Fault(
            path=self._path,
            line=node.lineno,
            kind=kind,
            start=self._lines[node.lineno - 1] + node.col_offset,
            stop=self._lines[node.end_lineno - 1] + node.end_col_offset,
            replacement=text if isinstance(changed, ast.stmt | ast.Constant) else f"({text})",
            looks_equivalent=why,
        )


def _moved(value: object) -> list[bool | int | float]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    return [value * 2 + 1] if isinstance(value, float) else []


def _can_be_dropped(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call | ast.Await | ast.Yield | ast.YieldFrom)
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    if isinstance(node, ast.Return):
        return node.value is None
    return isinstance(node, ast.AugAssign | ast.Raise | ast.Break | ast.Continue | ast.Delete)


def _is_passed_over(node: ast.AST) -> bool:
    """Whether a node is not code that runs, or text for people."""
    if isinstance(node, ast.If):
        test = ast.unparse(node.test)
        return test == "TYPE_CHECKING"
    if isinstance(node, ast.Assign):
        return any(isinstance(each, ast.Name) and each.id == "__all__" for each in node.targets)
    if isinstance(node, ast.FunctionDef):
        return any("overload" in ast.unparse(each) for each in node.decorator_list)
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom)


def _reason(node: ast.AST) -> str:
    """Why faults in a node look equivalent, if they do."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    for target in targets:
        if isinstance(target, ast.Name) and _TUNED.match(target.id):
            return f"{target.id} is a bound that was tuned"
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    if any("Protocol" in ast.unparse(base) for base in bases):
        return "a protocol's bodies do not run"
    if isinstance(node, ast.Expr) and re.match(r"_?logg\w*\.", ast.unparse(node)):
        return "it only writes a log"
    if isinstance(node, ast.keyword) and node.arg == "stacklevel":
        return "it only moves where a warning points"
    return ""
