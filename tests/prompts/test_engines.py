"""A faster engine makes tokens only where they are the same ones."""

import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import openflan_starter
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts import engines
from openflan.prompts.encoding import EncoderRules, TextEncoder
from openflan.prompts.engines import EngineComparison, TokenRuns, joined, pick_engine
from openflan.prompts.options import RowAnswer
from openflan.prompts.render import Prompt
from openflan.recipes.parts import ModelPart, PromptsPart

pytest.importorskip("fastokens")

TEXTS = [
    "a tag <s> here, </s> there and <unk> or <pad> or <|endoftext|> elsewhere",
    "lines\n's and\r\n\n tabs\t'll and  blanks  ",
    "zoë — 你好，世界 👩‍👩‍👧 123456 I'M here's",
    "",
    "</s>",
    "x",
]


def encoder_of(folder, **settings):
    tokenizer = load_tokenizer(find_model(ModelPart(path=str(folder)), folder))
    return TextEncoder(EncoderRules.of(tokenizer, PromptsPart(**settings)))


@pytest.fixture(params=["gpt2", "qwen2", "llama"])
def folder(request, model_folder):
    return model_folder(request.param)


def prompt(asks, target, **fields):
    return Prompt(
        input=asks, target=target, answer=RowAnswer(text=target), task="any", row=0, template=0, fields=fields
    )


def test_both_engines_make_the_same_tokens_of_every_text(folder):
    plain, fast = encoder_of(folder), encoder_of(folder)
    comparison = fast.compare_engines(TEXTS)
    assert (comparison.texts, comparison.differ, comparison.refused) == (len(TEXTS), 0, "")
    fast.use(fast=True)
    assert fast.raw(TEXTS) == plain.raw(TEXTS)
    assert fast.targets(TEXTS) == plain.targets(TEXTS)
    assert fast.fingerprint == plain.fingerprint


def test_a_special_tokens_literal_is_left_to_tokenizers(folder, monkeypatch):
    encoder = encoder_of(folder)
    encoder.use(fast=True)
    literal = load_tokenizer(find_model(ModelPart(path=str(folder)), folder)).eos_token
    seen = []
    backend = encoder._backend
    monkeypatch.setitem(encoder.__dict__, "_backend", Spy(backend, seen))
    encoder.raw(["plain", f"a {literal} b", "plain < too"])
    assert seen == [[f"a {literal} b"]]


class Spy:
    def __init__(self, backend, seen):
        self._backend, self._seen = backend, seen

    def encode_batch_fast(self, texts, **options):
        self._seen.append(texts)
        return self._backend.encode_batch_fast(texts, **options)


def test_too_long_inputs_and_targets_lose_the_same_parts(folder):
    words = " ".join(f"word{number}" for number in range(60))
    prompts = [prompt(f"{words}\n\nWhat is it?", words, text=words), prompt("Short?", "yes"), prompt(words, "yes")]
    plain, fast = (encoder_of(folder, max_input_tokens=24, max_target_tokens=5) for _ in range(2))
    fast.use(fast=True)
    assert fast.prompts(prompts) == plain.prompts(prompts)
    assert [one.cut for one in fast.prompts(prompts)] == [True, False, True]
    assert fast.encode_inputs([*prompts, words]) == plain.encode_inputs([*prompts, words])


def test_what_normalizes_the_starters_texts_is_done_before_it():
    plain, fast = encoder_of(openflan_starter.BASE), encoder_of(openflan_starter.BASE)
    texts = [
        *TEXTS,
        '  "It is (so)\n\nand “thus”\n',
        "an end </s> in a row",
        "AN END </S> IN A ROW",
        "＜/s＞",
        "",
        " \n",
    ]
    comparison = fast.compare_engines(texts)
    assert (comparison.refused, comparison.differ) == ("", 0)
    fast.use(fast=True)
    assert fast.raw(texts) == plain.raw(texts)
    assert pick_engine([comparison]).fast


def test_a_vocabulary_that_it_refuses_is_left_to_tokenizers_and_the_reason_is_told():
    rules = encoder_of(openflan_starter.BASE).rules
    strange = {**json.loads(rules.vocabulary), "pre_tokenizer": {"type": "BertPreTokenizer"}}
    plain, encoder = (TextEncoder(replace(rules, vocabulary=json.dumps(strange))) for _ in range(2))
    comparison = encoder.compare_engines(TEXTS)
    assert comparison.refused
    encoder.use(fast=True)
    assert encoder.raw(TEXTS) == plain.raw(TEXTS)
    picked = pick_engine([comparison])
    assert picked.name.startswith("tokenizers ")
    assert picked.note == comparison.refused


def test_one_difference_switches_it_off():
    same = EngineComparison(name="fastokens 1", texts=100)
    picked = pick_engine([same, EngineComparison(name="fastokens 1", texts=28, differ=1)])
    assert not picked.fast
    assert picked.compared == 128
    assert "1 of 128 texts" in picked.note
    assert pick_engine([same, same]).name == "fastokens 1"
    assert pick_engine([EngineComparison(name="")]).note == ""


def test_a_wrong_engine_is_found_out(folder, monkeypatch):
    encoder = encoder_of(folder)
    monkeypatch.setattr(engines.FastEngine, "runs", lambda _self, texts: (TokenRuns.of([[0]] * len(texts)), []))
    assert encoder.compare_engines(TEXTS).differ > 0
    assert encoder.raw(["two words"]) == encoder_of(folder).raw(["two words"])


def _in_a_fork(encoder, folder, answers):
    another = encoder_of(folder)
    another.use(fast=True)
    answers.put((encoder.raw(TEXTS), another.raw(TEXTS)))


def test_forks_of_the_process_make_the_same_tokens(folder):
    encoder = encoder_of(folder)
    encoder.use(fast=True)
    right = encoder.raw(TEXTS)
    forks = multiprocessing.get_context("fork")
    answers = forks.SimpleQueue()
    for _ in range(10):
        child = forks.Process(target=_in_a_fork, args=(encoder, folder, answers))
        child.start()
        assert answers.get() == (right, right)
        child.join(10)
        assert child.exitcode == 0


def test_tokens_are_made_by_one_thread(model_folder):
    code = """if True:
        import pathlib, sys
        from openflan.prompts.engines import find_engine

        engine = find_engine(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")).engine
        engine.runs(["some words of a text"] * 5_000)
        names = [thread.read_text() for thread in pathlib.Path("/proc/self/task").glob("*/comm")]
        print(sum("fastokens" in name for name in names))
    """
    threads = subprocess.run(
        [sys.executable, "-c", code, str(model_folder("gpt2") / "tokenizer.json")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert threads.stdout.strip() == "0"


def test_runs_are_put_together_text_by_text():
    stem, end = TokenRuns.of([[1, 2], [], [3]]), TokenRuns.of([[9]])
    whole = joined([(stem, np.array([2, 0, 1])), (end, np.zeros(3, dtype=np.int64))])
    assert whole.lists() == [[3, 9], [1, 2, 9], [9]]
    assert stem.replaced({1: [5, 6, 7]}).lists() == [[1, 2], [5, 6, 7], [3]]
    assert stem.clipped(1).lists() == [[1], [], [3]]
    assert joined([(stem, np.zeros(0, dtype=np.int64))]).lists() == []
