"""YAML from strangers is read safely, and what is wrong with it is one line."""

import time

import pytest

from openflan.errors import UserError
from openflan.recipes.safe_yaml import Marked, parse_yaml, read_yaml


def test_numbers_are_read_as_yaml_1_2_does():
    assert parse_yaml("a: 3e-5\nb: 1.0e-3\nc: 12\nd: '3e-5'") == {"a": 3e-5, "b": 1e-3, "c": 12, "d": "3e-5"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("a: [1, 2", "expected"),
        ("x" * 1_000_001, "over 1,000,000 characters"),
    ],
)
def test_what_is_unsafe_or_broken_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        parse_yaml(text)


def test_aliases_of_aliases_are_refused_before_they_grow():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for below, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{below}'] * 9)}]")
    started = time.perf_counter()
    with pytest.raises(ValueError, match="more than 50 aliases"):
        parse_yaml("\n".join(lines))
    assert time.perf_counter() - started < 1


def test_a_few_aliases_are_fine():
    assert parse_yaml("a: &a [1]\nb: *a\nc: *a") == {"a": [1], "b": [1], "c": [1]}


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"- a list", "must hold a mapping"), (b"", "must hold a mapping"), (b"a: \xff", "not valid YAML")],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, content, says):
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(UserError, match=says) as caught:
        read_yaml(tmp_path / "mine.yaml", kind="task file", how="look again")
    assert str(tmp_path / "mine.yaml") in str(caught.value)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="no such task file; look again"):
        read_yaml(tmp_path / "gone.yaml", kind="task file", how="look again")


@pytest.mark.parametrize("text", ["[" * 300_000, "{a: " * 200_000, "- " * 400_000, "? " * 400_000, "[[" * 60 + "x"])
def test_a_file_nested_without_end_is_refused_before_it_is_built(text):
    with pytest.raises(ValueError, match=r"nested|expected|mapping|parsing"):
        parse_yaml(text, tags=("!Template",))


def test_tags_of_other_tools_are_plain_values_where_they_are_asked_for():
    text = "a: !Template {name: x}\nb: !function os.system\nc: !Template [1, 2]\n"
    read = parse_yaml(text, tags=("!Template", "!function"))
    assert read == {"a": {"name": "x"}, "b": Marked("!function", "os.system"), "c": [1, 2]}
    with pytest.raises(ValueError, match="could not determine a constructor"):
        parse_yaml(text)
