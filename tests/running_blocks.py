"""Runs the blocks of a page or a notebook in one namespace, as a reader would who goes from top to bottom."""

import ast
import io
from contextlib import redirect_stdout
from typing import Any


class Session:
    """What was defined so far."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, code: str, where: str) -> str:
        """Run a block; what it printed, and its last expression where that is one."""
        tree = ast.parse(code, where)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(tree, where, "exec"), self._names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), where, "eval"), self._names)
                if value is not None:
                    printed.write(f"{value}\n")
        return printed.getvalue()
