"""How much memory a piece of work takes at its worst."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Callable

UNIT = 1 if sys.platform == "darwin" else 1024  # of ``ru_maxrss``


def peak_bytes(work: Callable[[], object]) -> int:
    """Return by how much the resident memory rises above what there was before, done once in a process of its own.

    The process is a fork of this one, so that everything is imported and compiled already; only what the work itself
    takes counts. The result is at least a page, so that it may be divided by.

    Raises
    ------
    ChildProcessError
        If the work fails there.
    """
    reader, writer = os.pipe()
    gc.collect()
    child = os.fork()
    if child == 0:
        _work_and_leave(work, writer)
    os.close(writer)
    with os.fdopen(reader) as answers:
        answer = answers.read()
    os.waitpid(child, 0)
    if not answer:
        raise ChildProcessError("the work whose memory is measured failed")
    return int(answer)


def _work_and_leave(work: Callable[[], object], writer: int) -> None:
    """Work, say what it took, and leave without what a process does at its end, which is the parent's to do."""
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        os.write(writer, str(max((after - before) * UNIT, resource.getpagesize())).encode())
    finally:
        os._exit(0)
