"""Sessions that are really killed beside sessions that only crash, each in a process and on a database of its own.

``python -m tests.crash_processes`` forks two processes for each point: in the one the point is the end by SIGKILL, in
the other it is a ``Crash``. It looks at what both leave behind with new connections, and prints it as JSON. It forks,
so that Django is set up once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

POINTS = (
    ("after taking the lease", 1),
    ("after the venue's write", 2),
    ("before a commit", 9),
    ("after a commit", 14),
)
FINISHED = 0
DESK = {
    "intents": "SELECT symbol, cause, cause_id, magic, status, target_lots FROM execution_intent ORDER BY id",
    "legs": "SELECT sequence, side, volume, filled, reduces FROM execution_legrecord ORDER BY id",
    "attempts": "SELECT number, outcome, retcode, volume, fence FROM execution_attempt ORDER BY id",
    "fills": "SELECT symbol, side, volume, magic, intent_id FROM execution_fillrecord ORDER BY deal_id",
    "decisions": "SELECT symbol, slot, verdict, blocker FROM execution_decision ORDER BY id",
    "runs": "SELECT job, slot, status, attempts, error FROM ops_run ORDER BY id",
    "leases": "SELECT name, token, holder = '' FROM ops_lease",
    "alerts": "SELECT key, count FROM ops_alert ORDER BY id",
    "announcements": "SELECT topic FROM ops_announcement ORDER BY id",
}
VENUE = {
    "deals": "SELECT symbol, type, entry, volume, magic FROM deals ORDER BY ticket",
    "positions": "SELECT symbol, type, volume FROM positions",
}


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def live(folder: Path, point: tuple[str, int], *, is_killed: bool) -> None:
    """Turn a position round, and end at the point."""
    from django.db import connection

    from execution.chaos.crashes import Doom, crash_at
    from tests.executor_builders import session, trading_desk

    connection.settings_dict["NAME"] = str(folder / "db.sqlite3")
    with trading_desk(folder, margin_mode="hedging"):
        session(9, 0.5)
        with crash_at(point) as doom, mock.patch.object(Doom, "_die", die) if is_killed else doom.process():
            session(10, -0.5)
        os._exit(FINISHED)  # as suddenly as the other: what follows is no part of the crash


def in_a_process(folder: Path, point: tuple[str, int], *, is_killed: bool) -> int:
    """Live in a new process, and return how it ended: its exit code, or minus the signal."""
    pid = os.fork()
    if not pid:
        try:
            live(folder, point, is_killed=is_killed)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def look(folder: Path) -> dict[str, Any]:
    """Return what is left of a process, but for what the clock says."""
    from execution.safety.locks import _try_lock

    left: dict[str, Any] = {}
    for file, queries in (("db.sqlite3", DESK), ("sim/ledger.sqlite3", VENUE)):
        with closing(sqlite3.connect(folder / file)) as database:
            left |= {name: database.execute(query).fetchall() for name, query in queries.items()}
    left["files"] = sorted(path.name for path in (folder / "safety").iterdir())
    with opened(folder / "safety" / "gate.lock") as handle:
        left["the gate's lock is free"] = _try_lock(handle)
    return left


@contextmanager
def opened(path: Path) -> Any:
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield handle
    finally:
        os.close(handle)


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django.conf import settings
    from django.db import connections

    connections.close_all()  # which brings everything into the file

    state = Path(settings.STATE_DIR)
    seen = []
    for number, point in enumerate(POINTS):
        pair: dict[str, Any] = {"point": point}
        for is_killed in (True, False):
            folder = state / f"{number}-{is_killed}"
            folder.mkdir()
            shutil.copy(settings.DATABASES["default"]["NAME"], folder / "db.sqlite3")
            code = in_a_process(folder, point, is_killed=is_killed)
            pair["killed" if is_killed else "crashed"] = {"code": code, "left": look(folder)}
        seen.append(pair)
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
