"""What one GPU takes for the operators of a transformer: products, attention, memory-bound work.

A matrix product is cut into tiles, the tiles into waves over the chip's multiprocessors; part of a
wave costs the same as all of it, and filling its pipeline costs as much as `_FILL_K` more of the
inner dimension. Libraries choose among many tiles and may split the inner dimension of those that
are left over, so that a quarter of a wave of 128 x 256 is the least. No product is faster than its
operands pass the memory bus. All other work is bytes over the memory's bandwidth.
Every number may be a scalar or an array.

Valid for tensor-core GPUs and transformer shapes (m and n of 64 or more).
Accuracy: part of that of `dcsim.workload.step`, which is compared with whole steps: with waves of
128 x 256 those of left-out sources are missed by 0.8 points more, of 128 x 128 by 0.2.
Source: NVIDIA, Matrix Multiplication Background (tiles and waves); Dao 2023 (attention).
"""

from typing import NamedTuple

import numpy as np

from dcsim.workload.model import Real

_TILE_M, _TILE_N = 128, 64
_FILL_K = 128
_BLOCK = 128  # tokens that flash attention takes at a time; those on the diagonal are whole
_FLASH_BACKWARD = 2.5  # times the FLOPs of the forward pass, with the scores computed again
_UNFUSED_FORWARD_BYTE = 13  # of each score: written, soft-maxed, dropped out, read
_UNFUSED_BACKWARD_BYTE = 19


class Chip(NamedTuple):
    """What the operators need of one GPU, at the clock that it holds under its power cap."""

    sm_count: Real
    matmul_flop_per_s: Real  # reached by products of the layers, in the precision of training
    bf16_flop_per_s: Real  # reached by those that stay in bf16: head and unfused attention
    attention_flop_per_s: Real  # reached by the flash kernel, forward and backward together
    attention_back_frac: Real  # of its rate in the forward pass, what it reaches in the backward
    hbm_byte_per_s: Real  # reached by memory-bound work
    operand_byte: Real  # of an element of a layer's product


class Attention(NamedTuple):
    """Seconds of one layer's scores and their use on one GPU."""

    forward_s: Real
    backward_s: Real


def gemm_s(
    sm_count: Real,
    flop_per_s: Real,
    hbm_byte_per_s: Real,
    m: Real,
    n: Real,
    k: Real,
    operand_byte: Real,
    result_byte: Real = 2.0,
) -> Real:
    """Return the time of an (m, k) by (k, n) product; *result_byte* pass for each of its sums [s].

    A product that adds to what is there passes the sum twice, once read and once written.
    """
    depth_s = 2.0 * (k + _FILL_K) * sm_count / flop_per_s
    waves = np.ceil(np.ceil(m / _TILE_M) * np.ceil(n / _TILE_N) / sm_count)
    moved_byte = (m + n) * k * operand_byte + result_byte * m * n
    return np.maximum(waves * (_TILE_M * _TILE_N) * depth_s, moved_byte / hbm_byte_per_s)


def attention_s(
    chip: Chip, flash: Real, sequences: Real, queries: Real, keys: Real, heads: Real, width: Real
) -> Attention:
    """Return the time of causal attention of *heads* heads on one GPU.

    *queries* tokens of each sequence meet *keys* tokens; *width* is the sum of a head's query and
    value. Flash kernels skip the blocks above the diagonal, and are slower on their way back,
    whose five products share fewer registers; unfused ones compute all scores and pass them
    through memory.
    """
    scores = sequences * heads * queries * keys
    flop = 2.0 * scores * width
    causal_flop = 0.5 * flop * (1.0 + _BLOCK / keys)
    back = _FLASH_BACKWARD / chip.attention_back_frac
    flash_s = causal_flop / chip.attention_flop_per_s * (1.0 + _FLASH_BACKWARD) / (1.0 + back)
    product_s = flop / chip.bf16_flop_per_s
    softmax_s = scores / chip.hbm_byte_per_s
    return Attention(
        np.where(flash, flash_s, product_s + _UNFUSED_FORWARD_BYTE * softmax_s),
        np.where(flash, back * flash_s, 2 * product_s + _UNFUSED_BACKWARD_BYTE * softmax_s),
    )
