#!/usr/bin/env bash
# rouge-score 0.1.2, RougeScorer with its default tokenizer.
#
# One would guess: a text compared with itself scores 1, and two texts without a common word 0, in any script.
#
# Behaviour: whatever is not a-z or 0-9 after lower-casing is dropped as if it were blank. A text in Cyrillic, Chinese or
# Devanagari has no tokens and scores 0 against itself; two different ones that share a numeral score 1; of accented
# words only the pieces between the accents are compared.
#
# Seen (F-measure of ROUGE-1 and ROUGE-L):
#   'the cat' and 'the cat': (1.0, 1.0)
#   'Привет мир' and 'Привет мир': (0.0, 0.0)
#   'नमस्ते दुनिया' and 'नमस्ते दुनिया': (0.0, 0.0)
#   'Москва 2024' and 'Париж 2024': (1.0, 1.0)
#   'pêche' and 'pâche': (1.0, 1.0)
#
# Fails when that changes.
set -eu
unset PYTHONPATH
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check rouge-score==0.1.2 nltk==3.10.4 numpy==2.4.6

"$folder/venv/bin/python" -I - <<'PYTHON'
from rouge_score.rouge_scorer import RougeScorer

scorer = RougeScorer(["rouge1", "rougeL"])


def score(target: str, prediction: str) -> tuple[float, float]:
    scores = scorer.score(target, prediction)
    measured = tuple(round(float(scores[name].fmeasure), 3) for name in ("rouge1", "rougeL"))
    print(f"{target!r} and {prediction!r}: {measured}")
    return measured


assert score("the cat", "the cat") == (1, 1), "equal English texts"
assert score("Привет мир", "Привет мир") == (0, 0), "equal Russian texts are no longer 0"
assert score("नमस्ते दुनिया", "नमस्ते दुनिया") == (0, 0), "equal Hindi texts are no longer 0"
assert score("Москва 2024", "Париж 2024") == (1, 1), "different texts with one numeral are no longer equal"
assert score("pêche", "pâche") == (1, 1), "words that differ in an accented letter are no longer equal"
PYTHON
