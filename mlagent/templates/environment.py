"""Rendering of shipped templates.

Guarantees: undefined names are errors, templates come only from the content folders (no path
escapes), the sandboxed environment refuses attribute tricks, HTML is escaped, and the `literal`
filter turns a value into a Python literal, so that data never becomes code. It does not judge what
a template says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

from mlagent.content import Content
from mlagent.contracts.errors import MlagentError


class ContentLoader(BaseLoader):
    """Loads `templates/<folder>/<name>` through Content.

    Names with '..', a root or a drive are not found.
    """

    def __init__(self, content: Content, folder: str = "") -> None:
        self.content = content
        self.folder = f"templates/{folder}".rstrip("/")

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str | None, Callable[[], bool]]:
        """The text of one template. Raises TemplateNotFound."""
        pieces = template.split("/")
        if any(piece in ("", ".", "..") or "\\" in piece or ":" in piece for piece in pieces):
            raise TemplateNotFound(template)
        relative = f"{self.folder}/{template}"
        try:
            text = self.content.text(relative)
        except (MlagentError, OSError) as problem:
            raise TemplateNotFound(template) from problem
        return text, relative, lambda: True


def literal(value: Any) -> str:
    """A Python literal for plain data.

    Plain: None, bool, int, finite float, str, and lists, tuples and dicts of them.

    Raises:
        MlagentError: the value is anything else, so it cannot be written as data.
    """
    if value is None or isinstance(value, (bool, int)):
        return repr(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, str):
        return ascii(str(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{literal(key)}: {literal(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    raise MlagentError(f"A value of type {type(value).__name__!r} cannot become a Python literal.")


def _is_html(name: str | None) -> bool:
    return name is not None and name.removesuffix(".j2").endswith((".html", ".htm", ".svg", ".xml"))


def environment(content: Content, folder: str = "") -> SandboxedEnvironment:
    """A Jinja environment over `templates/<folder>`; `.html` templates are escaped."""
    made = SandboxedEnvironment(
        loader=ContentLoader(content, folder),
        undefined=StrictUndefined,
        autoescape=_is_html,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    made.filters["literal"] = literal
    return made


def render(content: Content, name: str, **values: Any) -> str:
    """The text of `templates/<name>` with the values filled in.

    Raises:
        MlagentError: the template is missing, is not valid, or uses a name that was not given.
    """
    try:
        return environment(content).get_template(name).render(**values)
    except TemplateNotFound as problem:
        raise MlagentError(
            f"The template {str(problem)!r} is missing.", remedy="Install mlagent again."
        ) from problem
    except TemplateError as problem:
        raise MlagentError(
            f"The template {name!r} does not render: {problem}.",
            remedy="Correct it below the --content folder, or leave --content out.",
        ) from problem
