"""Every fault that can be played, by the catalogue's id: one file a family, one entry a fault."""

from __future__ import annotations

from simulator.faults import (
    bars,
    connection,
    contracts,
    exchange,
    exchange_events,
    exchange_orders,
    executions,
    positions,
    prices,
    refused,
)
from simulator.faults.base import Fault

FAMILIES = (
    connection,
    executions,
    refused,
    contracts,
    positions,
    prices,
    bars,
    exchange,
    exchange_orders,
    exchange_events,
)
FAULTS: dict[str, Fault] = {fault.id: fault for family in FAMILIES for fault in family.FAULTS}
