"""What of a traceback tells one fault from another."""

from __future__ import annotations


def shorten(trace: str) -> str:
    """The last lines of a traceback of the project's, and the error."""
    lines = trace.splitlines()
    if "most recent call first" in trace:
        return "\n".join(lines[:12])
    calls = [index for index, line in enumerate(lines) if "/src/minari" in line]
    return "\n".join([*(lines[calls[-1] : calls[-1] + 2] if calls else []), *lines[-1:]])


def find_last_call(trace: str) -> str:
    """Where in the project an error arose, or a crash happened."""
    lines = [line for line in trace.splitlines() if 'File "' in line and "/src/minari" in line]
    if not lines:
        return ""
    # A crash's trace begins with the last call, an exception's ends with it.
    line = lines[0] if "most recent call first" in trace else lines[-1]
    path, rest = line.split('File "', 1)[1].split('"', 1)
    return f" in {path.split('/src/')[1]}{rest.split(' in ')[-1].join([' ', ''])}"
