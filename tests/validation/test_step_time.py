"""The law against published steps; `published.validate` fits again with each source left out."""

import numpy as np
import pytest

from dcsim.catalog import sheet
from dcsim.workload.machine import law_of
from dcsim.workload.published import (
    PRIORS,
    fitted,
    interval,
    left_out_s,
    published,
    residual_range,
    summaries,
    validate,
)

pytestmark = pytest.mark.validate

LAW = law_of(sheet("step", "law"))


def test_errors_by_source() -> None:
    outcomes = validate()
    for s in summaries(outcomes):
        kind = "fitted" if s.fitted else "not fitted"
        print(
            f"{s.source:20} {kind:10} {s.rows_count:4} median {s.median:6.1%} MAPE {s.mape:6.1%} "
            f"worst {s.worst:+7.1%} left out {s.left_out_mape:6.1%} held {s.hit_frac:4.0%}"
        )
    errors = np.abs([o.error for o in outcomes if o.row.fitted])
    print(f"all fitted rows: MAPE {errors.mean():.1%} median {np.median(errors):.1%}")
    of = {s.source: s for s in summaries(outcomes) if s.fitted}
    assert np.median(errors) < 0.04
    assert np.mean([s.left_out_mape for s in of.values()]) < 0.065
    assert all(s.left_out_mape < 0.085 for s in of.values())
    assert all(0.85 < of[name].hit_frac < 0.95 for name in ("llm-foundry", "vtrain"))


def test_constants_and_interval_are_those_of_the_fit() -> None:
    rows = published()
    seen = np.flatnonzero([row.fitted for row in rows.rows])
    again = fitted(rows.take(seen), LAW)
    for name in PRIORS:
        assert getattr(LAW, name) == pytest.approx(getattr(again, name), rel=0.01)
    for group, ends in residual_range(rows, left_out_s(rows, LAW)).items():
        assert sheet("step", "interval").list(f"{group}_log") == pytest.approx(ends, abs=2e-3)


def test_no_constant_pushes_a_rate_above_what_was_measured() -> None:
    assert all(getattr(LAW, name) <= 1 for name in PRIORS if name.endswith("_frac"))


def test_the_interval_widens_outside_of_what_was_published() -> None:
    known = interval(1.0, "megatron-core", 16384, "hopper", "bf16")
    assert known.low_s < 1 < known.high_s
    assert not known.extrapolated
    for further in (
        interval(1.0, "megatron-core", 65536, "hopper", "bf16"),
        interval(1.0, "megatron-core", 64, "rubin", "bf16"),
        interval(1.0, "megatron-core", 64, "blackwell", "nvfp4"),
        interval(1.0, "megatron-core", 64, "hopper", "bf16", mixture=True),
    ):
        assert further.extrapolated
        assert further.high_s / known.high_s == pytest.approx(np.exp(0.10))
        assert known.low_s / further.low_s == pytest.approx(np.exp(0.10))
