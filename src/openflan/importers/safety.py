"""What in a stranger's template the sandbox would refuse, found before the template becomes part of a task.

Invariant: a text that passes compiles and calls nothing that the sandbox forbids; what depends on a row can still fail
there. Rejected: rendering a trial row, which an imported task does not have yet.
"""

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext

from openflan.prompts.sandbox import LONGEST, SANDBOX, unfit

__all__ = ["why_unfit"]


def why_unfit(text: str) -> str | None:
    """What in a template the sandbox would refuse, now or when it is rendered; None where it may run."""
    if len(text) > LONGEST:
        return f"is over {LONGEST:,} characters"
    try:
        tree = SANDBOX.parse(text)
    except TemplateSyntaxError as error:
        return f"is not valid Jinja here: {error.message}"
    if why := unfit(tree):
        return why
    for one in tree.find_all(nodes.Expr):
        if why := _why_unfit(one):
            return why
    return None


def _why_unfit(one: nodes.Expr) -> str | None:
    """What the sandbox refuses only when a template is compiled or rendered."""
    why = None
    if isinstance(one, nodes.Filter) and one.name not in SANDBOX.filters:
        why = f"uses the filter '{one.name}'"
    elif isinstance(one, nodes.Test) and one.name not in SANDBOX.tests:
        why = f"uses the test '{one.name}'"
    elif isinstance(one, nodes.Call) and isinstance(one.node, nodes.Name) and one.node.name not in SANDBOX.globals:
        why = f"calls {one.node.name}()"
    elif isinstance(one, nodes.Call) and isinstance(one.node, nodes.Getattr):
        safe = SANDBOX.is_safe_attribute("", one.node.attr, None)
        why = None if safe else f"calls .{one.node.attr}()"
    elif isinstance(one, nodes.Getattr) and one.node == nodes.Name("loop", "load"):
        safe = SANDBOX.is_safe_attribute(LoopContext((), StrictUndefined, None), one.attr, None)
        why = None if safe else f"uses loop.{one.attr}"
    elif isinstance(one, nodes.Pow):
        why = "uses '**'"
    elif isinstance(one, nodes.Mul | nodes.Mod):
        sides = [side for side in (one.left, one.right) if isinstance(side, nodes.Const)]
        why = f"uses '{one.operator}' on a text" if any(isinstance(side.value, str) for side in sides) else None
    return why
