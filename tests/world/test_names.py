"""Names and selectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcsim import world
from dcsim.scenario import loads
from dcsim.world import matches, name_of
from tests.physics.rig import AIR, LIQUID, text_of


def site_text(parts: dict[str, str]) -> str:
    return "\n".join(f"    {key}: {value}" for key, value in parts.items())


SITES = world.build(loads(text_of(LIQUID) + f"  hall:\n{site_text(AIR)}\n")).sites
LAB, HALL = SITES.values()


def rows(selector: str) -> dict[str, list[int]]:
    """The rows that match, by site and kind."""
    found = matches(selector, SITES)
    return {f"{match.site.name}/{match.kind}": match.rows.tolist() for match in found}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("lab/cdu/1", {"lab/cdu": [1]}),
        ("lab/node/3-5", {"lab/node": [3, 4, 5]}),
        ("lab/node/14-99", {"lab/node": [14, 15]}),
        ("lab/rack/*", {"lab/rack": [0, 1, 2, 3]}),
        ("*/ups/0", {"lab/ups": [0], "hall/ups": [0]}),
        ("*/crah/*", {"hall/crah": [0, 1]}),
        ("lab/rack/2/node/*", {"lab/node": [8, 9, 10, 11]}),
        ("lab/rack/2/node/0", {"lab/node": [8]}),
        ("lab/rack/1-2/node/3-4", {"lab/node": [7, 8]}),
        ("lab/node/1/gpu/7", {"lab/gpu": [15]}),
        ("lab/cdu/1/rack/*", {"lab/rack": [2, 3]}),
        ("lab/cdu/1/node/0-1", {"lab/node": [8, 9]}),
        ("lab/pdu/3/gpu/0", {"lab/gpu": [96]}),
        ("lab/feed/1/rack/*", {"lab/rack": [2, 3]}),
        ("lab/feed/1/ups/*/pdu/1", {"lab/pdu": [3]}),
        ("hall/ups/1/crah/*", None),
        ("lab/link/127", {"lab/link": [127]}),
        ("lab/leaf/0", {"lab/leaf": [0]}),
    ],
)
def test_selectors(selector, expected):
    if expected is None:
        with pytest.raises(ValueError, match="matches nothing"):
            matches(selector, SITES)
    else:
        assert rows(selector) == expected


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ("labb/cdu/0", "lab"),
        ("lab/cdus/0", "cdu"),
        ("lab/crah/0", "allowed gpu, node, rack, cdu"),
        ("lab/cdu/2", "lab has cdu/0-1"),
        ("lab/cdu/5-9", "lab has cdu/0-1"),
        ("lab/node/3-1", "lab has node/0-15"),
        ("lab/rack/9/node/0", "lab has rack/0-3"),
        ("lab/rack/1/node/4", "lab/rack/1 has node/0-3"),
        ("lab/node/1/rack/0", "lab/node/1 has no rack"),
    ],
)
def test_what_matches_nothing_says_why(selector, says):
    with pytest.raises(ValueError, match=says):
        matches(selector, SITES)


@given(st.sampled_from(["gpu", "node", "rack", "cdu", "pdu", "ups", "feed", "leaf"]), st.data())
def test_a_name_selects_the_thing_that_has_it(kind, data):
    row = data.draw(st.integers(0, LAB.counts[kind] - 1))
    [match] = matches(name_of(LAB, kind, row), SITES)
    assert (match.site, match.kind, match.rows.tolist()) == (LAB, kind, [row])


@pytest.mark.parametrize("above", ["rack", "cdu", "pdu", "ups", "feed"])
@pytest.mark.parametrize("below", ["node", "gpu"])
def test_the_things_below_are_a_partition(above, below):
    parts = [
        matches(f"lab/{above}/{row}/{below}/*", SITES)[0].rows for row in range(LAB.counts[above])
    ]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.arange(LAB.counts[below], dtype=np.int64)
    )


def test_cooling_units_are_called_after_what_they_cool():
    assert (LAB.unit_kind, HALL.unit_kind) == ("cdu", "crah")
