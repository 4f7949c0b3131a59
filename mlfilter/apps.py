from __future__ import annotations

from django.apps import AppConfig


class MlfilterConfig(AppConfig):
    name = "mlfilter"
    verbose_name = "ML filter"

    def ready(self) -> None:
        """Let the registry of fitted models keep filters, too, and the market look after the bot's symbols."""
        from market.watching import register as watch
        from strategies.families import Family, register

        register(
            "setup_filter",
            Family(
                sources="mlfilter.filters.sources",
                judge="mlfilter.gates.judge",
                remedy="manage.py setup_train --symbol {symbol}",
            ),
        )
        watch("mlfilter", "mlfilter.outside.watched_names")
