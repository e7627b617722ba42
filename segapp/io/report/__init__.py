"""One page of HTML that shows a result to someone who was not there."""

from segapp.io.report.page import write_report

__all__ = ["write_report"]
