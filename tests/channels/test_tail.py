"""The outbox's tail: what other processes commit arrives soon, once, in order, whatever happens to the database."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, connection, transaction

from ops.live import announce
from ops.models import Announcement
from tests.channels.conftest import caught_up
from tradingsite.live import tail as tail_module
from tradingsite.live.tail import News, Tail

pytestmark = pytest.mark.django_db(transaction=True)

SOON_S = 0.5
sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="commits are noticed by SQLite's data_version")

# Commits one announcement for each line it is given, and answers with the time on the clock that processes share.
OTHER_PROCESS = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
row = "INSERT INTO ops_announcement (topic, payload, created_at) VALUES (?, '{}', '2026-01-05 00:00:00')"
print("ready", flush=True)
for line in sys.stdin:
    database.execute(row, (line.strip(),))
    print(time.monotonic(), flush=True)
"""


class OtherProcess:
    """A process of its own that announces."""

    def __init__(self, database: str) -> None:
        argv = [sys.executable, "-c", OTHER_PROCESS, database]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)  # noqa: S603  # our own code
        assert self.process.stdout.readline() == "ready\n"

    def announce(self, topic: str) -> float:
        """Commit an announcement and return when it was committed, on ``time.monotonic``."""
        self.process.stdin.write(f"{topic}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def other() -> Iterator[OtherProcess]:
    process = OtherProcess(str(connection.settings_dict["NAME"]))
    yield process
    process.end()


@database_sync_to_async
def announce_all(*topics: str) -> None:
    """Commit announcements together."""
    with transaction.atomic():
        for topic in topics:
            announce(topic)


async def take(queue: asyncio.Queue[News | None], count: int) -> list[News]:
    """Return the next so many news."""
    async with asyncio.timeout(10):
        return [await queue.get() for _ in range(count)]


@asynccontextmanager
async def running(follower: Tail) -> AsyncIterator[None]:
    """Let a tail follow the outbox inside the block."""
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def topics(news: list[News]) -> list[str]:
    return [one.topic for one in news]


@sqlite_only
@pytest.mark.asyncio
async def test_what_another_process_commits_arrives_within_half_a_second(tail, other):
    async with tail.subscribe() as queue:
        waits_s = []
        for n in range(7):
            committed_at = await asyncio.to_thread(other.announce, f"news {n}")
            [news] = await take(queue, 1)
            waits_s.append(asyncio.get_running_loop().time() - committed_at)
            assert news.topic == f"news {n}"
    # The middle one: a busy machine may hold a single one up.
    assert statistics.median(waits_s) < SOON_S


@sqlite_only
@pytest.mark.asyncio
async def test_what_is_not_committed_is_not_told_before_it_is(tail):
    writer = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        async with tail.subscribe() as queue:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute(
                "INSERT INTO ops_announcement (topic, payload, created_at) VALUES ('later', '{}', '2026-01-05')"
            )
            await asyncio.sleep(5 * tail_module.SQLITE_POLL_S)
            assert queue.empty()
            writer.execute("COMMIT")
            assert topics(await take(queue, 1)) == ["later"]
    finally:
        writer.close()


@sqlite_only
@pytest.mark.asyncio
async def test_news_of_two_processes_arrives_once_and_in_the_order_of_ids(tail, other):
    async def of_theirs() -> None:
        for n in range(30):
            await asyncio.to_thread(other.announce, f"theirs {n}")

    async def of_ours() -> None:
        for n in range(30):
            await announce_all(f"ours {n}")

    async with tail.subscribe() as queue:
        await asyncio.gather(of_theirs(), of_ours())
        news = await take(queue, 60)
        assert queue.empty()
    seqs = [one.seq for one in news]
    assert seqs == sorted(set(seqs))
    assert [topic for topic in topics(news) if topic.startswith("theirs")] == [f"theirs {n}" for n in range(30)]
    assert [topic for topic in topics(news) if topic.startswith("ours")] == [f"ours {n}" for n in range(30)]


@pytest.mark.asyncio
async def test_what_was_there_before_the_start_is_nobodys_news():
    fresh = Tail()
    await announce_all("old", "older")
    await fresh.start()
    assert fresh.last_seq == await database_sync_to_async(tail_module.last_seq)()
    async with fresh.subscribe() as queue, running(fresh):
        await announce_all("new")
        assert topics(await take(queue, 1)) == ["new"]


@pytest.mark.asyncio
async def test_news_between_start_and_run_is_told():
    fresh = Tail()
    await fresh.start()
    await announce_all("just then")
    async with fresh.subscribe() as queue, running(fresh):
        assert topics(await take(queue, 1)) == ["just then"]


@pytest.mark.asyncio
async def test_who_subscribes_later_hears_only_what_comes_later(tail):
    async with tail.subscribe() as first:
        await announce_all("before")
        await take(first, 1)
        async with tail.subscribe() as second:
            await announce_all("after")
            assert topics(await take(second, 1)) == ["after"]
        assert topics(await take(first, 1)) == ["after"]


@pytest.mark.asyncio
async def test_more_than_can_be_read_at_once_is_read_in_turns(tail, monkeypatch):
    """All of it is one commit: the database says only once that it changed."""
    monkeypatch.setattr(tail_module, "QUEUE_SIZE", 5)
    names = [f"news {n}" for n in range(17)]
    async with tail.subscribe() as queue:
        await announce_all(*names)
        assert topics(await take(queue, 17)) == names


@pytest.mark.asyncio
async def test_a_queue_that_nobody_empties_is_cut_short_with_a_word(tail, monkeypatch):
    monkeypatch.setattr(tail_module, "QUEUE_SIZE", 3)
    async with tail.subscribe() as slow:
        await announce_all("1", "2", "3")
        await announce_all("4")
        await caught_up(tail)
        assert slow.get_nowait() is None


@pytest.mark.asyncio
async def test_an_empty_pruned_outbox_goes_on_with_higher_ids(tail):
    async with tail.subscribe() as queue:
        await announce_all("one")
        [one] = await take(queue, 1)
        await database_sync_to_async(Announcement.objects.all().delete)()
        await announce_all("two")
        [two] = await take(queue, 1)
    assert (two.topic, two.seq > one.seq) == ("two", True)


@pytest.mark.asyncio
async def test_a_database_that_fails_delays_the_news_and_loses_none(tail, monkeypatch):
    monkeypatch.setattr(tail_module, "RETRY_S", 0.01)
    read, failures = tail_module.read_after, iter([OperationalError("database is locked")] * 3)

    def locked_at_first(*arguments):
        for error in failures:
            raise error
        return read(*arguments)

    async with tail.subscribe() as queue:
        monkeypatch.setattr(tail_module, "read_after", locked_at_first)
        await announce_all("one", "two")
        assert topics(await take(queue, 2)) == ["one", "two"]
    assert next(failures, None) is None


@sqlite_only
@pytest.mark.asyncio
async def test_a_quiet_database_is_not_read(tail, monkeypatch):
    reads = []
    read = tail_module.read_after
    async with tail.subscribe() as queue:
        await announce_all("one")
        await take(queue, 1)
        monkeypatch.setattr(tail_module, "read_after", lambda seq: reads.append(seq) or read(seq))
        await asyncio.sleep(10 * tail_module.SQLITE_POLL_S)
        reads.clear()  # the commit may have been noticed once more after it was read
        await asyncio.sleep(10 * tail_module.SQLITE_POLL_S)
        assert reads == []
        await announce_all("two")
        await take(queue, 1)
    assert reads


@sqlite_only
@pytest.mark.parametrize("name", ["plain", "100% #1?", "mit Leerzeichen und ü"])
def test_a_database_in_a_folder_of_any_name_is_watched(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    path = folder / "db.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(path))
    with tail_module._change_detector() as changed:
        assert changed()  # the first time it is asked
        assert not changed()
        database.execute("INSERT INTO t VALUES (1)")
        database.commit()
        assert changed()
        assert not changed()
    database.close()
