"""Training jobs, as asked for."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from dcsim import catalog
from dcsim.scenario.fields import FILLED, Leaf, Part, choice, flag, name, quantity, sheet, whole

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


def _model_schema() -> dict[str, Any]:
    names = catalog.names("model")
    dense = [name for name in names if "experts" not in catalog.sheet("model", name)]
    dimensions = {key: leaf.json_schema() for key, leaf in _DIMENSIONS.items()}
    shape = {"type": "object", "properties": dimensions, "additionalProperties": False}
    return {"anyOf": [{"enum": dense}, shape]}


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
    """Degrees of parallelism. dp None means as many replicas as the nodes allow."""

    tp: Annotated[
        int,
        whole(1, 64),
        "GPUs that share each layer (tensor parallel); divides the GPUs of a node",
    ]
    pp: Annotated[int, whole(1, 1024), "stages of the pipeline"]
    dp: Annotated[
        int | None, whole(1, 1_000_000), "replicas; as many as the nodes allow if not given"
    ] = None
    cp: Annotated[int, whole(1, 1024), "GPUs that share each sequence (context parallel)"] = 1
    ep: Annotated[
        int,
        whole(1, 1024),
        "GPUs with the same layers over which the experts of a mixture are spread",
    ] = 1


class Target(Part):
    """When the job has done enough."""

    tokens: Annotated[int, whole(1, 10**18), "tokens to train on; the job is done then"]


class Checkpoint(Part):
    """How often state is saved.

    every_s None means `auto`, Daly's optimum for the current rate. `local` saves in the memory of
    peers; `remote_every_s` None leaves the remote tier to `every`.
    """

    every_s: Annotated[
        float | None,
        quantity("time", *_EVERY, auto=True),
        "time between saves; auto: what loses least (Daly), never below the time to drain",
    ] = None
    local: Annotated[bool, flag(), "also save in the memory of a peer node"] = True
    remote_every_s: Annotated[
        float | None,
        quantity("time", *_EVERY),
        "time between saves to remote storage; by its own optimum if not given",
    ] = None


class Recovery(Part):
    """How failures are survived. A phase given here replaces that of the preset."""

    preset: Annotated[str, sheet("recovery"), "how failures are found and survived"]
    level: Annotated[
        str, choice(*catalog.LEVELS), "where in the ranges of the preset its numbers are taken"
    ] = "typical"
    detect_s: Annotated[float | None, quantity("time", *_PHASE), "until a failure is noticed"] = (
        None
    )
    diagnose_s: Annotated[
        float | None, quantity("time", *_PHASE), "until it is known what failed"
    ] = None
    replace_s: Annotated[
        float | None, quantity("time", *_PHASE), "until spares sit in the seats of lost nodes"
    ] = None
    init_s: Annotated[
        float | None, quantity("time", *_PHASE), "start of processes and communicators"
    ] = None
    load_s: Annotated[float | None, quantity("time", *_PHASE), "loading the last durable step"] = (
        None
    )
    warmup_s: Annotated[
        float | None, quantity("time", *_PHASE), "first steps, slower than others"
    ] = None

    @property
    def numbers(self) -> catalog.Sheet:
        """The data sheet of the preset, at its level."""
        return catalog.sheet("recovery", self.preset).at(self.level)


class Evaluation(Part):
    """Pauses to evaluate the model. Training stops for `for_s` once in `every_s`."""

    every_s: Annotated[float, quantity("time", *_EVERY), "training time between evaluations"]
    for_s: Annotated[float, quantity("time", *_EVERY), "how long one takes"]


_Preset = Annotated[str, sheet("recovery")]


def _preset(value: Any) -> Any:
    return {"preset": value} if isinstance(value, str) else value


class Job(Part):
    """One training run. `batch` counts sequences of `sequence` tokens over all replicas.

    `interleave` is the chunks of the model on each stage. `recompute`, `sharding`, `schedule` and
    `precision` are the words of an estimate. `spares` nodes wait beside the job; `site` None lets
    the scheduler choose.
    """

    name: Annotated[str, name(), FILLED, "names the job; job-0 and so on if not given"]
    model: Annotated[
        str | Shape,
        Leaf(
            _model,
            _model_schema,
            "a dense one of `dcsim catalog model`, or a mapping of " + ", ".join(_DIMENSIONS),
        ),
        "model of the catalogue, or its dimensions",
    ]
    site: Annotated[
        str | None, name(), "site that it runs at; the first with room if not given"
    ] = None
    arrive_s: Annotated[
        float, quantity("time", "0 s", "10 y"), "when it is submitted, after the start"
    ] = 0.0
    parallel: Parallel
    batch: Annotated[int, whole(1, 10**9), "sequences in one step, over all replicas"]
    micro_batch: Annotated[int, whole(1, 4096), "sequences that a replica computes at once"] = 1
    sequence: Annotated[int, whole(1, 10**7), "tokens in a sequence"]
    interleave: Annotated[int, whole(1, 64), "pieces of each pipeline stage (virtual stages)"] = 1
    precision: Annotated[
        str, choice("bf16", "fp16", "fp8", "nvfp4"), "number format of matrix products"
    ] = "bf16"
    recompute: Annotated[
        str,
        choice("auto", "none", "selective", "full"),
        "what the backward pass computes again; the least that fits with auto",
    ] = "auto"
    sharding: Annotated[
        str,
        choice("none", "zero1", "zero2", "zero3"),
        "what of the states is spread over replicas: zero3 all of it (FSDP)",
    ] = "zero1"
    schedule: Annotated[
        str, choice("1f1b", "zero-bubble", "dualpipe"), "order of work in the pipeline"
    ] = "1f1b"
    activity: Annotated[
        str, choice("pretrain", "finetune"), "kind of work, which sets the power of busy GPUs"
    ] = "pretrain"
    target: Target | None = None
    spares: Annotated[int, whole(0, 500_000), "nodes that wait beside the job"] = 0
    checkpoint: Checkpoint = Checkpoint()
    recovery: Annotated[
        Recovery,
        BeforeValidator(_preset, json_schema_input_type=_Preset | Recovery),
        "how failures are found and survived: a preset, or a mapping",
    ]
    evaluation: Evaluation | None = None


class Entry(Part):
    """One item of `jobs`: a training run."""

    train: Job
