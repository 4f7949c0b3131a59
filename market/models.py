"""What happened in the market, as rows.

Open times of bars are epoch milliseconds, not datetimes: tens of thousands of rows are read and joined every hour,
an integer key needs no parsing on SQLite, and both venues speak epochs. ``open_at`` is the same moment for people.
Prices are floats: they feed numerics, not accounts. Bars carry the venue's own symbol name, so that they outlive a
change of the register of symbols.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from simple_history.models import HistoricalRecords

from market.intervals import INTERVAL_MS
from market.triggers import DropsBlocks
from ops import clock

BLOCK_BARS = 1024  # at most; what a new bar makes a reader read again
BLOCK_MS = {name: BLOCK_BARS * length for name, length in INTERVAL_MS.items()}


def interval_choices() -> list[tuple[str, str]]:
    """Return the intervals that bars may have."""
    return [(name, name) for name in INTERVAL_MS]


def from_ms(epoch_ms: int) -> datetime:
    """Return the moment in UTC."""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC)


class SymbolQuerySet(models.QuerySet["Symbol"]):
    """Names for the questions asked about symbols."""

    def traded(self) -> SymbolQuerySet:
        return self.filter(is_traded=True)


class Symbol(models.Model):
    """Something the desk trades or watches: its name at the broker, and where its volume comes from."""

    name = models.CharField(max_length=32, unique=True, help_text="the name at the broker, like BTCUSD")
    binance_symbol = models.CharField(
        max_length=32, blank=True, help_text="whose klines bring volume, like BTCUSDT; empty for none"
    )
    is_traded = models.BooleanField(default=True, help_text="updated every hour and part of the hourly session")
    ordering = models.PositiveSmallIntegerField(default=0, help_text="place in lists, smallest first")

    history = HistoricalRecords()
    objects = SymbolQuerySet.as_manager()

    class Meta:
        ordering = ["ordering", "name"]

    def __str__(self) -> str:
        return self.name


class SeriesBlock(models.Model):
    """Some of a series' bars in columns, made from the rows and deleted by the database when one of them changes.

    A row of this table says what all bars of its time are. One that is missing says nothing, so the table may be
    emptied at any time (``market.blocks``). It stands before the bars, and so it does in a ``dumpdata``: loading them
    afterwards deletes what blocks of them were loaded.
    """

    kind = models.CharField(max_length=6, help_text="rates or klines")
    symbol = models.CharField(max_length=32)
    interval = models.CharField(max_length=3)
    number = models.BigIntegerField(help_text="its time since 1970, in blocks of its interval")
    n_bars = models.PositiveIntegerField()
    checksum = models.BigIntegerField(help_text="of the data: equal ones hold equal bars")
    data = models.BinaryField(help_text="open times, then each column")  # last: the others are read without it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "symbol", "interval", "number"], name="seriesblock_once")
        ]

    def __str__(self) -> str:
        return f"{self.n_bars} {self.kind} of {self.symbol} {self.interval} in block {self.number}"


class PriceBar(models.Model):
    """What rates and klines have in common: one symbol's closed bar."""

    symbol = models.CharField(max_length=32)
    interval = models.CharField(max_length=3, choices=interval_choices)
    open_ms = models.BigIntegerField(help_text="UTC, ms since 1970")
    open = models.FloatField()
    high = models.FloatField()
    low = models.FloatField()
    close = models.FloatField()

    class Meta:
        abstract = True
        ordering = ["symbol", "interval", "open_ms"]
        constraints = [
            models.UniqueConstraint(fields=["symbol", "interval", "open_ms"], name="%(class)s_once"),
            models.CheckConstraint(condition=Q(low__gt=0), name="%(class)s_prices_above_0"),
            models.CheckConstraint(
                condition=Q(high__gte=F("open")) & Q(high__gte=F("close")), name="%(class)s_high_is_highest"
            ),
            models.CheckConstraint(
                condition=Q(low__lte=F("open")) & Q(low__lte=F("close")), name="%(class)s_low_is_lowest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.open_at:%Y-%m-%d %H:%M}"

    @property
    def open_at(self) -> datetime:
        return from_ms(self.open_ms)


class Bar(PriceBar):
    """A closed bar of the broker's prices, from MetaTrader 5."""

    tick_volume = models.BigIntegerField(help_text="price changes, not quantity")
    spread = models.IntegerField(null=True, help_text="points")
    real_volume = models.BigIntegerField(null=True)

    class Meta(PriceBar.Meta):
        constraints = [
            *PriceBar.Meta.constraints,
            models.CheckConstraint(condition=Q(tick_volume__gte=0), name="%(class)s_volume_not_negative"),
            DropsBlocks(kind="rates", block_ms=BLOCK_MS, name="%(class)s_drops_blocks"),
        ]


class Kline(PriceBar):
    """A closed bar of an exchange's trades, from Binance; what a source did not bring is null."""

    volume = models.FloatField(help_text="base asset")
    close_ms = models.BigIntegerField(null=True, help_text="early when the exchange stopped inside the bar")
    quote_volume = models.FloatField(null=True)
    n_trades = models.BigIntegerField(null=True)
    taker_buy_base_volume = models.FloatField(null=True)
    taker_buy_quote_volume = models.FloatField(null=True)

    class Meta(PriceBar.Meta):
        constraints = [
            *PriceBar.Meta.constraints,
            models.CheckConstraint(condition=Q(volume__gte=0), name="%(class)s_volume_not_negative"),
            DropsBlocks(kind="klines", block_ms=BLOCK_MS, name="%(class)s_drops_blocks"),
        ]


class RecentTrade(models.Model):
    """One trade at the exchange."""

    symbol = models.CharField(max_length=32)
    trade_id = models.BigIntegerField()
    traded_ms = models.BigIntegerField(help_text="UTC, ms since 1970")
    price = models.FloatField()
    quantity = models.FloatField(help_text="base asset")
    quote_quantity = models.FloatField()
    is_buyer_maker = models.BooleanField(help_text="the seller took: the price was hit from above")

    class Meta:
        ordering = ["symbol", "-trade_id"]
        constraints = [
            models.UniqueConstraint(fields=["symbol", "trade_id"], name="recenttrade_once"),
            models.CheckConstraint(condition=Q(price__gt=0) & Q(quantity__gt=0), name="recenttrade_above_0"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} trade {self.trade_id}"

    @property
    def traded_at(self) -> datetime:
        return from_ms(self.traded_ms)


class OutsideReading(models.Model):
    """What outside readings have in common: the moment they are of. The first one of a moment stands."""

    VALUE: ClassVar[Combinable]  # the number that models see

    symbol = models.CharField(max_length=32, blank=True, help_text="at the exchange; empty for the whole market")
    at_ms = models.BigIntegerField(help_text="the source's stamp, UTC, ms since 1970")
    received_ms = models.BigIntegerField(
        null=True, help_text="market time when it came, ms; null: history, there before anybody watched"
    )

    class Meta:
        abstract = True
        ordering = ["symbol", "-at_ms"]
        constraints = [models.UniqueConstraint(fields=["symbol", "at_ms"], name="%(class)s_once")]

    def __str__(self) -> str:
        return f"{self.symbol or 'market'} {self.at:%Y-%m-%d %H:%M}"

    @property
    def at(self) -> datetime:
        return from_ms(self.at_ms)

    @property
    def received_at(self) -> datetime | None:
        return None if self.received_ms is None else from_ms(self.received_ms)


class FundingRate(OutsideReading):
    """What longs of a perpetual future paid to shorts at a settlement."""

    VALUE = F("rate")

    rate = models.FloatField(help_text="fraction of the position's worth; below 0 shorts paid")
    mark_price = models.FloatField(null=True)

    class Meta(OutsideReading.Meta):
        constraints = [
            *OutsideReading.Meta.constraints,
            models.CheckConstraint(condition=Q(rate__gt=-1) & Q(rate__lt=1), name="%(class)s_is_fraction"),
            models.CheckConstraint(condition=Q(mark_price__gt=0), name="%(class)s_price_above_0"),
        ]


class BookSnapshot(OutsideReading):
    """The best levels of an order book at a moment; its value is how much more is bid than asked."""

    VALUE = (F("bid_quantity") - F("ask_quantity")) / (F("bid_quantity") + F("ask_quantity"))

    bid = models.FloatField()
    ask = models.FloatField()
    bid_quantity = models.FloatField(help_text="base asset, of all levels")
    ask_quantity = models.FloatField()
    n_levels = models.PositiveSmallIntegerField(help_text="a side, at most")

    class Meta(OutsideReading.Meta):
        constraints = [
            *OutsideReading.Meta.constraints,
            models.CheckConstraint(condition=Q(bid__gt=0) & Q(ask__gt=F("bid")), name="%(class)s_bid_below_ask"),
            models.CheckConstraint(condition=Q(bid_quantity__gt=0) & Q(ask_quantity__gt=0), name="%(class)s_has_sides"),
        ]

    @property
    def imbalance(self) -> float:
        """Return -1 (all of it is asked) to 1 (all of it is bid)."""
        return (self.bid_quantity - self.ask_quantity) / (self.bid_quantity + self.ask_quantity)


class Sentiment(OutsideReading):
    """A day of the fear & greed index."""

    VALUE = F("value")

    value = models.PositiveSmallIntegerField(help_text="0 is fear, 100 is greed")
    label = models.CharField(max_length=32)

    class Meta(OutsideReading.Meta):
        constraints = [
            *OutsideReading.Meta.constraints,
            models.CheckConstraint(condition=Q(value__lte=100), name="%(class)s_at_most_100"),
        ]


class KlineHole(models.Model):
    """Klines that the exchange was asked for and did not have, so that nobody asks again soon."""

    symbol = models.CharField(max_length=32)
    interval = models.CharField(max_length=3, choices=interval_choices)
    first_ms = models.BigIntegerField(help_text="open time of the first that is not there")
    last_ms = models.BigIntegerField()
    asked_at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["symbol", "interval", "first_ms"]
        constraints = [
            models.UniqueConstraint(fields=["symbol", "interval", "first_ms", "last_ms"], name="klinehole_once"),
            models.CheckConstraint(condition=Q(last_ms__gte=F("first_ms")), name="klinehole_ends_after_start"),
        ]

    def __str__(self) -> str:
        return f"no {self.symbol} {self.interval} from {from_ms(self.first_ms):%Y-%m-%d %H:%M}"


class QuarantinedRow(models.Model):
    """A row that was not stored as a bar, and why; kept so that a person can judge it."""

    source = models.CharField(max_length=120, help_text="a feed's name, or the file")
    symbol = models.CharField(max_length=32)
    interval = models.CharField(max_length=3, blank=True)
    open_ms = models.BigIntegerField(null=True)
    open_text = models.CharField(max_length=64, blank=True, help_text="where the time could not be read")
    reason = models.CharField(max_length=120)
    row = models.JSONField()
    digest = models.CharField(max_length=64, help_text="of the row, so that the same one is kept once")
    at = models.DateTimeField(default=clock.wall_now)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "symbol", "interval", "reason", "digest"], name="quarantinedrow_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.open_ms or self.open_text}: {self.reason}"
