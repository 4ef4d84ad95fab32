"""What cooling costs in four climates, against an hourly calculation.

Published for none of them: the calculation takes hours of weather files, a dry cooler at 6 K with
4% fans, an air-cooled trim chiller by lift, pumps of 3.5%. Ours has the mean days of the months,
warmer return water and pumps of 4.6%.
"""

import numpy as np
import pytest

from dcsim import catalog
from dcsim.physics.plant import loop_law
from dcsim.physics.rejection import evaluate_loop
from tests.physics.rig import LIQUID, PRETRAIN, Rig, site_of

pytestmark = pytest.mark.validate

SUPPLY_C = (22, 27, 32, 40)
COOLING_PUE = {
    "phoenix": (1.156, 1.128, 1.100, 1.059),
    "dallas": (1.130, 1.101, 1.072, 1.042),
    "ashburn": (1.094, 1.069, 1.050, 1.037),
    "seattle": (1.064, 1.047, 1.039, 1.036),
}
BIG = LIQUID | {
    "nodes": "{type: hgx-h100-liquid, count: 2048}",
    "racks": "{nodes_per_rack: 8}",
    "network": "{switch: sn5600}",
    "power": "{feeds: 1, feed: mv-40mw, ups: ups-1500kw, racks_per_ups: 16, pdu: pdu-750kva, "
    "racks_per_pdu: 8}",
}


def busy(supply_c: float) -> Rig:
    """A site of 2,048 nodes at work, settled on a cold day."""
    unit = f"{{unit: xdu1350, racks_per_unit: 16, supply: {supply_c} degC}}"
    site = site_of(BIG | {"cooling": unit})
    site.weather.dry_bulb_c[0] = -5.0
    rig = Rig(site, load=PRETRAIN)
    rig.run_to(3600)
    return rig


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("climate", COOLING_PUE)
def test_cooling_in_a_climate(climate, place):
    site = busy(SUPPLY_C[place]).site
    loop, law = site.loop, loop_law(site)
    pumps_w = site.unit.pump_w.sum() + loop.pump_w[0]
    hours_c = np.ravel(catalog.sheet("climate", climate).list("dry_bulb_c"))
    plant_w = []
    for air_c in hours_c:
        loop.supply_c[0] = law.setpoint_c
        evaluate_loop(loop, law, loop.heat_w[0], air_c)
        plant_w.append(loop.plant_w[0])
    overhead = (np.mean(plant_w) + pumps_w) / site.meter.it_w[0]
    expected = COOLING_PUE[climate][place] - 1
    assert overhead == pytest.approx(expected, rel=0.25, abs=0.015)


def test_pue_of_a_liquid_site_lies_between_those_of_frontier_and_the_fleets():
    # Frontier 1.03 to 1.06, Google's fleet 1.09, the world's mean 1.54.
    meter = busy(32.0).site.meter
    pue = meter.site_w[0] / meter.it_w[0]
    assert 1.06 < pue < 1.15
    assert 0.03 < meter.loss_w[0] / meter.it_w[0] < 0.05
