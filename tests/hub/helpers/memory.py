"""How much memory a process takes that does one thing."""

from __future__ import annotations

import subprocess
import sys

_MEASURE = """
def peak():
    '''The most bytes that were in memory; of Linux's own count, as ru_maxrss begins with what the
    process had before it became another program.'''
    try:
        with open('/proc/self/status') as file:
            (line,) = [line for line in file if line.startswith('VmHWM')]
            return int(line.split()[1]) << 10
    except OSError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""


def measure_growth(preparation: str, statement: str) -> int:
    """The MB by which a process grows at most while it runs a statement."""
    program = (
        f"{_MEASURE}\n{preparation}\nbefore = peak()\n{statement}\nprint((peak() - before) >> 20)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
