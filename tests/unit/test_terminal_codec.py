"""What crosses the wire comes back as the module returned it."""

from __future__ import annotations

import json
import math
import time
from collections import namedtuple
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from market.terminal.codec import decode, decode_argument, dumps, encode, encode_argument

Request = namedtuple("Request", "action symbol")
Result = namedtuple("Result", "retcode request")
TICKS = np.dtype([("time", "<i8"), ("bid", "<f8"), ("volume", "<u8"), ("flags", "<u4")])


def crossed(value):
    document, blob = encode(value)
    return decode(json.loads(dumps(document)), blob)


def test_structs_have_attributes_and_a_shallow_dict() -> None:
    result = crossed(Result(10009, Request(1, "BTCUSD")))
    assert result.retcode == 10009
    assert result.request.symbol == "BTCUSD"
    assert result._asdict() == {"retcode": 10009, "request": Request(1, "BTCUSD")}
    assert hasattr(result._asdict()["request"], "_asdict")


def test_a_struct_sequence_without_field_names_is_a_struct() -> None:
    """The vendor's structs are tuples whose only list of names is _asdict()."""

    class Tick(tuple[float, ...]):
        __slots__ = ()

        def _asdict(self):
            return dict(zip(("bid", "ask"), self, strict=True))

    tick = crossed(Tick((1.5, 2.5)))
    assert (tick.bid, tick.ask, tuple(tick), type(tick).__name__) == (1.5, 2.5, (1.5, 2.5), "Tick")


def test_a_thousand_structs_write_their_fields_once() -> None:
    document, _ = encode(tuple(Request(i, "BTCUSD") for i in range(1000)))
    assert dumps(document).count(b'"symbol"') == 1
    assert len(crossed(tuple(Request(i, "BTCUSD") for i in range(1000)))) == 1000


def test_structured_arrays_come_back_equal_and_writable() -> None:
    ticks = np.zeros(5, dtype=TICKS)
    ticks["bid"] = [1.0, math.nan, math.inf, -math.inf, -0.0]
    ticks["volume"] = 2**64 - 1
    back = crossed(ticks)
    assert back.dtype == TICKS
    assert back.tobytes() == ticks.tobytes()  # NaN, the sign of zero and all
    back["bid"][0] = 3.0
    assert ticks["bid"][0] == 1.0


@pytest.mark.parametrize(
    "array",
    [
        np.empty(0, dtype=TICKS),
        np.arange(24.0).reshape(2, 3, 4)[:, ::2],
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(5.0),
        np.array(["2024-01-01"], dtype="datetime64[ns]"),
        np.zeros(2, dtype=[("name", "S8"), ("levels", "<f8", (2, 2)), ("inner", [("a", "<i2"), ("b", ">f4")])]),
    ],
)
def test_arrays_of_any_layout_come_back_equal(array) -> None:
    back = crossed(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)


def test_several_arrays_in_one_value_keep_apart() -> None:
    first, second = crossed((np.arange(3), np.arange(4.0)))
    np.testing.assert_array_equal(first, [0, 1, 2])
    np.testing.assert_array_equal(second, [0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("given", "expected"),
    [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True), (np.str_("a"), "a"), (np.uint64(2**63), 2**63)],
)
def test_numpy_scalars_become_python_scalars(given, expected) -> None:
    back = crossed(given)
    assert back == expected
    assert type(back) is type(expected)


@pytest.mark.parametrize("given", [None, True, 2**80, -0.0, "\ud800 ё", [], {}, (), ([1, (2,)],), {"@": 1, 3: (4,)}])
def test_plain_values_come_back_with_their_types(given) -> None:
    assert repr(crossed(given)) == repr(given)


def test_nan_and_infinity_survive_outside_of_arrays() -> None:
    back = crossed({"a": math.nan, "b": [math.inf, -math.inf]})
    assert math.isnan(back["a"])
    assert back["b"] == [math.inf, -math.inf]


def test_datetimes_keep_their_moment() -> None:
    moment = datetime(2024, 3, 10, 7, 0, 0, 123456, tzinfo=timezone(timedelta(hours=3)))
    back = decode_argument(json.loads(json.dumps(encode_argument(moment))))
    assert back == moment
    assert back.tzinfo is UTC


def test_naive_datetimes_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a time zone, was 2024-01-01T00:00:00"):
        encode_argument(datetime(2024, 1, 1))  # noqa: DTZ001 (that is the point)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, b"bytes", 1j, np.array([object()]), np.datetime64("2024-01-01"), np.longdouble(1)]
)
def test_what_no_function_returns_is_refused(value) -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        encode(value)


@pytest.mark.parametrize("value", [np.arange(3), Request(1, "BTCUSD"), [np.arange(3)]])
def test_arguments_hold_neither_arrays_nor_structs(value) -> None:
    with pytest.raises(TypeError, match="an argument is"):
        encode_argument(value)


def test_time_structs_of_the_standard_library_are_no_structs() -> None:
    assert crossed(time.gmtime(0)) == tuple(time.gmtime(0))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="no value of the kind 'moon'; known: array"):
        decode_argument({"@": "moon"})
