"""Training jobs, as asked for."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from dcsim import catalog
from dcsim.scenario.fields import Leaf, Part, choice, flag, name, quantity, sheet, whole

_EVERY = ("1 s", "1 y")
_PHASE = ("0 s", "30 d")


class Shape(NamedTuple):
    """A dense transformer: its dimensions, whatever its name."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    swiglu: bool
    tied: bool


_DIMENSIONS = {
    "layers": whole(1, 10_000),
    "hidden": whole(1, 10**6),
    "heads": whole(1, 10**5),
    "kv_heads": whole(1, 10**5),
    "ffn": whole(1, 10**7),
    "vocab": whole(1, 10**7),
    "swiglu": flag(),
    "tied": flag(),
}


def _model(value: Any) -> str | Shape:
    """Read the name of a model of the catalogue, or the dimensions themselves."""
    if not isinstance(value, Mapping):
        return str(sheet("model").read(value))
    given = {"kv_heads": value.get("heads"), "swiglu": True, "tied": False, **value}
    if given.keys() != _DIMENSIONS.keys():
        raise ValueError(f"allowed a model of the catalogue or all of {', '.join(_DIMENSIONS)}")
    dimensions = {}
    for key, leaf in _DIMENSIONS.items():
        try:
            dimensions[key] = leaf.read(given[key])
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    shape = Shape(**dimensions)
    if shape.hidden % shape.heads or shape.heads % shape.kv_heads:
        raise ValueError("allowed hidden a multiple of heads, and heads of kv_heads")
    return shape


class Parallel(Part):
    """Degrees of parallelism; dp None means as many replicas as the nodes allow.

    `cp` GPUs share a sequence; the experts of a mixture are spread over `ep` of the GPUs that
    hold the same layers.
    """

    tp: Annotated[int, whole(1, 64)]
    pp: Annotated[int, whole(1, 1024)]
    dp: Annotated[int | None, whole(1, 1_000_000)] = None
    cp: Annotated[int, whole(1, 1024)] = 1
    ep: Annotated[int, whole(1, 1024)] = 1


class Target(Part):
    """When the job has done enough."""

    tokens: Annotated[int, whole(1, 10**18)]


class Checkpoint(Part):
    """How often state is saved; every_s None means `auto`, Daly's optimum for the current rate.

    `local` saves in the memory of peers; `remote_every_s` None leaves the remote tier to `every`.
    """

    every_s: Annotated[float | None, quantity("time", *_EVERY, auto=True)] = None
    local: Annotated[bool, flag()] = True
    remote_every_s: Annotated[float | None, quantity("time", *_EVERY)] = None


class Recovery(Part):
    """Preset of the catalogue and where all its numbers are taken within their ranges.

    A phase given here replaces that of the preset.
    """

    preset: Annotated[str, sheet("recovery")]
    level: Annotated[str, choice(*catalog.LEVELS)] = "typical"
    detect_s: Annotated[float | None, quantity("time", *_PHASE)] = None
    diagnose_s: Annotated[float | None, quantity("time", *_PHASE)] = None
    replace_s: Annotated[float | None, quantity("time", *_PHASE)] = None
    init_s: Annotated[float | None, quantity("time", *_PHASE)] = None
    load_s: Annotated[float | None, quantity("time", *_PHASE)] = None
    warmup_s: Annotated[float | None, quantity("time", *_PHASE)] = None

    @property
    def numbers(self) -> catalog.Sheet:
        """The data sheet of the preset, at its level."""
        return catalog.sheet("recovery", self.preset).at(self.level)


class Evaluation(Part):
    """Training stops for `for_s` once in `every_s`."""

    every_s: Annotated[float, quantity("time", *_EVERY)]
    for_s: Annotated[float, quantity("time", *_EVERY)]


def _preset(value: Any) -> Any:
    return {"preset": value} if isinstance(value, str) else value


class Job(Part):
    """One training run. `batch` counts sequences of `sequence` tokens over all replicas.

    `interleave` is the chunks of the model on each stage. `recompute`, `sharding`, `schedule` and
    `precision` are the words of an estimate. `spares` nodes wait beside the job; `site` None lets
    the scheduler choose.
    """

    name: Annotated[str, name()]
    model: Annotated[str | Shape, Leaf(_model, {"type": ["string", "object"]})]
    site: Annotated[str | None, name()] = None
    arrive_s: Annotated[float, quantity("time", "0 s", "10 y")] = 0.0
    parallel: Parallel
    batch: Annotated[int, whole(1, 10**9)]
    micro_batch: Annotated[int, whole(1, 4096)] = 1
    sequence: Annotated[int, whole(1, 10**7)]
    interleave: Annotated[int, whole(1, 64)] = 1
    precision: Annotated[str, choice("bf16", "fp16", "fp8", "nvfp4")] = "bf16"
    recompute: Annotated[str, choice("auto", "none", "selective", "full")] = "auto"
    sharding: Annotated[str, choice("none", "zero1", "zero2", "zero3")] = "zero1"
    schedule: Annotated[str, choice("1f1b", "zero-bubble", "dualpipe")] = "1f1b"
    activity: Annotated[str, choice("pretrain", "finetune")] = "pretrain"
    target: Target | None = None
    spares: Annotated[int, whole(0, 500_000)] = 0
    checkpoint: Checkpoint = Checkpoint()
    recovery: Annotated[Recovery, BeforeValidator(_preset, json_schema_input_type=str | Recovery)]
    evaluation: Evaluation | None = None


class Entry(Part):
    """One item of `jobs`: a training run."""

    train: Job
