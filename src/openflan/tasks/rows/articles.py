"""Steps that prepare articles and their highlights."""

import re

from openflan.tasks.rows.registry import Row, step

_LONGEST_PLACE = 60
_LONGEST_BYLINE = 500

_AGENCY = re.compile(r"(?P<place>[^()]*)\([^()]+\)\s*\Z")
_MARK = re.compile(r"\s*--\s*")
_GLUED = re.compile(r"\s*\((?:CNN|CNN [^()]{1,30})\)\s*(?=\S)")
_NOTE = re.compile(r"Editor['’]s note:.{1,1000}?\([^()]{2,30}\)\s*--\s*(?=[^\Wa-z]|[^\w\s])", re.DOTALL)
_STAMP = re.compile(
    r"(?:PUBLISHED|UPDATED|CREATED|Last updated at)\s*:?[\s.]*"
    r"\d{1,2}[:.]\d\d\s*(?:[AP]M\s*)?(?:[A-Z]{2,4})?\s*,?\s*(?:on\s+)?\d{1,2}(?:st|nd|rd|th)?\s+[A-Z][a-z]+\s+20\d\d"
    r"[\s.|]*"
)
_SENTENCES = re.compile(r"\n+|\s{2,}(?=[A-ZÀ-ÖØ-Þ])|(?<=\s\.)\s")
_SPACED_STOP = re.compile(r"\s+([.?!])\Z")
_CODE_MARKS = ("2013 . ", "2014 . ", "2012 . ", ") -- ")


@step
def drop_dateline(row: Row) -> Row:
    """Keep what follows an article's place and agency, byline and times, or editor's note (CNN/DailyMail)."""
    article = row["article"].strip()
    return {**row, "article": article[_dateline_end(article) :]}


@step
def keep_dateline(row: Row) -> Row:
    """Keep what stands before the first dateline mark, as the released code does (CNN/DailyMail)."""
    article = row["article"].strip()
    for mark in _CODE_MARKS:
        article = article.split(mark)[0]
    return {**row, "article": article}


@step
def drop_blank_articles(row: Row) -> Row | None:
    """Drop rows without an article or without highlights (CNN/DailyMail)."""
    return row if row["article"].strip() and row["highlights"].strip() else None


@step
def tidy_highlights(row: Row) -> Row:
    """Put each highlight on a line of its own, without a space before its full stop (CNN/DailyMail)."""
    lines = (_SPACED_STOP.sub(r"\1", " ".join(line.split())) for line in _SENTENCES.split(row["highlights"]))
    return {**row, "highlights": "\n".join(line for line in lines if line.strip(" ."))}


def _dateline_end(article: str) -> int:
    """Where the story begins; 0 where nothing stands before it, or nothing would be left."""
    stamps = [match.end() for match in _STAMP.finditer(article[:_LONGEST_BYLINE])]
    mark = _MARK.search(article)
    if stamps:
        end = stamps[-1]
    elif mark is not None and _is_dateline(article[: mark.start()]) and not article[mark.end() :][:1].islower():
        end = mark.end()
    else:
        opening = _NOTE.match(article) or _GLUED.match(article)
        end = opening.end() if opening else 0
    return end if end < len(article) else 0


def _is_dateline(text: str) -> bool:
    """Whether a text is a place in capitals, an agency in brackets, or both."""
    if not text or len(text) > _LONGEST_PLACE:
        return False
    return _AGENCY.match(text) is not None or text.partition(",")[0].isupper()
