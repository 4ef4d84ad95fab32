"""The law against published steps: errors by source, each source left out, and the interval.

Rows lie in `catalog/data/published`, a file for each source. A source is left out by fitting the
nine fitted constants again without it; rows on a generation of chips that no other source has are
left out one by one instead. The loss is robust and every source weighs alike; weak priors, whose
centres are those of `PRIORS`, keep what the remaining rows cannot determine. Structure and the
centres were chosen with all rows in view, so that left-out errors are a lower bound.

The interval is the range that holds nine tenths of the left-out residuals of the same group of
software, and widens beyond what was published, as `dcsim.workload.interval` says.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dcsim import catalog
from dcsim.workload.fabric import Network, stack
from dcsim.workload.interval import group_of, interval, spread_of
from dcsim.workload.layer import Law, Machine, Software
from dcsim.workload.layout import Layout, Recompute, Sharding
from dcsim.workload.machine import law_of, machine_of, software_of
from dcsim.workload.model import Shape
from dcsim.workload.step import step_of

F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NIC_BYTE_PER_S = {"ndr400": 50e9, "hdr200": 25e9, "roce200": 25e9, "hdr100": 12.5e9}
PRIORS = {  # centre, spread, lowest, highest
    "matmul_ampere_frac": (0.90, 0.08, 0.5, 1.0),
    "matmul_hopper_frac": (0.85, 0.08, 0.5, 1.0),
    "matmul_blackwell_frac": (0.80, 0.08, 0.5, 1.0),
    "hopper_2023_frac": (0.93, 0.06, 0.7, 1.0),
    "flash_attention_frac": (0.50, 0.15, 0.2, 1.0),
    "triton_attention_frac": (0.40, 0.10, 0.2, 1.0),
    "hbm_frac": (0.80, 0.15, 0.4, 0.95),
    "contention_frac": (0.20, 0.15, 0.0, 1.0),
    "step_fixed_s": (0.05, 0.10, 0.0, 0.5),
}
_ERROR_SCALE = 0.03  # from where on the loss grows linearly
_SOURCE_WEIGHT = 2.0  # of one source against one prior
_LEFT_SINGLY = "blackwell"


class Row(NamedTuple):
    """One published step."""

    source: str
    name: str
    gpu: str
    precision: str
    software: str
    gpus: int
    fitted: bool
    step_s: float


class Rows(NamedTuple):
    """All rows, and their numbers as arrays."""

    rows: tuple[Row, ...]
    columns: Mapping[str, F64]
    texts: Mapping[str, tuple[str, ...]]

    @property
    def step_s(self) -> F64:
        """What was published."""
        return self.columns["step_s"]

    def among(self, name: str, *values: str) -> Bools:
        """Which rows have one of *values* in the column *name*."""
        return np.isin(np.array(self.texts[name]), values)

    def take(self, index: npt.NDArray[np.intp]) -> "Rows":
        """Return some of the rows."""
        return Rows(
            tuple(self.rows[i] for i in index),
            {name: column[index] for name, column in self.columns.items()},
            {name: tuple(texts[i] for i in index) for name, texts in self.texts.items()},
        )


class Outcome(NamedTuple):
    """A published step and what the law says of it."""

    row: Row
    step_s: float
    left_out_s: float  # with constants from the other sources
    low_s: float  # around the latter
    high_s: float

    @property
    def error(self) -> float:
        """Of the prediction, as a share of what was published."""
        return self.step_s / self.row.step_s - 1

    @property
    def left_out_error(self) -> float:
        """Of the prediction by constants that did not see the source."""
        return self.left_out_s / self.row.step_s - 1

    @property
    def hit(self) -> bool:
        """Whether the interval holds what was published."""
        return self.low_s <= self.row.step_s <= self.high_s


class Summary(NamedTuple):
    """Errors of one source, or of the part that was fitted or was not."""

    source: str
    fitted: bool
    rows_count: int
    median: float
    mape: float
    worst: float
    left_out_mape: float
    hit_frac: float


def sources() -> list[str]:
    """Return the names of the sources of rows, those of `published/sources`."""
    sheet = catalog.sheet("published", "sources")
    return [row.text("name") for row in sheet.rows("sources_of_rows")]


@cache
def published() -> Rows:
    """Return all rows."""
    table: list[dict[str, str]] = []
    for source in sources():
        text = files("dcsim.catalog").joinpath(f"data/published/{source}.csv").read_text("utf-8")
        table += [{**row, "source": source} for row in csv.DictReader(text.splitlines())]
    words = ("source", "name", "gpu", "network", "precision", "software", "sharding", "recompute")
    texts = {name: tuple(row[name] for row in table) for name in words}
    numbers = [name for name in table[0] if name not in words]
    columns = {name: np.array([float(row[name]) for row in table]) for name in numbers}
    rows = tuple(
        Row(
            source=row["source"],
            name=row["name"],
            gpu=row["gpu"],
            precision=row["precision"],
            software=row["software"],
            gpus=int(row["gpus"]),
            fitted=row["fitted"] == "1",
            step_s=float(row["step_s"]),
        )
        for row in table
    )
    return Rows(rows, columns, texts)


def predicted_s(rows: Rows, law: Law) -> F64:
    """Return the step that the law gives for each row [s]."""
    step = step_of(_shape(rows), _layout(rows), *_machines(rows, law), law)
    return np.asarray(step.parts.step_s, np.float64)


def fitted(rows: Rows, start: Law) -> Law:
    """Return *start* with its fitted constants as *rows* have them."""
    from scipy.optimize import least_squares

    centre, spread, low, high = np.array(list(PRIORS.values())).T
    names = np.array(rows.texts["source"])
    weight = np.array([_SOURCE_WEIGHT / np.sqrt((names == name).sum()) for name in names])

    def residuals(x: F64) -> F64:
        error = np.log(predicted_s(rows, _law(start, x)) / rows.step_s) / _ERROR_SCALE
        robust = np.sign(error) * np.sqrt(2 * (np.sqrt(1 + error * error) - 1))
        return np.concatenate([robust * weight, (x - centre) / spread])

    return _law(start, least_squares(residuals, centre, bounds=(low, high), x_scale=spread).x)


def left_out_s(rows: Rows, start: Law) -> F64:
    """Return for each row the step by constants that its source had no part in [s]."""
    seen = np.array([row.fitted for row in rows.rows])
    alone = np.array([_generation(row.gpu) == _LEFT_SINGLY for row in rows.rows])
    predicted = np.empty(len(rows.rows))
    for source in sources():
        of_source = rows.among("source", source)
        for out in (of_source & ~alone, *_singly(of_source & alone)):
            kept = seen & ~out & (~of_source | alone if np.any(out & alone) else ~of_source)
            if np.any(out):
                law = fitted(rows.take(np.flatnonzero(kept)), start)
                predicted[out] = predicted_s(rows.take(np.flatnonzero(out)), law)
    return predicted


def residual_range(rows: Rows, left_out: F64) -> dict[str, tuple[float, float]]:
    """Return for each group of software what holds nine tenths of its left-out residuals.

    Of n residuals the ranks 0.05 (n + 1) from either end; where that is less than one, the
    extremes.
    """
    residual = np.log(rows.step_s / left_out)
    groups = np.array([group_of(catalog.sheet("software", row.software)) for row in rows.rows])
    seen = np.array([row.fitted for row in rows.rows])
    return {
        name: _nine_tenths(np.sort(residual[(groups == name) & seen]))
        for name in ("eager", "overlapped", "plain")
    }


def validate() -> list[Outcome]:
    """Return every published row with its prediction, fitted and left out, and interval."""
    rows, law = published(), law_of(catalog.sheet("step", "law"))
    outcomes = []
    steps = zip(rows.rows, predicted_s(rows, law), left_out_s(rows, law), strict=True)
    for row, step_s, out_s in steps:
        gpu, software = catalog.sheet("gpu", row.gpu), catalog.sheet("software", row.software)
        spread = spread_of(gpu, software, row.precision)
        ends = interval(out_s, spread, row.gpus, mixture=False)
        low_s, high_s = float(ends.low_s), float(ends.high_s)
        outcomes.append(Outcome(row, float(step_s), float(out_s), low_s, high_s))
    return outcomes


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """Return the errors by source, those of rows that were fitted and those that were not apart."""
    found = []
    for source in sources():
        for is_fitted in (True, False):
            of_it = [o for o in outcomes if o.row.source == source and o.row.fitted == is_fitted]
            if of_it:
                errors = np.array([o.error for o in of_it])
                out = np.array([o.left_out_error for o in of_it])
                found.append(
                    Summary(
                        source,
                        is_fitted,
                        len(of_it),
                        float(np.median(np.abs(errors))),
                        float(np.mean(np.abs(errors))),
                        float(errors[np.argmax(np.abs(errors))]),
                        float(np.mean(np.abs(out))),
                        float(np.mean([o.hit for o in of_it])),
                    )
                )
    return found


def _law(start: Law, x: F64) -> Law:
    return start._replace(**dict(zip(PRIORS, map(float, x), strict=True)))


def _singly(mask: Bools) -> list[Bools]:
    return [np.arange(len(mask)) == index for index in np.flatnonzero(mask)]


def _nine_tenths(ordered: F64) -> tuple[float, float]:
    off = max(0, int(0.05 * (len(ordered) + 1)) - 1)
    return float(ordered[off]), float(ordered[len(ordered) - 1 - off])


@cache
def _generation(gpu: str) -> str:
    return catalog.sheet("gpu", gpu).text("generation")


def _shape(rows: Rows) -> Shape:
    c = rows.columns
    names = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "gated", "tied")
    return Shape(head_dim=c["hidden"] / c["heads"], **{name: c[name] for name in names})


def _layout(rows: Rows) -> Layout:
    names = ("tp", "pp", "dp", "micro_batch", "global_batch", "sequence", "vpp", "cp")
    sharding = np.array([Sharding[text.upper()] for text in rows.texts["sharding"]])
    recompute = np.array([Recompute[text.upper()] for text in rows.texts["recompute"]])
    numbers = {name: rows.columns[name] for name in names}
    return Layout(**numbers, sharding=sharding, recompute=recompute)


def _machines(rows: Rows, law: Law) -> tuple[Machine, Software]:
    """Return the machines and the software of all rows, a column for each field."""
    keys = list(
        zip(
            *(rows.texts[name] for name in ("gpu", "precision", "network", "software")),
            rows.columns["gradient_byte"],
            strict=True,
        )
    )
    kinds = sorted(set(keys))
    pairs = [_machine(law, *kind) for kind in kinds]
    index = np.array([kinds.index(key) for key in keys])
    machines = _columns([machine for machine, _ in pairs], index)
    fabric = stack([machine.fabric for machine, _ in pairs], index)
    software = Software(*_columns([software for _, software in pairs], index))
    return Machine(*machines)._replace(fabric=fabric), software


def _machine(
    law: Law, gpu: str, precision: str, network: str, software: str, gradient_byte: float
) -> tuple[Machine, Software]:
    chip, sheet = catalog.sheet("gpu", gpu), catalog.sheet("software", software)
    node = catalog.sheet("node", chip.text("reference_node"))
    nics = Network(int(node["gpus_count"]), NIC_BYTE_PER_S[network])
    machine = machine_of(chip, node, precision, law, nics)
    return machine, software_of(sheet, chip, law, gradient_byte)


def _columns(records: Sequence[Any], index: npt.NDArray[np.intp]) -> list[Any]:
    return [
        None if isinstance(values[0], tuple) else np.array(values, np.float64)[index]
        for values in zip(*records, strict=True)
    ]
