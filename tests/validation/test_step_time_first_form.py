"""The first step time against published steps, and the fit that its constants come from.

Rows are read from the folder DCSIM_FACTS. Fitted: H100 and H200 with software of 2024 or later.
Only shown: MLPerf v3.1 (software of 2023) and Korthikanti 2022 (A100, no overlap of tensor
parallelism, no fused attention). What no source prints is assumed here: Megatron-Core's
interleaving is the largest of 2 to 7 that divides, its micro-batch 4 without a pipeline and 1
with one; MLPerf runs reduce gradients in bf16; their attention is bf16 whatever the rest is.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from scipy.optimize import least_squares

from dcsim.catalog import sheet
from dcsim.workload.layout import Layout
from dcsim.workload.model import Model, flop_per_token
from dcsim.workload.rate import uniform_step_s
from dcsim.workload.step import Form, chip_of, fabric_of, form_of, step_time

pytestmark = pytest.mark.validate

FITTED = ("matmul_frac", "attention_frac", "exposed_frac", "step_fixed_s")
FORM = form_of(sheet("step", "first-form"))


class Row(NamedTuple):
    name: str
    gpu: str
    matmul_tflops: float | None  # where the arithmetic is not bf16
    model: Model
    layout: Layout
    step_s: float
    is_fitted: bool
    differs: Mapping[str, float]


def facts(name: str) -> str:
    folder = Path(os.environ.get("DCSIM_FACTS", "../shared/facts"))
    if not folder.is_dir():
        pytest.fail(f"no published figures in {folder}: set DCSIM_FACTS")
    return (folder / name).read_text(encoding="utf-8")


def gpt(layers: int, hidden: int, heads: int, vocab: int) -> Model:
    return Model(layers, hidden, heads, heads, 4 * hidden, vocab, swiglu=False, tied=True)


def table(rows: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(rows["columns"], row, strict=True)) for row in rows["rows"]]


def megatron_core(throughput: Mapping[str, Any]) -> list[Row]:
    rows = []
    for row in table(throughput["megatron_core_h100_2024"]["weak_scaling"]):
        model = gpt(row["layers"], row["hidden"], row["heads"], 131072)
        tp, pp, dp, sequence = row["TP"], row["PP"], row["DP"], 4096
        size, chunks = (
            (4, 1) if pp == 1 else (1, max(v for v in range(2, 8) if model.layers // pp % v == 0))
        )
        layout = Layout(tp, pp, dp, row["batch"] // dp // size, size, sequence, chunks)
        flop = flop_per_token(model, sequence) * layout.tokens_count
        step_s = flop / (layout.gpus_count * row["tflops_gpu"] * 1e12)
        name = f"Megatron-Core {row['params_B']}B"
        rows.append(Row(name, "h100", None, model, layout, step_s, True, {}))
    return rows


def mlperf(text: str, matmul: Mapping[tuple[str, str], float]) -> list[Row]:
    models = {
        "GPT-3 175B": gpt(96, 12288, 96, 51200),
        "Llama-3.1-405B": Model(126, 16384, 128, 8, 53248, 32000, swiglu=True, tied=False),
    }
    rows = []
    for row in csv.DictReader(text.splitlines()):
        if row["accel"] not in ("H100-SXM", "H200-SXM"):
            continue
        sizes = [
            int(float(row[key]))
            for key in ("tp", "pp", "dp", "grad_accum", "mbs", "seq", "vpp", "cp")
        ]
        name = f"MLPerf {row['round']} {row['model']} {row['n_accel']} {row['accel'][:4]}"
        fp8 = matmul[row["accel"], "fp8"]
        gpu, modern = row["accel"][:4].lower(), row["round"] != "v3.1"
        rows.append(
            Row(
                name,
                gpu,
                fp8,
                models[row["model"]],
                Layout(*sizes),
                float(row["step_s_mean"]),
                modern,
                {"gradient_byte": 2.0},
            )
        )
    return rows


def korthikanti(throughput: Mapping[str, Any]) -> list[Row]:
    rows = []
    for row in table(throughput["korthikanti_2022"]):
        model = gpt(row["layers"], row["hidden"], row["heads"], 51200)
        pp = row["PP"]
        size, chunks = (4, 1) if pp == 1 else (1, 3)
        layout = Layout(row["TP"], pp, 1, row["gbs"] // size, size, 2048, chunks)
        step_s = row["t_seq_parallel_selective_s"]
        rows.append(
            Row(
                f"Korthikanti {row['model']}",
                "a100",
                None,
                model,
                layout,
                step_s,
                False,
                {"exposed_frac": 1.0},
            )
        )
    return rows


def published() -> list[Row]:
    facts_yaml = yaml.safe_load(facts("performance.yaml"))
    throughput = facts_yaml["training_throughput"]
    ceilings = table(facts_yaml["hardware"]["achievable_gemm_fraction_of_peak"])
    matmul = {(row["name"], row["dtype"]): row["measured_tflops"] for row in ceilings}
    return (
        megatron_core(throughput)
        + mlperf(facts("mlperf_llm_steps.csv"), matmul)
        + korthikanti(throughput)
    )


def predicted_s(row: Row, form: Form) -> float:
    node = sheet("node", f"hgx-{row.gpu}-air")
    gpu = sheet("gpu", node.text("gpu"))
    the_chip = chip_of(gpu)
    if row.matmul_tflops:
        the_chip = the_chip._replace(matmul_flop_per_s=row.matmul_tflops * 1e12)
    links = fabric_of(gpu, node, sheet("step", "first-form"), node["nic_byte_per_s"])
    t = step_time(row.model, row.layout, the_chip, links, form._replace(**row.differs))
    return uniform_step_s(t, 1 / the_chip.fit_clock_frac) + t.jitter_s


def error(row: Row, form: Form) -> float:
    return predicted_s(row, form) / row.step_s - 1


def fitted(rows: Sequence[Row]) -> Form:
    def form(x: Sequence[float]) -> Form:
        return FORM._replace(**dict(zip(FITTED, map(float, x), strict=True)))

    start = [0.8, 0.5, 0.5, 0.1]
    found = least_squares(
        lambda x: [error(row, form(x)) for row in rows],
        start,
        bounds=([0.5, 0.2, 0, 0], [1, 1, 1, 0.5]),
    )
    return form(found.x)


def test_published_steps() -> None:
    rows = published()
    for row in rows:
        note = "" if row.is_fitted else "  (only shown)"
        print(f"{row.name:40} {row.step_s:8.3f} s {error(row, FORM):+7.1%}{note}")
    assert all(abs(error(row, FORM)) < 0.025 for row in rows if row.is_fitted)
    assert all(-0.15 < error(row, FORM) < 0 for row in rows if not row.is_fitted)


def test_constants_are_the_fit() -> None:
    again = fitted([row for row in published() if row.is_fitted])
    print(again)
    for name in FITTED:
        assert getattr(FORM, name) == pytest.approx(getattr(again, name), rel=0.02)


def test_each_row_left_out() -> None:
    rows = [row for row in published() if row.is_fitted]
    errors = []
    for row in rows:
        f = fitted([other for other in rows if other is not row])
        errors.append(error(row, f))
        print(f"{row.name:40} left out {errors[-1]:+7.1%} {f}")
    assert max(map(abs, errors)) < 0.04


def test_what_the_rows_do_not_print_moves_them() -> None:
    """The other choices that could have been made for each row, without fitting again."""
    moved = []
    for row in (row for row in published() if row.is_fitted):
        layout = row.layout
        if layout.pp == 1:
            once = layout._replace(micro_batch=1, micro_batches=layout.micro_batches * 4)
            other, why = row._replace(layout=once), "micro-batch 1"
        elif row.matmul_tflops is None:
            other, why = row._replace(layout=layout._replace(interleave=1)), "no interleaving"
        else:
            other, why = row._replace(differs={}), "fp32 gradients"
        moved.append(error(other, FORM))
        print(f"{row.name:40} {why:16} {moved[-1]:+7.1%} instead of {error(row, FORM):+7.1%}")
    assert max(map(abs, moved)) < 0.10
