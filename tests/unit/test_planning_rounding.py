from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from execution.planning.rounding import (
    decimal_from_float,
    is_on_step,
    money_from_float_half_even,
    round_down_to_step,
    round_half_even,
    split_by_max,
    volume_from_float_half_even,
)
from tests.execution_builders import D


def test_a_float_becomes_the_decimal_that_a_person_would_write():
    assert decimal_from_float(0.1) == D("0.1")
    assert decimal_from_float(76_347.0) == D("76347")


def test_numpy_scalars_are_read_as_numbers_and_not_by_their_repr():
    assert decimal_from_float(np.float64(0.1)) == D("0.1")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_never_becomes_money(value):
    with pytest.raises(ValueError, match="must be finite"):
        decimal_from_float(value)


@pytest.mark.parametrize(
    ("value", "expected"), [("0.005", "0.00"), ("0.015", "0.02"), ("0.025", "0.02"), ("-0.015", "-0.02")]
)
def test_halves_go_to_the_even_neighbour(value, expected):
    assert round_half_even(D(value), 2) == D(expected)


@pytest.mark.parametrize(
    ("volume", "step", "expected"),
    [
        ("0.3", "0.1", "0.3"),
        ("0.29999", "0.1", "0.2"),
        ("-0.29999", "0.1", "-0.2"),
        ("0.09", "0.03", "0.09"),
        ("5", "2", "4"),
    ],
)
def test_rounding_to_a_step_goes_towards_zero(volume, step, expected):
    assert round_down_to_step(D(volume), D(step)) == D(expected)


@pytest.mark.parametrize("step", ["0", "-0.1", "NaN", "Infinity"])
def test_a_step_that_is_none_is_refused(step):
    with pytest.raises(ValueError, match="volume step"):
        round_down_to_step(D("1"), D(step))


@pytest.mark.parametrize("volume", ["NaN", "Infinity", "0.015"])
def test_such_a_volume_is_not_on_the_grid(volume):
    assert not is_on_step(D(volume), D("0.01"))


def test_float_noise_of_a_venue_disappears():
    assert volume_from_float_half_even(0.1 + 0.2) == D("0.3")
    assert str(volume_from_float_half_even(100.0)) == "100"
    assert money_from_float_half_even(2.675) == D("2.68")  # the written number, not its binary neighbour below


def test_a_split_sends_as_few_orders_as_possible():
    assert split_by_max(D("7"), D("3"), D("1")) == (D("3"), D("3"), D("1"))
    assert split_by_max(D("6"), D("3"), D("1")) == (D("3"), D("3"))


def test_a_split_leaves_no_piece_that_is_too_small_to_send():
    assert split_by_max(D("2.05"), D("1"), D("0.01"), volume_min=D("0.1")) == (D("1"), D("0.95"), D("0.1"))


def test_the_largest_piece_is_on_the_grid_even_if_the_largest_volume_is_not():
    assert split_by_max(D("0.5"), D("0.25"), D("0.1")) == (D("0.2"), D("0.2"), D("0.1"))


@pytest.mark.parametrize(("volume", "most"), [("0", "1"), ("-1", "1"), ("NaN", "1"), ("0.15", "1"), ("1", "0.05")])
def test_a_split_of_nonsense_is_refused(volume, most):
    with pytest.raises((ValueError, ArithmeticError)):
        split_by_max(D(volume), Decimal(most), D("0.1"))
