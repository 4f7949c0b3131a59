"""The pages of the site, in order of importance: the rail and the phone's bar list those that exist."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page as the frame lists it.

    ``stand_in`` is the id of the Overview's panel that shows the most important part of a page that does not exist
    yet: the phone's bar leads there instead.
    """

    name: str
    label: str
    icon: str
    exists: bool
    key: str = ""  # of the shortcut "g key"
    tab: str = ""  # its label in the phone's bar, empty when it is under More
    stand_in: str = ""

    @property
    def url_name(self) -> str:
        """Return the name of its address in ``urls.py``."""
        return self.name


PAGES: tuple[Page, ...] = (
    Page(name="overview", label="Overview", icon="overview", exists=True, key="o", tab="Overview"),
    Page(name="risk", label="Risk", icon="risk", exists=False, key="r", tab="Risk", stand_in="account"),
    Page(name="orders", label="Orders", icon="orders", exists=False, key="p", tab="Positions", stand_in="positions"),
    Page(name="portfolio", label="Signals", icon="signals", exists=True, key="s", tab="Signals"),
    Page(name="bot", label="Setup bot", icon="filter", exists=True, key="b", tab="Bot"),
    Page(name="alerts", label="Alerts", icon="alerts", exists=True, key="a"),
    Page(name="jobs", label="Jobs", icon="jobs", exists=False, key="j"),
    Page(name="models", label="Models", icon="models", exists=False, key="m"),
    Page(name="backtests", label="Backtests", icon="backtests", exists=False),
    Page(name="audit", label="Audit", icon="audit", exists=False),
    Page(name="settings", label="Settings", icon="settings", exists=False),
)

TAB_ORDER = ("overview", "orders", "portfolio", "bot", "risk")


def existing_pages() -> tuple[Page, ...]:
    """Return the pages that can be opened."""
    return tuple(page for page in PAGES if page.exists)
