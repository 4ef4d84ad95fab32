"""The commands of `dcsim`, a module for each kind; what they do lies elsewhere."""

from dcsim.commands.estimates import estimate, plan, validate
from dcsim.commands.folders import export, runs
from dcsim.commands.reference import browse, check, explain, schema

COMMANDS = (check, estimate, plan, validate, export, runs, browse, schema, explain)
