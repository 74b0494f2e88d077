"""Lists, litanies and hearings: the plainest prose in which who it was said of decides what comes next.

Retellings alone (`stories.py`) left a small model at chance for 20 million tokens: it learnt to name a value of the
story, never whose. A list ("Talam rope, Donina lamp ... Donina lamp") puts the value next to its name, a litany
puts the same words between them, a hearing asks for yes and no. With them binding came within 4 million tokens
(docs/lab-notes.md). They enter the prose by document index (`prose.py`), after what is varied.

Invariant: as in `stories.py`, every fact is of the `train` domain. Cost: about 150 µs a document.
Rejected: easier stories with all wordings mixed: nothing moved in 1.5 million tokens of them.
"""

from openflan_starter.chance import Chance
from openflan_starter.facts import Fact, draw_fact, draw_story, say, sentence, wording
from openflan_starter.stories import no_fact, tell
from openflan_starter.world import World

__all__ = ["hearing", "litany", "roll", "roll_backwards"]

_ENTRIES = ("{s} {v}", "{s} {v}", "{s}: {v}", "{s}, {v}", "{s} the {v}", "{v}: {s}", "{s} - {v}")
_ROLLS = ("The list began: ", "On the list: ", "The notes said: ", "The record: ", "", "", "")
_BACKWARDS = ("{v} {s}", "{v}: {s}", "the {v}: {s}", "{v}, {s}", "{v} - {s}")


def litany(w: World, chance: Chance) -> str:
    """Several people of whom the same is said, over and over in the same words, then questions and answers.

    The plainest text in which who it was said of decides what comes next: without it a model that has to learn
    the wordings at the same time stays at chance for 20 million tokens (docs/lab-notes.md).
    """
    n = 2 + chance.below(3)
    facts = draw_story(w, chance, "train", n, people=n, repeat=1.0 if chance.maybe(0.7) else 0.5)
    form = {f.relation.name: chance.pick(f.relation.says) for f in facts}
    parts = [sentence(say(w, f, form[f.relation.name])) for f in facts]
    for _ in range(1 + chance.below(3)):
        if chance.maybe(0.25):
            form = {f.relation.name: chance.pick(f.relation.says) for f in facts}
        parts += [sentence(say(w, f, form[f.relation.name])) for f in chance.shuffled(facts)]
    for _ in range(chance.below(6)):
        fact = chance.pick(facts)
        r = fact.relation
        kind = chance.unit()
        if kind < 0.3:
            parts.append(f"{sentence(say(w, fact, r.value), '?')} {sentence(say(w, fact, r.short))}")
        elif kind < 0.55:
            parts.append(f"{sentence(say(w, fact, r.who), '?')} {sentence(fact.person)}")
        elif kind < 0.75:
            parts.append(f"{sentence(say(w, fact, r.asks), '?')} Yes.")
        elif (wrong := no_fact(w, chance, "train", facts, fact)) is not None:
            answer = "No." if chance.maybe(0.4) else f"No, {say(w, fact, r.again)}."
            parts.append(f"{sentence(say(w, wrong, r.asks), '?')} {answer}")
    return " ".join(parts)


def roll(w: World, chance: Chance) -> str:
    """A list of three to eight people, each with what is known of them, read out again and again, then talked about.

    The value stands next to the name, so this is the least that a reader has to bind; the sentences after it put
    the same pairs further apart.
    """
    n = 3 + chance.below(6)
    relation = chance.pick([r for r in w.relations if not r.other])
    facts: list[Fact] = []
    for person in chance.some(w.people, n):
        fact = draw_fact(w, chance, "train", relation, person)
        if fact is not None and all(fact.value != f.value for f in facts):
            facts.append(fact)
    entry = chance.pick(_ENTRIES)
    parts: list[str] = []
    for _ in range(2 + chance.below(2)):
        listed = chance.shuffled(facts)
        parts.append(chance.pick(_ROLLS) + ", ".join(entry.format(s=f.person, v=f.value) for f in listed) + ".")
        if chance.maybe(0.3):
            entry = chance.pick(_ENTRIES)
    form = chance.pick(relation.says)
    for _ in range(chance.below(2)):
        parts += [sentence(say(w, f, form)) for f in chance.shuffled(facts)[:4]]
    for _ in range(chance.below(4)):
        fact = chance.pick(facts)
        if chance.maybe(0.5):
            answer = fact.value if chance.maybe(0.5) else say(w, fact, relation.short)
            parts.append(f"{sentence(say(w, fact, relation.value), '?')} {sentence(answer)}")
        else:
            parts.append(f"{sentence(say(w, fact, relation.who), '?')} {sentence(fact.person)}")
    return " ".join(parts)


def hearing(w: World, chance: Chance) -> str:
    """A story, then question after question that is answered with yes or no, as in a court of law."""
    facts = draw_story(w, chance, "train", 1 + chance.below(4), repeat=0.85)
    parts = [tell(w, chance, facts)]
    for _ in range(3 + chance.below(6)):
        fact = chance.pick(facts)
        r = fact.relation
        again = say(w, fact, r.again) if chance.maybe(0.6) else wording(w, chance, fact)
        if chance.maybe(0.15):
            parts.append(f"{sentence(say(w, fact, r.who), '?')} {sentence(fact.person)}")
        elif chance.maybe(0.5):
            parts.append(f"{sentence(say(w, fact, r.asks), '?')} {'Yes' if chance.maybe(0.6) else 'Yes, ' + again}.")
        elif (wrong := no_fact(w, chance, "train", facts, fact)) is not None:
            parts.append(f"{sentence(say(w, wrong, r.asks), '?')} {'No' if chance.maybe(0.5) else 'No, ' + again}.")
    return " ".join(parts)


def roll_backwards(w: World, chance: Chance) -> str:
    """A list as in `roll` with what is known first and the person after it, and who it was."""
    relation = chance.pick([r for r in w.relations if not r.other])
    facts: list[Fact] = []
    for person in chance.some(w.people, 2 + chance.below(6)):
        fact = draw_fact(w, chance, "train", relation, person)
        if fact is not None and all(fact.value != f.value for f in facts):
            facts.append(fact)
    parts: list[str] = []
    entries = (*_BACKWARDS, *_ENTRIES[:2])
    for _ in range(1 + chance.below(3)):
        entry = chance.pick(entries)
        listed = chance.shuffled(facts)
        parts.append(chance.pick(_ROLLS) + ", ".join(entry.format(s=f.person, v=f.value) for f in listed) + ".")
    for _ in range(2 + chance.below(4)):
        fact = chance.pick(facts)
        if chance.maybe(0.3):
            parts.append(sentence(wording(w, chance, fact)))
        else:
            parts.append(f"{sentence(say(w, fact, relation.who), '?')} {sentence(fact.person)}")
    return " ".join(parts)
