"""Reviews: what somebody thought of something, and whether that was good."""

from dataclasses import dataclass

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.facts import sentence
from openflan_starter.world import World

__all__ = ["Review", "draw_review", "review_prose"]

_FIRST = (
    "the {x} was {j}",
    "what a {j} {x}",
    "i found the {x} {j}",
    "this {x} is {j}",
    "it was a {j} {x}",
    "{s} thought that the {x} was {j}",
    "{s} called the {x} {j}",
    "we had a {j} time at the {x}",
)
_GOOD = (
    "i would go again",
    "i want to see it again",
    "everyone was smiling",
    "it was worth every coin",
    "i was happy all evening",
    "we laughed a lot",
    "the staff were kind",
    "nothing was missing",
    "i can only recommend it",
    "time went by so fast",
)
_BAD = (
    "i would not go again",
    "never again",
    "i wanted my money back",
    "it was a waste of time",
    "i fell asleep",
    "we left early",
    "the staff were rude",
    "everything was wrong",
    "nobody liked it",
    "it cost too much",
)
_VERDICT_GOOD = (
    "{s} loved it.",
    "{s} was pleased.",
    "It was a good review.",
    "{s} liked it.",
    "The review was positive.",
)
_VERDICT_BAD = (
    "{s} hated it.",
    "{s} was not pleased.",
    "It was a bad review.",
    "{s} did not like it.",
    "The review was negative.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Review:
    """What was written, and whether it was praise."""

    thing: str
    text: str
    good: bool


def draw_review(w: World, chance: Chance, domain: Domain, *, length: int = 2, good: bool | None = None) -> Review:
    """A review whose text is of this domain."""

    def make() -> tuple[str, Review]:
        praise = chance.maybe(0.5) if good is None else good
        adjectives = w.kinds["good_words" if praise else "bad_words"]
        thing = chance.pick(w.kinds["reviewed"])
        first = chance.pick(_FIRST).format(x=thing, j=chance.pick(adjectives), s=chance.pick(w.people))
        parts = [first, *chance.some(_GOOD if praise else _BAD, length - 1)]
        if chance.maybe(0.4):
            parts = chance.shuffled(parts)
        text = " ".join(sentence(p) for p in parts)
        return text, Review(thing=thing, text=text, good=praise)

    return until(domain, make)


def review_prose(w: World, chance: Chance) -> str:
    """One or two reviews and what they came to."""
    parts: list[str] = []
    for _ in range(1 + chance.below(2)):
        review = draw_review(w, chance, "train", length=1 + chance.below(3))
        verdict = chance.pick(_VERDICT_GOOD if review.good else _VERDICT_BAD).format(s=chance.pick(w.people))
        parts.append(f"{review.text} {verdict}" if chance.maybe(0.7) else review.text)
    return " ".join(parts)
