"""The endless plain prose of the world: document i of a seed.

Three documents in four are stories told again (`stories.py`); the rest is what else people write about.

Invariant: `document` is a pure function of (seed, index), so any shard can be made by any process in any order.
Cost: about 6,000 documents, half a million tokens, a second and core.
"""

from collections.abc import Callable, Iterator

from openflan_starter.chance import Chance
from openflan_starter.drills import hearing, litany, roll, roll_backwards
from openflan_starter.episodes import cause_prose, day_prose, mood_prose
from openflan_starter.inquiries import inquiry
from openflan_starter.knowledge import knowledge_prose
from openflan_starter.pages import page, quarrel, questioned_page
from openflan_starter.reviews import review_prose
from openflan_starter.stories import dense_retelling, retelling
from openflan_starter.talk import card_prose, essay, meant_prose, sum_prose, word_prose
from openflan_starter.toylang import toy_prose
from openflan_starter.world import World, world

__all__ = ["SCHEDULE", "document", "documents"]

Write = Callable[[World, Chance], str]

_REST: tuple[tuple[float, Write], ...] = (
    (0.045, knowledge_prose),
    (0.025, cause_prose),
    (0.02, mood_prose),
    (0.025, day_prose),
    (0.03, review_prose),
    (0.025, toy_prose),
    (0.025, meant_prose),
    (0.01, word_prose),
    (0.01, sum_prose),
    (0.015, card_prose),
    (0.03, essay),
)

SCHEDULE: tuple[tuple[int, tuple[tuple[float, Write], ...]], ...] = (
    (0, ((0.74, retelling), *_REST)),
    (400_000, ((0.30, litany), (0.24, dense_retelling), (0.20, retelling), *_REST)),
    (600_000, ((0.24, roll), (0.22, litany), (0.18, dense_retelling), (0.10, retelling), *_REST)),
    (
        720_000,
        (
            (0.06, roll),
            (0.08, roll_backwards),
            (0.12, litany),
            (0.22, hearing),
            (0.16, dense_retelling),
            (0.10, retelling),
            *_REST,
        ),
    ),
    (
        1_200_000,
        (
            (0.38, page),
            (0.04, quarrel),
            (0.08, hearing),
            (0.08, dense_retelling),
            (0.06, retelling),
            (0.04, litany),
            (0.03, roll),
            (0.03, roll_backwards),
            *_REST,
        ),
    ),
    (
        1_480_000,
        (
            (0.30, page),
            (0.20, questioned_page),
            (0.06, quarrel),
            (0.06, hearing),
            (0.06, dense_retelling),
            (0.03, retelling),
            (0.02, litany),
            (0.01, roll_backwards),
            *_REST,
        ),
    ),
    (
        1_760_000,
        (
            (0.20, page),
            (0.15, questioned_page),
            (0.27, inquiry),
            (0.04, quarrel),
            (0.04, hearing),
            (0.04, dense_retelling),
            *_REST,
        ),
    ),
)
"""From which document on how often each sort comes; the later parts came when binding was late (lab notes)."""


def document(seed: int, index: int) -> str:
    """Document `index` of the prose with this seed."""
    chance = Chance("prose", seed, index)
    point = chance.unit()
    shares = next(part for start, part in reversed(SCHEDULE) if index >= start)
    for share, write in shares:
        if point < share:
            return write(world(), chance)
        point -= share
    return essay(world(), chance)


def documents(seed: int, start: int = 0, step: int = 1) -> Iterator[str]:
    """The documents start, start + step, start + 2 step ... without end."""
    index = start
    while True:
        yield document(seed, index)
        index += step
