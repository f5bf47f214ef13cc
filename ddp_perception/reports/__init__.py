"""A run's folder as one page: `read_run` reads it, `render_page` writes it."""
from ddp_perception.reports.page import render_page
from ddp_perception.reports.run import NoRunError, Run, read_run

__all__ = ['NoRunError', 'Run', 'read_run', 'render_page']
