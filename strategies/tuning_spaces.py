"""The sets of parameters that a search tries, as a person writes them in JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from strategies.errors import ParameterError

FROM, TO = "from", "to"
HOW = 'a list of values or {"from": …, "to": …}'


def parse_space(text: str) -> dict[str, Any]:
    """Return a space that was written as JSON: an object of parameter name to what is tried.

    Raises
    ------
    ParameterError
        For anything else.

    >>> parse_space('{"alpha": [0.25, 0.5], "vol_window": 720}')
    {'alpha': [0.25, 0.5], 'vol_window': [720]}
    """
    try:
        space = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParameterError(f'a space must be JSON like {{"alpha": [0.25, 0.5]}}: {error}') from error
    if not isinstance(space, dict) or not space:
        raise ParameterError(f'a space must be an object like {{"alpha": [0.25, 0.5]}}, was {text}')
    return {name: _tried(name, values) for name, values in space.items()}


def _tried(name: str, values: Any) -> Any:
    """Return what is tried for one parameter: a list, of one for a single value, or the ends of a range."""
    if isinstance(values, list):
        if not values:
            raise ParameterError(f"{name} needs at least one value, had none")
        return values
    if isinstance(values, dict):
        low, high = values.get(FROM), values.get(TO)
        is_range = isinstance(low, int | float) and isinstance(high, int | float) and low < high
        if not is_range or set(values) != {FROM, TO}:
            raise ParameterError(f"{name} must be {HOW} with from below to, was {json.dumps(values)}")
        return values
    return [values]


def has_range(space: Mapping[str, Any]) -> bool:
    """Return whether some parameter is drawn from a range, which a grid cannot try out."""
    return any(isinstance(values, Mapping) for values in space.values())


def n_combinations(space: Mapping[str, Any]) -> int:
    """Return how many sets a space of lists has."""
    return math.prod(len(values) for values in space.values())


def candidates(space: Mapping[str, Any], *, n_draws: int | None, seed: int) -> list[dict[str, Any]]:
    """Return the sets to try: every combination, or so many drawn at random, the same ones for the same seed."""
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    drawn = (
        ParameterGrid(space) if n_draws is None else ParameterSampler(_distributions(space), n_draws, random_state=seed)
    )
    return [{name: _plain(value) for name, value in one.items()} for one in drawn]


def _distributions(space: Mapping[str, Any]) -> dict[str, Any]:
    """Return a space as scikit-learn draws from it: ranges of whole numbers give those, ends included, others any."""
    from scipy.stats import randint, uniform

    drawn: dict[str, Any] = {}
    for name, values in space.items():
        if not isinstance(values, Mapping):
            drawn[name] = values
            continue
        low, high = values[FROM], values[TO]
        is_whole = isinstance(low, int) and isinstance(high, int)
        drawn[name] = randint(low, high + 1) if is_whole else uniform(low, high - low)
    return drawn


def _plain(value: Any) -> Any:
    """Return Python's own number for one of NumPy's."""
    return value.item() if hasattr(value, "item") else value
