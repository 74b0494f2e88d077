"""The rules of SQuAD's, TriviaQA's and DROP's own scorers, written down from their published evaluation scripts."""

import re
import string
from collections import Counter


def squad_form(text):
    def without_articles(one):
        return re.sub(r"\b(a|an|the)\b", " ", one)

    marks = set(string.punctuation)
    small = text.lower()
    plain = "".join(character for character in small if character not in marks)
    return " ".join(without_articles(plain).split())


def trivia_form(text):
    marks = set(string.punctuation + "".join(["‘", "’", "´", "`"]))
    small = text.replace("_", " ").lower()
    spaced = "".join(character if character not in marks else " " for character in small)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", spaced).split()).strip()


def exact(form):
    return lambda answer, references: float(max(form(answer) == form(one) for one in references))


def words_f1(form):
    def one_f1(answer, reference):
        given, wanted = form(answer).split(), form(reference).split()
        common = Counter(given) & Counter(wanted)
        shared = sum(common.values())
        if shared == 0:
            return 0
        precision = 1.0 * shared / len(given)
        recall = 1.0 * shared / len(wanted)
        return (2 * precision * recall) / (precision + recall)

    return lambda answer, references: max(one_f1(answer, reference) for reference in references)


def drop_form(text):
    parts = []
    for token in re.split(" |-", text):
        word = token.lower()
        if not _number(word):
            word = "".join(character for character in word if character not in set(string.punctuation))
        if _number(word):
            word = str(float(word))
        parts.append(" ".join(re.sub(r"\b(a|an|the)\b", " ", word).split()))
    return " ".join(part for part in parts if part.strip()).strip()


def _number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def drop_f1(answer, references):
    return max(_bag_f1(set(drop_form(answer).split()), set(drop_form(one).split())) for one in references)


def _bag_f1(given, wanted):
    numbers = {word for word in wanted if _number(word)}
    if numbers and not numbers & {word for word in given if _number(word)}:
        return 0.0
    shared = len(wanted & given)
    precision = 1.0 if not given else shared / float(len(given))
    recall = 1.0 if not wanted else shared / float(len(wanted))
    f1 = (2 * precision * recall) / (precision + recall) if not (precision == 0.0 and recall == 0.0) else 0.0
    return round(f1, 2)
