"""Inquiries: talk about what is known, who is meant and how people felt, laid out as pages are.

`pages.py` asks about what a story tells. Here the answer is found in another way: from what is always so in the world,
from the sense of a sentence with a pronoun, from what usually makes people glad or sad. Questions are asked with a
verb in front, as people talk ("Does a fox eat berries?"); statements that stand for judgement are left to tuning.

Invariant: contexts are of the `train` domain, and so are questions, but for a yes/no question none of whose wordings
is; no option lists, no headings of the suite. Cost: about 100 µs a document. Rejected: statements and verdicts ("A fox
eats berries. Right."): that is a task, not prose.
"""

from openflan_starter.chance import Chance, domain_of
from openflan_starter.episodes import draw_mood
from openflan_starter.facts import sentence
from openflan_starter.knowledge import Known, draw_known, known_question, known_statement, known_yes_no, wrong_value
from openflan_starter.pages import GAPS, StoryQuestion, aside, exchange, joined
from openflan_starter.talk import draw_meant
from openflan_starter.world import World

__all__ = ["inquiry"]


def _known(w: World, chance: Chance, parts: list[str]) -> list[StoryQuestion]:
    """Something constant, asked for or asked about; sometimes behind other things that are known."""
    known = draw_known(w, chance)
    for _ in range(chance.below(3)):
        other = draw_known(w, chance)
        statement = known_statement(chance, "train", other)
        if statement and other.subject != known.subject:
            parts.append(sentence(statement))
    questions: list[StoryQuestion] = []
    for _ in range(1 + chance.below(3)):
        kind = chance.unit()
        question = known_question(chance, "train", known) if kind < 0.35 else None
        if question is not None:
            questions.append(
                StoryQuestion(question=question, answer=("to " if known.relation == "used_for" else "") + known.value)
            )
        elif kind < 0.68:
            questions.append(_fitting(chance, known, "yes"))
        else:
            value = wrong_value(w, chance, known)
            other = Known(relation=known.relation, subject=known.subject, value=value)
            questions.append(_fitting(chance, other, "no" if chance.maybe(0.7) else f"no, {known.value}"))
        if chance.maybe(0.7):
            known = draw_known(w, chance)
    return questions


def _fitting(chance: Chance, known: Known, answer: str) -> StoryQuestion:
    """The question whether this is so, in a wording of the `train` domain where one comes in twenty draws."""
    for _ in range(20):
        question = known_yes_no(chance, known)
        if domain_of("text", question.lower()) == "train":
            break
    return StoryQuestion(question=question, answer=answer)


def _meant(w: World, chance: Chance, parts: list[str]) -> list[StoryQuestion]:
    """A sentence with a pronoun, and of whom it is so."""
    meant = draw_meant(w, chance, "train")
    parts.append(sentence(meant.text))
    questions: list[StoryQuestion] = []
    for _ in range(1 + chance.below(2)):
        kind = chance.unit()
        if kind < 0.3:
            questions.append(StoryQuestion(question=f"who {meant.clause}", answer=meant.person))
        elif kind < 0.65:
            questions.append(StoryQuestion(question=meant.asked_of(meant.person), answer="yes"))
        else:
            no = "no" if chance.maybe(0.7) else f"no, {meant.person} {meant.clause}"
            questions.append(StoryQuestion(question=meant.asked_of(meant.not_person), answer=no))
    return questions


def _felt(w: World, chance: Chance, parts: list[str]) -> list[StoryQuestion]:
    """What happened to two people, and how each of them felt."""
    moods = [draw_mood(w, chance, "train") for _ in range(2)]
    if moods[0].person == moods[1].person or moods[0].feeling == moods[1].feeling:
        moods = moods[:1]
    parts += [sentence(mood.event) for mood in moods]
    mood = chance.pick(moods)
    kind = chance.unit()
    if kind < 0.5:
        return [StoryQuestion(question=f"how did {mood.person} feel", answer=mood.feeling)]
    if kind < 0.75:
        return [StoryQuestion(question=f"did {mood.person} feel {mood.feeling}", answer="yes")]
    others = [m.feeling for m in moods if m is not mood] or [f for f in w.events["feelings"] if f != mood.feeling]
    return [StoryQuestion(question=f"did {mood.person} feel {chance.pick(others)}", answer="no")]


def inquiry(w: World, chance: Chance) -> str:
    """A page on which something is asked that no story has told in so many words; the question may stand first."""
    kind = chance.unit()
    ask = _known if kind < 0.45 else _meant if kind < 0.85 else _felt
    gap = chance.pick(GAPS)
    parts: list[str] = []
    questions = ask(w, chance, parts)
    if chance.maybe(0.2):
        parts.insert(chance.below(len(parts) + 1), aside(w, chance))
    if parts and chance.maybe(0.35):
        first = questions.pop(0)
        parts = [sentence(first.question, "?"), *parts, sentence(first.answer)]
    for one in questions:
        parts.append(exchange(w, chance, one))
    return joined(parts, gap)
