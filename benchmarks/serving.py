"""How the program of a peer answers what it is asked, a line of JSON each; needs nothing else."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable


def serve(make: Callable[[], object]) -> None:
    """Answer until the input ends.

    A line is ``{"work": …}`` with the arguments of the method of that name; the answer is what it
    returns, or ``{"error": …}``.

    Args:
        make: Makes the object whose methods are the works.
    """
    # Whatever a library prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    works: object | None = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            works = make() if works is None else works
            answer = getattr(works, asked.pop("work"))(**asked)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers, flush=True)
