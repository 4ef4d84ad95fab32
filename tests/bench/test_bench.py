"""The yardsticks of the benchmark compute what dcsim computes."""

import pytest

from bench import step
from bench.contenders import c_step, numba_step, numpy_step
from bench.table import Row, show


def test_numpy_agrees():
    step.assert_agreement(numba_step(1), numpy_step)


def test_threads_agree():
    step.assert_agreement(numba_step(1), numba_step(2))


def test_c_agrees(tmp_path):
    contender = c_step(tmp_path, 1)
    if contender is None:
        pytest.skip("no C compiler")
    step.assert_agreement(numba_step(1), contender)


def test_a_disagreement_is_found():
    def wrong(case):
        numpy_step(case)
        case.gpu.temp_c[7] += 0.1

    with pytest.raises(AssertionError, match="temp_c"):
        step.assert_agreement(numba_step(1), wrong)


@pytest.mark.parametrize(("figure", "fine"), [(1.0, True), (3.0, False), (float("nan"), False)])
def test_a_ratio_over_its_limit_fails(figure, fine, capsys):
    assert show([Row("it", figure, "s", "that", 2.0, 1.0)]) is fine
    assert ("<- over" in capsys.readouterr().out) is not fine
