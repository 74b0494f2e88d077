"""How a chat template ends an answer is how targets end, and what generation stops at."""

import json

import pytest

from little_models import make_tokenizer
from openflan.errors import UserError
from openflan.models.load import find_model, load_rules
from openflan.prompts.encoding import EncoderRules, TextEncoder
from openflan.prompts.text_format import TextFormat, hold_to, read_text_format, write_text_format
from openflan.recipes.parts import ModelPart, PromptsPart

CHAT = PromptsPart(chat=True)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
BRACKETS = "{% for m in messages %}<|a|>{{ m.content }}<|b|>{% endfor %}<|a|>"
PLAIN = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
ALWAYS_ASKS = "{% for m in messages %}U: {{ m.content }}{% endfor %}\n\nA: "
QUESTIONS_ONLY = (
    "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}U: {{ messages[0].content }}\nA:"
)


def tokenizer_with(template, *control):
    tokenizer = make_tokenizer(bos=True)
    tokenizer.add_special_tokens({"additional_special_tokens": list(control)})
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "control", "end"),
    [
        (CHATML, ["<|im_start|>", "<|im_end|>"], "<|im_end|>"),
        (TURNS, ["<|user|>", "<|assistant|>", "<|end|>"], "<|end|>"),
        (INST, [], " </s>"),
        (BRACKETS, ["<|a|>", "<|b|>"], "<|b|>"),
        (CHATML, [], "<|im_end|></s>"),  # words that are no control token here: EOS after them
        (PLAIN, [], "</s>"),
        (ALWAYS_ASKS, [], "</s>"),
        (QUESTIONS_ONLY, [], "</s>"),
    ],
)
def test_targets_end_as_the_template_ends_an_answer(template, control, end):
    tokenizer = tokenizer_with(template, *control)
    encoder = TextEncoder.of(tokenizer, CHAT)
    (target,) = encoder.targets(["red"])
    assert tokenizer.decode(target) == f"red{end}"
    assert tokenizer.eos_token_id in encoder.frame.stops
    assert target[-1] in encoder.frame.stops
    assert encoder.frame.stop_texts == (("<|im_end|>",) if end == "<|im_end|></s>" else ())
    answer = encoder.text(encoder.answer([*target, 5, 6])).removesuffix("".join(encoder.frame.stop_texts))
    assert answer == "red"
    if template not in (ALWAYS_ASKS, QUESTIONS_ONLY):
        turns = [{"role": "user", "content": "a colour"}, {"role": "assistant", "content": "red"}]
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        prompt, answered = tokenizer.decode(encoder.inputs(["a colour"])[0]), tokenizer.decode(target)
        assert whole.startswith(prompt)
        assert (
            whole.removeprefix(prompt).strip().startswith(answered if end in whole else answered.removesuffix("</s>"))
        )


def test_a_template_that_draws_lots_is_rendered_once(tmp_path):
    tokenizer = tokenizer_with("{{ range(99999) | random }} " + CHATML, "<|im_start|>", "<|im_end|>")
    rules = EncoderRules.of(tokenizer, CHAT)
    other = EncoderRules.of(tokenizer, CHAT)
    assert rules.frame != other.frame
    encoder = TextEncoder(rules)
    assert encoder.source == TextEncoder(other).source != encoder.fingerprint
    write_text_format(tmp_path, encoder.format)
    kept = read_text_format(tmp_path)
    assert kept == encoder.format
    with pytest.raises(UserError, match=r"another text format .*what stands before an input"):
        hold_to(kept, TextEncoder(other).format, where=tmp_path)
    hold_to(kept, encoder.format, where=tmp_path)


def test_a_model_is_asked_by_the_record_beside_it(tiny_llama, tmp_path):
    def folder(name, template):
        place = tmp_path / name
        place.mkdir()
        for path in tiny_llama.iterdir():
            (place / path.name).write_bytes(path.read_bytes())
        tokenizer_with(template, "<|im_start|>", "<|im_end|>").save_pretrained(place)
        return place

    place = folder("dated", "{{ range(99999) | random }} " + CHATML)
    source = find_model(ModelPart(path=str(place)), place)
    rules = load_rules(source, CHAT)
    write_text_format(place, TextEncoder(rules).format)
    assert load_rules(source, CHAT).frame == rules.frame
    assert load_rules(source, PromptsPart()).frame.before == (0,)  # asked plainly, it is no chat record that counts
    text = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    text["model"]["merges"] = text["model"]["merges"][:-1]
    (place / "tokenizer.json").write_text(json.dumps(text), encoding="utf-8")
    with pytest.raises(UserError, match="the tokenizer is not the one of the text format"):
        load_rules(source, CHAT)


def test_a_record_of_another_version_or_damaged_is_one_line(tmp_path):
    assert read_text_format(tmp_path) is None
    path = tmp_path / "openflan.json"
    for text in ('{"version": 99, "prompts": {}}', '{"version": 1, "prompts": {"chat": 3}}', "{", "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="text format"):
            read_text_format(tmp_path)
    write_text_format(tmp_path, TextFormat(prompts=PromptsPart(separator=" ")))
    assert read_text_format(tmp_path) == TextFormat(prompts=PromptsPart(separator=" "))


@pytest.mark.parametrize("file", ["generation_config.json", "config.json"])
def test_every_end_that_a_models_files_name_counts(tiny_llama, tmp_path, file):
    for path in tiny_llama.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / file).read_text(encoding="utf-8"))
    (tmp_path / file).write_text(json.dumps({**config, "eos_token_id": [7, 1, 9]}), encoding="utf-8")
    source = find_model(ModelPart(path=str(tmp_path)), tmp_path)
    encoder = TextEncoder(load_rules(source, PromptsPart()))
    assert set(encoder.frame.stops) == {1, 7, 9}
    assert encoder.targets(["yes"])[0][-1] == 1
    before = source.tokenizer_fingerprint
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": 8}), encoding="utf-8")
    assert source.tokenizer_fingerprint != before


def test_a_model_for_chat_ends_its_turn_also_where_it_is_asked_plainly():
    tokenizer = tokenizer_with(CHATML, "<|im_start|>", "<|im_end|>")
    encoder = TextEncoder.of(tokenizer, PromptsPart())
    assert encoder.frame.stops == (tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>"))
    assert encoder.targets(["red"])[0][-1] == tokenizer.eos_token_id
    assert TextEncoder.of(tokenizer_with(QUESTIONS_ONLY), PromptsPart()).frame.stops == (tokenizer.eos_token_id,)


def test_an_end_that_is_no_special_token_ends_an_answer_all_the_same():
    tokenizer = make_tokenizer(bos=True)
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template = CHATML
    encoder = TextEncoder.of(tokenizer, CHAT)
    assert encoder.frame.target_end == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)
    assert encoder.text(encoder.answer(encoder.targets(["red"])[0])) == "red"


@pytest.mark.parametrize("limits", [{"max_input_tokens": 12}, {"max_target_tokens": 3}])
def test_limits_that_the_template_alone_exceeds_are_told(limits):
    with pytest.raises(UserError, match=f"prompts.{next(iter(limits))}: is .* around every text"):
        TextEncoder.of(tokenizer_with(CHATML), PromptsPart(chat=True, **limits))
