"""The electrical supply of a site, as asked for."""

from typing import Annotated

from pydantic import Field

from dcsim.scenario.fields import Leaf, Part, choice, quantity, sheet, whole

PROTECTABLE = ("cdu_pumps", "facility_pumps")


def _protected(value: object) -> tuple[str, ...]:
    """Read the list of what the UPS also feeds."""
    if not isinstance(value, list) or any(item not in PROTECTABLE for item in value):
        raise ValueError(f"allowed a list of {', '.join(PROTECTABLE)}")
    return tuple(item for item in PROTECTABLE if item in value)


_PROTECTED = Leaf(
    _protected,
    {"type": "array", "items": {"enum": list(PROTECTABLE)}},
    f"a list of {', '.join(PROTECTABLE)}",
    list,
)


class Power(Part):
    """Feeds, UPS blocks and PDUs; racks are spread over them in order."""

    feeds: Annotated[int, whole(1, 64), "utility feeds; UPSs are divided over them in order"] = 2
    feed: Annotated[str, sheet("feed"), "transformer of a feed"] = "mv-40mw"
    feed_capacity_w: Annotated[
        float | None,
        quantity("power", "1 kW", "10 GW"),
        "rating of each feed, instead of that of its sheet",
    ] = None
    ups: Annotated[str, sheet("ups"), "uninterruptible supply with its battery"] = "ups-1500kw"
    racks_per_ups: Annotated[int, whole(1, 10_000), "racks on one UPS, a multiple of racks_per_pdu"]
    pdu: Annotated[str, sheet("pdu"), "power distribution unit"] = "pdu-225kva"
    racks_per_pdu: Annotated[int, whole(1, 10_000), "racks on one PDU"]
    battery_s: Annotated[
        float | None,
        quantity("time", "1 s", "24 h"),
        "how long a battery carries its UPS at its rating; that of the sheet if not given",
    ] = None
    generators: Annotated[str, choice("none", only=True), "generators behind the feeds"] = "none"
    protected_cooling: Annotated[tuple[str, ...], _PROTECTED, "pumps that the UPSs also carry"] = (
        Field(PROTECTABLE)
    )
