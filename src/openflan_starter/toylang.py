"""Velan, the toy language: a lexicon word for word, the verb last, the adjective after its noun, no articles.

"the old cat sees a dog" is "muka <old> yuvera <sees>": subject, object, verb.
"""

from dataclasses import dataclass

from openflan_starter.chance import Chance, Domain, until
from openflan_starter.facts import sentence
from openflan_starter.world import TOY_VERBS, World

__all__ = ["Bilingual", "draw_bilingual", "toy_prose"]

_ADJECTIVES = ("big", "small", "old", "young", "good", "bad", "fast", "slow")
_WHO = ("man", "woman", "child", "girl", "boy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bilingual:
    """A sentence in English and in Velan."""

    english: str
    velan: str


def _noun(w: World, chance: Chance, words: tuple[str, ...]) -> tuple[str, str]:
    word = chance.pick(words)
    if chance.maybe(0.3):
        adjective = chance.pick(_ADJECTIVES)
        return f"the {adjective} {word}", f"{w.toy[word]} {w.toy[adjective]}"
    return f"the {word}", w.toy[word]


def draw_bilingual(w: World, chance: Chance, domain: Domain, *, verb: str = "") -> Bilingual:
    """A sentence in both languages; its English text is of this domain."""
    actors = (*_WHO, *w.kinds["animals"][:45], *w.kinds["jobs"][:20])
    things = (*actors, *w.kinds["foods"][:30], *w.kinds["objects"][:40])

    def make() -> tuple[str, Bilingual]:
        subject, toy_subject = _noun(w, chance, actors)
        obj, toy_obj = _noun(w, chance, things)
        v = verb or chance.pick(TOY_VERBS)
        return f"{subject} {v} {obj}", Bilingual(
            english=f"{subject} {v} {obj}", velan=f"{toy_subject} {toy_obj} {w.toy[v]}"
        )

    return until(domain, make)


def toy_prose(w: World, chance: Chance) -> str:
    """Sentences in both languages, as a traveller would note them."""
    parts: list[str] = []
    for _ in range(2 + chance.below(3)):
        roll = chance.unit()
        if roll < 0.35:
            word = chance.pick(list(w.toy))
            forms = (
                "the Velan word for {e} is {t}",
                "in Velan {e} is {t}",
                "{t} means {e} in Velan",
                "the word {t} means {e}",
                "people in Velan say {t} for {e}",
                "{e} is called {t} in Velan",
            )
            parts.append(sentence(chance.pick(forms).format(e=word, t=w.toy[word])))
            continue
        b = draw_bilingual(w, chance, "train")
        s = chance.pick(w.people)
        forms = (
            "{s} said in Velan: {v}. that means {e}.",
            "{v}, said {s}. in English: {e}.",
            "{e}. in Velan: {v}.",
            "the letter from {s} began: {v}. the translation is {e}.",
            "{s} wanted to say that {e}, and so said {v}.",
            "{v}. that is how you say that {e}.",
        )
        parts.append(sentence(chance.pick(forms).format(s=s, v=b.velan, e=b.english), ""))
    return " ".join(parts)
