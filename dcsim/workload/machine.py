"""From data sheets to what the law of the step time takes: machine, software, constants."""

from dcsim import catalog
from dcsim.catalog import Sheet
from dcsim.workload.collectives import Fabric
from dcsim.workload.layer import HIDDEN_BYTE, Law, Machine, Software

_OPERAND_BYTE = {"bf16": HIDDEN_BYTE, "fp16": HIDDEN_BYTE, "fp8": 1.0, "nvfp4": 0.5625}
_LONG_NAMES = {"a100": "a100-80-sxm", "h100": "h100-sxm", "h200": "h200-sxm"}
_FEATURES = Software._fields[2:-1]


def law_of(sheet: Sheet) -> Law:
    """Return the constants from their sheet, `step/law`."""
    return Law(**{name: sheet[name] for name in Law._fields})


def chip_sheet(name: str) -> Sheet:
    """Return the row of `step/chips` with that *name*."""
    return next(
        row for row in catalog.sheet("step", "chips").rows("chips") if row.text("name") == name
    )


def chip_of_gpu(gpu: Sheet) -> Sheet:
    """Return the row of a GPU's data sheet: by its name, or by the longer one."""
    chips = catalog.sheet("step", "chips").rows("chips")
    chosen = [row for row in chips if row.text("name") == gpu.name]
    return (chosen or [row for row in chips if row.text("name") == _LONG_NAMES[gpu.name]])[0]


def fabric_of(law: Law, nvlink_byte_per_s: float, nic_byte_per_s: float) -> Fabric:
    """Return what a job's traffic reaches on links of these rates."""
    return Fabric(
        domain_byte_per_s=nvlink_byte_per_s * law.nvlink_efficiency_frac,
        nic_byte_per_s=nic_byte_per_s * law.nic_efficiency_frac,
        domain_hop_s=law.nvlink_hop_s,
        nic_hop_s=law.nic_hop_s,
        launch_s=law.launch_s,
    )


def machine_of(chip: Sheet, precision: str, law: Law, nic_byte_per_s: float) -> Machine:
    """Return the machine of a row of `step/chips` with one such NIC for each GPU."""
    kind = "bf16" if precision == "fp16" else precision
    return Machine(
        sm_count=chip["sm_count"],
        peak_flop_per_s=chip["peak_bf16_flop_per_s"],
        matmul_flop_per_s=chip[f"matmul_{kind}_flop_per_s"],
        bf16_flop_per_s=chip["matmul_bf16_flop_per_s"],
        matmul_frac=float(getattr(law, f"matmul_{chip.text('generation')}_frac")),
        operand_byte=_OPERAND_BYTE[precision],
        hbm_byte_per_s=chip["hbm_byte_per_s"],
        hbm_byte=chip["hbm_byte"],
        domain_count=chip["domain_count"],
        fabric=fabric_of(law, chip["nvlink_byte_per_s"], nic_byte_per_s),
    )


def machine_of_site(
    gpu: Sheet, node: Sheet, law: Law, link_byte_per_s: float, gradient_share: float = 1.0
) -> Machine:
    """Return the machine of simulated nodes in bf16, whose clocks the power cap lowers."""
    chip = chip_of_gpu(gpu)
    machine = machine_of(chip, "bf16", law, min(node["nic_byte_per_s"], link_byte_per_s))
    return machine._replace(gradient_share=gradient_share, fit_clock_frac=capped_clock_frac(gpu))


def software_of(sheet: Sheet, chip: Sheet, law: Law, gradient_byte: float = 4.0) -> Software:
    """Return a stack of software as it runs on *chip*."""
    kind = sheet.text("attention")
    attention = law.triton_attention_frac if kind == "triton" else law.flash_attention_frac
    if kind == "triton" and chip.text("generation") != "ampere":
        attention *= law.triton_hopper_frac
    return Software(
        kernel_frac=law.eager_frac if sheet.text("generation") == "eager" else 1.0,
        attention_frac=attention,
        gradient_byte=gradient_byte,
        **{name: sheet[f"{name}_count"] for name in _FEATURES},
    )


def ring_share(domain_nodes: int, oversubscription: float, stride_nodes: int) -> float:
    """Return the share of the NICs' rate that a ring keeps on an oversubscribed fabric.

    Of the n nodes in a domain, whose neighbours in the ring stand *stride_nodes* on,
    min(n, stride) send out of it, and share n / oversubscription uplinks on each rail.
    """
    leaving = min(domain_nodes, stride_nodes)
    return min(1.0, domain_nodes / (oversubscription * leaving))


def capped_clock_frac(gpu: Sheet) -> float:
    """Return clock over highest clock in dense work, at the rated power and 60 degC."""
    room_w = gpu["tdp_w"] - gpu["static_w"] - gpu["leak_w"]
    return min(1.0, float((room_w / gpu["dynamic_w"]) ** (1 / gpu["clock_exponent_frac"])))
