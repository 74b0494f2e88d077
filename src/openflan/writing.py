"""Texts as units that can be compared: words, and single characters where a script puts no blanks between words.

    "The cat's 2nd"     the cat s 2nd
    "第3回の会議 on AI"    第 3 回 の 会 議 on ai
    "ไปไหน"              one unit a letter, and one of no weight a vowel sign or tone mark

Which scripts have no blanks is read from Unicode's line breaking (UAX #14): ideographs and kana may be broken anywhere,
and Thai, Lao, Khmer, Burmese and their kin need a dictionary. A character says less than a word: `weights_of` counts
a word as 3, an ideograph or kana as 2 and a letter as 1, so that 13 words are as much as 20 ideographs or 39 letters.

Invariant: case, punctuation and Unicode's compatible forms (full width, ligatures, decomposed accents) make no
difference; a unit depends on its own characters alone, not on what stands around its word. Cost: 50 ns a character of
words, a few times that where each is a unit. Rejected: dictionaries, one a language, whose cuts depend on the context.
"""

import re
import unicodedata
from collections.abc import Sequence

import regex

__all__ = ["WORD", "joined", "plain_text", "units_of", "weight_of", "weights_of"]

WORD = 3
"""Weight of a word."""

_ASCII = re.compile(r"[a-z0-9]+")
_SIMPLE = re.compile(
    "[\x00-\xa9\xab\xac\xae-\xb1\xb4\xb6-\xb8\xbb\xbf-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0180-\u01c3"
    "\u01cd-\u01f0\u01f4-\u02af\u0370-\u0482\u048a-\u0586\u1e00-\u1e99\u1ea0-\u1eff\u2010-\u2027\u2030-\u205e\u20a0-\u20cf]*"
)
"""Latin, Greek and Cyrillic letters, punctuation and currency signs: one form each, and blanks between words."""
_WORDS = re.compile(r"[^\W_]+")
_HALF = re.compile("[\uff61-\uff9f\uffa0-\uffdc]")
"""Half-width kana and Hangul, whose compatible forms run together with what follows."""
_FIRST = "\u0e00"
"""No character before this one is of a script without blanks."""


def units_of(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation; single characters where words have no blanks."""
    if text.isascii():
        return _ASCII.findall(text.lower())
    text = unicodedata.normalize("NFKC" if _HALF.search(text) else "NFC", text).lower()
    return _WORDS.findall(text) if _SIMPLE.fullmatch(text) else text.translate(_APART).split()


def weights_of(units: Sequence[str]) -> list[int]:
    """How much each unit says: a word 3, an ideograph or kana 2, a letter of a script without blanks 1, its signs 0."""
    return [WORD if unit < _FIRST else _WEIGHT[unit[0]] for unit in units]


def weight_of(units: Sequence[str]) -> int:
    """How much a text says: the weights of its units together."""
    if not units or max(units) < _FIRST:
        return WORD * len(units)
    return sum(weights_of(units))


def _apart(character: str) -> str:
    """A character with blanks where a unit begins or ends."""
    if _WEIGHT[character] < WORD:
        return f" {character} "
    if _INVISIBLE.match(character):
        return ""
    return character if _WORD_CHARACTER.match(character) else " "


class _Apart(dict[int, str]):
    """What stands for a character when units are set apart by blanks; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        compatible = unicodedata.normalize("NFKC", chr(code)).lower()
        return self.setdefault(code, "".join(map(_apart, compatible)))


class _Weight(dict[str, int]):
    """Weight of a unit by its first character; filled as characters are met."""

    def __missing__(self, character: str) -> int:
        weight = next((weight for weight, kind in _KINDS if kind.match(character)), WORD)
        return self.setdefault(character, weight)


_KINDS = (
    (2, regex.compile(r"(?V1)[\p{L}&&[\p{lb=ID}\p{lb=CJ}\p{lb=NS}]]")),
    (1, regex.compile(r"(?V1)[\p{L}&&[\p{lb=SA}\p{lb=AK}\p{lb=AS}]]")),
    (0, regex.compile(r"(?V1)[\p{M}&&[\p{lb=SA}\p{lb=VI}\p{lb=VF}]]")),
)
"""Characters that are units by themselves: ideographs and kana, letters of scripts without blanks, their signs."""
_WORD_CHARACTER = regex.compile(r"[\p{L}\p{N}\p{M}]")
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Variation_Selector}]")
_APART, _WEIGHT = _Apart(), _Weight()


def joined(units: Sequence[str]) -> str:
    """Units as a text to be read: blanks beside words, none between characters."""
    if not units or max(units) < _FIRST:
        return " ".join(units)
    parts: list[str] = []
    for place, (unit, weight) in enumerate(zip(units, weights := weights_of(units), strict=True)):
        if place and (weight == WORD or weights[place - 1] == WORD):
            parts.append(" ")
        parts.append(unit)
    return "".join(parts)


def plain_text(text: str) -> str:
    """A text as it is compared as a whole where it has no words, or too few: with punctuation, signs and emoji.

    Case, kinds of blanks and compatible forms make no difference.
    """
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
