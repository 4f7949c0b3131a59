"""The account as the broker last showed it, its fills, and its equity over time."""

from __future__ import annotations

from django.db import models

from ops import clock


class Account(models.Model):
    """A broker account that was seen at least once."""

    login = models.BigIntegerField()
    server = models.CharField(max_length=120)
    broker = models.CharField(max_length=32, default="mt5", help_text="the venue's key: mt5, binance_spot, …")
    mode = models.CharField(max_length=5, help_text="demo, paper or live when it was first seen")
    currency = models.CharField(max_length=8)
    margin_mode = models.CharField(max_length=8)
    first_seen_at = models.DateTimeField(default=clock.wall_now)
    initial_balance = models.DecimalField(
        max_digits=18, decimal_places=2, help_text="what the loss limits are measured from"
    )
    initial_at = models.DateTimeField(
        null=True, help_text="market time of that balance: what was paid in before it is in it"
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["login", "server"], name="one_row_per_account")]

    def __str__(self) -> str:
        return f"…{str(self.login)[-4:]} {self.server}"


class BrokerState(models.Model):
    """The newest read of an account: pages show it with its age, nobody trades on it."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, related_name="broker_state")
    read_at = models.DateTimeField(default=clock.wall_now)
    market_at = models.DateTimeField(null=True)
    balance = models.DecimalField(max_digits=18, decimal_places=2)
    equity = models.DecimalField(max_digits=18, decimal_places=2)
    margin = models.DecimalField(max_digits=18, decimal_places=2)
    positions = models.JSONField(default=list)
    orders = models.JSONField(default=list)
    quotes = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.account} {self.equity} at {self.read_at:%H:%M:%S}"


class EquityPoint(models.Model):
    """Balance and equity, at most once a market minute."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE)
    at = models.DateTimeField(help_text="market time, to the minute")
    balance = models.DecimalField(max_digits=18, decimal_places=2)
    equity = models.DecimalField(max_digits=18, decimal_places=2)

    class Meta:
        ordering = ["at"]
        constraints = [models.UniqueConstraint(fields=["account", "at"], name="one_equity_point_a_minute")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.equity}"


class FillRecord(models.Model):
    """One deal of the venue, ours or not; what moves cash, or is charged, is a deal without a symbol."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="fills")
    deal_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    position_id = models.BigIntegerField()
    symbol = models.CharField(max_length=32, blank=True)
    side = models.CharField(max_length=4)
    entry = models.CharField(max_length=6)
    volume = models.DecimalField(max_digits=18, decimal_places=8)
    price = models.DecimalField(max_digits=24, decimal_places=10)
    profit = models.DecimalField(max_digits=18, decimal_places=2)
    commission = models.DecimalField(max_digits=18, decimal_places=2)
    swap = models.DecimalField(max_digits=18, decimal_places=2)
    fee = models.DecimalField(max_digits=18, decimal_places=2)
    magic = models.BigIntegerField(default=0)
    at = models.DateTimeField(help_text="market time of the deal, UTC")
    intent = models.ForeignKey("execution.Intent", null=True, on_delete=models.PROTECT, related_name="fills")

    class Meta:
        ordering = ["deal_id"]
        constraints = [models.UniqueConstraint(fields=["account", "deal_id"], name="one_row_per_deal")]
        indexes = [models.Index(fields=["account", "-at"], name="fills_by_time")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.side} {self.volume} at {self.price}"
