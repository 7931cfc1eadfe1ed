"""A report as one HTML file that asks nothing of anyone: no script, no request, and a policy in its head that forbids both.

Answers, prompts and names are hostile input. The template escapes everything, nothing is ever marked as safe, and figures are drawn from
numbers alone.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitagent_evaluator.reports.view import Page

_TEMPLATE = "page.html.jinja"


def render(page: Page) -> str:
    """The page's HTML."""
    environment = Environment(
        loader=PackageLoader("bitagent_evaluator.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(page=page)
