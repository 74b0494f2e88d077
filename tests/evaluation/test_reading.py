"""A prompt token by token, without a model: what is masked, learnt and cut."""

import json
import shutil
import subprocess
import sys

import pytest

import openflan
import openflan_starter


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


def test_the_starter_s_record_is_what_its_tokenizer_says():
    """So that its prompts become the same tokens with transformers and without."""
    from openflan.models.load import find_model, load_tokenizer
    from openflan.prompts.encoding import EncoderRules
    from openflan.prompts.text_format import read_text_format
    from openflan.recipes.parts import ModelPart

    source = find_model(ModelPart(path="starter"), None)
    record = read_text_format(source.folder)
    looked_at = EncoderRules.of(load_tokenizer(source), record.prompts, ends=source.ends)
    assert (record.frame, record.tokenizer, record.ends) == (looked_at.frame, looked_at.tokenizer, looked_at.ends)
    assert record.encoder is None


def test_the_first_prompt_of_the_starter_waits_for_no_large_library():
    code = (
        "import sys, openflan; openflan.PromptReader().read(openflan.Tasks()['rte'].prompts()[0]);"
        "print([name for name in ('torch', 'transformers', 'pandas', 'sklearn', 'datasets') if name in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


def test_a_base_whose_tokenizer_was_changed_is_looked_at_anew(tmp_path):
    """Its record says what was true; nothing was tuned in it, so nothing is held against it."""
    shutil.copytree(openflan_starter.BASE, tmp_path / "base")
    file = tmp_path / "base" / "tokenizer.json"
    changed = json.loads(file.read_text(encoding="utf-8"))
    changed["post_processor"] = None
    file.write_text(json.dumps(changed), encoding="utf-8")
    read = openflan.PromptReader(tmp_path / "base").read(openflan.Tasks()["rte"].prompts()[0])
    assert text(read.tokens[read.target_start :]).endswith("</s>")
