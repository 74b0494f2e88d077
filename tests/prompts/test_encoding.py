"""One encoder of text for teaching and asking."""

from copy import deepcopy

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

import openflan_starter
from openflan.errors import UserError
from openflan.models.load import find_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.recipes.parts import ModelPart, PromptsPart

TEXTS = [
    "Is this review positive?\n\nthe cafe serves cold soup.",
    "premise: zoë lit 3 lamps in zürich.\noptions:\n- yes\n- no",
    "x",
    "a tag <s> here, </s> there and <unk> or <pad> elsewhere",
]

TOKENIZERS = ["llama", "gpt2", "qwen2", "starter base", "stories260K"]


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request, model_folder):
    match request.param:
        case "starter base":
            folder = openflan_starter.BASE
        case "stories260K":
            folder = request.getfixturevalue("shared") / "models" / "stories260K"
        case family:
            folder = model_folder(family)
    return load_tokenizer(find_model(ModelPart(path=str(folder)), folder))


def plain(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("separator", ["\n", "\n\n", " =>\n"])
def test_tokens_decode_to_the_text_and_its_separator(tokenizer, separator):
    encoder = TextEncoder.of(tokenizer, PromptsPart(separator=separator))
    start = tokenizer("a")["input_ids"][0] == tokenizer.bos_token_id
    lower = "starter" in tokenizer.name_or_path  # its vocabulary has no capitals
    for text, ids in zip(TEXTS, encoder.inputs(TEXTS), strict=True):
        assert (ids[0] == tokenizer.bos_token_id) == start
        expected = text.lower() if lower else text
        assert plain(tokenizer, ids[start:]).strip() == (expected + separator).strip()
    for text, ids in zip(TEXTS, encoder.targets(TEXTS), strict=True):
        assert ids[-1] == tokenizer.eos_token_id
        assert encoder.text(ids) == (text.lower() if lower else text)


def test_the_separator_ends_the_input(tokenizer):
    one, two = (TextEncoder.of(tokenizer, PromptsPart(separator=s)).inputs(["yes"])[0] for s in ("\n", "\n\n"))
    assert len(two) > len(one)
    assert plain(tokenizer, one).endswith("\n")


def test_only_bos_and_eos_are_control_tokens_whatever_a_row_says(tokenizer):
    """A row with "</s>" in it must not end the example, nor teach a model to end there."""
    encoder = TextEncoder.of(tokenizer, PromptsPart())
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id}
    for ids in encoder.inputs(TEXTS):
        assert not special & set(ids[1:])
    for ids in encoder.targets(TEXTS, end=False):
        assert not special & set(ids)


def test_a_target_is_the_same_after_any_input(tokenizer):
    """No token spans the join: what is trained on is exactly what is scored."""
    encoder = TextEncoder.of(tokenizer, PromptsPart())
    alone = encoder.targets(["yes"], end=False)[0]
    assert encoder.targets(["yes"])[0][:-1] == alone
    assert encoder.targets(["no", "yes", "maybe so"], end=False)[1] == alone
    assert encoder.inputs([TEXTS[0]]) == encoder.inputs(TEXTS)[:1]


@pytest.mark.parametrize("limit", [8, 9, 20, 33])
def test_too_long_an_input_loses_its_middle_and_keeps_both_ends(tokenizer, limit):
    text = " ".join(f"word{number}" for number in range(50))
    whole = TextEncoder.of(tokenizer, PromptsPart()).inputs([text])[0]
    cut = TextEncoder.of(tokenizer, PromptsPart(max_input_tokens=limit)).inputs([text])[0]
    assert len(cut) == limit
    same_start = next(i for i, (a, b) in enumerate(zip(cut, whole, strict=False)) if a != b)
    assert cut == whole[:same_start] + whole[len(whole) - (limit - same_start) :]
    assert limit // 4 <= same_start <= limit // 2 + 1


def test_an_input_of_exactly_the_limit_is_left_alone(tokenizer):
    text = TEXTS[0]
    whole = TextEncoder.of(tokenizer, PromptsPart()).inputs([text])[0]
    assert TextEncoder.of(tokenizer, PromptsPart(max_input_tokens=len(whole))).inputs([text])[0] == whole


