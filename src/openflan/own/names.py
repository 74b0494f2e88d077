"""What columns are likely called, by what they are: evidence of little weight, in a few languages.

Invariant: a name alone never decides; it tips what the texts leave open. Rejected: a long list of the names of published
datasets, which fits those and no one's own table.
"""

import re

__all__ = ["named", "readable", "words_of"]

_ROLES: dict[str, str] = {
    "label": "label labels class category categories tag tags sentiment intent topic stance verdict gold klasse kategorie etikett "
    "thema stimmung urteil classe categorie etiqueta clase categoria team type kind",
    "target": "answer target output response completion summary translation headline title reply solution reference "
    "generated expected highlights highlight tldr gist abstract antwort ausgabe ziel zusammenfassung uebersetzung kurzfassung "
    "titel reponse resume traduction respuesta salida resumen traduccion",
    "source": "input source src article document text context passage body original dialogue email eingabe quelle artikel "
    "dokument volltext vorlage entree entrada",
    "question": "question query asked frage anfrage pregunta",
    "passage": "context passage paragraph document article story background kontext abschnitt hintergrund",
    "choices": "choice choices option options opt ending endings candidate candidates cand alternative alternatives sol "
    "antwort answer antworten answers kandidat auswahl wahl",
    "key": "answer label key correct gold solution best right answerkey richtig loesung pick",
    "explanation": "reason rationale explanation explain justification why cot reasoning begruendung erklaerung explication "
    "explicacion begründung erklärung",
    "remark": "comment comments notes note remark remarks bemerkung anmerkung kommentar",
    "about": "split fold partition lang language locale source dataset annotator annotators worker user author date time timestamp "
    "created updated url link version status license licence sprache datum quelle autor bearbeiter confidence score_by "
    "agreement difficulty level genre domain",
    "premise": "premise evidence source praemisse",
    "hypothesis": "hypothesis claim statement conclusion hypothese behauptung",
    "rating": "rating score stars grade similarity closeness sim note bewertung punkte sterne aehnlichkeit naehe",
    "pronoun": "pronoun pron pronomen",
    "instruction": "instruction instructions request prompt task command anweisung aufgabe",
}  # fmt: skip
_WORDS = {role: frozenset(text.split()) for role, text in _ROLES.items()}
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")
_NO_NAME = re.compile(r"(?:col|column|field|feature|var|spalte|feld|unnamed|x|y|v|f)?[\W_]*(?:[a-z]|\d*)", re.IGNORECASE)
_EMPTY_WORDS = {"label", "labels", "class", "target", "answer", "output", "gold", "tag", "value", "key", "y", "klasse", "etikett"}


def words_of(name: str) -> list[str]:
    """The words of a column's name in small letters: `answerKey_2` as answer, key."""
    return [part.lower() for part in _PARTS.findall(name)]


def named(name: str, role: str) -> bool:
    """Whether a column is called what columns of a role are called."""
    words = words_of(name)
    return bool(words) and (words[-1] in _WORDS[role] or words[0] in _WORDS[role] or "".join(words) in _WORDS[role])


def readable(name: str) -> str:
    """A column's name as words that may stand in a prompt; empty where it says nothing (`col_a`, `label`)."""
    if _NO_NAME.fullmatch(name):
        return ""
    words = words_of(name.split(".")[-1])
    kept = [word for word in words if len(word) > 1 or word in ("a", "b")]
    return "" if not kept or set(kept) <= _EMPTY_WORDS else " ".join(kept)
