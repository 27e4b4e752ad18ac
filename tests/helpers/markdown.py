"""The Python blocks of a Markdown file, as they stand in it, and what runs them."""

from __future__ import annotations

import ast
import codeop
import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

PROMPT = ">>> "
CONTINUATION = "... "


@dataclass(frozen=True)
class Block:
    """A fenced Python block."""

    file: Path
    line: int
    """The line of the file on which the block's text begins, from 1."""
    heading: str
    """The nearest heading above it."""
    source: str
    """Its text, with its last line feed."""
    needs: tuple[str, ...] = ()
    """The modules of extras that it needs, which stand behind ``python`` on its fence."""

    @property
    def is_session(self) -> bool:
        return self.source.startswith(PROMPT)


@dataclass(frozen=True)
class Example:
    """A statement typed at the prompt of a session, and what the session shows for it."""

    line: int
    source: str
    expected: str


def python_blocks(file: Path) -> list[Block]:
    """The blocks fenced by ```` ```python ```` (````python torch```` with an extra), in order."""
    blocks = []
    heading = ""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    start: int | None = None
    needs: tuple[str, ...] = ()
    fenced = False
    for number, line in enumerate(lines, start=1):
        if line.startswith("```"):
            if not fenced:
                language, *words = line.removeprefix("```").split() or [""]
                start, needs = number + 1 if language == "python" else None, tuple(words)
            elif start is not None:
                source = "".join(lines[start - 1 : number - 1])
                blocks.append(Block(file, start, heading, source, needs))
            fenced = not fenced
        elif not fenced and (match := re.match(r"#+ (.+)", line)):
            heading = match[1].strip()
    if fenced:
        raise ValueError(f"{file}: a fence is not closed")
    return blocks


def session_examples(block: Block) -> Iterator[Example]:
    """The examples of a session.

    A statement goes on for as many lines as Python needs to complete it, with or without the
    dots of a continuation: people write both.
    """
    line: int | None = None
    source = expected = ""
    for number, text in enumerate(block.source.splitlines(), start=block.line):
        if text.startswith(PROMPT):
            if line is not None:
                yield Example(line, source, expected)
            line, source, expected = number, text.removeprefix(PROMPT) + "\n", ""
        elif codeop.compile_command(source, symbol="exec") is None:
            source += text.removeprefix(CONTINUATION) + "\n"
        else:
            expected += text + "\n"
    if line is not None:
        yield Example(line, source, expected)


def run_block(
    block: Block,
    namespace: dict[str, object],
    rewrite: Callable[[str], str],
    *,
    is_mapping_shown_as_keys: Callable[[str], bool] = lambda source: False,
) -> None:
    """Run a block, and compare what a session shows with what it says.

    Args:
        block: The block.
        namespace: What the blocks before it have named; changed.
        rewrite: Called with each source before it is compiled.
        is_mapping_shown_as_keys: Whether a statement of a session gives a mapping where the
            document shows its keys.

    Raises:
        AssertionError: A session shows something else.
        Exception: Whatever the block raises.
    """
    if not block.is_session:
        exec(_compiled(rewrite(block.source), block.file, block.line, "exec"), namespace)
        return
    for example in session_examples(block):
        result, printed = _evaluate(rewrite(example.source), block.file, example.line, namespace)
        if is_mapping_shown_as_keys(example.source.strip()):
            assert isinstance(result, dict)
            result = result.keys()
        _compare(example, block.file, result, printed)


def _evaluate(
    source: str, file: Path, line: int, namespace: dict[str, object]
) -> tuple[object, str]:
    """The value of a statement, ``None`` where it has none, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if isinstance(ast.parse(source).body[-1], ast.Expr):
            result = eval(_compiled(source.strip(), file, line, "eval"), namespace)
        else:
            exec(_compiled(source, file, line, "exec"), namespace)
            result = None
    return result, printed.getvalue()


def _compare(example: Example, file: Path, result: object, printed: str) -> None:
    where = f"{file.name}:{example.line}: {example.source.strip()}"
    if shown := re.fullmatch(r"dict_keys\((\[.*\])\)\n", example.expected):
        # The order of the keys is no promise.
        assert isinstance(result, type({}.keys())), where
        assert set(result) == set(ast.literal_eval(shown[1])), where
        return
    actual = printed if result is None else f"{printed}{result!r}\n"
    assert actual == example.expected, where


def _compiled(source: str, file: Path, line: int, mode: str) -> CodeType:
    # Blank lines before it make a traceback point at the document's own line.
    return compile("\n" * (line - 1) + source, str(file), mode, dont_inherit=True)
