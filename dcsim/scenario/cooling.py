"""The cooling plant of a site, as asked for."""

from typing import Annotated

from pydantic import Field

from dcsim.scenario.fields import Part, quantity, sheet, whole


class Cooling(Part):
    """Cooling units on racks, one facility loop, and what rejects its heat.

    None for a number of dry coolers or chillers means `auto`: as many as the design load needs.
    """

    unit: Annotated[str, sheet("cooling_unit")]
    racks_per_unit: Annotated[int, whole(1, 10_000)]
    supply_c: Annotated[float, quantity("temperature", "5 degC", "60 degC")]
    dry_coolers: Annotated[int | None, whole(0, 100_000, auto=True)] = None
    dry_cooler: Annotated[str, sheet("dry_cooler")] = "bac-tdfs1238n"
    chillers: Annotated[int | None, whole(0, 100_000, auto=True)] = None
    chiller: Annotated[str, sheet("chiller")] = "air-cooled-trim"
    pumps: Annotated[int, whole(1, 1000)] = 4
    loop_m3_per_w: Annotated[float, quantity("volume_per_power", "0.1 m3/MW", "1000 m3/MW")] = (
        Field(10e-6, alias="loop_volume")
    )
