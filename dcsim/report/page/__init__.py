"""The page of a run: one HTML file that needs nothing else, `write_page(run, summary)`."""

from dcsim.report.page.document import write_page

__all__ = ["write_page"]
