"""Names: a public type's name stands for one thing in all of openflan."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def public_types(module: Path):
    """Classes and type aliases of a module that are not private."""
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        names = []
        if isinstance(statement, ast.ClassDef):
            names = [statement.name]
        elif isinstance(statement, ast.Assign):
            names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        yield from (name for name in names if name[0].isupper() and not name.isupper())


def test_no_two_public_types_have_one_name():
    places = defaultdict(list)
    for module in sorted(SOURCE.rglob("*.py")):
        for name in public_types(module):
            places[name].append(str(module.relative_to(SOURCE)))
    assert len(places) > 200
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}
