"""Whose fault it is: the user's scenario, the user's file, or ours.

All take positional arguments only: SimPy rebuilds exceptions from `.args`.
"""

OK, UNMET, INPUT, OURS, INTERRUPTED = 0, 1, 2, 3, 130
EXITS = {
    OK: "done",
    UNMET: "an `expect` of the scenario failed, or `check --strict` has warnings",
    INPUT: "something is wrong with what was given, or the disk is full",
    OURS: "a fault of dcsim, with its place; what was simulated until then is kept",
    INTERRUPTED: "interrupted; what was simulated until then is kept and can be read",
}
"""Exit codes of every command, and what they mean."""


class _MessagesError(Exception):
    """One or more messages, all of them found before anything ran."""

    @property
    def messages(self) -> tuple[str, ...]:
        """Each message by itself, in the order in which it was found."""
        return tuple(str(message) for message in self.args)

    def __str__(self) -> str:
        return "\n".join(self.messages)


class ScenarioError(_MessagesError):
    """The scenario asks for something that is wrong or not modelled; exit code 2."""


class InputError(_MessagesError):
    """A file that was named (trace, weather, run folder) cannot be used; exit code 2."""


class InvariantError(Exception):
    """The simulator contradicts itself: (time_ns, table, row, what); exit code 3."""

    def __str__(self) -> str:
        if len(self.args) != 4:
            return " ".join(map(str, self.args))
        time_ns, table, row, what = self.args
        return f"t = {time_ns} ns, {table}[{row}]: {what}"
