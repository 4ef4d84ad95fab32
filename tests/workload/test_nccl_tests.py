"""Published nccl-tests: the rows that the package has, and errors of the collectives."""

from math import inf

import numpy as np
import pytest

from dcsim.workload.nccl_tests import errors, measurements, predicted_s

MEASURED = measurements()


def worst(column: str, value: str, above_byte: float, below_byte: float = inf) -> float:
    rows = (getattr(MEASURED, column) == value) & (MEASURED.size_byte >= above_byte)
    rows &= MEASURED.size_byte < below_byte
    error = np.abs(predicted_s(MEASURED)[rows] / MEASURED.time_s[rows] - 1)
    return float(error.max())


def test_every_row_is_there_with_its_system() -> None:
    assert len(MEASURED.time_s) == 616
    assert set(MEASURED.collective) == {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"}
    assert set(MEASURED.algorithm) == {"auto", "ring"}
    assert {"ib", "roce", "nvlink"} < set(MEASURED.transport)
    assert (MEASURED.near <= MEASURED.ranks).all()
    assert MEASURED.time_s.min() > 1e-5


@pytest.mark.parametrize(
    ("system", "above_byte", "limit"),
    [
        ("dgx-h100", 2**21, 0.08),
        ("h200-part", 0, 0.02),
        ("together-h100", 2**23, 0.1),
        ("h100-16", 2**26, 0.09),
        ("h100-32", 2**27, 0.11),
        ("h100-1024", 2**30, 0.15),
        ("a100", 2**29, 0.04),
        ("oci-gb300", 2**30, 0.09),
    ],
)
def test_large_messages_take_what_was_measured(
    system: str, above_byte: float, limit: float
) -> None:
    assert worst("system", system, above_byte) < limit


def test_small_messages_in_a_node_take_what_was_measured() -> None:
    assert worst("system", "p5", 0, 2**18) < 0.18


def test_errors_are_grouped() -> None:
    found = errors(MEASURED, "collective", "size_class")
    assert sum(each.rows for each in found) == 616
    assert found[0].group == ("all_reduce", "below 1 MiB")
    assert all(each.median_frac <= abs(each.worst_frac) for each in found)
