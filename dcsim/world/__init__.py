"""What exists: tables of rows, one builder a subsystem, names, and who depends on whom."""

from dcsim.world.building import World, build, state_columns
from dcsim.world.names import Match, matches, name_of
from dcsim.world.site import Placement, Site
from dcsim.world.sources import sources_of

__all__ = [
    "Match",
    "Placement",
    "Site",
    "World",
    "build",
    "matches",
    "name_of",
    "sources_of",
    "state_columns",
]
