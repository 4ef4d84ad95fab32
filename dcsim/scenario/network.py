"""The interconnect of a site, as asked for."""

from typing import Annotated

from dcsim.scenario.fields import Part, choice, number, quantity, sheet


class Network(Part):
    """Rail-optimised Clos: one switch type, one link rate.

    `routing` spreads packets over all paths (adaptive), or keeps each flow on one (ecmp).
    """

    fabric: Annotated[str, choice("rail-clos", only=True), "how leaves and spines are cabled"] = (
        "rail-clos"
    )
    switch: Annotated[str, sheet("switch"), "switch of every tier"] = "sn5600"
    link_byte_per_s: Annotated[
        float,
        quantity("data_rate", "1 Gbit/s", "10 Tbit/s"),
        "rate of each link between a GPU's NIC and its leaf",
    ] = 50e9
    oversubscription: Annotated[
        float, number(1, 16), "capacity below over capacity above the highest tier"
    ] = 1.0
    routing: Annotated[
        str,
        choice("adaptive", "ecmp"),
        "whether packets take all paths, or each flow keeps to one",
    ] = "adaptive"
