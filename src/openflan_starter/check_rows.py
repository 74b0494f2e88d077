"""Rows that ask whether something proposed is right: an answer, an effect, a title, a translation, a sort, a name.

Each is made from the row of a task that has options, with the right option or a wrong one in place of the list, so
it needs the same knowledge and another form: a judgement where plain prose has a continuation. They stand in seven
clusters, as such tasks do among real datasets (MultiRC, WSC, WiC). Rejected: a card against a sentence, for that is
inference under another name.
"""

from openflan_starter.chance import Chance, Domain
from openflan_starter.language_rows import LANGUAGE
from openflan_starter.reading_rows import READING
from openflan_starter.row_maker import Maker, StarterRow
from openflan_starter.sense_rows import SENSE
from openflan_starter.world import World

__all__ = ["CHECKS"]


def _proposed(maker: Maker, field: str, *, by: str = "") -> Maker:
    """The maker's rows with one option as `field`: the right one for label 0, a wrong one for label 1.

    Args:
        by: a field for somebody who proposes it; without one, nobody is named.
    """

    def make(w: World, chance: Chance, domain: Domain, label: int) -> StarterRow | None:
        row = maker.make(w, chance, domain, chance.below(maker.classes))
        if row is None:
            return None
        choices, right = row.pop("choices"), row.pop("label")
        number = right if label == 0 else chance.pick([n for n in range(len(choices)) if n != right])
        named = {by: chance.pick(w.people)} if by else {}
        return {**row, **named, field: choices[number], "label": label}

    return Maker(make=make, classes=2, context=maker.context)


CHECKS: dict[str, Maker] = {
    "reading_answer_check": _proposed(READING["reading_value"], "proposed"),
    "world_answer_check": _proposed(SENSE["world_question"], "proposed", by="person"),
    "story_feeling_check": _proposed(SENSE["story_feeling"], "feeling"),
    "tool_check": _proposed(SENSE["tool_choice"], "tool"),
    "ending_check": _proposed(SENSE["day_ending"], "ending"),
    "effect_check": _proposed(SENSE["cause_effect"], "effect"),
    "pronoun_check": _proposed(READING["pronoun_who"], "person"),
    "velan_check": _proposed(LANGUAGE["velan_pick"], "english"),
    "title_check": _proposed(LANGUAGE["title_pick"], "title"),
    "question_check": _proposed(LANGUAGE["question_sort"], "sort"),
}
