"""A pipeline as text: which stage works on which micro-batch, and where it waits.

Forward passes are digits, one column wide; backward passes are letters, two columns wide; dots are
waiting. Drawn is 1F1B, interleaved where a stage has several chunks, in the order of Megatron-LM,
and ZB-H1, where the gradients of weights are capital letters, a column of their own, and fill what
would be waiting.
"""

from collections.abc import Iterator
from typing import NamedTuple

_MOST_STAGES = 8
_MOST_INTERLEAVED = 4
_MOST_CHUNKS = 3
_MOST_COLUMNS = 60
_MOST_MICRO_BATCHES = 8
_WIDTH = {"forward": 1, "backward": 2}
_FIRST = {"forward": "1", "backward": "a", "weights": "A"}


class Pass(NamedTuple):
    """One pass of one micro-batch through one chunk of a stage."""

    way: str
    micro_batch: int
    chunk: int


def order(stage: int, stages: int, chunks: int, micro_batches: int) -> Iterator[Pass]:
    """Yield the passes of one *stage* in the order in which 1F1B takes them.

    With several chunks *micro_batches* is a multiple of *stages*.
    """
    total = micro_batches * chunks
    ahead = stages - stage - 1
    ahead = min(total, ahead if chunks == 1 else 2 * ahead + (chunks - 1) * stages)
    for k in range(total + ahead):
        if k < total:
            yield _pass("forward", k, stages, chunks)
        if k >= ahead:
            yield _pass("backward", k - ahead, stages, chunks)


def times(stages: int, chunks: int, micro_batches: int) -> list[list[tuple[int, Pass]]]:
    """Return for each stage its passes and the column at which each begins."""
    left = [list(order(s, stages, chunks, micro_batches)) for s in range(stages)]
    begun: list[list[tuple[int, Pass]]] = [[] for _ in range(stages)]
    ended: dict[tuple[str, int, int], int] = {}
    free = [0] * stages
    while any(left):
        for stage in range(stages):
            while (
                left[stage] and (ready := _ready(left[stage][0], stage, stages, chunks, ended)) >= 0
            ):
                step = left[stage].pop(0)
                begin = max(free[stage], ready)
                begun[stage].append((begin, step))
                free[stage] = begin + _WIDTH[step.way]
                ended[step.way, step.micro_batch, step.chunk * stages + stage] = free[stage]
    return begun


def zero_bubble_times(stages: int, micro_batches: int) -> list[list[tuple[int, Pass]]]:
    """Return the same as `times` for ZB-H1, each pass one column wide.

    A stage passes gradients on as soon as it can, else goes forward as far ahead as 1F1B does, else
    makes the gradients of weights that it owes; how many it may owe is not limited.
    """
    begun: list[list[tuple[int, Pass]]] = [[] for _ in range(stages)]
    made = [dict.fromkeys(_FIRST, 0) for _ in range(stages)]
    column = 0
    while any(of_stage["weights"] < micro_batches for of_stage in made):
        chosen = [_zero_bubble_way(made, stage, micro_batches) for stage in range(stages)]
        for stage, way in enumerate(chosen):
            if way:
                begun[stage].append((column, Pass(way, made[stage][way], 0)))
                made[stage][way] += 1
        column += 1
    return begun


def _zero_bubble_way(made: list[dict[str, int]], stage: int, micro_batches: int) -> str:
    """Return what *stage* does next, or nothing; *made* are the passes of each way so far."""
    own, last = made[stage], len(made) - 1
    before = made[stage - 1]["forward"] if stage else micro_batches
    after = own["forward"] if stage == last else made[stage + 1]["backward"]
    if own["backward"] < after:
        return "backward"
    if own["forward"] < before and own["forward"] - own["backward"] <= last - stage:
        return "forward"
    return "weights" if own["weights"] < own["backward"] else ""


class Picture(NamedTuple):
    """A line for each stage, and how much of the pipeline they show."""

    lines: tuple[str, ...]
    stages: int
    chunks: int
    micro_batches: int


def drawn(stages: int, chunks: int, micro_batches: int, *, is_zero_bubble: bool = False) -> Picture:
    """Draw a pipeline, or as much of it as is readable: a few stages, chunks, micro-batches."""
    chunks = min(chunks, _MOST_CHUNKS)
    stages = min(stages, _MOST_STAGES if chunks == 1 else _MOST_INTERLEAVED)
    count = min(micro_batches, _MOST_MICRO_BATCHES)
    rounds = max(1, min(count // stages, _MOST_COLUMNS // (3 * chunks * stages)))
    count = count if chunks == 1 else rounds * stages
    if is_zero_bubble:
        lines = [
            _line(passes, dict.fromkeys(_FIRST, 1)) for passes in zero_bubble_times(stages, count)
        ]
    else:
        lines = [_line(passes, _WIDTH) for passes in times(stages, chunks, count)]
    longest = max(map(len, lines))
    padded = tuple(line.ljust(longest, ".") for line in lines)
    return Picture(padded, stages, chunks, count)


def _line(passes: list[tuple[int, Pass]], width: dict[str, int]) -> str:
    line: list[str] = []
    for begin, step in passes:
        line += "." * (begin - len(line))
        line += chr(ord(_FIRST[step.way]) + step.micro_batch) * width[step.way]
    return "".join(line)


def _pass(way: str, k: int, stages: int, chunks: int) -> Pass:
    if chunks == 1:
        return Pass(way, k, 0)
    round_, rest = divmod(k, stages * chunks)
    chunk = rest // stages
    return Pass(
        way, round_ * stages + rest % stages, chunk if way == "forward" else chunks - 1 - chunk
    )


def _ready(
    step: Pass, stage: int, stages: int, chunks: int, ended: dict[tuple[str, int, int], int]
) -> int:
    """Return when what *step* waits for has ended, -1 while that is not known."""
    place = step.chunk * stages + stage
    if step.way == "forward":
        return 0 if place == 0 else ended.get(("forward", step.micro_batch, place - 1), -1)
    if place == stages * chunks - 1:
        return ended.get(("forward", step.micro_batch, place), -1)
    return ended.get(("backward", step.micro_batch, place + 1), -1)
