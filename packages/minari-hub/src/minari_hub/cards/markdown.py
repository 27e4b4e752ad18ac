"""Markdown of texts that nobody trusts, whatever they contain."""

from __future__ import annotations

import re
from collections.abc import Iterable

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#+!|~&$@:=]")
_URL = re.compile(r"https?://[A-Za-z0-9][\w./~%#?&=+:@,-]{0,500}", re.ASCII)


def escape_text(text: str, longest: int = 300) -> str:
    """Write a text so that Markdown shows it as it is, in one line.

    A character that may be markup is written as its number, which never is.

    Args:
        text: Any text.
        longest: The most characters that are shown.

    Example:
        >>> escape_text("<b> of [me](x)")
        '&#60;b&#62; of &#91;me&#93;(x)'
    """
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)


def escape_paragraphs(text: str, longest: int = 4000) -> str:
    """Write a text of several paragraphs so that Markdown shows it as it is.

    Args:
        text: Any text.
        longest: The most characters that are shown.
    """
    paragraphs = [escape_text(each, longest) for each in re.split(r"\n\s*\n", text[:longest])]
    # A dash or a number at the beginning would make a line across the page, or a list.
    return "\n\n".join(
        re.sub(r"^[-\d]", lambda found: f"&#{ord(found[0])};", each) for each in paragraphs if each
    )


def format_code(text: str) -> str:
    """Write a short text as code, without what would end it or its cell of a table.

    Example:
        >>> format_code("Box((4,), float32)")
        '`Box((4,), float32)`'
    """
    return f"<code>{escape_text(text)}</code>" if re.search(r"[`|\\<&]", text) else f"`{text}`"


def format_link(text: str) -> str:
    """Write a text as a link if it is a plain address of the web, and else as text."""
    return f"<{text}>" if _URL.fullmatch(text) else escape_text(text)


def format_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Lay out a table; the cells are Markdown.

    Args:
        head: The names of the columns.
        rows: The cells of each row.
    """
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
