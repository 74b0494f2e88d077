"""Normal forms of an answer, before it is compared.

SQuAD's (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single spaces. TriviaQA's (Joshi et al.
2017) puts a space for punctuation and knows four more quotation marks.
"""

import re
import string

__all__ = ["normalise", "normalise_trivia"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`", " "))


def normalise(text: str) -> str:
    """SQuAD's normal form of an answer."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def normalise_trivia(text: str) -> str:
    """TriviaQA's normal form of an answer."""
    return " ".join(_ARTICLES.sub(" ", text.lower().replace("_", " ").translate(_SPACES)).split())
