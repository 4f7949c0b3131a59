"""Packages that a user would pick instead, and that nobody needs to have: ``requirements-bench.txt`` names them."""

from __future__ import annotations

import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

REQUIREMENTS = "requirements-bench.txt"


def find_peer(package: str) -> Any:
    """Return an installed package, or None; what it warns of while it is imported is its own affair."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: ModuleType = import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:  # it is there, and lacks something
            raise
        return None
    return found
