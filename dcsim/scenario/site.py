"""One site, as asked for: its machines and what surrounds them."""

from typing import Annotated

from pydantic import Field

from dcsim.scenario.cooling import Cooling
from dcsim.scenario.fields import Part, number, quantity, sheet, whole
from dcsim.scenario.network import Network
from dcsim.scenario.power import Power
from dcsim.scenario.weather import Weather


class Nodes(Part):
    """How many servers of which type."""

    type: Annotated[str, sheet("node"), "server with its GPUs"]
    count: Annotated[int, whole(1, 500_000), "servers of the site"]


class Racks(Part):
    """How servers are put into racks."""

    nodes_per_rack: Annotated[
        int, whole(1, 64), "servers in a full rack; the last rack may hold fewer"
    ] = 8


class Price(Part):
    """What a kilowatt-hour costs and emits. None where it was not given."""

    usd_per_kwh: Annotated[
        float | None, number(0, 10), "price of electricity at the meter, USD/kWh"
    ] = Field(None, alias="usd_per_kwh")
    co2_g_per_kwh: Annotated[
        float | None, number(0, 3000), "carbon of electricity at the meter, g/kWh"
    ] = Field(None, alias="co2_g_per_kwh")


class Site(Part):
    """Machines of one type with their racks, network, power, cooling and weather.

    `gpu_spread` multiplies the drawn spread between GPUs (0: all alike); `power_cap_w` is per GPU.
    """

    nodes: Nodes
    racks: Racks = Racks()
    network: Network = Network()
    power: Power
    cooling: Cooling
    weather: Weather
    gpu_spread: Annotated[
        float, number(0, 2), "multiplies the drawn spread between GPUs; 0: all alike"
    ] = 1.0
    power_cap_w: Annotated[
        float | None,
        quantity("power", "50 W", "5 kW"),
        "power limit of each GPU; its TDP if not given",
    ] = None
    price: Price | None = None
