"""Renders the project's HTML pages, which share a skeleton and a style, `page_base.html.jinja`."""

import math
from pathlib import Path

import jinja2

_COMPONENTS = Path(__file__).parent.parent


def render(template: str, **values: object) -> str:
    """A page as HTML; it needs no other file and no network.

    Args:
        template: path below `components/`; it extends `pages/page_base.html.jinja`.
        values: what the template names, `title` among it. Texts are escaped.

    Raises:
        jinja2.UndefinedError: the template names something that is not in `values`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_COMPONENTS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = _percent
    return environment.get_template(template).render(values)


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f}"
