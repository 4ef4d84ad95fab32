"""Estimates by name: sums, conventions, tables against single cases, defaults, and directions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dcsim import catalog, cli
from dcsim.errors import InputError
from dcsim.workload.estimate import CHUNK, estimate, table
from dcsim.workload.layout import Recompute
from dcsim.workload.model import flop_per_token, shape_of
from dcsim.workload.options import BY_NAME, OPTIONS, meant
from dcsim.workload.plan import ranked
from dcsim.workload.rows import estimated_rows, read_rows, write_rows

CASE: dict[str, Any] = {"model": "llama3-70b", "gpus": 512, "tp": 8, "pp": 4, "gbs": 1024}
NUMBERS = {"layers": 80, "hidden": 8192, "heads": 64, "kv_heads": 8, "ffn": 28672, "vocab": 128256}


def step_s(**changes: Any) -> float:
    return float(estimate(**(CASE | changes))[1].step_s)


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(["llama3-8b", "llama3-70b", "gpt3-175b", "mixtral-8x7b", "deepseek-v3"]),
    gpu=st.sampled_from(["h100-sxm", "a100-80-sxm", "gb200", "mi300x", "tpu-v5p"]),
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4]),
    recompute=st.sampled_from(["none", "selective", "full", "auto"]),
    sharding=st.sampled_from(["none", "zero1"]),
)
def test_the_parts_are_the_step_and_the_interval_holds_it(**options):
    layout, found = estimate(gpus=256, **options)
    assert sum(found.parts) == pytest.approx(float(found.step_s), rel=1e-12)
    assert min(found.parts) >= 0.0
    assert found.low_s < found.step_s < found.high_s
    assert 0 < found.mfu_frac <= found.hfu_frac < 1
    assert sum(found.memory) == pytest.approx(float(found.memory.total_byte))
    assert found.fits == (found.memory.total_byte <= found.hbm_byte)
    assert layout.tp * layout.pp * layout.cp * layout.dp == 256


def test_mfu_is_model_flops_over_the_dense_bf16_peak():
    _, found = estimate(**CASE, seq=8192)
    model, gpu = shape_of(catalog.sheet("model", "llama3-70b")), catalog.sheet("gpu", "h100-sxm")
    flop = float(flop_per_token(model, 8192)) * 1024 * 8192
    peak = 512 * gpu["peak_bf16_flop_per_s"]
    assert found.mfu_frac == pytest.approx(flop / float(found.step_s) / peak)
    assert found.tokens_per_s == pytest.approx(1024 * 8192 / float(found.step_s))
    causal = estimate(**CASE, seq=8192, attention="causal")[1]
    assert causal.step_s == found.step_s
    assert causal.mfu_frac < found.mfu_frac


def test_full_recomputation_is_counted_by_hfu_alone():
    _, found = estimate(**CASE, recompute="full")
    assert found.hfu_frac / found.mfu_frac == pytest.approx(4 / 3, rel=0.02)
    _, none = estimate(**CASE, recompute="none")
    assert none.hfu_frac == none.mfu_frac


def test_auto_takes_the_least_recomputation_that_fits():
    chosen = {}
    for mbs in (1, 2, 4, 8):
        _, found = estimate(**CASE, seq=8192, mbs=mbs)
        chosen[mbs] = int(found.recompute)
        if chosen[mbs] > Recompute.NONE:
            less = Recompute(chosen[mbs] - 1).name.lower()
            assert not estimate(**CASE, seq=8192, mbs=mbs, recompute=less)[1].fits
    assert chosen[1] == Recompute.NONE
    assert list(chosen.values()) == sorted(chosen.values())
    assert chosen[8] > Recompute.NONE


def test_a_table_gives_what_single_cases_give():
    rows = [
        {"model": model, "gpu": gpu, "gpus": gpus, "tp": tp, "pp": pp, "precision": precision}
        for model in ("llama3-8b", "gpt3-175b")
        for gpu, precision in (("h100-sxm", "fp8"), ("a100-80-sxm", "bf16"), ("gb200", "nvfp4"))
        for gpus, tp, pp in ((64, 1, 1), (128, 2, 4), (1024, 8, 8))
    ]
    for place, row in enumerate(rows):
        row |= {"routing": ("adaptive", "ecmp")[place % 2], "oversubscription": 1 + place % 3}
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    found = table(columns)
    assert list(found.rows) == list(range(len(rows)))
    for place, row in enumerate(rows):
        layout, one = estimate(**row)
        assert found.estimate.step_s[place] == pytest.approx(float(one.step_s), rel=1e-12)
        assert found.estimate.memory.total_byte[place] == float(one.memory.total_byte)
        assert found.estimate.low_s[place] == pytest.approx(float(one.low_s))
        assert found.layout.global_batch[place] == layout.global_batch


def test_rows_that_are_wrong_are_named_and_the_others_kept():
    found = table({"model": ["llama3-8b", "nope", "llama3-8b"], "gpus": 64, "tp": [2, 2, 3]})
    assert list(found.rows) == [0]
    assert [problem.row for problem in found.problems] == [1, 2]
    assert found.problems[1].text.startswith("tp 3: ")
    empty = table({"model": ["nope", "never"]})
    assert empty.estimate is None
    assert len(empty.problems) == 2


def test_chunks_join_without_a_seam():
    tp = np.resize([1, 2, 4, 8], 2 * CHUNK + 5)
    found = table({"model": "llama3-8b", "gpus": 64, "tp": tp})
    step = found.estimate.step_s
    assert len(step) == len(tp)
    assert len(set(step.tolist())) == 4
    np.testing.assert_array_equal(step, np.resize(step[:4], len(tp)))


def test_a_shape_by_numbers_and_by_config_is_that_of_the_catalogue(tmp_path: Path):
    named = step_s()
    assert step_s(model="", **NUMBERS) == pytest.approx(named)
    config = {
        "model_type": "llama",
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "intermediate_size": 28672,
        "vocab_size": 128256,
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert step_s(model=str(path)) == pytest.approx(named)


def test_directions():
    base = step_s()
    assert step_s(precision="fp8") < base
    assert step_s(vpp=2) < base
    assert step_s(schedule="zero-bubble") < base
    assert step_s(recompute="full") > base
    assert step_s(network="4x200 Gbit/s") > base
    assert step_s(fabric="fat-tree") == step_s(oversubscription=1, routing="adaptive") == base
    assert base == step_s(oversubscription=8) < step_s(oversubscription=8, fabric="fat-tree")
    assert base < step_s(routing="ecmp") < step_s(routing="ecmp", fabric="fat-tree")
    assert step_s(gpu="a100-80-sxm") > base
    assert step_s(gbs=2048) == pytest.approx(2 * base, rel=0.15)
    assert step_s(seq=8192) > 1.9 * base
    assert step_s(software="megatron-2021") > base
    sharded = {"model": "llama3-8b", "tp": 1, "pp": 1, "sharding": "zero3", "recompute": "full"}
    slow = {"network": "8x50 Gbit/s", "gbs": 8192}
    assert step_s(**sharded, **slow, shards=8) < step_s(**sharded, **slow)
    assert step_s(**sharded, shards=8) > step_s(**sharded)
    long = {"cp": 8, "seq": 131_072, "gbs": 64}
    assert step_s(**long, cp_exchange="all-gather") >= step_s(**long)
    mixed = {"model": "deepseek-v3", "tp": 1, "pp": 1, "ep": 256, "gbs": 8192}
    assert step_s(**mixed, token_nodes=4) < step_s(**mixed)


def test_beyond_what_was_published_it_says_so_and_is_less_sure():
    width = {}
    for gpus in (1024, 16_384, 196_608):
        _, found = estimate(model="llama3-405b", gpus=gpus, tp=8, pp=16, gbs=gpus // 8)
        width[gpus] = float(found.high_s / found.low_s)
        assert bool(found.extrapolated) == (gpus > 16_384)
    assert width[1024] == pytest.approx(width[16_384], rel=0.02)
    assert width[196_608] > 1.3 * width[16_384]
    for other in (
        {"gpu": "mi300x"},
        {"model": "mixtral-8x7b"},
        {"gpu": "gb200", "precision": "nvfp4"},
    ):
        assert estimate(**({"model": "llama3-8b", "gpus": 64} | other))[1].extrapolated


def test_software_that_is_named_narrows_the_high_end():
    big = {"model": "llama3-405b", "gpus": 16_384, "tp": 8, "pp": 16, "vpp": 8, "gbs": 2048}
    _, unnamed = estimate(**big, seq=8192)
    _, named = estimate(**big, seq=8192, software="megatron-core")
    assert unnamed.step_s == named.step_s
    assert unnamed.low_s == named.low_s
    assert unnamed.high_s > 1.1 * named.high_s


def test_every_gpu_and_model_of_the_catalogue_gives_an_estimate():
    for gpu in catalog.names("gpu"):
        for model in catalog.names("model"):
            _, found = estimate(model=model, gpu=gpu, gpus=512, tp=4, gbs=1024)
            assert np.isfinite(found.step_s)
            assert 0.02 < found.mfu_frac < 0.8


def test_an_unknown_option_is_a_fault_of_the_program():
    with pytest.raises(KeyError, match="no option tpp"):
        table({"tpp": 2})
    with pytest.raises(InputError, match="nearest is 2 or 4"):
        estimate(**CASE | {"tp": 3})


@pytest.mark.parametrize(
    "wrong", [{"tp": 0}, {"seq": -4096}, {"gpus": 8.5}, {"mbs": float("nan")}, {"gbs": -1}]
)
def test_counts_that_are_none_are_refused(wrong):
    with pytest.raises(InputError, match="allowed a whole number from"):
        estimate(**CASE | wrong)


def test_reasons_of_a_table_are_left_out_where_nobody_asks():
    columns = {"model": "llama3-8b", "gpus": 8, "tp": [1, 3, 2]}
    told, silent = table(columns), table(columns, with_reasons=False)
    assert [problem.row for problem in told.problems] == [1]
    assert silent.problems == ()
    assert silent.rows.tolist() == told.rows.tolist() == [0, 2]


def test_columns_that_do_not_go_together_are_refused():
    with pytest.raises(InputError, match="the same number of rows, at least one: tp 2, pp 3"):
        table({"model": "llama3-8b", "tp": [1, 2], "pp": [1, 2, 4]})
    with pytest.raises(InputError, match="at least one: gpus 0"):
        table({"model": "llama3-8b", "gpus": []})
    with pytest.raises(InputError, match="not several gpus"):
        estimate(model="llama3-8b", gpus=[8, 16])


def test_words_that_are_not_allowed_are_refused():
    with pytest.raises(InputError, match="attention 'causl': allowed full, causal"):
        table({"model": "llama3-8b", "attention": ["full", "causl"]})


def test_a_plan_spreads_the_experts_of_a_mixture():
    found = ranked({"model": "mixtral-8x7b", "gpus": 64, "gbs": 512, "tp": 1, "cp": 1})
    assert set(found.layout.ep.tolist()) > {1, 8}
    assert ranked({"model": "llama3-8b", "gpus": 64, "gbs": 64, "tp": 3}) is None


def test_out_is_written_through_links_and_to_devices(tmp_path: Path):
    source, real, link = (tmp_path / name for name in ("rows.csv", "real.csv", "link.csv"))
    source.write_text("model\nllama3-8b\n")
    real.write_text("old")
    link.symlink_to(real)
    rows = read_rows(source)
    write_rows(link, rows, estimated_rows(rows))
    assert link.is_symlink()
    assert real.read_text().startswith("model,step_time_s")
    write_rows(Path("/dev/null"), rows, estimated_rows(rows))
    assert not Path("/dev/null").is_file()


def test_every_option_says_what_it_is():
    assert len(BY_NAME) == len(OPTIONS)
    assert all(option.about.endswith(".") for option in OPTIONS)


# --- CSV


def test_a_csv_comes_back_with_its_own_columns_and_ours(tmp_path: Path):
    source, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text(
        'run,model,tp,gpus\n"a, b",llama3-8b,2,64\nc,llama3-8b,3,64\n\nd,gpt3-175b,,\n'
    )
    rows = read_rows(source)
    found = estimated_rows(rows)
    write_rows(out, rows, found)
    header, *lines = out.read_text().splitlines()
    assert header.startswith("run,model,tp,gpus,step_time_s,step_time_s_low,")
    assert lines[0].startswith('"a, b",llama3-8b,2,64,')
    assert lines[1].endswith("are to be shared out evenly; nearest is 2 or 4")
    assert ",,,,,,," in lines[1]
    assert "false,needs " in lines[2]  # 175 billion parameters on eight GPUs without a cut
    _, one = estimate(model="llama3-8b", tp=2, gpus=64)
    assert float(lines[0].split(",")[5]) == pytest.approx(float(one.step_s), rel=1e-5)
    assert sorted(tmp_path.iterdir()) == [out, source]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("Tensor Parallel Size", "tp"),
        ("data parallelism", ""),
        ("n_layers", "layers"),
        ("seq_len", "seq"),
        ("num_gpus", "gpus"),
        ("num_attention_heads", "heads"),
        ("hidden-size", "hidden"),
        *((name, "") for name in ("name", "source", "note", "dp", "run", "year", "mfu", "system")),
    ],
)
def test_what_others_call_an_option_is_known(name: str, option: str):
    assert meant(name) == option


def test_free_columns_pass_and_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "rows.csv"
    path.write_text("model,gpus,tp,name,tensor_parallel\nllama3-8b,8,2,mine,two\n")
    with pytest.raises(SystemExit) as stop:
        cli.main(["estimate", "--csv", str(path)])
    out, err = capsys.readouterr()
    assert stop.value.code in (None, 0)
    assert err == f"{path}: passed through, no options: name, tensor_parallel\n"
    assert out.splitlines()[1].startswith("llama3-8b,8,2,mine,two,")


# --- plans


def test_a_plan_is_sorted_and_nothing_beats_its_front():
    found = ranked({"model": "llama3-70b", "gpus": 512, "gbs": 1024, "seq": 4096})
    e = found.estimate
    assert np.all(np.diff(e.step_s) >= 0)
    assert e.fits.all()
    assert found.tried_count > found.legal_count > len(found.gpus) > 50
    goals = np.stack([e.step_s, e.memory.total_byte], axis=1)
    for row in np.flatnonzero(found.pareto):
        beats = np.all(goals <= goals[row], axis=1) & np.any(goals < goals[row], axis=1)
        assert not beats.any()
    fastest = {name: int(getattr(found.layout, name)[0]) for name in ("tp", "pp", "cp", "vpp")}
    fastest["mbs"] = int(found.layout.micro_batch[0])
    recompute = Recompute(int(e.recompute[0])).name.lower()
    sharding = ("none", "zero1", "zero2", "zero3")[int(found.layout.sharding[0])]
    asked = {"model": "llama3-70b", "gpus": 512, "gbs": 1024, "seq": 4096}
    _, one = estimate(**asked, **fastest, recompute=recompute, sharding=sharding)
    assert one.step_s == pytest.approx(float(e.step_s[0]))


def test_what_is_given_is_not_varied_and_a_target_takes_fewer_gpus():
    asked = {"model": "llama3-8b", "gpus": 1024, "gbs": 1024, "tp": 2}
    found = ranked(asked, tokens=1e12, target_days=20.0)
    assert set(found.layout.tp.tolist()) == {2}
    assert found.days.max() <= 20.0
    assert found.gpus.min() < 1024
    assert ranked(asked, tokens=1e15, target_days=1.0) is None


@pytest.mark.parametrize(
    ("options", "tp", "pp"),
    [
        # MLPerf GPT-3 on 512 and 4,096 H100, Llama 3.1 405B on 512 H100.
        ({"model": "gpt3-175b", "gpus": 512, "gbs": 2048, "seq": 2048, "precision": "fp8"}, 4, 8),
        ({"model": "gpt3-175b", "gpus": 4096, "gbs": 2048, "seq": 2048, "precision": "fp8"}, 4, 8),
        ({"model": "llama3-405b", "gpus": 512, "gbs": 1152, "seq": 8192, "precision": "fp8"}, 8, 8),
    ],
)
def test_published_layouts_are_near_the_top(options, tp, pp):
    found = ranked(options)
    same = (found.layout.tp == tp) & (found.layout.pp == pp)
    assert same.any()
    best = found.estimate.step_s[np.argmax(same)]
    assert best < 1.12 * found.estimate.step_s[0]
