"""Answers as arrays: decided as they are one by one, and the same matrices from a file as from records."""

import random
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from openflan.errors import UserError
from openflan.evaluation.answer_arrays import AnswerArrays
from openflan.evaluation.answer_files import read_answers, table_of, write_answers
from openflan.evaluation.answered import Answered, rescored
from openflan.evaluation.matrix import read_matrices, task_matrices
from openflan.evaluation.scores import SCORES
from openflan.prompts.render import BASELINE

WORDS = ("yes", "no", "maybe", "né", "1", "10", "不", "yes")
"""One begins another, two are the same, and letters are not bytes."""


def one(draw, row, template, *, split="test", turn=0):
    count = draw.randint(2, len(WORDS))
    options = WORDS[:count] if row % 2 else tuple(draw.sample(WORDS, count))
    right, nested = draw.randrange(count), draw.random() < 0.5
    ends = tuple(draw.choice((-0.5, -1.0, -0.25)) for _ in options) if nested and draw.random() < 0.8 else ()
    return Answered(
        task="t", cluster="c", row=row, row_hash=f"h{row}" if row % 3 else "", template=template, turn=turn,
        listed=tuple(draw.sample(range(count), count)) if row % 4 else (), split=split, kind="ranked",
        metric="accuracy", value=0.0, prompt="p", answer=options[0], options=options, group=f"g{row // 2}",
        expected="" if split == "content_free" else options[right], gold=() if split == "content_free" else (right,),
        scores=tuple(draw.choice((-1.0, -2.0, -2.5, draw.uniform(-9, 0))) for _ in options),
        option_tokens=tuple(draw.randint(1, 4) for _ in options),
        unconditional=tuple(draw.uniform(-9, 0) for _ in options),
        ends=ends, ends_alone=tuple(end - 0.5 for end in ends), together=draw.uniform(-1, 0), cut=draw.random() < 0.1,
        written=draw.randint(-1, count - 1), rule=draw.choice(("option", "option_and_end")) if nested else None,
        further=("f1_macro",), others=(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def answers():
    """Every kind of answer to a ranked task, in no order of rows."""
    draw = random.Random(7)
    places = [(row, template, turn) for row in (5, 3, 8, 2, 9, 4) for template in (0, 2, 5) for turn in (0, 1)]
    own = [one(draw, row, template, turn=turn) for row, template, turn in places if (row, template) != (8, 2)]
    aside = [one(draw, row, 2, split="validation") for row in (21, 22, 23)]
    baseline = [one(draw, row, BASELINE) for row in (3, 4)]
    nothing = [replace(one(draw, 90, number, split="content_free"), turn=turn) for number in (0, 5) for turn in (0, 1)]
    alike = [replace(answer, options=WORDS, **_padded(answer)) for answer in nothing]
    return rescored([*own, *aside, *baseline, *alike], "sum", noise=0.3)


def _padded(answer):
    lists = ("scores", "option_tokens", "unconditional", "ends", "ends_alone")
    return {name: (own + own[:1] * len(WORDS))[: len(WORDS)] for name in lists if (own := getattr(answer, name))}


@pytest.fixture(scope="module")
def written():
    texts = [("", "the cat sat"), ("a dog", "a dog"), ("a dog ran", "a dog")]
    return [
        Answered(
            task="w", cluster="c", row=row, template=template, kind="generated", metric="rouge", value=value,
            prompt="p", answer=texts[row][0], expected=texts[row][1], options=(), scores=(), further=("bleu", "f1"),
            others=(value / 3, 1 / (row + template + 1)), group="",
        )
        for row, template, value in ((2, 0, 0.3), (0, 0, 0.1), (1, 0, 0.7), (0, 1, 0.2), (2, 1, 1 / 3))
    ]  # fmt: skip


@pytest.mark.parametrize("ends", ["as_tuned", "always", "never"])
@pytest.mark.parametrize("score", SCORES)
def test_all_answers_are_decided_at_once_as_they_are_one_by_one(answers, score, ends):
    wanted = rescored(answers, score, noise=0.3, ends=ends)
    arrays = AnswerArrays.of(table_of(answers), score=score, ends=ends, noise=0.3)
    for place, answer in enumerate(wanted):
        count = len(answer.options)
        assert arrays.words_of(place)[arrays.chosen[place]] == answer.answer
        assert arrays.scores[place, :count].tolist() == answer.option_scores.normalised(score)
        assert np.isnan(arrays.scores[place, count:]).all()
        values = arrays.value[place], arrays.tied[place], arrays.close[place]
        assert values == (answer.value, answer.tied, answer.close)
        with_end = None if np.isnan(arrays.with_end[place]) else arrays.with_end[place]
        assert with_end == answer.value_with_end
    assert arrays.rules == [answer.rule for answer in wanted if answer.rule is not None]
    assert any(answer.close and not answer.tied for answer in wanted)


def same(a, b):
    """Whether two matrices are equal, NaN and all."""
    for field in fields(a):
        mine, theirs = getattr(a, field.name), getattr(b, field.name)
        if field.name == "cells" and mine is not None:
            assert mine.columns == theirs.columns
            mine, theirs = ({f.name: getattr(side, f.name) for f in fields(side)} for side in (mine, theirs))
        np.testing.assert_equal(mine, theirs)


@pytest.mark.parametrize("score", [None, *SCORES])
def test_a_matrix_is_the_same_from_a_file_and_from_its_records(answers, written, tmp_path, score):
    for own in (answers, written):
        write_answers(tmp_path / f"{own[0].task}.parquet", own, key="k", facts={"noise": 0.3})
    read = read_matrices(tmp_path, score=score)
    assert list(read) == ["t", "w"]
    for task, matrix in read.items():
        (straight,) = task_matrices(read_answers(tmp_path / f"{task}.parquet", score=score)).values()
        same(matrix, straight)


def test_a_matrix_holds_what_its_answers_say(answers, written):
    matrix = task_matrices(answers)["t"]
    assert matrix.rows == (5, 3, 8, 2, 9, 4)
    assert matrix.templates == (0, 2, 5)
    for row, template in ((5, 0), (9, 5), (8, 2)):
        own = [a.value for a in answers if (a.split, a.row, a.template) == ("test", row, template)]
        cell = matrix.values[matrix.rows.index(row), matrix.templates.index(template)]
        np.testing.assert_equal(cell, np.mean(own) if own else np.nan)
    first = {answer.row: answer for answer in reversed(answers)}
    assert matrix.expected == tuple(str(first[row].options.index(first[row].expected)) for row in matrix.rows)
    assert matrix.row_hashes == tuple(first[row].row_hash or str(row) for row in matrix.rows)
    assert matrix.validation_rows == 3
    assert np.isnan(matrix.baseline).tolist() == [row not in (3, 4) for row in matrix.rows]
    generated = task_matrices(written)["w"]
    assert generated.expected == ("a dog", "the cat sat", "a dog")
    assert list(generated.others.values()) == pytest.approx(np.mean([answer.others for answer in written], axis=0))
    assert generated.cells is None


def test_pmi_of_options_that_were_not_scored_alone_is_refused(answers):
    with pytest.raises(UserError, match="not scored without the prompt"):
        AnswerArrays.of(table_of([replace(answer, unconditional=()) for answer in answers]), score="pmi")


def test_comparing_imports_neither_pandas_nor_torch(answers, tmp_path):
    plain = [replace(answer, further=()) for answer in answers]
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        write_answers(tmp_path / side / "t.parquet", plain, key="k", facts={"noise": 0.0})
    code = (
        "import sys, openflan; openflan.compare(sys.argv[1], sys.argv[2], samples=100);"
        "print([name for name in ('pandas', 'torch', 'transformers', 'scipy.stats') if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a", tmp_path / "b"], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
