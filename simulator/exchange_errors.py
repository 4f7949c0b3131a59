"""Binance's refusals: a code and a message, in the words of its own replies."""

from __future__ import annotations

from simulator.errors import SimulatorError


class BinanceError(SimulatorError):
    """A request is refused with Binance's code and message."""

    def __init__(self, code: int, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    @property
    def body(self) -> dict[str, object]:
        """Return the JSON that Binance sends."""
        return {"code": self.code, "msg": str(self)}


def too_much_weight(limit: int) -> BinanceError:
    """Return the refusal of a client that spends too much."""
    words = f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
    return BinanceError(
        -1003, words + "Please use WebSocket Streams for live updates to avoid polling the API.", status=429
    )


def banned(until_ms: int) -> BinanceError:
    """Return the refusal of a client that did not stop."""
    words = f"Way too much request weight used; IP banned until {until_ms}. "
    return BinanceError(-1003, words + "Please use WebSocket Streams for live updates to avoid bans.", status=418)


def illegal_characters(name: str, legal: str) -> BinanceError:
    """Return the refusal of a value in the wrong alphabet."""
    return BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def missing(name: str) -> BinanceError:
    """Return the refusal of a request that lacks a parameter."""
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def invalid_interval() -> BinanceError:
    """Return the refusal of a kline interval that does not exist."""
    return BinanceError(-1120, "Invalid interval.")


def invalid_symbol() -> BinanceError:
    """Return the refusal of a symbol that does not exist."""
    return BinanceError(-1121, "Invalid symbol.")


def invalid_value(name: str) -> BinanceError:
    """Return the refusal of a value that is out of its range."""
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")
