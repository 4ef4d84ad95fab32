"""A digest: equal bytes, equal digest, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest

from dcsim.engine import array_digest

ONE = {"a": np.arange(4.0), "b": np.array([True, False])}


def test_the_order_of_names_and_the_layout_in_memory_do_not_matter():
    strided = {"b": ONE["b"].copy(), "a": np.arange(8.0)[::2] / 2}
    assert array_digest(strided) == array_digest(ONE)
    grid = np.arange(6.0).reshape(2, 3)
    assert array_digest({"a": np.asfortranarray(grid)}) == array_digest({"a": grid})


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.arange(4.0), "c": ONE["b"]},
        {"a": np.arange(4.0).reshape(2, 2), "b": ONE["b"]},
        {"a": np.nextafter(np.arange(4.0), 9), "b": ONE["b"]},
        {"a": np.array([-0.0, 1, 2, 3]), "b": ONE["b"]},
        {"a": ONE["a"]},
    ],
)
def test_a_name_type_shape_or_bit_that_differs_shows(other):
    assert array_digest(other) != array_digest(ONE)


def test_equal_bytes_of_another_type_show():
    assert array_digest({"a": np.zeros(4)}) != array_digest({"a": np.zeros(4, np.int64)})


def test_it_is_the_same_in_another_process():
    code = (
        "import numpy as np; from dcsim.engine import array_digest;"
        "print(array_digest({'b': np.array([True, False]), 'a': np.arange(4.0)}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.strip() == array_digest(ONE)


def test_objects_have_no_bytes_of_their_own():
    with pytest.raises(TypeError, match="a holds objects"):
        array_digest({"a": np.array([None, "x"], dtype=object)})
