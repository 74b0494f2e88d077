"""A prompt token by token, without a model: what is masked, learnt and cut."""

import pytest

import openflan


@pytest.fixture(scope="module")
def rte():
    return openflan.Tasks()["rte"].prompts()


@pytest.fixture(scope="module")
def reader():
    return openflan.PromptReader()


def text(tokens):
    return "".join(token.text for token in tokens)


def test_the_target_starts_where_learning_starts(reader, rte):
    read = reader.read(rte[0])
    assert not read.cut
    assert [token.learnt for token in read.tokens].index(True) == read.target_start
    assert text(read.tokens[: read.target_start]) == rte[0].input.lower()  # the starter's words are all small
    assert text(read.tokens[read.target_start :]) == f"{rte[0].target}</s>"
    assert (read.input_tokens, read.target_tokens) == (read.target_start, len(read.tokens) - read.target_start)
    assert all(token.part == "input" for token in read.tokens[: read.target_start])


@pytest.mark.parametrize("limit", [24, 40, 70])
def test_what_is_not_cut_is_what_training_takes(rte, limit):
    from openflan.evaluation.model import open_model

    changes = {"max_input_tokens": limit, "max_target_tokens": 3}
    reader, encoder = openflan.PromptReader(prompts=changes), open_model("starter", changes=changes).encoder
    for prompt in rte:
        read, trained = reader.read(prompt), encoder.prompts([prompt])[0]
        kept = [token for token in read.tokens if not token.cut]
        assert [token.id for token in kept] == trained.ids
        assert [token.learnt for token in kept].index(True) == trained.target_start
        assert read.cut == trained.cut == (read.input_tokens > limit or read.target_tokens > 3)
        assert read.input_limit == limit


def test_the_passage_is_cut_and_the_question_stays(rte):
    premise = rte[0].fields["premise"]
    read = openflan.PromptReader(prompts={"max_input_tokens": 70}).read(rte[0])
    cut = text([token for token in read.tokens if token.cut])
    assert cut.strip() in premise.lower()
    assert len(cut) > 10
    assert text([token for token in read.tokens if not token.cut]).endswith("options:\n- yes\n- no" + "yes</s>")


def test_a_model_that_is_not_there_is_told():
    with pytest.raises(openflan.UserError, match="no such model folder"):
        openflan.PromptReader("nothing-here")
