"""What the docs list is what the code has: settings, limits, commands, registries, checks, alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands, load_command_class

from benchmarks import BENCHMARKS
from execution.brokers import BROKERS
from execution.models import Enrolment, FundedProgramme, QuietHoursRow, RebalanceSettings
from execution.safety.risk import LIMITS, RULES
from market.feeds import FEEDS
from market.models import Symbol
from mlfilter.models import BotSettings, BotSymbol
from ops.errors import ExitCode
from simulator.config import SimConfig
from simulator.replay_formats import TEXT_FORMATS
from strategies.estimators import STRATEGIES
from strategies.models import PlanRow, RegistrySettings
from tests.code_reader import APPS, alert_keys, defaults_in, environment_variables
from tests.docs_reader import DOCS, ROOT, blocks, codes, first_codes, section, subsections, table
from tradingsite.doctor import CHECKS
from tradingsite.supervisor import desk
from tradingsite.wiring import PANELS, SCHEDULES

SETTINGS = DOCS / "settings.md"
COMMANDS = subsections(DOCS / "commands.md")
# Variables that our processes set for each other, or that libraries read.
BETWEEN_PROCESSES = {"DESK_PROCESS", "PYTHONPATH", "TETHER_PARENT", "DJANGO_SETTINGS_MODULE", "Q_CLUSTER_NAME"}
CONVENTIONS = {"NO_COLOR"}
COMMON_OPTIONS = {
    *("help", "version", "verbosity", "settings", "pythonpath", "traceback", "no-color", "force-color", "skip-checks"),
    *("json", "no-input"),
}


def example() -> dict[str, str]:
    """Return what .env.example sets; a line that is commented out is empty."""
    lines = re.findall(r"^(# )?([A-Z][A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    return {name: "" if hidden else value for hidden, name, value in lines}


def test_every_setting_that_is_read_is_in_the_example_and_the_other_way_round():
    assert environment_variables() - BETWEEN_PROCESSES - CONVENTIONS == set(example())


def test_the_docs_have_every_setting_with_the_default_of_the_example():
    documented = {codes(row[0])[0]: (codes(row[1]) or [""])[0] for row in table(section(SETTINGS, "Environment"))}
    assert documented == example()


def test_the_example_changes_nothing():
    values = example()
    assert SimConfig.from_env(values) == SimConfig.from_env({"STATE_DIR": values["STATE_DIR"]})
    defaults = defaults_in(ROOT / "tradingsite" / "settings.py")
    assert len(defaults) > 15
    for name, default in defaults.items():
        assert str(default).lower() == values[name].lower(), name


def test_every_line_of_the_example_says_why():
    lines = (ROOT / ".env.example").read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"[A-Z][A-Z0-9_]+=", line):
            assert before.startswith("# ") or re.match(r"[A-Z][A-Z0-9_]+=", before), line


@pytest.mark.parametrize(
    ("heading", "model", "left_out"),
    [
        ("Rebalance settings", RebalanceSettings, set()),
        ("Registry settings", RegistrySettings, set()),
        ("Symbols", Symbol, set()),
        ("The plan", PlanRow, {"variant"}),
        ("Funded programmes", FundedProgramme, set()),
        ("Enrolments", Enrolment, set()),
        ("Quiet hours", QuietHoursRow, set()),
        ("Bot settings", BotSettings, set()),
        ("Bot symbols", BotSymbol, set()),
    ],
)
def test_rows_that_a_person_edits_are_listed_with_their_defaults(heading, model, left_out):
    fields = {f.name: f for f in model._meta.fields if f.name != "id" and f.name not in left_out}
    rows = table(section(SETTINGS, heading))
    assert [codes(row[0])[0] for row in rows] == list(fields)
    for row in rows:
        assert _as_value(row[1]) == _default_of(fields[codes(row[0])[0]])


def test_every_row_with_a_history_has_its_place():
    edited = {model.__name__ for model in apps.get_models() if hasattr(model, "history")}
    assert edited == {
        *("RebalanceSettings", "RegistrySettings", "PortfolioWeight", "Symbol", "LimitRow", "PlanRow"),
        *("FundedProgramme", "Enrolment", "QuietHoursRow", "BotSettings", "BotSymbol"),
    }


def _as_value(cell: str) -> str:
    return "" if cell in ("none", "empty") else codes(cell)[0]


def _default_of(field) -> str:
    if field.default is dict:
        return "{}"
    if not field.has_default():
        return ""
    default = field.get_default()
    return f"{default:f}" if isinstance(default, Decimal) else str(default).lower().removesuffix(".0")


def test_limits_are_listed_with_default_range_and_unit():
    rows = {codes(row[0])[0]: row[1:6] for row in table(section(SETTINGS, "Limits"))}
    expected = {
        name: [str(spec.default), str(spec.minimum), str(spec.ceiling), spec.unit, spec.description]
        for name, spec in LIMITS.items()
    }
    assert rows == expected


def test_every_command_of_ours_is_documented():
    ours = {name for name, app in get_commands().items() if app in APPS}
    assert set(COMMANDS) == ours


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_documented_with_its_examples_and_its_options(name):
    command = load_command_class(get_commands()[name], name)
    parser = command.create_parser("manage.py", name)
    usage = [line.removeprefix("usage:").strip() for line in parser.format_usage().splitlines()]
    shell = [line for line in re.search(r"```bash\n(.*?)```", COMMANDS[name], re.DOTALL)[1].splitlines() if line]
    assert shell == [line for line in usage if "manage.py" in line and "[options]" not in line]
    assert len(shell) == 2
    documented = set(re.findall(r"^- `(?:--)?([\w-]+)", COMMANDS[name], re.MULTILINE))
    assert documented == set(_options(parser)) - COMMON_OPTIONS


def _options(parser) -> Iterator[str]:
    for action in parser._actions:
        flag = next((flag for flag in action.option_strings if flag.startswith("--")), "")
        yield flag.removeprefix("--") or action.metavar or action.dest


def test_exit_codes_are_those_of_the_code():
    text = section(DOCS / "commands.md", "Commands").split("Exit codes:")[1]
    assert [int(row[0]) for row in table(text)] == [int(code) for code in ExitCode]


@pytest.mark.parametrize(
    ("heading", "registered"),
    [
        ("A strategy", STRATEGIES),
        ("A broker", BROKERS),
        ("A data source", FEEDS),
        ("A panel", PANELS),
        ("A schedule", SCHEDULES),
        ("A health check", CHECKS),
        ("A risk rule", RULES),
    ],
)
def test_what_is_registered_is_listed(heading, registered):
    listed = section(DOCS / "extending.md", heading).split("Registered:")[1]
    assert codes(listed.replace("\n", " ")) == list(registered)


def test_benchmarks_are_listed():
    listed = codes(section(DOCS / "extending.md", "A benchmark").split("Registered:")[1])
    plain = [name for name in BENCHMARKS if not name.startswith("fit_predict_")]
    assert listed == [*plain[:2], "fit_predict_KEY", *plain[2:]]
    assert {f"fit_predict_{key}" for key in STRATEGIES} < set(BENCHMARKS)
    measured = first_codes((DOCS / "benchmarks.md").read_text())
    assert measured == list(BENCHMARKS)


def test_the_doctors_groups_are_explained():
    assert first_codes(section(DOCS / "operations.md", "Is it well?")) == list(CHECKS)


def test_every_alert_is_explained():
    keys = first_codes(section(DOCS / "operations.md", "Alerts, and what to do"))
    assert {re.sub(r"[A-Z]+", "*", key) for key in keys} == alert_keys()


def test_processes_are_listed():
    listed = first_codes(section(DOCS / "architecture.md", "Processes"))
    assert {spec.name for spec in desk()} | {"terminal", "simulator"} == set(listed)


def test_every_format_of_a_replay_is_listed():
    rows = table(section(DOCS / "simulator.md", "Replaying real bars"))
    assert len(rows) == len(TEXT_FORMATS)


def test_the_figures_of_the_queues_are_the_settings():
    text = section(DOCS / "operations.md", "Why the queues are set as they are").replace("\n", " ")
    trading, research = settings.Q_CLUSTER, settings.Q_CLUSTER["ALT_CLUSTERS"]["research"]
    for queue in (trading, research):
        assert f"{queue['timeout']} s against {queue['retry']}" in re.sub(r"\s+", " ", text)
    assert trading["workers"] == 1
    assert trading["catch_up"] is False
    assert (trading["max_attempts"], trading["ack_failures"], research["daemonize_workers"]) == (1, True, False)


def test_pins_are_exact_and_say_why():
    for name in (f"requirements{what}.txt" for what in ("", "-dev", "-scale", "-bench", "-mutation")):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r "))]
        assert lines
        for line in lines:
            assert re.fullmatch(r"[\w\[\]-]+==[\w.]+(; [^#]+)?\s+# .+", line), f"{name}: {line}"
    assert blocks(DOCS / "deploy" / "README.md", "bash")
