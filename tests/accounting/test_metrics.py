from dcsim.accounting import DEFINITIONS, WATERFALL, summarise
from dcsim.accounting.summary import NAMES
from tests.accounting.test_summary import day_with_a_failure


def test_every_number_is_defined_in_a_line():
    assert (*NAMES, *WATERFALL) == tuple(DEFINITIONS)
    for name, definition in DEFINITIONS.items():
        assert definition.unit, name
        for words in definition[1:]:
            assert "\n" not in words
            assert len(words) <= 160, name
            assert not words.endswith("."), name
        assert len(definition.meaning) > 12, name


def test_units_are_those_of_the_summary(tmp_path):
    for name, metric in summarise(day_with_a_failure(tmp_path)).metrics.items():
        assert metric.unit == DEFINITIONS[name].unit
