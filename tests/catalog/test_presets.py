"""Failure and recovery presets against the arithmetic of their sources."""

import math
from collections import Counter

import pytest

from dcsim import catalog
from dcsim.errors import ScenarioError

LLAMA = catalog.failure_preset("llama3-h100")
STEPFUN = catalog.failure_preset("stepfun")
PRESETS = pytest.mark.parametrize("preset", [LLAMA, STEPFUN], ids=lambda preset: preset.name)
PHASES = ("detect_s", "diagnose_s", "replace_s", "init_s", "load_s", "warmup_s")
DAY_S = 86400.0
YEAR_D = 365.0


def events(preset: catalog.FailurePreset) -> dict[str, float]:
    return {row.text("name"): row["events_count"] for row in preset.sheet.rows("classes")}


def test_llama_counts_are_those_of_table_5() -> None:
    counts = events(LLAMA)
    assert sum(counts.values()) == 419
    by_kind = Counter(
        {
            "gpu": sum(counts[row.name] for row in LLAMA.classes if row.component == "gpu"),
            "network": counts["cable"] + counts["switch"],
        }
    )
    assert by_kind == {"gpu": 148 + 72 + 19 + 17 + 6 + 6, "network": 35}


def test_stepfun_counts_are_those_of_the_trace() -> None:
    assert sum(events(STEPFUN).values()) == 312


@pytest.mark.parametrize(
    ("cause", "per_year"),
    [("gpu", 0.0611), ("hbm", 0.0297), ("silent-data-corruption", 0.00248), ("nic", 0.0231)],
)
def test_llama_rates(cause: str, per_year: float) -> None:
    rate = next(row.per_year for row in LLAMA.classes if row.name == cause)
    assert rate == pytest.approx(per_year, rel=0.002)


@PRESETS
def test_rates_give_the_counts_back(preset: catalog.FailurePreset) -> None:
    sheet = preset.sheet
    things = {
        "gpu": sheet["gpus_count"],
        "node": sheet["nodes_count"],
        "link": sheet["links_count"],
        "leaf": sheet["leaves_count"],
    }
    expected = sum(things[row.component] * row.per_year for row in preset.classes)
    total = sum(events(preset).values())
    assert expected * sheet["window_s"] / (YEAR_D * DAY_S) == pytest.approx(total)


@PRESETS
def test_only_what_is_replaced_has_a_repair(preset: catalog.FailurePreset) -> None:
    for row in preset.classes:
        assert row.action in ("restart", "replace")
        assert (row.action == "replace") == (row.repair_median_s > 0) == (row.repair_sigma > 0)


def test_llama_at_200k_gpus_fails_each_quarter_of_an_hour() -> None:
    things = {"gpu": 200_000, "node": 25_000, "link": 200_000, "leaf": 3125}
    per_day = {row: row.per_year / YEAR_D * things[row.component] for row in LLAMA.classes}
    assert 1440 / sum(per_day.values()) == pytest.approx(15, abs=1)
    in_repair = sum(
        rate * row.repair_median_s / DAY_S * math.exp(row.repair_sigma**2 / 2)
        for row, rate in per_day.items()
        if row.component != "leaf"
    )
    assert in_repair == pytest.approx(600, rel=0.1)


def test_recovery_of_2024_is_never_the_faster() -> None:
    warm, usual = (catalog.sheet("recovery", name) for name in ("warm-spare", "as-2024"))
    for phase in PHASES:
        for level in catalog.LEVELS:
            assert warm.at(level)[phase] <= usual.at(level)[phase], (phase, level)
        for sheet in (warm, usual):
            assert sheet.low(phase) < sheet[phase] < sheet.high(phase)


def test_unknown_preset_gets_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'llama3-h100'"):
        catalog.failure_preset("llama-h100")
