"""Products and attention: what tiles, waves and the memory bus do to them."""

import numpy as np
import pytest

from dcsim.workload.operators import Chip, attention_s, gemm_s

RATE, HBM, SM = 800e12, 3e12, 132
CHIP = Chip(SM, RATE, RATE, RATE / 2, 0.75, HBM, 2.0)


def rate(m: float, n: float, k: float) -> float:
    return float(2 * m * n * k / gemm_s(SM, RATE, HBM, m, n, k, 2.0))


def test_full_waves_of_large_tiles_reach_the_rate_but_for_filling() -> None:
    m, n, k = 128 * 12, 256 * 11, 16384
    assert rate(m, n, k) == pytest.approx(RATE * k / (k + 128))


def test_no_shape_is_faster_than_the_rate() -> None:
    sizes = 2.0 ** np.arange(6, 16)
    m, n, k = np.meshgrid(sizes, sizes, sizes)
    assert np.all(2 * m * n * k / gemm_s(SM, RATE, HBM, m, n, k, 2.0) <= RATE)


def test_one_tile_more_than_a_wave_costs_more_than_its_share() -> None:
    full, more = rate(128 * 132, 256, 8192), rate(128 * 133, 256, 8192)
    assert more < 0.9 * full


def test_small_m_and_small_k_lose() -> None:
    assert rate(64, 16384, 8192) < 0.6 * rate(8192, 16384, 8192)
    assert rate(8192, 16384, 128) < 0.6 * rate(8192, 16384, 8192)


def test_a_thin_product_is_bound_by_the_memory_bus() -> None:
    moved_byte = (128 + 16384) * 16384 * 2 + 2 * 128 * 16384
    assert gemm_s(SM, 1e18, HBM, 128, 16384, 16384, 2.0) == pytest.approx(moved_byte / HBM)


def test_adding_to_a_sum_is_free_until_the_memory_bus_is_full() -> None:
    deep, flat = (gemm_s(SM, RATE, HBM, 8192, 8192, k, 2.0) for k in (4096, 256))
    assert gemm_s(SM, RATE, HBM, 8192, 8192, 4096, 2.0, 8.0) == deep
    moved_byte = 2 * 8192 * 256 * 2 + 8 * 8192**2
    assert gemm_s(SM, RATE, HBM, 8192, 8192, 256, 2.0, 8.0) == pytest.approx(moved_byte / HBM)
    assert moved_byte / HBM > flat


def test_flash_attention_is_quadratic_and_half_of_all_scores() -> None:
    long = attention_s(CHIP, 1, 1, 65536, 65536, 16, 256)
    flop = 2 * 16 * 65536**2 * 256
    both_s = long.forward_s + long.backward_s
    assert both_s == pytest.approx(3.5 * flop / 2 / CHIP.attention_flop_per_s, rel=3e-3)
    assert long.backward_s / long.forward_s == pytest.approx(2.5 / 0.75)


def test_unfused_attention_pays_for_its_scores() -> None:
    flash = attention_s(CHIP, 1, 4, 2048, 2048, 8, 256)
    plain = attention_s(CHIP, 0, 4, 2048, 2048, 8, 256)
    assert plain.forward_s > 2 * flash.forward_s
