"""The one WebSocket consumer: it decides nothing. It renders the panels whose topics changed and sends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import DatabaseError
from loguru import logger

from tradingsite.live.pace import Pace
from tradingsite.live.panels import alert_message, beat_message, missed_alerts, panel_messages
from tradingsite.live.tail import TAIL, News

BEAT_EVERY_S = 5.0
FAILED, TOO_SLOW, NOT_LOGGED_IN = 1011, 4000, 4401


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Keeps the panels of one open page fresh."""

    tasks: tuple[asyncio.Task[None], ...] = ()
    seq = 0  # newest announcement that this page has been told of

    async def connect(self) -> None:
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(NOT_LOGGED_IN)

    async def disconnect(self, code: int) -> None:
        for task in self.tasks:
            task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Leave alone what is no JSON: our own page never sends it, and an error here would leave its tasks behind."""
        try:
            content = json.loads(text_data or "")
        except (ValueError, RecursionError):
            return
        await self.receive_json(content)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Take the page's greeting: the last id it has seen and the panels it shows."""
        # A stranger's greeting may have been on its way when the door was closed.
        if self.tasks or not self.scope["user"].is_authenticated or not isinstance(content, dict):
            return
        after, names = content.get("after"), content.get("panels")
        if isinstance(after, int) and isinstance(names, list):
            shown = [name for name in names if isinstance(name, str)]
            self.tasks = (self._begin(self._follow(shown, after)), self._begin(self._beat()))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Let a page whose stream failed reconnect: connected and silent would look live."""
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, OSError):  # OSError: the page has gone
            return
        logger.opt(exception=error).error("an open page could not be kept live and will be asked to reconnect")
        self.tasks = (*self.tasks, asyncio.create_task(self._leave(FAILED)))

    async def _leave(self, code: int) -> None:
        """Close the page's stream; nothing may be sent after that."""
        for task in self.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        await self.close(code)

    async def _follow(self, names: list[str], after: int) -> None:
        """Subscribe first, then replay: what comes in between is in the queue, and is told once."""
        async with TAIL.subscribe() as queue:
            newest = TAIL.last_seq
            missed = await database_sync_to_async(missed_alerts)(after) if after else []
            for news in missed:
                await self._tell(news)
            # Not before: a page that heard of an id never asks for what came before it again.
            self.seq = max([newest, *(news.seq for news in missed)])
            await self._stream(queue, Pace(names, now=_now()), told={news.seq for news in missed})

    async def _stream(self, queue: asyncio.Queue[News | None], pace: Pace, *, told: set[int]) -> None:
        while True:
            try:
                async with asyncio.timeout_at(pace.next_due):
                    news = await queue.get()
            except TimeoutError:
                await self._send(pace)
                continue
            if news is None:
                await self._leave(TOO_SLOW)
                return
            if news.topic == "alerts" and news.seq not in told:
                await self._tell(news)
            self.seq = max(self.seq, news.seq)
            pace.note(news.topic, now=_now())

    async def _send(self, pace: Pace) -> None:
        names = pace.take(now=_now())
        try:
            messages = await database_sync_to_async(panel_messages)(names, self.scope["user"], self.seq)
        except DatabaseError as error:
            logger.warning("panels could not be rendered and are tried again: {}", error)
            pace.give_back(names, now=_now())
            return
        for message in messages:
            await self.send_json(message)

    async def _tell(self, news: News) -> None:
        """Say a new alert at once, in words."""
        message = await database_sync_to_async(alert_message)(news)
        if message:
            await self.send_json(message)

    async def _beat(self) -> None:
        while True:
            await self._look_who_it_is()
            if not self.scope["user"].is_authenticated:
                await self._leave(NOT_LOGGED_IN)
                return
            await self.send_json(await database_sync_to_async(beat_message)(self.seq))
            await asyncio.sleep(BEAT_EVERY_S)

    async def _look_who_it_is(self) -> None:
        """Read session and person again: who logged out, or lost a role, stops seeing what an open page shows."""
        session = self.scope["session"]
        unread = session.__class__(session.session_key)
        self.scope["user"] = await get_user({"session": unread})


def _now() -> float:
    return asyncio.get_running_loop().time()
