"""The air outside a site, linear between the hours that come in as inputs.

Valid: hourly values of a climate table or a weather file.
Accuracy: exact at the hours.
Source: none needed; the values carry theirs.
"""

from typing import Any

import numpy as np

from dcsim.contract import NEVER_NS, Fact, Holds
from dcsim.world.site import Site


class WeatherModel:
    """Dry and wet bulb as ramps. Own states: `weather.dry_bulb_c`, `weather.wet_bulb_c`.

    It comes before all that reads the air, which so takes that at the end of a step.
    """

    reads = ()
    writes = ("weather.dry_bulb_c",)

    def __init__(self, site: Site) -> None:
        self._air = site.weather

    def evaluate(self, _world: Any, _now_ns: int) -> Holds:
        """Nothing is published beyond the states."""
        return Holds(NEVER_NS, np.inf)

    def switch(self, _world: Any, _now_ns: int) -> list[Fact]:
        """Nothing flips here."""
        return []

    def advance(self, _world: Any, dt_s: float) -> None:
        """Follow both slopes."""
        air = self._air
        air.dry_bulb_c[0] += air.dry_bulb_k_per_s[0] * dt_s
        air.wet_bulb_c[0] += air.wet_bulb_k_per_s[0] * dt_s

    def modes(self, _world: Any) -> dict[str, Any]:
        """No modes of its own: the slopes come from inputs."""
        return {}
