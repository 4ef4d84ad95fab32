"""Small physics with known answers, to prove the engine with: every table is float64.

Battery: charge falls at load / efficiency. Rc: one heat capacity, own feedback integrated exactly,
a limit that trips. Heater and Coolant: two capacities that exchange heat and a ramp. Breakers: a
chain in which the load moves on when one opens. Counter: sees how often it is called.
"""

from collections.abc import Callable, Sequence
from math import ceil, exp, inf, log, sqrt
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dcsim.engine import NEVER_NS, Fact, Holds, Inbox, Island, Sim, array_digest

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
S = 1_000_000_000
"""Nanoseconds in a second."""


def due(now_ns: int, delay_s: float) -> int:
    """The first whole nanosecond at which *delay_s* is over, at least one ahead."""
    return now_ns + max(1, ceil(delay_s * S)) if delay_s < NEVER_NS / S else NEVER_NS


class BatteryTable(NamedTuple):
    load_w: F64
    charge_j: F64
    anchor_charge_j: F64
    anchor_rate_w: F64
    elapsed_ns: I64
    due_ns: I64
    is_empty: NDArray[np.int8]


class Battery:
    """Charge falls at load / efficiency from the last change of rate; empty is for ever."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ("battery_w",)

    def __init__(self, efficiency_frac: float = 0.95) -> None:
        self.efficiency_frac = efficiency_frac

    @staticmethod
    def table(charge_j: Sequence[float], load_w: Sequence[float]) -> BatteryTable:
        charge = np.array(charge_j, np.float64)
        count = len(charge)
        return BatteryTable(
            np.array(load_w, np.float64),
            charge,
            charge.copy(),
            np.zeros(count),
            np.zeros(count, np.int64),
            np.full(count, NEVER_NS),
            np.zeros(count, np.int8),
        )

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        table: BatteryTable = world.battery
        rate_w = np.where(table.is_empty, 0.0, table.load_w / self.efficiency_frac)
        for row in np.flatnonzero(rate_w != table.anchor_rate_w):
            table.anchor_charge_j[row] = table.charge_j[row]
            table.anchor_rate_w[row] = rate_w[row]
            table.elapsed_ns[row] = 0
            left_s = table.charge_j[row] / rate_w[row] if rate_w[row] > 0 else inf
            table.due_ns[row] = due(now_ns, left_s)
        return Holds(int(table.due_ns.min()), inf)

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        table: BatteryTable = world.battery
        rows = np.flatnonzero((table.due_ns <= now_ns) & (table.is_empty == 0))
        table.is_empty[rows] = 1
        table.charge_j[rows] = 0.0
        return [Fact("depleted", "battery", int(row)) for row in rows]

    def advance(self, world: Any, dt_s: float) -> None:
        table: BatteryTable = world.battery
        table.elapsed_ns[:] += round(dt_s * S)
        table.charge_j[:] = table.anchor_charge_j - table.anchor_rate_w * (table.elapsed_ns / S)

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {"battery.is_empty": world.battery.is_empty}


class RcTable(NamedTuple):
    power_w: F64
    ambient_c: F64
    temp_c: F64
    settles_at_c: F64
    due_ns: I64
    is_tripped: NDArray[np.int8]
    speed_frac: F64


class Rc:
    """C dT/dt = P + g (T - T0) - (T - Ta)/R, exact for any step; at the limit the power goes."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ("rc_speed_frac",)
    j_per_k, k_per_w, gain_w_per_k, gain_at_c, limit_c = 2000.0, 0.05, 4.0, 60.0, 80.0

    @property
    def per_s(self) -> float:
        return (1 / self.k_per_w - self.gain_w_per_k) / self.j_per_k

    @staticmethod
    def table(power_w: Sequence[float], ambient_c: float = 30.0) -> RcTable:
        count = len(power_w)
        return RcTable(
            np.array(power_w, np.float64),
            np.full(count, ambient_c),
            np.full(count, ambient_c),
            np.full(count, np.nan),
            np.full(count, NEVER_NS),
            np.zeros(count, np.int8),
            np.ones(count),
        )

    def settles_at_c(self, power_w: F64, ambient_c: F64) -> F64:
        gain = self.gain_w_per_k
        drive_w = power_w - gain * self.gain_at_c + ambient_c / self.k_per_w
        return drive_w / (1 / self.k_per_w - gain)

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        table: RcTable = world.rc
        power_w = np.where(table.is_tripped, 0.0, table.power_w)
        settles_at_c = self.settles_at_c(power_w, table.ambient_c)
        for row in np.flatnonzero(settles_at_c != table.settles_at_c):
            table.settles_at_c[row] = settles_at_c[row]
            table.due_ns[row] = due(now_ns, self._limit_s(table.temp_c[row], settles_at_c[row]))
        table.speed_frac[:] = np.where(table.is_tripped, 0.0, table.power_w / 1000.0)
        return Holds(int(np.where(table.is_tripped, NEVER_NS, table.due_ns).min()), inf)

    def _limit_s(self, temp_c: float, settles_at_c: float) -> float:
        if settles_at_c <= self.limit_c:
            return inf
        away_k = max(settles_at_c - temp_c, settles_at_c - self.limit_c)
        return log(away_k / (settles_at_c - self.limit_c)) / self.per_s

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        table: RcTable = world.rc
        rows = np.flatnonzero((table.due_ns <= now_ns) & (table.is_tripped == 0))
        table.is_tripped[rows] = 1
        return [Fact("hot", "rc", int(row)) for row in rows]

    def advance(self, world: Any, dt_s: float) -> None:
        table: RcTable = world.rc
        left = exp(-self.per_s * dt_s)
        table.temp_c[:] = table.settles_at_c + (table.temp_c - table.settles_at_c) * left

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {"rc.is_tripped": world.rc.is_tripped}


