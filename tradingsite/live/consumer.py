"""The one WebSocket consumer: it decides nothing. It renders the panels whose topics changed and sends them."""

from __future__ import annotations

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from ops.models import Alert
from tradingsite.live.panels import beat_message, panel_message
from tradingsite.live.tail import TAIL, News, read_after
from tradingsite.wiring import PANELS

PANEL_EVERY_S = 1.0
BEAT_EVERY_S = 5.0
AT_ONCE = frozenset({"alerts", "state", "kill"})  # topics that never wait for the second to be over
TOO_SLOW, NOT_LOGGED_IN = 4000, 4401


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Keeps the panels of one open page fresh."""

    tasks: tuple[asyncio.Task[None], ...] = ()

    async def connect(self) -> None:
        await self.accept()
        if not self.scope["user"].is_authenticated:
            await self.close(NOT_LOGGED_IN)

    async def disconnect(self, code: int) -> None:
        for task in self.tasks:
            task.cancel()

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        """Take the page's greeting: the last id it has seen and the panels it shows."""
        after, names = content.get("after"), content.get("panels")
        if self.tasks or not isinstance(after, int) or not isinstance(names, list):
            return
        panels = tuple(name for name in names if name in PANELS)
        self.tasks = (
            asyncio.create_task(self._follow(panels, after)),
            asyncio.create_task(self._beat()),
        )

    async def _follow(self, panels: tuple[str, ...], after: int) -> None:
        """Subscribe first, then replay: what comes in between is in the queue, and ids make it harmless twice."""
        async with TAIL.subscribe() as queue:
            seq = TAIL.last_seq
            missed = await database_sync_to_async(read_after)(after) if after else []
            for news in missed:
                await self._tell(news)
            # Every panel once: it repairs whatever was missed, however long the page was away.
            await self._send(set(panels), seq)
            await self._stream(queue, panels, seq)

    async def _stream(self, queue: asyncio.Queue[News | None], panels: tuple[str, ...], seq: int) -> None:
        dirty: set[str] = set()
        due, loop = 0.0, asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(max(due - loop.time(), 0.0) if dirty else None):
                    news = await queue.get()
            except TimeoutError:
                await self._send(dirty, seq)
                dirty, due = set(), loop.time() + PANEL_EVERY_S
                continue
            if news is None:
                await self.close(TOO_SLOW)
                return
            seq = max(seq, news.seq)
            await self._tell(news)
            dirty |= {name for name in panels if news.topic in PANELS[name].topics}
            if news.topic in AT_ONCE:
                due = 0.0

    async def _send(self, names: set[str], seq: int) -> None:
        for name in sorted(names):
            message = await database_sync_to_async(panel_message)(name, self.scope["user"], seq)
            if message:
                await self.send_json(message)

    async def _tell(self, news: News) -> None:
        """Say a new alert at once, in words."""
        if news.topic == "alerts" and "id" in news.payload:
            message = await database_sync_to_async(alert_message)(news)
            if message:
                await self.send_json(message)

    async def _beat(self) -> None:
        while True:
            await self.send_json(await database_sync_to_async(beat_message)(TAIL.last_seq))
            await asyncio.sleep(BEAT_EVERY_S)


def alert_message(news: News) -> dict[str, Any] | None:
    """Return what an open page reads out, None when somebody has dealt with the alert already."""
    alert = Alert.objects.needing_action().filter(pk=news.payload["id"]).first()
    if alert is None:
        return None
    return {"type": "alert", "seq": news.seq, "level": alert.level, "title": alert.title, "detail": alert.detail}
