"""Normal forms: what of an answer counts when it is held against a reference, by metric.

    as written   every character but outer blanks: "5" is not "-5", "(A)" not "A", "1,000" not "1000", "½" not "1/2"
    words        small letters without sentence marks; numbers keep sign and point, symbols count
    SQuAD's, TriviaQA's, DROP's   those of the data's own scorers, to the last digit on English

A form made for English trivia takes articles, brackets, signs and points away. Where these are what a task asks about,
it can't tell an answer from another, or from nothing. So the default is `as written`; where a form leaves nothing of a
text, what is written counts; and `what_is_lost` says what a reference loses, for `openflan tasks check`.

Where over a fifth of a text's letters are not Latin, the forms are Unicode's words, and single characters where a
script has no blanks between words (openflan.writing), for the scorers' rules know neither. So are ROUGE's, which knows
a to z alone and leaves nothing of other texts, where over a fifth of the letters are other than a to z.

Invariant: only blanks have an empty form, and it equals nothing (`same`). Rejected: one lenient form for all tasks,
under which an empty answer is right; Unicode's compatible forms (NFKC) in `as written`, which would make "½" and a
full-width "5" other answers.
"""

import re
import string
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from openflan.writing import units_of

__all__ = [
    "NORMAL_FORMS",
    "NormalForm",
    "as_written",
    "drop_words",
    "fitting_metrics",
    "is_foreign",
    "rouge_words",
    "same",
    "squad",
    "trivia",
    "what_is_lost",
    "words",
]

_FOREIGN = 0.2
"""Share of foreign letters above which a text is not taken for English; of English with accents it is a few hundredths,
of Vietnamese, the Latin script of most marks, a third."""
_ASCII = re.compile(r"[0-9A-Za-z]+")
_LATIN = re.compile(r"[\d\u00aa-\u024f\u1e00-\u1effA-Za-z]+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))
_SENTENCE_MARKS = re.compile(
    r"""[;!?'"‘’“”«»…¿¡()\[\]{}_]"""  # everywhere
    r"|(?<!\d)[:,]|(?<=\d)[.:,-](?!\d)"  # but between two digits
    r"|(?<!\d)\.(?!\d)|(?<=[^\W\d])\."  # but before a number that begins with its point
    r"|(?<!\d)-(?!\.?\d)|(?<=[^\W\d])-"  # but as a number's sign
    r"|(?<=\d),(?=\d{3}(?!\d))"  # between thousands too
)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_DROP_TOKENS = re.compile(r" |(?<!^)(?<! )-|-(?!\.?\d)")
_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d*)(\.\d+)?")
_JOINED = re.compile(r"(?<=[^\W\d])[-/&](?=[^\W\d])")
"""A mark between two letters (well-known, and/or, AT&T), which no answer turns on."""
_SIGNS = re.compile(r"[-+*/^=<>#%&|~@$\\()\[\]{}]|(?<=\d)[.,:](?=\d)")


def is_foreign(text: str, own: re.Pattern[str] = _ASCII) -> bool:
    """Whether over a fifth of a text's letters and digits are other than `own`: a to z and 0 to 9, or Latin ones."""
    if text.isascii():
        return False
    letters = "".join(character for character in text if character.isalnum())
    return len(own.sub("", letters)) > _FOREIGN * len(letters)


def as_written(text: str) -> str:
    """The text itself without outer blanks, its accents composed (NFC)."""
    return unicodedata.normalize("NFC", text).strip()


def _units(text: str) -> str:
    """The words, or characters, of a text of another script; nothing for a Latin one."""
    return " ".join(units_of(text)) if is_foreign(text, _LATIN) else ""


def _written_small(text: str) -> str:
    """What counts where a form leaves nothing, so that "the" is not "a" and ")" not "]"."""
    return " ".join(as_written(text).lower().split())


def squad(text: str) -> str:
    """SQuAD's form (Rajpurkar et al. 2016): small letters, no punctuation, no articles, single blanks."""
    plain = text.lower().translate(_NO_PUNCTUATION)
    return _units(text) or " ".join(_ARTICLES.sub(" ", plain).split()) or _written_small(text)


def trivia(text: str) -> str:
    """TriviaQA's form (Joshi et al. 2017): as SQuAD's, with a blank for a mark, and four more quotation marks."""
    plain = text.lower().replace("_", " ").translate(_SPACES)
    return _units(text) or " ".join(_ARTICLES.sub(" ", plain).split()) or _written_small(text)


