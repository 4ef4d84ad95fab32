"""From data sheets to what the law of the step time takes: machine, software, constants."""

from dcsim.catalog import Sheet
from dcsim.workload.fabric import Network, gpu_fabric, network_of
from dcsim.workload.layer import HIDDEN_BYTE, Law, Machine, Software

# NVFP4 has a scale of one byte for each 16 elements of 4 bits.
_OPERAND_BYTE = {"bf16": HIDDEN_BYTE, "fp16": HIDDEN_BYTE, "fp8": 1.0, "nvfp4": 0.5625}
_FITTED_AS = {
    "ampere": "ampere",
    "hopper": "hopper",
    "blackwell": "blackwell",
    "cdna3": "hopper",
    "tpu-v5": "hopper",
}
"""By which generation's constant products go; the last two have no row and take that of Hopper."""
_FEATURES = Software._fields[2:-1]


def law_of(sheet: Sheet) -> Law:
    """Return the constants from their sheet, `step/law`."""
    return Law(**{name: sheet[name] for name in Law._fields})


def precisions_of(gpu: Sheet) -> list[str]:
    """Return the precisions that a GPU has units for."""
    return [name for name in _OPERAND_BYTE if f"peak_{name}_flop_per_s" in gpu]


def machine_of(gpu: Sheet, node: Sheet, precision: str, law: Law, network: Network) -> Machine:
    """Return the machine of a GPU in such nodes with these NICs; see `precisions_of`."""
    peak, reached = (f"{name.format(precision)}" for name in ("peak_{}_flop_per_s", "gemm_{}_frac"))
    bf16_flop_per_s = gpu["peak_bf16_flop_per_s"] * gpu["gemm_bf16_frac"]
    return Machine(
        sm_count=gpu["sm_count"],
        peak_flop_per_s=gpu["peak_bf16_flop_per_s"],
        matmul_flop_per_s=gpu[peak] * gpu[reached],
        bf16_flop_per_s=bf16_flop_per_s,
        matmul_frac=float(getattr(law, f"matmul_{_FITTED_AS[gpu.text('generation')]}_frac")),
        operand_byte=_OPERAND_BYTE[precision],
        hbm_byte_per_s=gpu["hbm_byte_per_s"],
        hbm_byte=gpu["hbm_byte"],
        domain_count=node["nvlink_domain_count"],
        fabric=gpu_fabric(gpu, node, network),
    )


def machine_of_site(
    gpu: Sheet, node: Sheet, precision: str, law: Law, link_byte_per_s: float
) -> Machine:
    """Return the machine of simulated nodes, whose clocks the power cap lowers."""
    nics = network_of(node)
    network = nics._replace(nic_byte_per_s=min(nics.nic_byte_per_s, link_byte_per_s))
    machine = machine_of(gpu, node, precision, law, network)
    return machine._replace(fit_clock_frac=capped_clock_frac(gpu))


def software_of(sheet: Sheet, gpu: Sheet, law: Law, gradient_byte: float = 4.0) -> Software:
    """Return a stack of software as it runs on *gpu*."""
    kind = sheet.text("attention")
    is_hopper = gpu.text("generation") == "hopper"
    is_first = sheet.text("hopper_kernels") == "first"
    attention = law.triton_attention_frac if kind == "triton" else law.flash_attention_frac
    if kind == "triton" and gpu.text("generation") != "ampere":
        attention *= law.triton_hopper_frac
    return Software(
        kernel_frac=law.hopper_2023_frac if is_first and is_hopper else 1.0,
        attention_frac=attention,
        gradient_byte=gradient_byte,
        **{name: sheet[f"{name}_count"] for name in _FEATURES},
    )


def capped_clock_frac(gpu: Sheet) -> float:
    """Return clock over highest clock in dense work, at the rated power and 60 degC."""
    room_w = gpu["tdp_w"] - gpu["static_w"] - gpu["leak_w"]
    return min(1.0, float((room_w / gpu["dynamic_w"]) ** (1 / gpu["clock_exponent_frac"])))
