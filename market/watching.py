"""Symbols that are not traded in the portfolio, and whose outside readings are wanted all the same.

Another app says at its start (``AppConfig.ready``) where its list is, by dotted path: imports point down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.db.models import Q
from django.utils.module_loading import import_string

from market.models import Symbol

WATCHERS: dict[str, str] = {}  # by app: ``function() -> names``, here or at Binance


def register(app: str, names: str) -> None:
    """Let an app's symbols be looked after; ``names`` is the dotted path of the function that lists them."""
    WATCHERS[app] = names


def watched_symbols() -> list[Symbol]:
    """Return the registered ones of all apps' symbols; a name that nobody registered has no readings."""
    names: set[str] = set()
    for path in WATCHERS.values():
        listed: Callable[[], Sequence[str]] = import_string(path)
        names.update(listed())
    return list(Symbol.objects.filter(Q(name__in=names) | Q(binance_symbol__in=names))) if names else []
