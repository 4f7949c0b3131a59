"""Follow the outbox: one task a web process hands every new announcement to the open pages."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection
from django.db.models import Max
from loguru import logger

from ops.models import Announcement

SQLITE_POLL_S = 0.02
POSTGRES_POLL_S = 0.2
# PostgreSQL hands out ids before the transactions that use them commit, so a lower id may appear after a higher one.
ID_WINDOW = 200
QUEUE_SIZE = 1000


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

    async def run(self) -> None:
        """Follow the outbox until cancelled; the start is read before the first page is served."""
        changed, poll_s = self._change_detector()
        while True:
            await asyncio.sleep(poll_s)
            try:
                if changed():
                    await self._deliver()
            except (DatabaseError, sqlite3.Error) as error:
                # A locked or restarting database delays the pages; the next round reads what this one did not.
                logger.warning("announcements could not be read: {}", error)
                await asyncio.sleep(1)

    async def start(self) -> None:
        """Read where the outbox ends now."""
        self.last_seq = await sync_to_async(last_seq)()

    async def _deliver(self) -> None:
        for news in await sync_to_async(read_after)(self._read_from()):
            if news.seq in self._seen or (connection.vendor == "sqlite" and news.seq <= self.last_seq):
                continue
            self._seen.add(news.seq)
            self.last_seq = max(self.last_seq, news.seq)
            for queue in self._subscribers:
                _offer(queue, news)
        self._seen = {seq for seq in self._seen if seq > self.last_seq - 2 * ID_WINDOW}

    def _read_from(self) -> int:
        return self.last_seq if connection.vendor == "sqlite" else max(self.last_seq - ID_WINDOW, 0)

    def _change_detector(self) -> tuple[Callable[[], bool], float]:
        if connection.vendor != "sqlite":
            return (lambda: True), POSTGRES_POLL_S
        return _sqlite_change_detector(str(connection.settings_dict["NAME"])), SQLITE_POLL_S

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


def _sqlite_change_detector(path: str) -> Callable[[], bool]:
    """Return a check that costs microseconds: SQLite counts the commits of other connections on a kept-open one."""
    watcher = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
    seen = -1

    def changed() -> bool:
        nonlocal seen
        version: int = watcher.execute("PRAGMA data_version").fetchone()[0]
        seen, before = version, seen
        return version != before

    return changed


def last_seq() -> int:
    """Return the id of the newest announcement, 0 when there is none."""
    newest: int | None = Announcement.objects.aggregate(newest=Max("pk"))["newest"]
    return newest or 0


def read_after(seq: int) -> list[News]:
    """Return the announcements after ``seq``, oldest first."""
    rows = Announcement.objects.filter(pk__gt=seq).order_by("pk")[:QUEUE_SIZE]
    return [News(seq=row.pk, topic=row.topic, payload=row.payload) for row in rows]


TAIL = Tail()
