"""The cooling plant of a site, as asked for."""

from typing import Annotated

from pydantic import Field

from dcsim.scenario.fields import Part, quantity, sheet, whole


class Cooling(Part):
    """Cooling units on racks, one facility loop, and what rejects its heat.

    None for a number of dry coolers or chillers means `auto`: as many as the design load needs.
    """

    unit: Annotated[str, sheet("cooling_unit"), "CDU of liquid-cooled nodes, or air handler"]
    racks_per_unit: Annotated[int, whole(1, 10_000), "racks on one cooling unit"]
    supply_c: Annotated[
        float,
        quantity("temperature", "5 degC", "60 degC"),
        "set point of the facility water to the cooling units",
    ]
    dry_coolers: Annotated[
        int | None,
        whole(0, 100_000, auto=True),
        "dry coolers of the site; auto: what carries the design load 6 K above the air",
    ] = None
    dry_cooler: Annotated[str, sheet("dry_cooler"), "dry cooler"] = "bac-tdfs1238n"
    chillers: Annotated[
        int | None,
        whole(0, 100_000, auto=True),
        "trim chillers behind them; auto: what carries the whole design load",
    ] = None
    chiller: Annotated[str, sheet("chiller"), "chiller"] = "air-cooled-trim"
    pumps: Annotated[int, whole(1, 1000), "facility pumps in parallel"] = 4
    loop_m3_per_w: Annotated[
        float,
        quantity("volume_per_power", "0.1 m3/MW", "1000 m3/MW"),
        "water in the facility loop for the design load",
    ] = Field(10e-6, alias="loop_volume")
