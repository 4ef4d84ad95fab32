"""Every event names what led to it: it stands before it, and it is not long over."""

import json

import pytest

from dcsim.contract import Fact
from dcsim.processes.causes import AFTERMATH_NS
from dcsim.processes.log import NO_CAUSE
from tests.processes.stage import EVENT, HOUR, MIN, THING, S, Stage, job, scenario, site


def fault(at_s, hit, effect="down", for_s=None):
    ends = {} if for_s is None else {"for": f"{for_s} s"}
    return {"at": f"{at_s} s", "hit": hit, "effect": effect, **ends}


def staged(*faults, **other):
    return Stage(scenario([job(8)], faults=faults, **other))


def event_of(stage, hit):
    """The event with which the fault on *hit* began."""
    rows = stage.tape.tables["events"]
    return next(r["event_id"] for r in rows if f'"hit": "{hit}"' in r["detail"])


def chain(stage, kind, thing, row):
    """What the first such event came of, from the beginning on, in words."""
    rows = stage.tape.tables["events"]
    asked = (kind, thing, row)
    at = next(row for row in rows if words(row) == asked)
    found = [asked]
    while at["cause_id"] != NO_CAUSE:
        assert at["cause_id"] < at["event_id"]
        at = rows[at["cause_id"]]
        found.insert(0, words(at))
    return found


def words(row):
    thing = THING[row["thing_kind_id"]] if row["thing_kind_id"] >= 0 else ""
    return EVENT[row["event_kind_id"]], thing, row["row"]


def test_a_breaker_opens_before_its_racks_are_dark_and_is_why():
    stage = staged(fault(1200, "lab/pdu/1", {"degrade": 0.1}, 600)).run()
    assert chain(stage, "down", "node", 5) == [
        *(("fault", "pdu", 1), ("down", "pdu", 1), ("down", "rack", 1), ("down", "node", 5)),
    ]


def test_a_feed_a_battery_and_the_racks_behind_it_are_one_chain():
    stage = staged(fault(1200, "lab/feed/0", for_s=3600)).run()
    assert chain(stage, "down", "rack", 0) == [
        *(("fault", "feed", 0), ("on_battery", "ups", 0), ("depleted", "ups", 0)),
        ("down", "rack", 0),
    ]


def test_a_feed_that_opens_puts_its_ups_on_battery():
    stage = staged(fault(1200, "lab/feed/0", {"degrade": 0.001}, 60)).run()
    assert chain(stage, "on_battery", "ups", 0) == [
        *(("fault", "feed", 0), ("down", "feed", 0), ("on_battery", "ups", 0)),
    ]


def test_a_fault_that_is_long_over_causes_nothing_any_more():
    stage = staged(fault(600, "lab/cdu/0", {"degrade": 0.5}, 60), hours=8)
    of = stage.cast.causes.of
    for t_ns, is_cause in (
        *((600 * S - 1, False), (600 * S, True), (661 * S, True)),
        *((660 * S + AFTERMATH_NS - 1, True), (660 * S + AFTERMATH_NS, False)),
    ):
        stage.cast.sim.run_to(t_ns)
        event = event_of(stage, "lab/cdu/0") if is_cause else NO_CAUSE
        assert of(stage.cast.sites["lab"], "gpu", 0) == event


def test_a_fault_that_lasts_is_named_again_once_a_later_one_is_over():
    stage = staged(
        fault(600, "lab/cdu/*", {"degrade": 0.9}), fault(700, "lab/cdu/0", "down", 5), hours=8
    )
    for t_ns, hit in ((MIN * 12, "lab/cdu/0"), (4 * HOUR, "lab/cdu/*")):
        stage.cast.sim.run_to(t_ns)
        assert stage.cast.causes.of(stage.cast.sites["lab"], "gpu", 0) == event_of(stage, hit)


def test_a_breakdown_is_forgotten_when_it_is_mended():
    stage = staged(hours=8)
    causes, lab = stage.cast.causes, stage.site
    lab.ups.depleted[0] = True
    causes.broke(lab, Fact("depleted", "ups", 0), 7)
    causes.mended(lab, Fact("off_battery", "ups", 0))
    assert causes.of(lab, "rack", 0) == 7
    lab.ups.depleted[0] = False
    causes.mended(lab, Fact("recharging", "ups", 0))
    assert causes.of(lab, "rack", 0) == NO_CAUSE


@pytest.mark.parametrize("kind", ["leaf", "link"])
def test_a_node_without_rails_names_what_took_its_own(kind):
    """A fault on the fabric of another unit is later, but has nothing to do with it."""
    own, other = {"leaf": ("0-1", "15"), "link": ("0-1", "300")}[kind]
    stage = staged(
        fault(1200, f"lab/{kind}/{own}"),
        fault(1300, f"lab/{kind}/{other}"),
        sites={"lab": site(40)},
    ).run()
    rows = stage.tape.tables["events"]
    down = [row for row in rows if words(row)[:2] == ("down", "node")]
    assert {json.loads(rows[row["cause_id"]]["detail"])["hit"] for row in down} == {
        f"lab/{kind}/{own}"
    }
    assert stage.cast.causes.of(stage.cast.sites["lab"], "node", 0) == event_of(
        stage, f"lab/{kind}/{own}"
    )