def test_too_long_a_target_keeps_its_start_and_its_eos(tokenizer):
    text = " ".join(["over"] * 50)
    whole = TextEncoder.of(tokenizer, PromptsPart()).targets([text], end=False)[0]
    cut = TextEncoder.of(tokenizer, PromptsPart(max_target_tokens=6)).targets([text])[0]
    assert cut == [*whole[:5], tokenizer.eos_token_id]


def test_nothing_to_encode_gives_nothing(tokenizer):
    assert TextEncoder.of(tokenizer, PromptsPart()).inputs([]) == []


def test_fingerprints_tell_formats_and_tokenizers_apart(model_folder):
    def encoder(family, **part):
        folder = model_folder(family)
        return TextEncoder.of(load_tokenizer(find_model(ModelPart(path=str(folder)), folder)), PromptsPart(**part))

    plain_one = encoder("gpt2").fingerprint
    assert encoder("gpt2").fingerprint == plain_one
    others = [
        encoder("gpt2", separator=" "),
        encoder("gpt2", max_input_tokens=64),
        encoder("llama"),
    ]
    assert len({plain_one, *(other.fingerprint for other in others)}) == 4
    assert encoder("gpt2", options="hidden", shots=2).fingerprint == plain_one  # that is told by the prompts themselves


def test_using_an_encoder_leaves_its_fingerprint_alone(tokenizer):
    encoder = TextEncoder.of(tokenizer, PromptsPart())
    before = encoder.fingerprint
    encoder.inputs(TEXTS)
    assert encoder.fingerprint == before


@pytest.mark.parametrize("limit", [40, 80, 120])
def test_too_long_a_prompt_loses_the_end_of_its_longest_field_and_keeps_question_and_options(tokenizer, limit):
    from openflan.prompts.options import RowAnswer
    from openflan.prompts.render import Prompt

    passage = "the boat came late to the harbour and " * 30 + "sank"
    fields = {"passage": passage, "question": "did it sink?"}
    text = f"Read.\n{passage}\n\ndid it sink?\nOPTIONS:\n- yes\n- no"
    prompt = Prompt(input=text, target="yes", answer=RowAnswer(text="yes"), task="t", row=0, template=0, fields=fields)
    encoder = TextEncoder.of(tokenizer, PromptsPart(max_input_tokens=limit, max_target_tokens=8))
    (ids,) = encoder.inputs([prompt])
    (encoded,) = encoder.prompts([prompt])
    kept = encoder.text(ids).lower()
    assert limit // 2 < len(ids) <= limit
    assert encoded.cut
    assert encoded.ids[: encoded.target_start] == ids
    if limit > 40:
        assert kept.startswith("read.\nthe boat came late")
        assert kept.endswith("did it sink?\noptions:\n- yes\n- no")
        assert "sank" not in kept


TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def test_a_chat_template_stands_around_what_the_user_says(tokenizer):
    tokenizer = deepcopy(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>"]})
    tokenizer.chat_template = TEMPLATE
    encoder = TextEncoder.of(tokenizer, PromptsPart(chat=True))
    known = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Is it so?"}], tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert encoder.inputs(["Is it so?"]) == [known]
    long = encoder.part.model_copy(update={"max_input_tokens": 12})
    (short,) = TextEncoder.of(tokenizer, long).inputs(["Is it so that it is as it is and was as it was?"])
    assert len(short) == 12
    assert short[0] == known[0]
    assert short[-2:] == known[-2:]


def test_a_tokenizer_without_a_chat_template_is_told(tokenizer):
    with pytest.raises(UserError, match="no chat template"):
        TextEncoder.of(tokenizer, PromptsPart(chat=True))


@pytest.mark.parametrize(("ids", "largest"), [([0, 1, 2], 2), ([0, 1, 7], 7)])
def test_the_largest_token_is_told_whether_or_not_ids_are_left_out(ids, largest):
    core = Tokenizer(models.WordLevel(dict(zip(("a", "b", "</s>"), ids, strict=True)), unk_token="a"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")
    assert TextEncoder.of(tokenizer, PromptsPart()).largest == largest