class PairTable(NamedTuple):
    """One heater in one coolant; energies are integrals, each by the model that moves them."""

    power_w: F64
    heater_c: F64
    heater_w: F64
    heat_j: F64
    coolant_c: F64
    coolant_k_per_s: F64
    ambient_c: F64
    in_j: F64
    passed_j: F64
    rejected_j: F64


def pair_table(power_w: float = 500.0, start_c: float = 30.0) -> PairTable:
    start = [power_w, start_c, 0.0, 0.0, start_c, 0.0, start_c, 0.0, 0.0, 0.0]
    return PairTable(*(np.array([value]) for value in start))


class Heater:
    """P = P0 + g (T - T0) held over a step, while the coolant moves on its ramp."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ("heater_w",)
    j_per_k, k_per_w, gain_w_per_k, gain_at_c = 40_000.0, 0.05, 4.0, 60.0

    def __init__(self, tolerance_k: float = 0.1) -> None:
        self.tolerance_k = tolerance_k

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        pair: PairTable = world.pair
        pair.heater_w[:] = pair.power_w + self.gain_w_per_k * (pair.heater_c - self.gain_at_c)
        heat_w = (pair.heater_c[0] - pair.coolant_c[0]) / self.k_per_w
        k_per_s = (pair.heater_w[0] - heat_w) / self.j_per_k
        return Holds(NEVER_NS, self.tolerance_k / abs(k_per_s) if k_per_s else inf)

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        return []

    def advance(self, world: Any, dt_s: float) -> None:
        pair: PairTable = world.pair
        tau_s = self.k_per_w * self.j_per_k
        ramp = pair.coolant_k_per_s[0]
        steady_k = self.k_per_w * (pair.heater_w[0] - ramp * self.j_per_k)
        above_k = pair.heater_c[0] - pair.coolant_c[0] - steady_k
        gone = -np.expm1(-dt_s / tau_s)
        pair.heat_j[0] = (steady_k * dt_s + above_k * tau_s * gone) / self.k_per_w
        pair.heater_c[0] += ramp * dt_s - above_k * gone
        pair.in_j[0] += pair.heater_w[0] * dt_s
        pair.passed_j[0] += pair.heat_j[0]

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {}


class Coolant:
    """Takes the heat that the heater gave in the step, loses it to ambient, exact for any step."""

    reads: Sequence[str] = ("heater_w",)
    writes: Sequence[str] = ("coolant_k_per_s",)
    j_per_k, k_per_w = 200_000.0, 0.02

    def __init__(self, tolerance_k: float = 0.1) -> None:
        self.tolerance_k = tolerance_k

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        pair: PairTable = world.pair
        heat_w = (pair.heater_c[0] - pair.coolant_c[0]) / Heater.k_per_w
        out_w = (pair.coolant_c[0] - pair.ambient_c[0]) / self.k_per_w
        pair.coolant_k_per_s[0] = (heat_w - out_w) / self.j_per_k
        heater_k_per_s = (pair.heater_w[0] - heat_w) / Heater.j_per_k
        bend = (heater_k_per_s - pair.coolant_k_per_s[0]) / Heater.k_per_w
        bend = (bend - pair.coolant_k_per_s[0] / self.k_per_w) / self.j_per_k
        return Holds(NEVER_NS, sqrt(2 * self.tolerance_k / abs(bend)) if bend else inf)

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        return []

    def advance(self, world: Any, dt_s: float) -> None:
        pair: PairTable = world.pair
        tau_s = self.k_per_w * self.j_per_k
        steady_k = self.k_per_w * pair.heat_j[0] / dt_s
        above_k = pair.coolant_c[0] - pair.ambient_c[0] - steady_k
        gone = -np.expm1(-dt_s / tau_s)
        pair.rejected_j[0] += (steady_k * dt_s + above_k * tau_s * gone) / self.k_per_w
        pair.coolant_c[0] -= above_k * gone

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {}


class BreakerTable(NamedTuple):
    load_w: F64
    rating_w: F64
    is_open: NDArray[np.int8]


class Breakers:
    """All load is on the first closed breaker; one above its rating opens at once."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ("breaker_w",)

    @staticmethod
    def table(load_w: float, rating_w: Sequence[float]) -> BreakerTable:
        rating = np.array(rating_w, np.float64)
        return BreakerTable(np.array([load_w]), rating, np.zeros(len(rating), np.int8))

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        return Holds(NEVER_NS, inf)

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        table: BreakerTable = world.breakers
        closed = np.flatnonzero(table.is_open == 0)
        if not closed.size or table.load_w[0] <= table.rating_w[closed[0]]:
            return []
        table.is_open[closed[0]] = 1
        return [Fact("tripped", "breaker", int(closed[0]), float(table.load_w[0]))]

    def advance(self, world: Any, dt_s: float) -> None:
        pass

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {"breakers.is_open": world.breakers.is_open}


