"""What the panels of the Alerts page show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tradingsite.pages.frame_data import Freshness
from tradingsite.pages.overview_data import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far the newest message about an alert has come at one destination."""

    label: str  # "slack", "json 2"
    words: str  # "sent 14:03:22", "waiting", "given up"
    level: Level = Level.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert: a cause, however often it was raised."""

    key: str  # of the row, for morphing
    cause: str  # "session:BTCUSD"
    level: Level
    title: str
    first_at: datetime
    last_at: datetime
    detail: str = ""
    count: int = 1
    seen_by: str = ""
    seen_at: datetime | None = None
    over_at: datetime | None = None
    told: tuple[Told, ...] = ()
    acknowledge_url: str = ""  # POST; empty when there is nothing to acknowledge


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsData:
    """Panel ``alerts``: what is open, the worst first, and what was lately."""

    open: tuple[AlertRow, ...] = ()
    over: tuple[AlertRow, ...] = ()
    can_operate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationRow:
    """One address that alerts go to, by the name of its service."""

    label: str
    level: Level
    words: str  # "ok", "2 waiting: the service answered with status 500"
    taken_at: datetime | None = None  # when it last took a message


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRow:
    """One message to one destination."""

    key: str
    at: datetime
    label: str
    title: str
    words: str
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherRow:
    """The process that sends, and the service that misses a dead desk."""

    name: str
    level: Level
    words: str
    fresh: Freshness


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesData:
    """Panel ``deliveries``: who is told outside the site, and what became of it."""

    destinations: tuple[DestinationRow, ...] = ()
    messages: tuple[MessageRow, ...] = ()
    watchers: tuple[WatcherRow, ...] = ()
    can_operate: bool = False
