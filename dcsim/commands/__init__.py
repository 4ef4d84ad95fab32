"""The commands of `dcsim`, a module for each kind; what they do lies elsewhere."""

from dcsim.commands.estimates import estimate, plan, validate

COMMANDS = (estimate, plan, validate)
