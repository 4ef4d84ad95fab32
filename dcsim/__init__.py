"""dcsim: a discrete-event simulator of AI datacenters.

`load` reads a scenario file, `simulate` runs it and writes a run folder, `Run` opens one; see
`dcsim.api` for examples.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Run", "Scenario", "default_models", "load", "simulate"]

if TYPE_CHECKING:
    from dcsim.api import Run, simulate
    from dcsim.physics.site import default_models
    from dcsim.scenario import Scenario, load

_HOMES = {
    "Run": "dcsim.api",
    "Scenario": "dcsim.scenario",
    "default_models": "dcsim.physics.site",
    "load": "dcsim.scenario",
    "simulate": "dcsim.api",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import dcsim` and `dcsim --help` stay light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'dcsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
