"""A synthetic hall: racks of 64 GPUs, cooling units of 16 racks, columns as in dcsim.world."""

from typing import NamedTuple

import numpy as np

from dcsim.physics.gpu import Coolant, GpuLaw, GroupSums
from dcsim.world.columns import aligned
from dcsim.world.tables import F64, GpuTable, Real

GPUS_PER_RACK = 64
RACKS_PER_UNIT = 16
STEP_S = 60.0


class Case(NamedTuple):
    """What one evaluate and one advance need, for any of the three implementations."""

    gpu: GpuTable
    law: GpuLaw
    coolant: Coolant
    sums: GroupSums
    rack_w: F64
    rack_j: F64
    node_clock: Real
    node_mean_clock: Real

    @property
    def gpus_count(self) -> int:
        """Rows of the GPU table."""
        return int(self.gpu.temp_c.shape[0])


def _placed(column: Real, place: int) -> Real:
    """The column in float32, where a world would put it."""
    placed = aligned(len(column), np.float32, place)
    placed[:] = column
    return placed


def make_case(gpus_count: int) -> Case:
    """GPUs around their limits (free, capped, throttled) under coolant that warms slowly."""
    units_count = -(-gpus_count // (GPUS_PER_RACK * RACKS_PER_UNIT))
    racks_count = units_count * RACKS_PER_UNIT
    rows = racks_count * GPUS_PER_RACK
    generator = np.random.Generator(np.random.PCG64(5))

    def near(middle: float, sigma: float) -> F64:
        return middle * np.exp(sigma * generator.normal(size=rows))

    columns = GpuTable(
        temp_c=60 + 25 * generator.uniform(size=rows),
        plate_c=42 + 8 * generator.uniform(size=rows),
        conductance_x=near(1.0, 0.08),
        leak_w=near(60.0, 0.25),
        dynamic_w=near(560.0, 0.03),
        load_frac=np.full(rows, 0.95),
        on_frac=np.where(generator.uniform(size=rows) > 0.01, 1.0, 0.0),
        ceiling_x=np.where(generator.uniform(size=rows) > 0.9, 0.8, 1.0),
        clock_frac=np.ones(rows),
        power_w=np.zeros(rows),
    )
    gpu = GpuTable(*(_placed(column, place) for place, column in enumerate(columns)))
    constants = {
        "static_w": 60.0,
        "cap_w": 700.0,
        "limit_c": 87.0,
        "package_j_per_k": 60.0,
        "plate_j_per_k": 400.0,
        "package_plate_k_per_w": 0.025,
        "leak_fold_per_k": 1 / 45,
        "control_s": 5.0,
        "floor_power_frac": 0.2**2.5,
        "shutdown_c": 95.0,
    }
    law = GpuLaw(**{name: np.float32(value) for name, value in constants.items()})
    coolant = Coolant(
        first_rack=RACKS_PER_UNIT * np.arange(units_count + 1, dtype=np.int64),
        first_gpu=GPUS_PER_RACK * np.arange(racks_count + 1, dtype=np.int64),
        inlet_c=np.full(units_count, 30.0, np.float32),
        inlet_k_per_s=np.full(units_count, 1e-3, np.float32),
        plate_w_per_k=np.full(units_count, 1 / 0.024, np.float32),
    )
    sums = GroupSums(*(np.zeros(units_count) for _ in GroupSums._fields))
    racks = (np.zeros(racks_count), np.zeros(racks_count))
    nodes = (np.ones(rows // 8, np.float32), np.ones(rows // 8, np.float32))
    return Case(gpu, law, coolant, sums, *racks, *nodes)
