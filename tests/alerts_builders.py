"""Values of the Alerts page, as a bad day brings them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.pages_builders import FRESH, NEVER, NOW
from tradingsite.pages.alerts_data import (
    AlertRow,
    AlertsData,
    DeliveriesData,
    DestinationRow,
    MessageRow,
    Told,
    WatcherRow,
)
from tradingsite.pages.overview_data import Level

EARLIER = NOW - timedelta(minutes=17)


def make_alert(**changes: Any) -> AlertRow:
    values = {
        "key": "1",
        "cause": "loss:daily:limits",
        "level": Level.CRIT,
        "title": "The hard line of the daily loss is crossed (limits)",
        "detail": "equity 95499.10, from 100000.00 down to 95000.00",
        "first_at": EARLIER,
        "last_at": NOW,
        "count": 2,
        "acknowledge_url": "/alerts/1/acknowledge/?from=alerts",
        "told": (
            Told(label="slack", words="sent 14:03:22"),
            Told(label="json 2", words="waiting, tried 3×", level=Level.WARN),
        ),
    }
    return AlertRow(**(values | changes))


def make_alerts(**changes: Any) -> AlertsData:
    seen = make_alert(
        key="2",
        cause="session:BTCUSD",
        level=Level.WARN,
        title="BTCUSD: the broker refused the order",
        count=1,
        acknowledge_url="",
        seen_by="maria",
        seen_at=NOW,
        told=(Told(label="slack", words="given up", level=Level.CRIT),),
    )
    over = make_alert(key="3", level=Level.WARN, over_at=NOW, acknowledge_url="", told=(), detail="")
    return AlertsData(**({"open": (make_alert(), seen), "over": (over,), "can_operate": True} | changes))


def make_deliveries(**changes: Any) -> DeliveriesData:
    values: dict[str, Any] = {
        "destinations": (
            DestinationRow(label="slack", level=Level.OK, words="ok", taken_at=NOW),
            DestinationRow(label="json 1", level=Level.UNKNOWN, words="never used: send a test"),
            DestinationRow(label="json 2", level=Level.CRIT, words="2 waiting: the service answered with status 500"),
        ),
        "messages": (
            MessageRow(
                key="9",
                at=NOW,
                label="slack",
                title="test: Alerts reach you here",
                words="sent 14:03:22",
                level=Level.OK,
            ),
            MessageRow(
                key="8", at=EARLIER, label="json 2", title="Killed by ann", words="waiting", level=Level.UNKNOWN
            ),
        ),
        "watchers": (
            WatcherRow(name="notifier", level=Level.OK, words="running", fresh=FRESH),
            WatcherRow(
                name="heartbeat",
                level=Level.UNKNOWN,
                words="not set: nobody outside would miss a dead desk",
                fresh=NEVER,
            ),
        ),
        "can_operate": True,
    }
    return DeliveriesData(**(values | changes))


def make_alerts_page() -> dict[str, Any]:
    return {"alerts": make_alerts(), "deliveries": make_deliveries()}
