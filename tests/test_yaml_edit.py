"""A YAML file changed in one place keeps the rest of its lines, and always reads as was asked for."""

import pytest

from openflan.recipes.safe_yaml import parse_yaml
from openflan.recipes.yaml_edit import with_item, with_keys

TEXT = """# head
name: one   # the name
list:
- a: 1
  b: |
    text

    # not a remark
# about the second
-
  a: 2
other: {x: 1}

# about the last
last: [1, 2]
"""


def test_other_lines_stay():
    changed = with_item(TEXT, "list", 0, {"a": 9})
    assert changed == TEXT.replace("- a: 1\n  b: |\n    text\n\n    # not a remark\n", "- a: 9\n")
    assert with_keys(TEXT, {"other": None}) == TEXT.replace("other: {x: 1}\n", "")
    assert (
        with_keys(TEXT, {"name": "two", "new": 3}) == TEXT.replace("name: one   # the name", "name: two") + "new: 3\n"
    )


@pytest.mark.parametrize(
    "value", ["\n\n", "a\n\n", " lead\n", "tail \nx", "- a: #b", "yes", "3e-5", "é\t", "'\"", "|2+"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(
    "text", [TEXT, TEXT.replace("\n", "\r\n"), "list: [{a: 1}, {a: 2}]", '{"list": [{"a": 1}, 2]}']
)
def test_any_text_reads_back(text, place, value):
    changed = parse_yaml(with_item(text, "list", place, {"input": value}))
    assert changed["list"][place] == {"input": value}
    assert {k: v for k, v in changed.items() if k != "list"} == {
        k: v for k, v in parse_yaml(text).items() if k != "list"
    }


def test_a_list_that_is_not_there_begins():
    assert parse_yaml(with_item("name: a", "list", 0, 1)) == {"name": "a", "list": [1]}
    assert parse_yaml(with_item("name: a\nlist: []\n", "list", 0, 1)) == {"name": "a", "list": [1]}


def test_a_new_key_stands_where_it_belongs():
    assert with_keys(TEXT, {"new": 1}, after="name").splitlines()[:3] == ["# head", "name: one   # the name", "new: 1"]
    assert with_keys(TEXT, {"new": 1}, after="nothing").endswith("new: 1\n")
