"""Moist air by psychrolib, after the ASHRAE Handbook of Fundamentals (2017), chapter 1."""

import importlib.util
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def wet_bulb_c(dry_bulb_c: F64, humidity_frac: F64, pressure_pa: F64) -> F64:
    """Return the thermodynamic wet-bulb temperature [degC] of moist air, shape (n,).

    The arguments have the same shape. Valid for -100..200 degC and a relative humidity of 0..1;
    accuracy 0.001 K, where psychrolib stops iterating.
    """
    function = _psychrolib().GetTWetBulbFromRelHum
    air = zip(dry_bulb_c.tolist(), humidity_frac.tolist(), pressure_pa.tolist(), strict=True)
    return np.minimum([function(*state) for state in air], dry_bulb_c)


@cache
def _psychrolib() -> Any:
    """Load a copy of psychrolib of our own, in SI and without numba.

    Where psychrolib finds numba it compiles itself at each start: that takes 1.7 s, a year of
    hours in plain Python 0.15 s. Its system of units is global, so a user's copy is left alone.
    """
    spec = importlib.util.find_spec("psychrolib")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    numba = sys.modules.get("numba")
    sys.modules["numba"] = None  # type: ignore[assignment]  # an import of it now fails
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["numba"]
        if numba is not None:
            sys.modules["numba"] = numba
    module.SetUnitSystem(module.SI)
    return module
