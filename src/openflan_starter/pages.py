"""Pages: stories and talk about them as they stand on a page, with lines, lists, speakers and interruptions.

In the other prose an answer stands right behind its question and the question right behind the story. A model that
has read nothing else reads well and falls back to chance at a line break (docs/lab-notes.md, "what reaches the tasks
from the base"). Here a question may come before the story, a list of who was there before or after it, a
remark or something else altogether between question and answer, and any of them on a line of its own.

Invariant: every fact is of the `train` domain; no list of a question's possible answers stands behind the question, and
nothing is headed or worded as the suite's prompts are. Cost: about 200 µs a document.
Rejected: the suite's own layout (an option list and then its answer): that is what tuning is to teach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from openflan_starter.chance import Chance, domain_of
from openflan_starter.facts import Fact, draw_story, say, sentence, wording
from openflan_starter.stories import no_fact, tell
from openflan_starter.talk import fill_glue
from openflan_starter.world import World

__all__ = ["GAPS", "StoryQuestion", "aside", "exchange", "joined", "page", "quarrel", "questioned_page"]

GAPS = (" ", " ", " ", "\n", "\n", "\n\n", "\n\n")
_CASTS = ("People: ", "Those who were there:", "In this story:", "With", "Names:", "Who is who:", "")
_THINGS = ("Things: ", "On the shelf:", "To remember:", "Seen that day:", "The list:", "Words of the day:", "")
_MUSINGS = (
    "Let me think.",
    "That is a good question.",
    "Wait a moment.",
    "I know this one.",
    "It was in the story.",
    "You can look it up above.",
    "Read it again if you are not sure.",
    "Everyone wanted to know.",
    "Hm.",
    "Well.",
    "Think about it before you go on.",
    "It is easy.",
)
_HEADINGS = ("News", "A letter", "From the paper", "Notes", "Yesterday", "Chapter", "An evening at home", "In town", "")
_ASKERS = (
    "{o} asked: {q}",
    "{o} wanted to know: {q}",
    "{q} asked {o}.",
    "{o}: {q}",
    '"{q}" said {o}.',
    "- {q}",
    "{q}",
    "{q}",
    "{q}",
)
_ANSWERS = ("{o}: {a}", "{o} said: {a}", '"{a}" said {o}.', "- {a}", "{a}", "{a}", "{a}", "{a}")
_BEFORE = (
    "{o} asked: {q} Here is what {o} heard.",
    "{q} This is the story.",
    "{q} {o} did not know.",
    "{q} Listen.",
    "This page is about one thing: {q}",
    "{q}",
)
_AFTER = ("Now {o} knew.", "So now you know:", "The answer is in these lines.", "And?", "", "", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoryQuestion:
    """A question and its answer, without capital letters or full stops."""

    question: str
    answer: str


def _ask(w: World, chance: Chance, facts: Sequence[Fact]) -> StoryQuestion:
    """A question about the facts and its answer."""
    fact = chance.pick(facts)
    r = fact.relation
    kind = chance.unit()
    if kind < 0.22:
        answer = fact.value if chance.maybe(0.5) else say(w, fact, r.short)
        return StoryQuestion(question=say(w, fact, r.value), answer=answer)
    if kind < 0.44:
        others = [f.person for f in facts if f.relation is r and f.person != fact.person]
        question = say(w, fact, r.who)
        if others and chance.maybe(0.3):
            pair = chance.shuffled([fact.person, chance.pick(others)])
            question += f", {pair[0]} or {pair[1]}"
        return StoryQuestion(question=question, answer=fact.person)
    if kind < 0.7 or (wrong := no_fact(w, chance, "train", facts, fact)) is None:
        longer = chance.maybe(0.25)
        return StoryQuestion(question=say(w, fact, r.asks), answer=f"yes, {say(w, fact, r.again)}" if longer else "yes")
    answer = f"no, {say(w, fact, r.again)}" if chance.maybe(0.25) else "no"
    return StoryQuestion(question=say(w, wrong, r.asks), answer=answer)


def _listed(chance: Chance, heading: str, items: Sequence[str]) -> str:
    mark = chance.pick(("- ", "- ", "* ", "", "1 "))
    if chance.maybe(0.25):
        return f"{heading} {', '.join(items)}.".strip()
    return "\n".join([*([heading.strip()] if heading else []), *(mark + item for item in items)])


def _cast(w: World, chance: Chance, facts: Sequence[Fact]) -> str:
    """A list of the people or of the things in the story."""
    if chance.maybe(0.6):
        people = list(dict.fromkeys([f.person for f in facts] + [f.other for f in facts if f.other]))
        people += [chance.pick(w.people)] if chance.maybe(0.3) else []
        return _listed(chance, chance.pick(_CASTS), chance.shuffled(list(dict.fromkeys(people))))
    values = [f.value for f in facts]
    values += chance.some(w.kinds[chance.pick(facts).relation.kind], chance.below(3))
    return _listed(chance, chance.pick(_THINGS), chance.shuffled(list(dict.fromkeys(values))))


def aside(w: World, chance: Chance) -> str:
    """Something that has nothing to do with the story: a remark, a line of other prose, a list of other things."""
    kind = chance.unit()
    if kind < 0.5:
        return chance.pick(_MUSINGS)
    if kind < 0.75:
        line = fill_glue(w, chance, chance.pick(w.glue[chance.pick(list(w.glue))]))
        return sentence(line) if domain_of("text", line.lower()) == "train" else chance.pick(_MUSINGS)
    words = chance.some(w.kinds[chance.pick(("places", "objects", "foods", "animals", "colours", "feelings"))], 4)
    return _listed(chance, chance.pick(_THINGS), words[: 2 + chance.below(3)])


def _told(w: World, chance: Chance, facts: Sequence[Fact]) -> str:
    """The story, in a paragraph, in lines or as notes."""
    if chance.maybe(0.7):
        return tell(w, chance, facts, pronouns=0.15)
    lines = [sentence(wording(w, chance, f)) for f in facts]
    mark = chance.pick(("", "- ", ""))
    return "\n".join(mark + line for line in lines)


def joined(parts: Sequence[str], gap: str) -> str:
    """The parts with gaps between them; what has lines of its own stands on lines of its own."""
    text = parts[0]
    for before, part in pairwise(parts):
        text += ("\n" if gap == " " and "\n" in before + part else gap) + part
    return text


def exchange(w: World, chance: Chance, question: StoryQuestion) -> str:
    """A question and its answer, with or without something between them."""
    o, p = chance.some(w.people, 2)
    ask = chance.pick(_ASKERS).format(o=o, q=sentence(question.question, "?"))
    reply = chance.pick(_ANSWERS).format(o=p, a=sentence(question.answer))
    gap = chance.pick(GAPS)
    return joined([ask, aside(w, chance), reply] if chance.maybe(0.45) else [ask, reply], gap)


def page(w: World, chance: Chance, *, asked_first: float = 0.45) -> str:
    """A story on a page, with a question before it or questions after it.

    Args:
        asked_first: how often a question stands before the story.
    """
    facts = draw_story(w, chance, "train", 1 + chance.below(4), repeat=0.8)
    gap = chance.pick(GAPS)
    parts: list[str] = []
    heading = chance.pick(_HEADINGS) if chance.maybe(0.2) else ""
    if heading:
        parts.append(heading)
    if chance.maybe(0.35):
        parts.append(_cast(w, chance, facts) if chance.maybe(0.7) else aside(w, chance))
    first = _ask(w, chance, facts) if chance.maybe(asked_first) else None
    o = chance.pick(w.people)
    if first is not None:
        parts.append(chance.pick(_BEFORE).format(o=o, q=sentence(first.question, "?")))
        if chance.maybe(0.2):
            parts.append(aside(w, chance))
    parts.append(_told(w, chance, facts))
    if chance.maybe(0.15):
        parts.append(_cast(w, chance, facts) if first is None and chance.maybe(0.5) else aside(w, chance))
    if first is not None:
        bridge = chance.pick(_AFTER).format(o=o)
        parts += [bridge] if bridge else []
        parts.append(sentence(first.answer))
    for _ in range(chance.below(3) + (first is None)):
        if chance.maybe(0.2):
            parts.append(aside(w, chance))
        parts.append(exchange(w, chance, _ask(w, chance, facts)))
    return joined(parts, gap)


def questioned_page(w: World, chance: Chance) -> str:
    """A page that mostly opens with the question."""
    return page(w, chance, asked_first=0.8)


def quarrel(w: World, chance: Chance) -> str:
    """Two versions of one story, and somebody who says which of them tells it as it was."""
    facts = draw_story(w, chance, "train", 1 + chance.below(3), repeat=0.85)
    fact = chance.pick(facts)
    wrong = no_fact(w, chance, "train", facts, fact)
    gap = chance.pick(GAPS)
    if wrong is None:
        return tell(w, chance, facts)
    o, p, q = chance.some(w.people, 3)
    pair = chance.shuffled([(o, fact), (p, wrong)])
    story = _told(w, chance, facts)
    claims = [f"{name} told it so: {wording(w, chance, claim)}." for name, claim in pair]
    if chance.maybe(0.5):
        end = f"{q} had been there and gave the word to {o}."
    else:
        end = f"{o} had it as it was, and {p} did not."
    parts = [story, *claims] if chance.maybe(0.6) else [*claims, story]
    if chance.maybe(0.3):
        parts.append(aside(w, chance))
    return joined([*parts, end], gap)
