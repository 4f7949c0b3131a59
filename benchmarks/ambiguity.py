"""``python -m benchmarks.ambiguity``: what doubt costs, and that it is never paid with a fill too many or one lost.

A model of a venue (``ambiguous_venue``) hides what it did in one of many ways; the code that trades decides what to do
about it: the adapter's classification, the gate with its rules and possible exposure, the journal, reconciliation with
its horizon and its proofs of absence, the next slot's plan. Time is virtual, and the database is in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from itertools import starmap
from multiprocessing import get_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.ambiguous_desk import Found  # whose imports need Django to be set up

N = 100_000
BATCH = 500  # doubtful outcomes of one account: a new account begins with an empty book
PAUSES_S = ((1, 15), (12, 18), (15, 60), (60, 300))  # between two sessions: within a horizon, about one, and longer
AFTER_ALL_S = 300.0  # what is in doubt at the end is settled by then
EXIT_FOUND = 3


def run(n: int = N, *, seed: int = 1, jobs: int = 1) -> Found:
    """Live through ``n`` doubtful outcomes, on one account after the other, hedging and netting in turn.

    Parameters
    ----------
    jobs : int
        Processes; what is found does not depend on their number.
    """
    from benchmarks.ambiguous_desk import Found

    sizes = [min(BATCH, n - begin) for begin in range(0, n, BATCH)]
    work = [(f"{seed}-{number}", size, bool(number % 2)) for number, size in enumerate(sizes)]
    found = Found()
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(jobs, get_context("fork"))) if jobs > 1 else None
        for one in pool.map(_live_one_account, *zip(*work, strict=True)) if pool else starmap(_live_one_account, work):
            found.add(one)
    return found


def _live_one_account(seed: str, n: int, nets: bool) -> Found:
    from benchmarks.ambiguous_desk import open_desk

    rng = random.Random(seed)  # noqa: S311 (chance, not a secret)
    with open_desk(rng, nets=nets) as desk:
        while desk.n_doubtful < n:
            desk.slot()
            desk.wait(rng.uniform(*rng.choice(PAUSES_S)))
        desk.wait(AFTER_ALL_S)
        return desk.judged()


def run_command(arguments: Sequence[str]) -> int:
    """Run what the arguments ask for, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ambiguity", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=N, help="doubtful outcomes, default %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes, default all cores")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else")
    given = parser.parse_args(arguments)
    began = time.perf_counter()
    found = run(given.n, seed=given.seed, jobs=given.jobs)
    data = {"n": given.n, "seed": given.seed, "took_s": round(time.perf_counter() - began, 1)} | found.data
    if given.json:
        print(json.dumps({"ok": found.is_ok, "schema": "ambiguity/1", "data": data, "warnings": []}))
    else:
        print("\n".join(f"{name:18} {value}" for name, value in data.items()))
    return 0 if found.is_ok else EXIT_FOUND


def main() -> int:
    """Set Django up with a state folder of its own, and run."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        os.environ["STATE_DIR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingsite.settings")
        import django
        from loguru import logger

        django.setup()
        logger.remove()  # each doubt is a warning
        return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
