"""Steps that mend text: entities, line breaks, quotes, titles."""

import html
import re
from collections.abc import Callable
from urllib.parse import unquote

from openflan.tasks.rows.registry import Row, step

_BREAK_TAG = re.compile(r"\s*<\s*br\s*/?\s*>\s*", re.IGNORECASE)
_WIKIHOW_MARKER = re.compile(r"\s*\[(?:header|title|step|substeps)\]\s*")
_DOUBLED_QUOTE = re.compile(r'(?:\\ ?)?""')
_LITERAL_NEWLINE = re.compile(r" *\\n *")
_LITERAL_CHARACTER = re.compile(r"\\u([0-9a-f]{4})")
_BARE_ENTITY = re.compile(r"( ?)(?<!&)(#\d+|quot|amp);(?=(\S?))")
_TAG = re.compile(r"<[^<>]*>")
_BYTES_LITERAL = re.compile(r"b(['\"])(.*)\1\Z", re.DOTALL)


@step
def break_tags_to_newlines(row: Row) -> Row:
    """Turn HTML line breaks into newlines (IMDB)."""
    return _on_texts(row, lambda text: _BREAK_TAG.sub("\n", text))


@step
def newlines_to_spaces(row: Row) -> Row:
    """Put every text on one line (AESLC)."""
    return _on_texts(row, lambda text: " ".join(text.split()))


@step
def wikihow_markers_to_newlines(row: Row) -> Row:
    """Turn [header], [title], [step] and [substeps] into newlines in the context, spaces in endings (HellaSwag)."""
    return {
        **row,
        "ctx": _WIKIHOW_MARKER.sub("\n", row["ctx"]).strip(),
        "endings": [_WIKIHOW_MARKER.sub(" ", ending).strip() for ending in row["endings"]],
    }


@step
def unescape_reviews(row: Row) -> Row:
    """Turn doubled quotes into quotes, and written-out newlines and characters into what they mean (Yelp)."""
    return _on_texts(row, _unescape_review)


@step
def unescape_entities(row: Row) -> Row:
    """Turn HTML entities into characters (Sentiment140)."""
    return _on_texts(row, html.unescape)


@step
def doubled_quotes_to_apostrophes(row: Row) -> Row:
    """Turn doubled double-quotes into apostrophes (QQP)."""
    return _on_texts(row, lambda text: text.replace('""', "'"))


@step
def mend_news_entities(row: Row) -> Row:
    """Mend entities that lost their ampersand, drop tags, and turn backslashes into spaces (AG News)."""
    return _on_texts(row, _mend_news)


@step
def question_mark(row: Row) -> Row:
    """End the question with a question mark (Natural Questions, BoolQ)."""
    return {**row, "question": row["question"].rstrip(" ?") + "?"}


@step
def tidy_title(row: Row) -> Row:
    """Turn a page name into a title: underscores to spaces, percent codes to letters (SQuAD)."""
    return {**row, "title": unquote(row["title"]).replace("_", " ")}


@step
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


def _unwrap_bytes(text: str) -> str:
    match = _BYTES_LITERAL.match(text.strip())
    return (match[2].replace("\\n", "\n") if match else text).strip()
