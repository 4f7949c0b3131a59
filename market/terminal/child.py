"""The only process that imports the module: ``python -m market.terminal.child MODULE``, started by the guard.

The module may hold the interpreter's lock for as long as MetaTrader does not answer, and then nothing else runs here.
That is why this process decides nothing and remembers nothing: the guard kills it and starts another one.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import Any, BinaryIO

from .calls import Answer, Call, Kind, run
from .frames import read_call, write_answer


def main(module_name: str) -> int:
    """Answer calls until the guard closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the guard decides
    incoming, outgoing = _take_over_pipes()
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(incoming, calls), daemon=True).start()
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        write_answer(outgoing, Answer.problem(Kind.UNAVAILABLE, f"cannot import module {module_name!r}: {error}"))
        return 1
    write_answer(outgoing, Answer(Kind.READY, b"{}"))
    _answer_calls(module, calls, outgoing)
    return 0


def _answer_calls(module: Any, calls: SimpleQueue[bytes], outgoing: BinaryIO) -> None:
    while True:
        write_answer(outgoing, run(module, Call.parse(json.loads(calls.get()))))


def _receive(incoming: BinaryIO, calls: SimpleQueue[bytes]) -> None:
    """Pass calls on; when the guard is gone end at once, lest a call that hangs here sends its order later."""
    try:
        while True:
            calls.put(read_call(incoming))
    except (EOFError, OSError):
        os._exit(0)


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return the pipes to the guard under new numbers, so that nothing the module prints can break a frame."""
    incoming, outgoing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