class Counter:
    """Sees how often it is called, and with what; asks for nothing."""

    reads: Sequence[str] = ()
    writes: Sequence[str] = ()

    def __init__(self, hold_s: float = inf) -> None:
        self.hold_s = hold_s
        self.evaluated_ns: list[int] = []
        self.steps_s: list[float] = []

    def evaluate(self, world: Any, now_ns: int) -> Holds:
        self.evaluated_ns.append(now_ns)
        return Holds(NEVER_NS, self.hold_s)

    def switch(self, world: Any, now_ns: int) -> list[Fact]:
        return []

    def advance(self, world: Any, dt_s: float) -> None:
        self.steps_s.append(dt_s)

    def modes(self, world: Any) -> dict[str, NDArray[Any]]:
        return {}


def island(
    name: str, world: SimpleNamespace, *models: Any, columns: Any = None, grid_s: int = 300
) -> Island:
    """An island of toys; processes may write every column of every table unless told."""
    return Island(name, world, models, columns or all_columns(world), grid_s * S)


def all_columns(world: SimpleNamespace) -> dict[str, NDArray[Any]]:
    tables = vars(world).items()
    return {
        f"{table}.{column}": array
        for table, rows in tables
        for column, array in rows._asdict().items()
    }


def digest(*islands: Island) -> str:
    """The fingerprint of the state of islands, whatever their order."""
    return array_digest(
        {f"{one.name}.{key}": array for one in islands for key, array in one.columns.items()}
    )


class Log:
    """What happened, in order: as a process it keeps what comes to its inbox; it also delivers."""

    def __init__(self) -> None:
        self.facts: list[tuple[int, Fact]] = []

    def attach(self, sim: Sim) -> Inbox:
        inbox = Inbox(sim)
        sim.process(self._listen(sim, inbox))
        return inbox

    def _listen(self, sim: Sim, inbox: Inbox) -> Any:
        while True:
            fact = yield inbox.get()
            self.facts.append((sim.now_ns, fact))

    @property
    def kinds(self) -> list[str]:
        return [fact.kind for _, fact in self.facts]


def at(sim: Sim, delay_ns: int, action: Callable[[], Any], priority: int = 1) -> None:
    """Call *action* as a process would, after *delay_ns* (0: at this instant)."""

    def run() -> Any:
        inbox = Inbox(sim)
        if delay_ns:
            sim.timer(inbox, delay_ns, Fact("now", "", 0), priority)
            yield inbox.get()
        result = action()
        if hasattr(result, "send"):
            yield from result

    sim.process(run())


def put(sim: Sim, where: Island, column: str, value: Any, rows: Any = 0) -> Callable[[], None]:
    """A write through the gate, as an action."""

    def write() -> None:
        with sim.change(f"put {column}", where) as edit:
            edit.put(column, rows, value)

    return write
