"""Stories told again: the prose from which a model learns to read.

A story of one to five facts is told, then told once to three times more in another order and other words, or
talked about in questions and answers. Most names and values of the later tellings can be predicted only from the
first, so the loss pays for binding: who was where, who had what.

Invariant: every fact in the text, true or denied, belongs to the `train` domain (or the domain asked for).
Cost: about 150 µs a document of 90 tokens.
Rejected: a mixed world where few tokens depend on context: the loss went flat at 8 million tokens and yes/no
questions stayed at chance (docs/lab-notes.md). Template text or entailment exercises: the prose must not be the test.
"""

from collections.abc import Sequence

from openflan_starter.chance import Chance, Domain
from openflan_starter.facts import Fact, change_value, draw_story, fits, near_fits, say, sentence, wording
from openflan_starter.world import World

__all__ = ["dense_retelling", "no_fact", "retelling", "tell"]

_AGAIN = (
    "In other words, ",
    "That is, ",
    "To put it differently, ",
    "To say the same again, ",
    "Once more: ",
    "This means that ",
    "That means ",
    "So ",
    "As was said, ",
    "To sum up, ",
    "The same story in other words: ",
    "Later people remembered that ",
    "When the story was told again, ",
    "In short, ",
    "",
    "",
    "",
)
_UNKNOWN = (
    "Nobody knows.",
    "The story does not say.",
    "It is not possible to tell.",
    "That is not known.",
    "Nobody could tell.",
)
_SAID = ("{o} said that {t}. ", "{o} thought that {t}. ", "According to {o}, {t}. ", "{o} claimed that {t}. ")
_RIGHT = ("That was true.", "That was right.", "This was correct.", "{o} was right.")
_WRONG = ("That was not true: ", "That was wrong: ", "This was false, because ", "{o} was wrong: ")


def tell(
    w: World, chance: Chance, facts: Sequence[Fact], *, pronouns: float = 0.0, used: dict[Fact, str] | None = None
) -> str:
    """The facts in this order, each in a random wording.

    Args:
        pronouns: how often a fact about the person of the sentence before says "he" or "she".
        used: the wording each fact had before, to be avoided now; updated.
    """
    parts: list[str] = []
    before = ""
    i = 0
    while i < len(facts):
        fact = facts[i]
        if fact.person == before and chance.maybe(pronouns):
            text = say(w, fact, fact.relation.again)
        else:
            text = wording(w, chance, fact, avoid=used.get(fact, "") if used is not None else "")
            if used is not None:
                used[fact] = text
        if i + 1 < len(facts) and chance.maybe(0.25):
            following = wording(w, chance, facts[i + 1])
            joint = ", but " if facts[i + 1].relation is fact.relation and chance.maybe(0.6) else " and "
            text += joint + following
            i += 1
        parts.append(sentence(text))
        before = facts[i].person if text.count(" and ") == 0 else ""
        i += 1
    return " ".join(parts)


def no_fact(w: World, chance: Chance, domain: Domain, facts: Sequence[Fact], fact: Fact) -> Fact | None:
    """Something near to the fact that the story denies: this person with another value of the same relation.

    The value is somebody else's in the same story where that is possible, so that "is it mentioned at all" does
    not answer the question.
    """
    own = {f.value for f in facts if f.relation is fact.relation and f.person == fact.person}
    near = [f.value for f in facts if f.relation.kind == fact.relation.kind and f.value not in own]
    near = [v for v in near if v not in (fact.person, fact.other)]
    if near and chance.maybe(0.7):
        changed = Fact(relation=fact.relation, person=fact.person, value=chance.pick(near), other=fact.other)
        if near_fits(changed, domain):
            return changed
    return change_value(w, chance, domain, fact, own)


