"""What a campaign found, and how each of it can be seen again."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Campaign:
    """One campaign's seed, and what it has come to; says so as it goes on."""

    name: str
    seed: int
    count: int
    """How many cases to run."""
    root: Path
    """A folder of its own."""
    case: int | None = None
    """The one case to run, if it is not all."""
    keep: Path | None = None
    """Where to copy what the cases with findings were about."""
    only: str = ""
    """What to leave out the rest of: a part of the names of operations or formats."""
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, list[str]] = field(default_factory=dict)
    """For each kind of finding, the cases."""
    began: float = field(default_factory=time.monotonic)

    def cases(self) -> range:
        """The numbers of the cases to run."""
        return range(self.count) if self.case is None else range(self.case, self.case + 1)

    def random(self, case: int) -> random.Random:
        """What everything random in a case follows from."""
        return random.Random(f"{self.name}/{self.seed}/{case}")

    def find(self, case: int, kind: str, details: str, folder: Path | None = None) -> None:
        """Note what must not be.

        Args:
            case: The case.
            kind: In short what is wrong; the same words for what is likely the same fault.
            details: All that helps to mend it.
            folder: What the case was about, if it still is there.
        """
        cases = self.findings.setdefault(kind, [])
        # The first of each kind in full; a fault may show thousands of times.
        if not cases:
            again = f"python -m tests.campaigns {self.name} --seed {self.seed} --case {case}"
            again += f" --only '{self.only}'" if self.only else ""
            say(f"FINDING {kind}\n    {again}\n    " + details.strip().replace("\n", "\n    "))
        if self.keep is not None and folder is not None and len(cases) < 3:
            shutil.copytree(folder, self.keep / f"{self.name}-{case}", dirs_exist_ok=True)
        cases.append(str(case))

    def conclude(self) -> bool:
        """Say what came of it; whether there was no finding."""
        minutes = (time.monotonic() - self.began) / 60
        say(
            f"{self.name}: {len(self.cases())} cases in {minutes:.1f} min, seed {self.seed}; "
            + ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.most_common())
        )
        for kind, cases in sorted(self.findings.items(), key=lambda item: -len(item[1])):
            some = ", ".join(cases[:8]) + (", …" if len(cases) > 8 else "")
            say(f"  {len(cases)} × {kind} (cases {some})")
        return not self.findings


def say(text: str) -> None:
    """Write a line to who runs the campaign."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
