"""The electrical supply of a site, as asked for."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from dcsim.scenario.fields import Leaf, Part, choice, quantity, sheet, whole

PROTECTABLE = ("cdu_pumps", "facility_pumps")


def _protected(value: object) -> tuple[str, ...]:
    """Read the list of what the UPS also feeds."""
    if not isinstance(value, list) or any(item not in PROTECTABLE for item in value):
        raise ValueError(f"allowed a list of {', '.join(PROTECTABLE)}")
    return tuple(item for item in PROTECTABLE if item in value)


_PROTECTED_SCHEMA: Mapping[str, object] = {"type": "array", "items": {"enum": list(PROTECTABLE)}}


class Power(Part):
    """Feeds, UPS blocks and PDUs; racks are spread over them in order."""

    feeds: Annotated[int, whole(1, 64)] = 2
    feed: Annotated[str, sheet("feed")] = "mv-40mw"
    feed_capacity_w: Annotated[float | None, quantity("power", "1 kW", "10 GW")] = None
    ups: Annotated[str, sheet("ups")] = "ups-1500kw"
    racks_per_ups: Annotated[int, whole(1, 10_000)]
    pdu: Annotated[str, sheet("pdu")] = "pdu-225kva"
    racks_per_pdu: Annotated[int, whole(1, 10_000)]
    battery_s: Annotated[float | None, quantity("time", "1 s", "24 h")] = None
    generators: Annotated[str, choice("none", only=True)] = "none"
    protected_cooling: Annotated[tuple[str, ...], Leaf(_protected, _PROTECTED_SCHEMA)] = Field(
        PROTECTABLE
    )
