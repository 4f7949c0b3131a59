"""The real ASGI application without a server, and open pages that talk to it over sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.test import Client

from ops import alerts, clock, heartbeats
from ops.clock import SimulatedClock
from ops.live import announce
from ops.models import Alert
from tests.pages_reader import PLAIN_SITE
from tests.people import FAST_LOGIN, client_of
from tradingsite.live import consumer
from tradingsite.live.tail import TAIL, Tail, last_seq
from tradingsite.wiring import PANELS

PATIENCE_S = 10.0
HOME = "http://localhost"
FAST_BEAT_S = 0.05


@pytest.fixture(autouse=True)
def _site(settings, tmp_path):
    """Serve files as they are, and keep the latch and the market's clock apart."""
    settings.STORAGES = PLAIN_SITE["STORAGES"]
    settings.PASSWORD_HASHERS = FAST_LOGIN
    settings.STATIC_ROOT = settings.RUN_DIR = settings.SAFETY_DIR = settings.SIM_DIR = tmp_path
    with clock.use(SimulatedClock(tmp_path / "clock.json")):
        yield


@pytest.fixture
def fast_beat(monkeypatch) -> None:
    """Let the beat, which also looks at who the person is, go many times a second."""
    monkeypatch.setattr(consumer, "BEAT_EVERY_S", FAST_BEAT_S)


@pytest_asyncio.fixture
async def tail() -> AsyncIterator[Tail]:
    """Follow the outbox as the web process does: from the start of the application to its end."""
    from tradingsite.asgi import application

    lifespan = ApplicationCommunicator(application, {"type": "lifespan"})
    await lifespan.send_input({"type": "lifespan.startup"})
    assert await lifespan.receive_output(PATIENCE_S) == {"type": "lifespan.startup.complete"}
    yield TAIL
    await lifespan.send_input({"type": "lifespan.shutdown"})
    assert await lifespan.receive_output(PATIENCE_S) == {"type": "lifespan.shutdown.complete"}
    await lifespan.wait(PATIENCE_S)


@pytest.fixture
def viewer() -> Client:
    """The browser of somebody who may look."""
    return client_of("viewer")


@pytest.fixture
def operator() -> Client:
    """The browser of somebody who may pause, resume and kill."""
    return client_of("operator")


class OpenPage:
    """A browser's open page: its socket, and everything the server has told it."""

    def __init__(self, client: Client, *, origin: str = HOME) -> None:
        from tradingsite.asgi import application

        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers = [(b"origin", origin.encode()), (b"cookie", cookies.encode())]
        # By hand, because channels.testing imports a server that the site does without.
        scope = {"type": "websocket", "path": "/ws/live/", "query_string": b"", "headers": headers, "subprotocols": []}
        self.socket = ApplicationCommunicator(application, scope)
        self.heard: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def connect(self) -> bool:
        """Open the socket; False when the server does not even accept it."""
        await self.socket.send_input({"type": "websocket.connect"})
        return bool((await self.socket.receive_output(PATIENCE_S))["type"] == "websocket.accept")

    async def say(self, *, text: str | None = None, data: bytes | None = None) -> None:
        """Send a frame of text or of bytes."""
        await self.socket.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def greet(self, *panels: object, after: int = 0) -> None:
        """Say what the page shows and what it saw last."""
        await self.say(text=json.dumps({"after": after, "page": "overview", "panels": panels}))

    async def hear(self) -> dict[str, Any]:
        """Return the next message; a close is the last one, of type ``close``."""
        frame = await self.socket.receive_output(PATIENCE_S)
        if frame["type"] == "websocket.close":
            self.close_code = frame["code"]
            message = {"type": "close", "code": self.close_code}
        else:
            message = json.loads(frame["text"])
        self.heard.append(message)
        return message

    async def hear_until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that is the one; beats alone do not keep the wait alive."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_it(message := await self.hear()):
                assert self.close_code is None, f"closed with {self.close_code} before it came"
        return message

    async def hear_panels(self, *names: str) -> None:
        """Wait until each of these panels has come once more."""
        missing = set(names)
        async with asyncio.timeout(PATIENCE_S):
            while missing:
                missing.discard((await self.hear_until(lambda message: message["type"] == "panel"))["id"])

    async def settle(self, *names: str) -> None:
        """Wait until a beat and these panels have come: from then on the page hears all news."""
        async with asyncio.timeout(PATIENCE_S):
            while not {"beat", *names} <= {message.get("id", message["type"]) for message in self.heard}:
                await self.hear()

    async def hear_alert(self, title: str) -> dict[str, Any]:
        """Wait for an alert, unless it came; alerts come at once, so that one marks a place in the stream."""
        told = [message for message in self.heard if message.get("title") == title]
        return told[0] if told else await self.hear_until(lambda message: message.get("title") == title)

    async def hear_close(self) -> int:
        """Return the code that the server closes the page with."""
        async with asyncio.timeout(PATIENCE_S):
            while self.close_code is None:
                await self.hear()
        return self.close_code

    def panels(self, name: str) -> list[str]:
        """Return the HTML of every message about a panel, oldest first."""
        return [message["html"] for message in self.heard if message.get("id") == name]

    def alerts(self) -> list[str]:
        """Return the titles of the alerts it was told, oldest first."""
        return [message["title"] for message in self.heard if message["type"] == "alert"]

    async def leave(self) -> None:
        """Close the tab."""
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1001})
        await self.socket.wait(PATIENCE_S)


@pytest_asyncio.fixture
async def visit(tail) -> AsyncIterator[Callable[..., Any]]:
    """Return a function that opens a page of a person, greets with its panels, and waits until they came."""
    pages: list[OpenPage] = []

    async def opened(client: Client, *panels: object, after: int = 0, settled: bool = True) -> OpenPage:
        page = OpenPage(client)
        pages.append(page)
        assert await page.connect()
        await page.greet(*panels, after=after)
        if settled:
            await page.settle(*(name for name in PANELS if name in panels))
        return page

    yield opened
    for page in pages:
        await page.leave()


@database_sync_to_async
def raise_alert(title: str) -> Alert:
    """Raise an alert, in a transaction of its own."""
    return alerts.raise_alert(title, title)


async def caught_up(tail: Tail) -> int:
    """Wait until the tail has read all that is announced, and return the newest id."""
    newest = await database_sync_to_async(last_seq)()
    await eventually(lambda: tail.last_seq >= newest)
    return newest


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


@database_sync_to_async
def sign_of_life() -> None:
    """Let the state not be unknown."""
    heartbeats.beat("sentinel")


@database_sync_to_async
def announce_now(topic: str) -> None:
    """Announce a topic, in a transaction of its own."""
    announce(topic)


def slowly(monkeypatch: pytest.MonkeyPatch, name: str, gap_s: float) -> None:
    """Let a panel be sent at most once in so long, and never by the passing of time."""
    monkeypatch.setitem(PANELS, name, replace(PANELS[name], gap_s=gap_s, every_s=None))
