"""Row cleaning that specs name: small functions from a row to a cleaned row, or None to drop it.

A step may add fields; a spec's `fields` are checked after its steps. A KeyError in one means that the source lacks
a field.

Invariant: a step never changes the row it was given. Cost: microseconds a row. Rejected: expressions in YAML, which
can't be tested one by one.
"""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

__all__ = ["STEPS", "Row"]

Row = Mapping[str, Any]
Step = Callable[[Row], Row | None]

_BREAK_TAG = re.compile(r"\s*<\s*br\s*/?\s*>\s*", re.IGNORECASE)
_WIKIHOW_MARKER = re.compile(r"\s*\[(?:header|title|step|substeps)\]\s*")
_DOUBLED_QUOTE = re.compile(r'(?:\\ ?)?""')
_LITERAL_NEWLINE = re.compile(r" *\\n *")
_LITERAL_CHARACTER = re.compile(r"\\u([0-9a-f]{4})")
_BARE_ENTITY = re.compile(r"( ?)(?<!&)(#\d+|quot|amp);(?=(\S?))")
_TAG = re.compile(r"<[^<>]*>")
_BYTES_LITERAL = re.compile(r"b(['\"])(.*)\1\Z", re.DOTALL)
_CAMEL_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PLACEHOLDER_CELL = re.compile(r"\[[A-Z]+\]\Z")


def drop_unlabelled(row: Row) -> Row | None:
    """Drop rows whose label is -1, empty or absent (SNLI's undecided pairs, hub test sets)."""
    return None if row.get("label") in (-1, "", None) else row


def drop_neutral_tweets(row: Row) -> Row | None:
    """Drop tweets of sentiment 2, neutral, which only the test split has (Sentiment140)."""
    return None if row["sentiment"] == 2 else row


def drop_masked_words(row: Row) -> Row | None:
    """Drop rows with unknown words or masked digits (Gigaword)."""
    texts = [value for value in row.values() if isinstance(value, str)]
    return None if any(mark in text for text in texts for mark in ("UNK", "#", "<unk>")) else row


def keep_four_choices(row: Row) -> Row | None:
    """Drop questions without exactly four different choices (ARC, OpenBookQA)."""
    texts = row["choices"]["text"]
    return row if len(texts) == len(set(texts)) == 4 else None


def break_tags_to_newlines(row: Row) -> Row:
    """Turn HTML line breaks into newlines (IMDB)."""
    return _on_texts(row, lambda text: _BREAK_TAG.sub("\n", text))


def newlines_to_spaces(row: Row) -> Row:
    """Put every text on one line (AESLC)."""
    return _on_texts(row, lambda text: " ".join(text.split()))


def wikihow_markers_to_newlines(row: Row) -> Row:
    """Turn [header], [title], [step] and [substeps] into newlines in the context, spaces in endings (HellaSwag)."""
    return {
        **row,
        "ctx": _WIKIHOW_MARKER.sub("\n", row["ctx"]).strip(),
        "endings": [_WIKIHOW_MARKER.sub(" ", ending).strip() for ending in row["endings"]],
    }


def unescape_reviews(row: Row) -> Row:
    """Turn doubled quotes into quotes, and written-out newlines and characters into what they mean (Yelp)."""
    return _on_texts(row, _unescape_review)


def unescape_entities(row: Row) -> Row:
    """Turn HTML entities into characters (Sentiment140)."""
    return _on_texts(row, html.unescape)


def doubled_quotes_to_apostrophes(row: Row) -> Row:
    """Turn doubled double-quotes into apostrophes (QQP)."""
    return _on_texts(row, lambda text: text.replace('""', "'"))


def mend_news_entities(row: Row) -> Row:
    """Mend entities that lost their ampersand, drop tags, and turn backslashes into spaces (AG News)."""
    return _on_texts(row, _mend_news)


def question_mark(row: Row) -> Row:
    """End the question with a question mark (Natural Questions, BoolQ)."""
    return {**row, "question": row["question"].rstrip(" ?") + "?"}


def tidy_title(row: Row) -> Row:
    """Turn a page name into a title: underscores to spaces, percent codes to letters (SQuAD)."""
    return {**row, "title": unquote(row["title"]).replace("_", " ")}


