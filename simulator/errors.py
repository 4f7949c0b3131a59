"""What can be wrong with the simulated world, sorted by what the caller must do."""

from __future__ import annotations


class SimulatorError(Exception):
    """Base of everything the simulator raises."""


class SimConfigError(SimulatorError):
    """A setting is wrong: a person must change it; the message names the variable, its value and what is allowed."""


class ReplayError(SimulatorError):
    """A file cannot be replayed: a person must choose another one or mend it."""


class ClockError(SimulatorError):
    """The clock was asked for something it never does, like going back."""


class ControlError(SimulatorError):
    """A control call that cannot be obeyed, like stepping when no world is mounted."""


class FaultPlanError(SimulatorError):
    """A fault plan that cannot be played: it names what is wrong with it and what is known."""
