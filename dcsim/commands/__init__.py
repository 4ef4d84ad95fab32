"""The commands of `dcsim`, a module for each kind; what they do lies elsewhere."""

from dcsim.commands.estimates import estimate, plan, validate
from dcsim.commands.folders import export, runs
from dcsim.commands.pages import report
from dcsim.commands.reference import browse, check, explain, schema
from dcsim.commands.stories import compare, why

COMMANDS = (
    *(check, report, why, compare, export, runs),
    *(estimate, plan, validate, browse, schema, explain),
)
