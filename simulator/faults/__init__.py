"""What can go wrong outside, on demand: a registry of faults, plans that say when, and the log of what happened.

A fault stands between caller and venue: what it does to the books is done by the venue's own functions, so the ledger
stays the truth that a test judges by.
"""

from simulator.faults.files import read_log, switch_off, switch_on, switched
from simulator.faults.plan import FaultPlan, Rule
from simulator.faults.registry import FAULTS

__all__ = ["FAULTS", "FaultPlan", "Rule", "read_log", "switch_off", "switch_on", "switched"]
