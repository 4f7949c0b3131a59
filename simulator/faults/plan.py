"""Which faults are to happen, and when: rules that a test writes, and a seeded mix at a rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from simulator.errors import FaultPlanError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault at its time; everything given has to hold.

    Parameters
    ----------
    fault : str
        The catalogue's id.
    call : str, optional
        One of the calls that the fault touches; all of them by default.
    symbol : str, optional
    nth : int, optional
        Only at the n-th such call, counted from 1 since the plan was switched on.
    at, until : datetime, optional
        Market times: from then on, and before then.
    rate : float, default=1
        How likely at each such call.
    times : int, optional
        How often at most; once by default where it has an ``nth`` or an ``at`` without an ``until``.
    lasts_s : float, optional
        Market seconds that it goes on, instead of the fault's own.
    parameters : mapping
        Others than the fault's defaults; ``with`` in JSON.
    """

    fault: str
    call: str | None = None
    symbol: str | None = None
    nth: int | None = None
    at: datetime | None = None
    until: datetime | None = None
    rate: float = 1.0
    times: int | None = None
    lasts_s: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(0 < self.rate <= 1, "rate", self.rate, "above 0 and at most 1")
        _require(self.nth is None or self.nth >= 1, "nth", self.nth, "a count from 1")
        _require(self.times is None or self.times >= 1, "times", self.times, "a count from 1")
        _require(self.lasts_s is None or self.lasts_s >= 0, "lasts_s", self.lasts_s, "market seconds from 0")
        for name in ("at", "until"):
            moment = getattr(self, name)
            _require(moment is None or moment.tzinfo is not None, name, moment, "a time with its zone")

    @property
    def most(self) -> float:
        """Return how often it may begin."""
        if self.times is not None:
            return self.times
        return 1 if self.nth is not None or (self.at is not None and self.until is None) else float("inf")

    def is_due(self, now_ms: int, n_seen: int) -> bool:
        """Return whether its time has come, chance aside, at the ``n_seen``-th call that it looks at."""
        early = self.at is not None and now_ms < self.at.timestamp() * 1000
        late = self.until is not None and now_ms >= self.until.timestamp() * 1000
        return not early and not late and self.nth in (None, n_seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """All that is to go wrong.

    Parameters
    ----------
    seed : int
        Decides what is left to chance; the same calls then meet the same faults.
    rules : tuple of Rule
    rate : float, default=0
        How likely a call meets a fault of the mix.
    mix : mapping of str to float
        Ids and how heavy each weighs among those that touch the call.

    Raises
    ------
    FaultPlanError
        If an id, a call, a parameter or a number is none that exists.
    """

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    rate: float = 0.0
    mix: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(0 <= self.rate <= 1, "rate", self.rate, "from 0 to 1")
        for rule in self.rules:
            _require_known(rule)
        for name, weight in self.mix.items():
            _require_known(Rule(fault=name))
            _require(weight > 0, f"the weight of {name}", weight, "above 0")

    @classmethod
    def from_json(cls, text: str) -> FaultPlan:
        """Return the plan of an object ``{"seed", "rules", "rate", "mix"}``, or of a bare list of rules."""
        try:
            read = json.loads(text)
        except ValueError as error:
            raise FaultPlanError(f"the plan is not JSON: {error}") from None
        values = {"rules": read} if isinstance(read, list) else read
        return cls(**(_checked(cls, values) | {"rules": tuple(_rule(one) for one in values.get("rules", ()))}))

    def to_json(self) -> str:
        """Return what :meth:`from_json` reads."""
        rules = [_as_json(rule) for rule in self.rules]
        return json.dumps({"seed": self.seed, "rules": rules, "rate": self.rate, "mix": dict(self.mix)})


def _rule(value: Any) -> Rule:
    """Return one rule of a JSON plan; a bare string is that fault at every call."""
    given = {"fault": value} if isinstance(value, str) else dict(value)
    if "with" in given:
        given["parameters"] = given.pop("with")
    given |= {name: _moment(given[name]) for name in ("at", "until") if given.get(name)}
    return Rule(**_checked(Rule, given))


def _checked(kind: type, values: Any) -> dict[str, Any]:
    known = [one.name for one in fields(kind)]
    if not isinstance(values, dict) or set(values) - set(known):
        raise FaultPlanError(f"a {kind.__name__} is an object of {', '.join(known)}; was {values!r:.80}")
    return values


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _as_json(rule: Rule) -> dict[str, Any]:
    values = {one.name: getattr(rule, one.name) for one in fields(rule)}
    values["with"] = dict(values.pop("parameters"))
    values |= {name: values[name].isoformat() for name in ("at", "until") if values[name]}
    return {name: value for name, value in values.items() if value not in (None, {})}


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise FaultPlanError(f"{name} must be {allowed}, was {value}")


def _require_known(rule: Rule) -> None:
    from simulator.faults.registry import FAULTS  # the families build on plans' neighbours

    fault = FAULTS.get(rule.fault)
    if fault is None:
        raise FaultPlanError(f"no fault {rule.fault!r} can be played; known: {', '.join(FAULTS)}")
    if rule.call not in (None, *fault.calls):
        raise FaultPlanError(f"{fault.id} does not touch {rule.call!r}; it touches {', '.join(fault.calls)}")
    unknown = set(rule.parameters) - set(fault.parameters)
    if unknown:
        raise FaultPlanError(f"{fault.id} has no {', '.join(sorted(unknown))}; it has {', '.join(fault.parameters)}")
