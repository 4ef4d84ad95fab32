import numpy as np
import pytest

from dcsim.report.page.floor import CELLS_MAX, cell_racks
from dcsim.report.page.sankey import Box, ribbons_between
from dcsim.report.page.section import Cell, Table, data_table, escaped, number, plain
from dcsim.report.page.series import BINS_MAX, edges, reduced

SECOND_NS = 10**9


def test_bins_are_the_times_themselves_while_a_screen_shows_them():
    times = np.array([30, 10, 20, 20, 0, 40]) * SECOND_NS
    assert edges(times, 40 * SECOND_NS).tolist() == [t * SECOND_NS for t in (0, 10, 20, 30, 40)]
    many = np.arange(5 * BINS_MAX) * SECOND_NS
    assert edges(many, int(many[-1])).size == BINS_MAX + 1
    assert edges(np.zeros(0, np.int64), 0).tolist() == [0, 1]


def test_a_series_is_reduced_to_least_mean_and_most_and_keeps_its_sum():
    rng = np.random.Generator(np.random.Philox(key=1))
    t_ns = np.cumsum(rng.integers(1, 20, 500)) * SECOND_NS
    values = rng.uniform(1, 9, 500)
    at_ns = np.linspace(0, t_ns[-1], 38).astype(np.int64)
    found = reduced(t_ns, values, at_ns)
    total = values @ np.diff(t_ns, prepend=0)
    assert found.mean @ np.diff(at_ns) == pytest.approx(total, rel=1e-6)
    assert (found.low <= found.mean + 1e-9).all()
    assert (found.mean <= found.high + 1e-9).all()
    assert found.high.max() == values.max()
    assert found.low.min() == values.min()


def test_a_single_row_holds_in_all_bins_before_it():
    found = reduced(np.array([10]), np.array([5.0]), np.array([0, 4, 8, 10, 12]))
    assert found.mean.tolist()[:3] == [5.0, 5.0, 5.0]
    assert np.isnan(found.mean[3])


def test_gaps_stay_gaps():
    t_ns, values = np.array([1, 2, 3]), np.array([1.0, np.nan, 3.0])
    found = reduced(t_ns, values, np.array([0, 1, 2, 3]))
    assert found.mean[[0, 2]].tolist() == [1.0, 3.0]
    assert np.isnan(found.mean[1])
    assert np.isnan(found.high[1])


def test_racks_share_a_square_only_where_there_are_too_many():
    assert cell_racks(3125) == 1
    assert cell_racks(0) == 1
    for racks in (4001, 62_500, 500_000):
        assert -(-racks // cell_racks(racks)) <= CELLS_MAX


def test_ribbons_keep_what_flows():
    begins = [Box("a", 0, 3.0, "", ""), Box("b", 0, 1.0, "", "")]
    ends = [Box("c", 1, 2.5, "", ""), Box("d", 1, 1.5, "", "")]
    found = ribbons_between(begins, ends)
    assert sum(r.value for r in found) == pytest.approx(4.0)
    assert sum(r.value for r in found if r.end == "d") == pytest.approx(1.5)
    assert sum(r.value for r in found if r.begin == "b") == pytest.approx(1.0)


def test_markup_and_control_characters_are_shown_not_obeyed():
    assert escaped("<b>\x00\x1b&\"'") == "&lt;b&gt;␀␛&amp;&quot;&#x27;"
    assert escaped("\ud800") == "?"
    assert plain("$$x$$ \\(y\\) \x07") == "$ $x$ $ \\ (y\\) ␇"


def test_a_number_that_is_not_known_says_so_and_sorts_last():
    assert number(None, "x") == number(float("nan"), "x") == Cell("not known", -np.inf)
    assert number(2.0, "2 W") == Cell("2 W", 2.0)


def test_a_table_holds_what_it_sorts_by():
    text = data_table(Table("Racks", ("rack", "power"), [("a<", Cell("1 kW", 1000.0))]))
    assert '<td>a&lt;</td><td class="n" data-v="1000">1 kW</td>' in text
    assert "Racks: none." in data_table(Table("Racks", ("rack",), []))