def _answered(w: World, chance: Chance, facts: Sequence[Fact]) -> str:
    """One question and its answer, as people talk."""
    fact = chance.pick(facts)
    r = fact.relation
    kind = chance.unit()
    again = say(w, fact, r.again)
    if kind < 0.3:
        short = say(w, fact, r.short)
        question, answer = say(w, fact, r.value), chance.pick((short, short, again, wording(w, chance, fact)))
    elif kind < 0.45:
        question, answer = say(w, fact, r.who), fact.person if chance.maybe(0.7) else wording(w, chance, fact)
    elif kind < 0.65:
        question = say(w, fact, r.asks)
        answer = chance.pick(("yes", "yes", f"yes, {again}", f"yes, {wording(w, chance, fact)}"))
    else:
        return _denied(w, chance, facts, fact, kind)
    return f"{sentence(question, '?')} {sentence(answer)}"


def _denied(w: World, chance: Chance, facts: Sequence[Fact], fact: Fact, kind: float) -> str:
    """A question or a claim about what is not so, or not known."""
    r = fact.relation
    wrong = no_fact(w, chance, "train", facts, fact)
    if wrong is None:
        return sentence(wording(w, chance, fact))
    if kind < 0.85:
        again = say(w, fact, r.again)
        answer = chance.pick(("No.", f"No, {again}.", f"No, {again}.", f"No, {wording(w, chance, fact)}."))
        return f"{sentence(say(w, wrong, r.asks), '?')} {answer}"
    if kind < 0.95:
        o = chance.pick(w.people)
        claim = fact if chance.maybe(0.5) else wrong
        start = chance.pick(_SAID).format(o=o, t=wording(w, chance, claim))
        if claim is fact:
            return start + chance.pick(_RIGHT).format(o=o)
        return start + chance.pick(_WRONG).format(o=o) + wording(w, chance, fact) + "."
    stranger = Fact(relation=r, person=chance.pick(w.people), value=wrong.value, other=wrong.other)
    cast = {f.person for f in facts} | {stranger.value, stranger.other}
    if stranger.person in cast or not fits(stranger, "train"):
        return sentence(wording(w, chance, fact))
    return f"{sentence(say(w, stranger, r.asks), '?')} {chance.pick(_UNKNOWN)}"


def retelling(w: World, chance: Chance) -> str:
    """A document: a story and what follows from knowing it."""
    roll = chance.unit()
    n = 1 if roll < 0.08 else 2 if roll < 0.40 else 3 if roll < 0.70 else 4 if roll < 0.88 else 5
    facts = draw_story(w, chance, "train", n, repeat=0.7)
    used: dict[Fact, str] = {}
    parts = [tell(w, chance, facts, pronouns=0.2, used=used)]
    manner = chance.unit()
    if manner < 0.65:
        for _ in range(1 + chance.below(2) + (len(facts) < 3)):
            some = chance.shuffled(facts)[: max(1, len(facts) - chance.below(2))]
            text = tell(w, chance, some, pronouns=0.1, used=used)
            opening = chance.pick(_AGAIN)
            parts.append(opening + text if opening else text)
    if manner >= 0.35:
        for _ in range(1 + chance.below(2 + len(facts))):
            parts.append(_answered(w, chance, facts))
    if chance.maybe(0.2):
        parts.append(sentence(wording(w, chance, chance.pick(facts))))
    return ("\n" if chance.maybe(0.1) else " ").join(parts)


def dense_retelling(w: World, chance: Chance) -> str:
    """A story of two to four facts, told again several times and talked about at length."""
    facts = draw_story(w, chance, "train", 2 + chance.below(3), repeat=0.85)
    used: dict[Fact, str] = {}
    parts = [tell(w, chance, facts, pronouns=0.1, used=used)]
    for _ in range(2 + chance.below(3)):
        if chance.maybe(0.5):
            text = tell(w, chance, chance.shuffled(facts), used=used if chance.maybe(0.6) else None)
            parts.append(chance.pick(_AGAIN) + text)
        else:
            parts += [_answered(w, chance, facts) for _ in range(1 + chance.below(4))]
    return " ".join(parts)
