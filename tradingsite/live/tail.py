"""Follow the outbox: one task a web process hands every new announcement to the open pages."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError, connection
from django.db.models import Max
from loguru import logger

from ops.models import Announcement

SQLITE_POLL_S = 0.02
POSTGRES_POLL_S = 0.2
# PostgreSQL hands out ids before the transactions that use them commit, so a lower id may appear after a higher one.
ID_WINDOW = 200
QUEUE_SIZE = 1000
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class News:
    """One announcement on its way to the pages."""

    seq: int
    topic: str
    payload: dict[str, Any]


class Tail:
    """Reads what is new in the outbox and hands it to every subscriber."""

    def __init__(self) -> None:
        self._subscribers: set[asyncio.Queue[News | None]] = set()
        self._seen: set[int] = set()
        self.last_seq = 0

    async def start(self) -> None:
        """Read where the outbox ends now; what is there already is nobody's news."""
        self.last_seq = await database_sync_to_async(last_seq)()
        self._seen = {news.seq for news in await database_sync_to_async(read_after)(self._read_from())}

    async def run(self) -> None:
        """Follow the outbox until cancelled; the start is read before the first page is served."""
        is_behind = False
        with _change_detector() as changed:
            while True:
                await asyncio.sleep(SQLITE_POLL_S if _is_sqlite() else POSTGRES_POLL_S)
                try:
                    # It says so once for each change: a delivery that failed has to be remembered.
                    is_behind = changed() or is_behind
                    if is_behind:
                        is_behind = await self._deliver() == QUEUE_SIZE
                except (DatabaseError, sqlite3.Error) as error:
                    # A locked or restarting database delays the pages; the next round reads what this one did not.
                    logger.warning("announcements could not be read: {}", error)
                    await asyncio.sleep(RETRY_S)

    async def _deliver(self) -> int:
        """Hand on what is new, and return how much was read: as much as can be read at once means that more waits."""
        read = await database_sync_to_async(read_after)(self._read_from())
        for news in read:
            if news.seq in self._seen:
                continue
            self._seen.add(news.seq)
            self.last_seq = max(self.last_seq, news.seq)
            for queue in self._subscribers:
                _offer(queue, news)
        self._seen = {seq for seq in self._seen if seq > self.last_seq - 2 * ID_WINDOW}
        return len(read)

    def _read_from(self) -> int:
        return self.last_seq if _is_sqlite() else max(self.last_seq - ID_WINDOW, 0)

    @contextlib.asynccontextmanager
    async def subscribe(self) -> AsyncIterator[asyncio.Queue[News | None]]:
        """Yield a queue of all that comes from now on; None in it means that the reader was too slow."""
        queue: asyncio.Queue[News | None] = asyncio.Queue(QUEUE_SIZE)
        self._subscribers.add(queue)
        try:
            yield queue
        finally:
            self._subscribers.discard(queue)


def _offer(queue: asyncio.Queue[News | None], news: News) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
        logger.warning("a page reads too slowly and will be asked to reconnect")
        return
    queue.put_nowait(news)


def _is_sqlite() -> bool:
    return connection.vendor == "sqlite"


@contextlib.contextmanager
def _change_detector() -> Iterator[Callable[[], bool]]:
    """Yield a check of whether anything was committed since it was asked last, true the first time.

    On SQLite it costs microseconds: a kept-open connection counts the commits of all others.
    """
    if not _is_sqlite():
        yield lambda: True
        return
    file = Path(connection.settings_dict["NAME"]).absolute().as_uri()  # a folder's name may hold a % or a #
    with contextlib.closing(sqlite3.connect(f"{file}?mode=ro", uri=True, check_same_thread=False)) as watcher:
        seen = -1

        def changed() -> bool:
            nonlocal seen
            before, [seen] = seen, watcher.execute("PRAGMA data_version").fetchone()
            return bool(seen != before)

        yield changed


def last_seq() -> int:
    """Return the id of the newest announcement, 0 when there is none."""
    newest: int | None = Announcement.objects.aggregate(newest=Max("pk"))["newest"]
    return newest or 0


def read_after(seq: int, topic: str = "") -> list[News]:
    """Return the announcements after ``seq``, oldest first: all, or those of one topic."""
    rows = Announcement.objects.filter(pk__gt=seq).order_by("pk")
    if topic:
        rows = rows.filter(topic=topic)
    return [News(seq=row.pk, topic=row.topic, payload=row.payload) for row in rows[:QUEUE_SIZE]]


TAIL = Tail()