def words(text: str) -> str:
    """Small letters without sentence marks, single blanks; the text as written where it is nothing but marks.

    A number keeps its sign and decimal point ("-5", "1.5"), but not the comma between thousands ("1,000" is "1000").
    """
    plain = as_written(text).lower().translate(_DASHES)
    return _units(text) or " ".join(_SENTENCE_MARKS.sub("", plain).split()) or _written_small(text)


def drop_words(text: str) -> str:
    """DROP's form (Dua et al. 2019): as SQuAD's, parted at hyphens, and a number is its value ("5" is "5.0").

    Its scorer takes a number's sign for a hyphen; here the sign stays.
    """
    parts = filter(None, map(_drop_word, _DROP_TOKENS.split(text.lower())))
    return _units(text) or " ".join(parts) or _written_small(text)


def _drop_word(word: str) -> str:
    plain = word if _is_number(word) else word.translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", str(float(plain)) if _is_number(plain) else plain).split())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def rouge_words(text: str) -> list[str]:
    """rouge-score's words: letters a to z and digits, stemmed (Porter); Unicode's units where the text has others."""
    own = _rouge_tokenizer()
    if is_foreign(text):
        pieces = [word for unit in units_of(text) for word in (own.tokenize(unit) if unit.isascii() else (unit,))]
    else:
        pieces = list(own.tokenize(text))
    return pieces or _written_small(text).split()


@cache
def _rouge_tokenizer() -> Any:
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True)


def same(one: str, other: str) -> bool:
    """Whether two forms are equal and something."""
    return one == other != ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NormalForm:
    """The form in which a metric compares."""

    name: str
    says: str
    """In one line, for results and lists."""
    of: Callable[[str], str]

    def __str__(self) -> str:
        return f"{self.name}: {self.says}"


_AS_WRITTEN = NormalForm(name="as written", says="every character counts but outer blanks (NFC)", of=as_written)
_SQUAD = NormalForm(name="SQuAD's", says="small letters without punctuation and articles, as SQuAD's scorer", of=squad)
_TRIVIA = NormalForm(name="TriviaQA's", says="as SQuAD's, a blank for a mark, as TriviaQA's scorer", of=trivia)
_DROP = NormalForm(name="DROP's", says="as SQuAD's, numbers by value and sign, as DROP's scorer", of=drop_words)

NORMAL_FORMS: Mapping[str, NormalForm] = {
    "exact_match": _AS_WRITTEN,
    "exact_match_squad": _SQUAD,
    "exact_match_trivia": _TRIVIA,
    "exact_match_drop": _DROP,
    "f1": NormalForm(
        name="words", says="small letters without sentence marks; numbers keep sign and point, symbols count", of=words
    ),
    "f1_squad": _SQUAD,
    "f1_trivia": _TRIVIA,
    "f1_drop": _DROP,
    "bleu": NormalForm(name="as written", says="sacrebleu's international tokens, case counts", of=as_written),
    "rouge": NormalForm(
        name="rouge-score's",
        says="stemmed words of a to z and 0 to 9; of other scripts Unicode's words or characters",
        of=lambda text: " ".join(rouge_words(text)),
    ),
    "edit_distance": _AS_WRITTEN,
}
"""By metric of generated answers."""


def what_is_lost(reference: str, metric: str) -> str | None:
    """What a reference loses in a metric's normal form of that which may be asked about; None where it loses nothing.

    A number's sign or point; a sign or bracket in an answer without blanks ("C++", "x<y"); a last capital that is taken
    for an article ("vitamin A"); everything, where there are only blanks.
    """
    form = NORMAL_FORMS[metric].of(reference)
    plain = as_written(reference)
    if form == plain != "":
        return None
    if not form:
        return "everything"
    number = plain.replace("\u2212", "-").strip("$€£%")
    if _NUMBER.fullmatch(number) and any(character.isdigit() for character in number):
        value = re.sub(r"[^\d.-]", "", form)
        return None if _is_number(value) and float(value) == float(number.replace(",", "")) else "its sign or point"
    if not any(map(str.isspace, plain)):
        characters = set(form)
        lost = sorted(set(_SIGNS.findall(_JOINED.sub("", plain))) - characters)
        return f"its {' '.join(lost)}" if lost else None
    last = plain.split()[-1]
    return f"its {last}" if last in ("A", "I") and last.lower() not in form.split() else None


def fitting_metrics(metrics: Sequence[str], references: Sequence[str]) -> list[str]:
    """The metrics in their order, but exact match first where the first one can't tell the references apart.

    Exact match compares as written. "Can't" means that over a fiftieth of the references lose something.
    """
    lost = sum(what_is_lost(reference, metrics[0]) is not None for reference in references)
    first = ["exact_match"] if 50 * lost > len(references) else []
    return list(dict.fromkeys([*first, *metrics]))
