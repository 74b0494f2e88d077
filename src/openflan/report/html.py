"""Templates of pages: all text escaped, an unknown name an error.

Rejected: templates of users' own: a page that looks the same everywhere is read faster.
"""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from openflan.report import numbers

__all__ = ["render"]


def render(template: str, **context: Any) -> str:
    """A page from one of the templates beside this file."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("openflan", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {name: getattr(numbers, name) for name in numbers.__all__ if name.islower()}
    environment.globals["dash"] = numbers.NONE
    return environment
