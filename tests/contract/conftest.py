"""Every broker that there is, at its simulated venue, on every kind of account that it can hold."""

from __future__ import annotations

import pytest

from execution.brokers import BROKERS
from tests.broker_conformance import kinds_of, open_harness

CASES = [pytest.param((name, kind), id=f"{name}-{kind}") for name in BROKERS for kind in kinds_of(name)]


@pytest.fixture(params=CASES)
def desk(request, tmp_path):
    name, kind = request.param
    with open_harness(name, kind, tmp_path) as opened:
        yield opened
