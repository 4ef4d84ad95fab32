"""What leaves its valid range is an event, once; what can never be ends the run."""

import numpy as np
import pytest

from dcsim.errors import InvariantError
from dcsim.physics.gpu import GpuModel
from dcsim.processes.causes import Causes
from dcsim.processes.log import EventLog
from dcsim.processes.watch import INVARIANTS_NS, Watch
from dcsim.trace.schema import EVENT_KIND_ID_OF, THING_KIND_ID_OF
from tests.physics.rig import LIQUID, PRETRAIN, Rig, site_of

GRID_NS = 300 * 10**9


@pytest.fixture
def watched():
    """A site that has run a moment, its watch, and the events that are written."""
    site = site_of(LIQUID)
    rig = Rig(site)
    rig.run_to(1)
    events = []
    log = EventLog(lambda _table, row: events.append(row), lambda: GRID_NS)
    gpu_model = next(model for model in rig.island.models if isinstance(model, GpuModel))
    return site, Watch(site, gpu_model, log, Causes(lambda: GRID_NS)), events


def test_a_state_out_of_its_range_is_named_once(watched):
    site, watch, events = watched
    watch.observe(GRID_NS, True)
    assert not events
    site.gpu.temp_c[17], site.loop.supply_c[0] = 112.0, 4.0
    watch.observe(GRID_NS + 1, False)
    assert not events
    watch.observe(2 * GRID_NS, True)
    watch.observe(3 * GRID_NS, True)
    assert [event["event_kind_id"] for event in events] == [EVENT_KIND_ID_OF["out_of_range"]] * 2
    assert [(event["thing_kind_id"], event["row"], event["value"]) for event in events] == [
        (THING_KIND_ID_OF["gpu"], 17, 112.0),
        (THING_KIND_ID_OF["site"], -1, 4.0),
    ]
    assert '"high": 110.0' in events[0]["detail"]


@pytest.mark.parametrize("value", [np.nan, 200.0])
def test_what_can_never_be_is_our_fault(watched, value):
    site, watch, _ = watched
    site.gpu.plate_c[3] = value
    watch.observe(GRID_NS, True)
    with pytest.raises(InvariantError, match="plate_c"):
        watch.observe(INVARIANTS_NS, True)


def test_a_unit_whose_gpus_throttle_is_named_when_they_begin_and_end(watched):
    site, watch, events = watched
    site.gpu.load_frac[:], site.gpu.clock_frac[:] = PRETRAIN, 1.0
    watch._gpu_model.hottest_c = 90.0
    site.gpu.clock_frac[5] = 0.4
    watch.observe(GRID_NS, False)
    site.gpu.clock_frac[6] = 0.4
    watch.observe(GRID_NS + 1, False)
    watch._gpu_model.hottest_c = 50.0
    site.gpu.clock_frac[5:7] = 1.0
    watch.observe(GRID_NS + 2, False)
    kinds = [EVENT_KIND_ID_OF["throttled"], EVENT_KIND_ID_OF["throttle_ended"]]
    assert [event["event_kind_id"] for event in events] == kinds
    assert [event["value"] for event in events] == [1.0, 2.0]
