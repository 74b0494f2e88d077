"""The face of the package: it closes, it says what it does, and it costs nothing to import."""

import ast
import inspect
import re
import subprocess
import sys
import types
import typing
from collections import defaultdict
from dataclasses import is_dataclass
from pathlib import Path

import openflan

SRC = Path(openflan.__file__).parents[1]
NAMES = [name for name in openflan.__all__ if name != "__version__"]
FACE = {name: getattr(openflan, name) for name in NAMES}
CLASSES = [thing for thing in FACE.values() if inspect.isclass(thing)]


def ours(thing) -> bool:
    return getattr(thing, "__module__", "").split(".")[0] in ("openflan", "openflan_starter")


def names_for_types(module: str) -> dict[str, object]:
    """What a module imports for type checkers only."""
    found: dict[str, object] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), module, "exec"), found)
    return found


def types_in(hint) -> set[type]:
    """The package's own types that an annotation mentions."""
    if isinstance(hint, list | tuple):
        return set().union(*map(types_in, hint))
    if inspect.isclass(hint) and not isinstance(hint, types.GenericAlias):
        return {hint} if ours(hint) else set()
    return set().union(*map(types_in, typing.get_args(hint)), types_in(typing.get_origin(hint) or ()))


def members(cls: type):
    """Public methods and properties that the package gives a class, by name."""
    for base in cls.__mro__:
        if ours(base):
            for name, member in vars(base).items():
                function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
                if not name.startswith("_") and isinstance(function, types.FunctionType) and ours(function):
                    yield name, function


def mentioned(thing) -> dict[str, set[type]]:
    """The package's own types in a function's or class's signatures and fields, by where they stand."""
    if not inspect.isclass(thing):
        return {
            thing.__name__: types_in(
                tuple(typing.get_type_hints(thing, None, names_for_types(thing.__module__)).values())
            )
        }
    found = {}
    for base in thing.__mro__:
        if ours(base):
            hints = typing.get_type_hints(base, None, names_for_types(base.__module__))
            found |= {f"{thing.__name__}.{k}": types_in(v) for k, v in hints.items() if not k.startswith("_")}
    own = [("", thing.__init__)] if ours(thing.__init__) else []
    for name, function in [*members(thing), *own]:
        if isinstance(function, types.FunctionType):
            hints = typing.get_type_hints(function, None, names_for_types(function.__module__))
            found[f"{thing.__name__}.{name}"] = types_in(tuple(hints.values()))
    return found


def test_what_a_name_mentions_is_a_name_too():
    things = [t for t in FACE.values() if isinstance(t, types.FunctionType) or (inspect.isclass(t) and ours(t))]
    assert len(things) > 150
    hidden = {
        f"{place}: {t.__module__}.{t.__name__}"
        for thing in things
        for place, found in mentioned(thing).items()
        for t in found
        if t not in CLASSES
    }
    assert not hidden


def test_a_name_says_what_it_is():
    silent = []
    for name, thing in FACE.items():
        if isinstance(thing, types.FunctionType) or inspect.isclass(thing):
            said = {name: thing}
            said |= {f"{name}.{member}": one for member, one in (members(thing) if inspect.isclass(thing) else ())}
            silent += [label for label, one in said.items() if not inspect.getdoc(one)]
    assert not silent


def test_the_lists_of_names_agree():
    tree = ast.parse(Path(openflan.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    known = {(f"{node.module}".removeprefix("openflan."), alias.name) for node in checked.body for alias in node.names}
    assert known == {(module, name) for module, names in openflan._ROOMS.items() for name in names.split()}
    assert not set(NAMES) & {path.stem for path in Path(openflan.__file__).parent.iterdir()}


def test_importing_takes_nothing_that_is_slow():
    code = "import sys, openflan; print([m for m in ('torch', 'pydantic', 'numpy', 'typing') if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(SRC)!r}); {code}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        == "[]\n"
    )


def test_no_two_public_types_share_a_name():
    places = defaultdict(list)
    for package in ("openflan", "openflan_starter"):
        for path in sorted((SRC / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(path.relative_to(SRC).as_posix())
    assert len(places) > 200
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_a_name_says_what_it_takes():
    """Each argument has its line; one alone may be named in the sentence."""
    functions = []
    for name, thing in FACE.items():
        if isinstance(thing, types.FunctionType):
            functions.append((name, thing, thing.__doc__))
        if inspect.isclass(thing):
            functions += [(f"{name}.{member}", function, function.__doc__) for member, function in members(thing)]
            if ours(thing.__init__) and not is_dataclass(thing):
                functions.append((name, thing.__init__, thing.__doc__))
    silent = []
    for label, function, doc in functions:
        arguments = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
        for one in arguments:
            alone = len(arguments) == 1 and re.search(rf"\b{one}s?\b", doc)
            if not alone and not re.search(rf"^\s+{one}: ", doc, re.MULTILINE):
                silent.append(f"{label} does not say what {one} is")
    assert not silent
