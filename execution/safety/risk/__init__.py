"""The rules that every order passes before it is sent, and the one function that asks them all."""

from execution.safety.risk.context import (
    Exposure,
    LossBudget,
    LossKind,
    OrderRequest,
    ReadAges,
    RequestCounts,
    RiskContext,
)
from execution.safety.risk.limits import LIMITS, Limits, LimitSpec
from execution.safety.risk.rules import RULES, evaluate, first_blocker, require_allowed
from execution.safety.risk.setups import SetupStanding
from execution.safety.risk.verdict import Rule, Verdict

__all__ = [
    "LIMITS",
    "RULES",
    "Exposure",
    "LimitSpec",
    "Limits",
    "LossBudget",
    "LossKind",
    "OrderRequest",
    "ReadAges",
    "RequestCounts",
    "RiskContext",
    "Rule",
    "SetupStanding",
    "Verdict",
    "evaluate",
    "first_blocker",
    "require_allowed",
]
