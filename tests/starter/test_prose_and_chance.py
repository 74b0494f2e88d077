"""The world is the same everywhere, and each piece of content belongs to one domain."""

import re
import subprocess
import sys

import pytest

from openflan_starter.chance import DOMAINS, Chance, domain_of
from openflan_starter.facts import draw_story, fits
from openflan_starter.prose import SCHEDULE, document
from openflan_starter.world import world

_PRINT = """
import hashlib
from itertools import islice
from openflan_starter.prose import SCHEDULE, document
from openflan_starter.rows import rows
from openflan_starter.world import world
text = [document(3, start + i) for start, _ in SCHEDULE for i in range(20)]
text += [repr(world().people[:50]), repr(sorted(world().toy.items()))]
text += [repr(list(islice(rows(task, "test"), 5))) for task in ("inference_yes_no", "card_pick", "sum_pick")]
print(hashlib.sha256("".join(text).encode()).hexdigest())
"""


def test_prose_and_rows_do_not_depend_on_the_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", _PRINT], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "22")
    }
    assert len(printed) == 1


def test_documents_can_be_made_in_any_order():
    forward = [document(0, i) for i in range(40)]
    backward = [document(0, i) for i in reversed(range(40))]
    assert forward == backward[::-1]
    assert forward != [document(1, i) for i in range(40)]


def test_a_word_draw_is_never_out_of_range():
    chance = Chance("any", 1)
    assert {chance.below(3) for _ in range(200)} == {0, 1, 2}
    assert sorted(chance.shuffled("abcd")) == list("abcd")
    assert len(set(chance.some(range(10), 4))) == 4


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_fact_of_a_story_belongs_to_its_domain(domain):
    w = world()
    stories = [draw_story(w, Chance(domain, i), domain, 3) for i in range(30)]
    assert all(fits(fact, domain) for story in stories for fact in story)


def test_a_friendship_has_one_domain_whoever_is_named_first():
    w = world()
    friend = w.relation("friend")
    from openflan_starter.facts import Fact

    for a, b in zip(w.people[:200], w.people[200:400], strict=True):
        one = Fact(relation=friend, person=a, value=b)
        two = Fact(relation=friend, person=b, value=a)
        assert [fits(one, d) for d in DOMAINS] == [fits(two, d) for d in DOMAINS]


def test_one_class_in_eight_is_kept_out_of_the_prose():
    domains = [domain_of("key", str(i)) for i in range(20_000)]
    assert domains.count("test") / 20_000 == pytest.approx(3 / 32, abs=0.01)
    assert domains.count("train") / 20_000 == pytest.approx(27 / 32, abs=0.01)


def test_the_world_is_large():
    w = world()
    assert len(w.people) >= 1_000
    assert sum(len(words) for words in w.kinds.values()) >= 2_000
    assert sum(len(table) for table in w.knowledge.values()) >= 800
    assert all(len(relation.says) >= 6 for relation in w.relations)
    assert len({name.lower() for name in (*w.people, *w.towns)}) == len(w.people) + len(w.towns)


def test_prose_is_prose():
    text = "\n".join(document(0, start + i) for start, _ in SCHEDULE for i in range(500)).lower()
    for task_format in ("options:", "premise:", "hypothesis", "can we say that", "{{", "answer:"):
        assert task_format not in text
    assert not re.search(r"- (yes|no)\W*\n+- (yes|no)\b", text)  # a speaker's dash is prose, a list of answers is not
