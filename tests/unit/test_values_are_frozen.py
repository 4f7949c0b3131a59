"""What passes between the parts that decide about money cannot be changed on the way."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import is_dataclass
from types import ModuleType

import pytest

from execution import planning
from execution.safety import binance_outcomes, outcomes, risk


def modules_of(package: ModuleType) -> list[ModuleType]:
    return [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]


MODULES = [outcomes, binance_outcomes, *modules_of(planning), *modules_of(risk)]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_value_is_frozen(module):
    values = [value for value in vars(module).values() if isinstance(value, type) and is_dataclass(value)]
    assert [value.__name__ for value in values if not value.__dataclass_params__.frozen] == []
