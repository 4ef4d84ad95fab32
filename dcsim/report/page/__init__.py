"""The page of a run: one HTML file that needs nothing else, `write_page(run, summary)`."""

from dcsim.report.page.document import figures, write_page

__all__ = ["figures", "write_page"]
