"""What goes into a MetaTrader 5 request: filling types, comments and magic numbers."""

from __future__ import annotations

import pytest

from execution.brokers.magic import MAX_COUNTER, Family, decode_magic, encode_magic, is_ours
from execution.brokers.mt5_requests import Mt5Symbol, clean_comment, filling_type
from execution.errors import ConfigError
from tests.execution_builders import make_spec


def by_reference(bits: int, execution: int) -> int | None:
    """The table of MetaQuotes: request and instant FOK; market IOC, else FOK; exchange IOC, FOK, else RETURN."""
    if execution in (0, 1):
        return 0
    if execution not in (2, 3):
        return None
    return 1 if bits & 2 else 0 if bits & 1 else 2 if execution == 3 else None


@pytest.mark.parametrize("execution", range(5))
def test_the_filling_type_follows_bits_and_execution(execution):
    for bits in range(8):
        symbol, expected = Mt5Symbol(make_spec(), bits, execution), by_reference(bits, execution)
        if expected is None:
            with pytest.raises(ConfigError, match="cannot be traded"):
                filling_type(symbol)
        else:
            assert filling_type(symbol) == expected


@pytest.mark.parametrize("text", ["", "x" * 40, "[sl] ü 12:00", "a\nb", "日本"])
def test_a_comment_is_what_a_terminal_takes(text):
    comment = clean_comment(text)
    assert len(comment) <= 26
    assert comment.isascii()
    assert all(sign.isalnum() or sign in "_-" for sign in comment)


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("counter", [1, 2, 123_456_789, MAX_COUNTER])
def test_a_magic_says_whose_it_is_and_survives_a_float(family, counter):
    magic = encode_magic(family, counter)
    decoded = decode_magic(int(float(magic)))
    assert decoded is not None
    assert (decoded.family, decoded.counter) == (family, counter)
    assert 2**52 <= magic < 2**53
    assert is_ours(magic)


def test_no_two_intents_share_a_magic():
    magics = {encode_magic(family, counter) for family in Family for counter in range(1, 500)}
    assert len(magics) == 2 * 499


@pytest.mark.parametrize("magic", [0, 1, -1, 20240101, 2**52, 2**53, 2**63, 0xB7C << 41, 0xB7E << 41])
def test_other_peoples_numbers_are_not_ours(magic):
    assert not is_ours(magic)
    assert decode_magic(magic) is None


def test_our_prefix_with_a_family_that_nobody_knows_is_still_ours():
    magic = (0xB7D << 5 | 31) << 36 | 5
    assert is_ours(magic)
    assert decode_magic(magic) is None


@pytest.mark.parametrize(("family", "counter"), [("hedge", 1), ("rebalance", 0), ("setup", 2**36)])
def test_a_magic_that_could_not_be_read_back_is_not_made(family, counter):
    with pytest.raises(ValueError, match=r"family|counter"):
        encode_magic(family, counter)
