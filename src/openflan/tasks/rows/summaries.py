"""Steps that prepare reviews, arguments and dialogues for a summary."""

import re

from openflan.tasks.rows.registry import Row, step

_ARTICLE_MARK = re.compile(r"\|{5}")
_LOOSE_BREAK = re.compile(r"[^\S\n]*\n[^\S\n]*")
_MANY_BREAKS = re.compile(r"\n{3,}")
_LEADING_DASH = re.compile(r"\A\s*[–—-]\s+")
_LINE_BREAK = re.compile(r"\r\n?")
_CHAT_MARKER = re.compile(
    r"[^\S\n]*<(?:[a-z]+(?:_[a-z]+)+|link|gif|photo|picture|image|video|audio|file)>", re.IGNORECASE
)
_SPEAKER_ALONE = re.compile(r"[^:\n]{1,40}:\s*\Z")

_FIRST = 10
"""Opinions that a prompt shows."""


@step
def split_documents(row: Row) -> Row | None:
    """Add `articles`, the documents between the five pipes, and `main_article`, the longest (Multi-News).

    Rows without an article or a summary are dropped.
    """
    articles = [text for part in _ARTICLE_MARK.split(row["document"]) if (text := _tidy_breaks(part))]
    summary = _LEADING_DASH.sub("", row["summary"]).strip()
    if not articles or not summary:
        return None
    return {
        **row,
        "document": "\n\n".join(articles),
        "articles": articles,
        "main_article": max(articles, key=len),
        "summary": summary,
    }


@step
def first_arguments(row: Row) -> Row:
    """Add `debate`, `claim` and `arguments`, the first ten argument sentences (opinion abstracts, iDebate)."""
    return {
        **row,
        "debate": _title(row["_debate_name"]),
        "claim": " ".join(row["_claim"].split()),
        "arguments": _first_texts(row["_argument_sentences"]["value"]),
    }


@step
def first_reviews(row: Row) -> Row:
    """Add `movie`, `consensus` and `reviews`, the first ten reviews (opinion abstracts, Rotten Tomatoes)."""
    return {
        **row,
        "movie": _title(row["_movie_name"]),
        "consensus": " ".join(row["_critic_consensus"].split()),
        "reviews": _first_texts(row["_critics"]["value"]),
    }


@step
def drop_without_opinions(row: Row) -> Row | None:
    """Drop rows that have nothing to sum up, or no summary (opinion abstracts)."""
    opinions, summary = ("reviews", "consensus") if "reviews" in row else ("arguments", "claim")
    return row if row[opinions] and row[summary] else None


@step
def dialogue_newlines(row: Row) -> Row:
    """Turn the line breaks of a dialogue into plain newlines (SAMSum)."""
    lines = _LINE_BREAK.sub("\n", row["dialogue"] or "").split("\n")
    return {**row, "dialogue": "\n".join(line.strip() for line in lines if line.strip())}


@step
def drop_chat_markers(row: Row) -> Row | None:
    """Drop markers such as <file_gif> and turns of nothing else; drop empty dialogues (SAMSum)."""
    lines = []
    for line in row["dialogue"].split("\n"):
        text = _CHAT_MARKER.sub("", line).strip()
        if text == line.strip() or (text and not _SPEAKER_ALONE.match(text)):
            lines.append(text)
    dialogue = "\n".join(lines).strip()
    return {**row, "dialogue": dialogue} if dialogue else None


def _tidy_breaks(text: str) -> str:
    """No spaces round line breaks, and at most one empty line."""
    return _MANY_BREAKS.sub("\n\n", _LOOSE_BREAK.sub("\n", text)).strip()


def _title(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def _first_texts(texts: list[str]) -> list[str]:
    """The first ten that are not blank, each on one line."""
    lines = (" ".join(text.split()) for text in texts)
    return [line for line in lines if line][:_FIRST]