def fact_or_blank(row: Row) -> Row:
    """Give a row without its science fact an empty one (OpenBookQA, config main)."""
    return {**row, "fact1": row.get("fact1") or ""}


def cut_at_blank(row: Row) -> Row:
    """Add `before` and `after`, the sentence up to the blank and the rest of it (Winogrande)."""
    before, _, after = row["sentence"].partition("_")
    return {**row, "before": before.rstrip(), "after": after}


def star_pronoun(row: Row) -> Row:
    """Add `marked`, the text with asterisks round the pronoun in question (WSC)."""
    words = row["text"].split()
    spot, pronoun = row["span2_index"], row["span2_text"]
    if spot < len(words) and words[spot].startswith(pronoun):
        words[spot] = f"*{pronoun}*{words[spot][len(pronoun) :]}"
        return {**row, "marked": " ".join(words)}
    return {**row, "marked": re.sub(rf"\b{re.escape(pronoun)}\b", f"*{pronoun}*", row["text"], count=1)}


def dart_facts(row: Row) -> Row:
    """Add `facts`, one `subject | relation | object` a triple, without placeholder cells (DART)."""
    triples = [(subject, _words(relation.strip("[]")), value) for subject, relation, value in row["tripleset"]]
    return {**row, "facts": [" | ".join(c for c in cells if not _PLACEHOLDER_CELL.match(c)) for cells in triples]}


def web_nlg_facts(row: Row) -> Row:
    """Add `facts`, one `subject | relation | object` a triple, underscores and datatypes removed (WebNLG)."""
    triples = row["modified_triple_sets"]["mtriple_set"][0]
    return {**row, "facts": [" | ".join(_web_nlg_cells(triple)) for triple in triples]}


def unwrap_bytes_literals(row: Row) -> Row:
    """Turn a text written as a bytes literal with a newline into plain text (the maths dataset)."""
    return _on_texts(row, _unwrap_bytes)


def _on_texts(row: Row, change: Callable[[str], str]) -> Row:
    return {key: change(value) if isinstance(value, str) else value for key, value in row.items()}


def _unescape_review(text: str) -> str:
    text = _LITERAL_NEWLINE.sub("\n", _DOUBLED_QUOTE.sub('"', text))
    return _LITERAL_CHARACTER.sub(lambda match: chr(int(match[1], 16)), text).strip()


def _mend_news(text: str) -> str:
    text = _BARE_ENTITY.sub(_mended_entity, text.replace("\\$", "$").replace("\\", " "))
    text = _TAG.sub(" ", html.unescape(text))
    return " ".join(text.split())


def _mended_entity(match: re.Match[str]) -> str:
    """An apostrophe or a closing quote belongs to the word before it; anything else keeps its space."""
    space, name, following = match.groups()
    character = html.unescape(f"&{name};")
    closes = character == "'" or (character == '"' and not following)
    return ("" if closes else space) + character


def _words(relation: str) -> str:
    """`LEADER_NAME` and `eatType` as plain words."""
    return _CAMEL_JOINT.sub(" ", relation.replace("_", " ")).lower()


def _web_nlg_cells(triple: str) -> list[str]:
    subject, relation, value = (cell.strip() for cell in triple.split(" | ", 2))
    value = value.partition("^^")[0].strip('"')
    return [subject.replace("_", " "), _words(relation), value.replace("_", " ")]


def _unwrap_bytes(text: str) -> str:
    match = _BYTES_LITERAL.match(text.strip())
    return (match[2].replace("\\n", "\n") if match else text).strip()


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        drop_unlabelled,
        drop_neutral_tweets,
        drop_masked_words,
        keep_four_choices,
        break_tags_to_newlines,
        newlines_to_spaces,
        wikihow_markers_to_newlines,
        unescape_reviews,
        unescape_entities,
        doubled_quotes_to_apostrophes,
        mend_news_entities,
        question_mark,
        tidy_title,
        fact_or_blank,
        cut_at_blank,
        star_pronoun,
        dart_facts,
        web_nlg_facts,
        unwrap_bytes_literals,
    )
}
"""Every cleaning step by the name a spec uses."""
