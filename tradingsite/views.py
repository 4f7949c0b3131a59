"""The pages: parse the request, call one service, render."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_required, permission_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from execution import scopes
from execution.errors import ExecutionError
from execution.killing import see_it_through
from execution.models import Decision
from execution.rearm import arm, arm_phrase
from execution.safety import control, killswitch
from market.terminal.errors import TerminalError
from ops import alerts, heartbeats
from ops.audit import Actor
from ops.models import AuditEntry
from tradingsite.live.panels import alert_message, beat_message, missed_alerts, panel_messages, shown_panel
from tradingsite.live.tail import last_seq
from tradingsite.pages.bot_setup import setup_data, setup_rows
from tradingsite.pages.frame import build_kill_facts, state_word
from tradingsite.pages.frame_data import StateWord
from tradingsite.pages.portfolio import decision_data
from tradingsite.pages.safety import build_kill_progress, build_rearm
from tradingsite.wiring import PANELS

OVERVIEW = ("account", "attention", "equity", "positions", "signals", "data", "next", "decisions", "days")
REASON_LENGTH = 300  # as the rows keep it
ID_LENGTH = 18  # digits; the database counts no further
ALERTS = ("alerts", "deliveries")
BOT = ("bot-standing", "bot-trades", "bot-setups", "bot-results", "bot-filter", "bot-backtest")
PORTFOLIO = ("targets", "funnel", "models")

operate = permission_required("execution.operate", raise_exception=True)
may_arm = permission_required("execution.arm", raise_exception=True)


def person(request: HttpRequest) -> Actor:
    """Return who asks, for the audit."""
    return Actor(name=request.user.get_username(), source=AuditEntry.Source.PAGE)


def _panels(request: HttpRequest, names: tuple[str, ...]) -> dict[str, Any]:
    return {"panels": {name: shown_panel(name, request.user) for name in names}}


@require_GET
@login_required
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/overview.html", _panels(request, OVERVIEW))


@require_GET
@login_required
@never_cache
def portfolio(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/portfolio.html", _panels(request, PORTFOLIO))


@require_GET
@login_required
@never_cache
def decision(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Decision.objects.select_related("account"), pk=pk)
    return render(request, "pages/decision.html", {"decision": decision_data(row)})


@require_GET
@login_required
@never_cache
def bot(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/bot.html", _panels(request, BOT))


@require_GET
@login_required
@never_cache
def setup(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "pages/setup.html", {"setup": setup_data(get_object_or_404(setup_rows(), pk=pk))})


@require_GET
@login_required
@never_cache
def panels(request: HttpRequest) -> JsonResponse:
    """Answer a page whose WebSocket does not open with what it would have been sent."""
    seq, after = last_seq(), _seen_id(request.GET.get("after", ""))
    missed = missed_alerts(after) if after else []
    names = [name for name in request.GET.get("ids", "").split(",") if name in PANELS]
    alerts_told = [message for news in missed if (message := alert_message(news))]
    sent = [beat_message(seq), *alerts_told, *panel_messages(names, request.user, seq)]
    return JsonResponse({"messages": sent})


def _seen_id(text: str) -> int:
    """Return the id that a page says it saw last; 0 for what is no id."""
    return int(text) if text.isdecimal() and len(text) <= ID_LENGTH else 0


@require_POST
@login_required
@operate
def pause(request: HttpRequest) -> HttpResponse:
    if control.pause(person(request), reason=request.POST.get("reason", "")[:REASON_LENGTH]):
        messages.success(request, "Paused: no new risk. Positions stay and may still be reduced.")
    else:
        messages.info(request, "Nothing to pause: no new risk was allowed.")
    return redirect("overview")


@require_POST
@login_required
@operate
def resume(request: HttpRequest) -> HttpResponse:
    if control.resume(person(request)):
        messages.success(request, "Resumed: the next session may open positions again.")
    else:
        messages.info(request, "Nothing to resume: trading is not paused.")
    return redirect("overview")


@require_POST
@login_required
@operate
def bot_pause(request: HttpRequest) -> HttpResponse:
    """Let the bot enter nothing; the hourly session goes on."""
    if control.pause(person(request), reason=request.POST.get("reason", "")[:REASON_LENGTH], scope=scopes.BOT):
        messages.success(request, "The bot is paused: it enters nothing. Its trades keep their stops and targets.")
    else:
        messages.info(request, "Nothing to pause: the bot is paused already.")
    return redirect("bot")


@require_POST
@login_required
@operate
def bot_resume(request: HttpRequest) -> HttpResponse:
    """Take back a pause of the bot; a pause of all trading, and a kill, stay."""
    if control.resume(person(request), scope=scopes.BOT):
        messages.success(request, "The bot is resumed: it may enter at the next bar, as far as all trading may.")
    else:
        messages.info(request, "Nothing to resume: the bot itself is not paused.")
    return redirect("bot")


@require_GET
@login_required
@never_cache
def kill_page(request: HttpRequest) -> HttpResponse:
    """Ask before a kill, or show how far it has come."""
    progress = build_kill_progress(request.user)
    return render(request, "pages/kill.html", {"progress": progress, "facts": build_kill_facts(request.user)})


@require_POST
@login_required
@operate
def kill(request: HttpRequest) -> HttpResponse:
    """Latch at once, make sure that somebody flattens, and show the progress."""
    cause = (request.POST.get("reason", "").strip() or "killed from the page")[:REASON_LENGTH]
    event = None
    try:
        event = killswitch.latch(person(request), cause=cause)
    except DatabaseError:
        messages.error(request, "Latched: nothing new is sent. The database cannot be written: press Kill again.")
    see_it_through(event, cause=cause)
    return redirect("kill_page")


@require_http_methods(["GET", "POST"])
@login_required
@never_cache
def rearm(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _rearm(request)
    return render(request, "pages/rearm.html", {"rearm": build_rearm(request.user)})


@may_arm
def _rearm(request: HttpRequest) -> HttpResponse:
    if state_word() is not StateWord.KILLED:
        messages.info(request, f"Nothing to re-arm: the state is {state_word().label.lower()}.")
        return redirect("overview")
    form = {name: request.POST.get(name, "").strip() for name in ("what_changed", "phrase")}
    errors = _form_errors(request, form)
    if not errors:
        try:
            arm(person(request), phrase=form["phrase"], reason=form["what_changed"])
        except (ExecutionError, TerminalError) as error:
            errors = {"form": str(error)}
        else:
            messages.success(request, "Armed and paused. Resume lets the next session trade.")
            return redirect("overview")
    page = build_rearm(request.user, form=form, errors=errors)
    return render(request, "pages/rearm.html", {"rearm": page}, status=422)


def _form_errors(request: HttpRequest, form: dict[str, str]) -> dict[str, str]:
    errors = {}
    if not form["what_changed"]:
        errors["what_changed"] = "Say what has changed since the kill."
    if form["phrase"] != arm_phrase():
        errors["phrase"] = f"Type {arm_phrase()} exactly."
    # Asked as at the login, so that guesses are counted and end in the same lock-out.
    if authenticate(request, username=person(request).name, password=request.POST.get("password", "")) is None:
        errors["password"] = "This is not your password."  # noqa: S105  # words, not a password
    return errors


@require_GET
@login_required
@never_cache
def alerts_page(request: HttpRequest) -> HttpResponse:
    return render(request, "pages/alerts.html", _panels(request, ALERTS))


@require_POST
@login_required
@operate
def acknowledge(request: HttpRequest, pk: int) -> HttpResponse:
    """Note that a person has seen an alert, and lead back to the page that it was on."""
    alerts.acknowledge_alert(pk, person(request))
    return redirect("alerts" if request.GET.get("from") == "alerts" else "overview")


@require_POST
@login_required
@operate
def alert_test(request: HttpRequest) -> HttpResponse:
    """Ask for a test message to every destination; the page shows what becomes of it."""
    rows = alerts.send_test(person(request))
    if rows:
        messages.success(
            request, f"A test goes to {', '.join(row.label for row in rows)}: see below whether it arrives."
        )
    else:
        messages.warning(request, "There is nowhere to send a test to: ALERT_URLS names no address.")
    return redirect("alerts")


@require_GET
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """Say whether the site can work, and the age of the sentinel's last sign of life."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        age = heartbeats.age_s("sentinel")
    except DatabaseError:
        return JsonResponse({"ok": False, "database": "unreachable"}, status=503)
    sentinel_age = None if age == float("inf") else round(age, 1)
    return JsonResponse({"ok": True, "mode": settings.TRADING_MODE, "sentinel_age_s": sentinel_age})
