"""The commands of `dcsim`, a module for each kind; what they do lies elsewhere."""

from dcsim.commands.estimates import estimate, plan, validate
from dcsim.commands.folders import export, runs

COMMANDS = (estimate, plan, validate, export, runs)
