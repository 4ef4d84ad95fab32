"""What an estimate is asked for: one list of options for the command line, tables and Python."""

import re
from difflib import get_close_matches
from typing import NamedTuple

from dcsim.errors import InputError

PRECISIONS = ("bf16", "fp16", "fp8", "nvfp4")
RECOMPUTES = ("none", "selective", "full", "auto")
SHARDINGS = ("none", "zero1", "zero2", "zero3")
SCHEDULES = ("1f1b", "zero-bubble", "dualpipe")
EXCHANGES = ("ring", "all-gather")
FABRICS = ("rail-clos", "fat-tree")
ROUTINGS = ("adaptive", "ecmp")
ATTENTIONS = ("full", "causal")
SHAPE = ("layers", "hidden", "heads", "kv_heads", "ffn", "vocab", "experts", "top_k")
ALSO = {
    "tensor_parallel": "tp",
    "tensor_model_parallel": "tp",
    "pipeline_parallel": "pp",
    "pipeline_model_parallel": "pp",
    "pipeline_stages": "pp",
    "context_parallel": "cp",
    "expert_parallel": "ep",
    "expert_model_parallel": "ep",
    "virtual_pipeline": "vpp",
    "virtual_pipeline_parallel": "vpp",
    "virtual_pipeline_model_parallel": "vpp",
    "interleave": "vpp",
    "micro_batch": "mbs",
    "microbatch": "mbs",
    "global_batch": "gbs",
    "batch": "gbs",
    "sequence": "seq",
    "context": "seq",
    "seqlen": "seq",
    "activation_checkpointing": "recompute",
    "recompute_granularity": "recompute",
    "dtype": "precision",
    "zero": "sharding",
    "zero_stage": "sharding",
    "fsdp": "sharding",
    "accel": "gpu",
    "accelerator": "gpu",
    "gpu_type": "gpu",
    "accels": "gpus",
    "accelerators": "gpus",
    "world": "gpus",
    "attention_heads": "heads",
    "key_value_heads": "kv_heads",
    "query_groups": "kv_heads",
    "ffn_hidden": "ffn",
    "intermediate": "ffn",
    "vocabulary": "vocab",
    "local_experts": "experts",
    "experts_per_tok": "top_k",
    "topk": "top_k",
}
"""What others call these options, but for words that say a count: see `meant`."""
_COUNT_WORDS = frozenset({"n", "num", "number", "of", "size", "count", "degree", "length", "len"})
MOST_COUNT = 10_000_000
_MOST_DIGITS = 60


class Option(NamedTuple):
    """One option: a count where *default* is a number, else a word, of *choices* if there are."""

    name: str
    default: int | str
    about: str
    choices: tuple[str, ...] = ()

    @property
    def is_count(self) -> bool:
        """Whether its value is a whole number; 0 then stands for what follows from the rest."""
        return isinstance(self.default, int)

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"


OPTIONS = (
    Option("model", "", "Model of the catalogue, or the path of a Hugging Face config.json."),
    *(Option(name, 0, "Shape of a model that no catalogue has.") for name in SHAPE),
    Option("gpu", "h100-sxm", "GPU of the catalogue, in its reference system."),
    Option("gpus", 8, "GPUs of the job."),
    Option("tp", 1, "Tensor-parallel GPUs, with sequence parallelism."),
    Option("pp", 1, "Pipeline stages."),
    Option("cp", 1, "Context-parallel GPUs, which share a sequence."),
    Option("ep", 1, "Replicas over which the experts are spread."),
    Option("vpp", 1, "Chunks of the model on each stage; above 1 the pipeline is interleaved."),
    Option("mbs", 1, "Sequences of a micro-batch."),
    Option("gbs", 0, "Sequences of a step; by default 4 micro-batches for each stage."),
    Option("seq", 4096, "Tokens of a sequence."),
    Option("precision", "bf16", "Precision of the matrix products.", PRECISIONS),
    Option("recompute", "auto", "What is computed again; auto: the least that fits.", RECOMPUTES),
    Option("sharding", "zero1", "States spread over the replicas; zero3 is FSDP.", SHARDINGS),
    Option("schedule", "1f1b", "Order of the pipeline.", SCHEDULES),
    Option("shards", 0, "Replicas that share one copy of the states (HSDP); by default all."),
    Option("cp_exchange", "ring", "How GPUs that share a sequence swap keys.", EXCHANGES),
    Option("token_nodes", 0, "Most nodes that the experts of a token lie on; by default any."),
    Option("attention", "full", "Attention FLOPs that MFU counts.", ATTENTIONS),
    Option("network", "", "NICs of a node, such as '4x200 Gbit/s'; by default the reference's."),
    Option("fabric", "rail-clos", "How nodes are cabled to their first switches.", FABRICS),
    Option("oversubscription", 1, "Bandwidth of nodes over that of the cables above a leaf."),
    Option("routing", "adaptive", "Packets over all paths, or each flow on one.", ROUTINGS),
    Option("software", "", "Software of the catalogue; by default megatron-core, tuning unknown."),
)
BY_NAME = {option.name: option for option in OPTIONS}

Value = int | str


def meant(name: str) -> str:
    """Return the option that *name* most likely means, empty for none.

    Those who write `num_layers`, `micro_batch_size` or `tensor parallelism` mean layers, mbs, tp.
    """
    words = re.findall(r"[a-z]+", name.lower().replace("parallelism", "parallel"))
    plain = "_".join(word for word in words if word not in _COUNT_WORDS)
    if plain in BY_NAME or plain in ALSO:
        return ALSO.get(plain, plain)
    near = get_close_matches(name.lower(), BY_NAME, 1, 0.8)
    return near[0] if near else ""


def read(option: Option, text: str) -> Value:
    """Return the value that *text* states; the default where it is empty.

    Raises InputError with what is allowed.
    """
    text = text.strip()
    if not text:
        return option.default
    if not option.is_count:
        if option.choices and text not in option.choices:
            raise InputError(f"{text[:_MOST_DIGITS]!r}: allowed {', '.join(option.choices)}")
        return text
    is_plain = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    if not is_plain or not 1 <= int(text) <= MOST_COUNT:
        shown = repr(text[:_MOST_DIGITS])
        raise InputError(f"{shown}: allowed a whole number from 1 to {MOST_COUNT:,}")
    return int(text)
