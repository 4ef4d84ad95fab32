"""What people see of a run: a line of progress while it runs, and a summary at its end."""

from dcsim.report.terminal import print_summary
from dcsim.report.words import sentence

__all__ = ["print_summary", "sentence"]
