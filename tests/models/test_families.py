"""Every family that transformers knows is asked and tuned as its own forward would do it, or refused by name."""

import pytest
import torch

from family_checks import check
from little_models import make_tokenizer
from openflan.errors import UserError
from openflan.models.family import family_of
from openflan.models.head import WHOLE_LOGITS
from openflan.models.limits import positions_of
from tiny_families import UNBUILT, build, kinds, tiny_config

SAMPLE = {
    "together, flat": ["llama", "gpt2", "gemma2", "deepseek_v3"],
    "together, not flat": ["afmoe", "jetmoe"],
    "no positions": ["bloom"],
    "positions after the padding": ["roberta", "xglm"],
    "no attention": ["mamba", "rwkv", "xlstm", "recurrent_gemma"],
    "refused": ["xlnet", "cpmant"],
}
AFTER_PADDING = ["roberta", "xlm-roberta", "camembert", "data2vec-text", "xmod"]
HALVES = ["t5", "longt5", "switch_transformers", "nllb-moe", "bart", "led", "t5gemma"]


def checked(kind, *, halves=False, long=False, **changes):
    return check(build(kind, halves=halves, **changes), long=long)


@pytest.mark.parametrize(("mechanism", "kind"), [(name, kind) for name, some in SAMPLE.items() for kind in some])
def test_a_decoder_is_asked_and_tuned_as_its_own_forward_does_it(mechanism, kind):
    outcome = checked(kind)
    assert outcome.right, outcome
    assert (mechanism == "refused") == bool(outcome.refused), outcome
    if mechanism.startswith("together"):
        assert outcome.batching == "together"
        assert outcome.flat == (mechanism == "together, flat")


@pytest.mark.parametrize("kind", HALVES)
def test_an_encoder_decoder_is_asked_and_tuned_as_its_own_forward_does_it(kind):
    outcome = checked(kind, halves=True)
    assert outcome.right, outcome
    assert not outcome.refused


@pytest.mark.parametrize("kind", ["llama", "gemma2", "bloom", "roberta", "mamba", "xlnet", "t5", "bart"])
def test_a_trial_with_fewer_words_comes_to_the_same_and_leaves_the_head_as_it_was(kind, monkeypatch):
    """A bias for each word (BART) can't be added to fewer: all are tried then."""

    def tried():
        model = build(kind, halves=kind in HALVES)
        weights = [*model.parameters()]
        try:
            family = family_of(model)
        except UserError as error:
            family = str(error)
        assert [id(weight) for weight in model.parameters()] == [id(weight) for weight in weights]
        return family, WHOLE_LOGITS in vars(model)

    with_all = tried()
    monkeypatch.setattr("openflan.models.family._WORDS", 16)
    assert tried() == with_all


@pytest.mark.parametrize("kind", ["switch_transformers", "nllb-moe"])
def test_experts_with_little_room_take_an_example_at_a_time(kind):
    outcome = checked(kind, halves=True, expert_capacity=3)
    assert outcome.right, outcome
    assert outcome.batching == "single"


@pytest.mark.parametrize(
    "kind", ["roberta", "xlm-roberta", "camembert", "data2vec-text", "xmod", "llama", "opt", "gpt2"]
)
def test_the_longest_sequence_is_what_the_model_takes(kind):
    name = "n_positions" if kind == "gpt2" else "max_position_embeddings"
    model = build(kind, **{name: 24})
    size = positions_of(model)
    assert size == (22 if kind not in ("llama", "opt", "gpt2") else 24)
    model(input_ids=torch.full((1, size), 9))
    if kind not in ("llama", "opt"):  # rotary positions go on; OPT's table has two rows more
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, size + 1), 9))


def test_a_long_sequence_does_not_turn_the_short_ones_beside_it():
    factors = {"short_factor": [1.0] * 4, "long_factor": [3.0] * 4, "original_max_position_embeddings": 24}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    outcome = checked("phi3", rope_parameters=rope, original_max_position_embeddings=24)
    assert outcome.right, outcome


def test_a_decoder_that_does_not_say_how_it_begins_is_refused():
    model = build("t5", halves=True)
    model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
    with pytest.raises(UserError, match="set decoder_start_token_id"):
        family_of(model)


RECIPE = """
name: refused
tasks: {use: [starter_review_positive], hold_out: []}
prompts: {max_input_tokens: 96, max_target_tokens: 8}
training: {steps: 2, tokens_per_batch: 256, micro_batch_tokens: 256}
evaluation: {seen_rows: 4}
"""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("model.path={xlnet}", "XLNetLMHeadModel sees later tokens"),
        ("model.adapter={{kind: lora, targets: [q_proj, lm_head]}}", "lm_head shares its weights"),
    ],
)
def test_what_is_refused_is_refused_before_anything_is_written(openflan, tmp_path, settings, message):
    folder = tmp_path / "xlnet"
    build("xlnet", vocab_size=408).save_pretrained(folder)
    make_tokenizer(bos=False).save_pretrained(folder)
    (tmp_path / "refused.yaml").write_text(RECIPE)
    out = tmp_path / "runs"
    code, _, err = openflan("run", tmp_path / "refused.yaml", "--set", settings.format(xlnet=folder), "--out", out)
    assert (code, message in err) == (2, True), err
    assert not out.exists() or not list(out.iterdir())


def test_trying_a_model_leaves_it_and_chance_as_they_were():
    model = build("llama").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    family_of(model)
    assert torch.equal(torch.rand(4), expected)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "halves"), [pair for pair in kinds() if pair[0] not in UNBUILT])
def test_every_family_is_right_or_refused_by_name(kind, halves):
    if halves and not tiny_config(kind).is_encoder_decoder and (kind, False) not in kinds():
        with pytest.raises(ValueError, match="Unrecognized configuration class"):  # as openflan's loading says it
            build(kind, halves=True)
        return
    outcome = checked(kind, halves=halves, long=True)
    assert outcome.right, outcome


@pytest.mark.slow
def test_nearly_all_causal_families_are_built():
    built = [kind for kind, halves in kinds() if not halves and kind not in UNBUILT]
    assert len(built) >= 170


def test_rounding_of_large_logits_is_no_reason_to_read_one_sequence_at_a_time():
    model = build("llama")
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(3_000)  # real models spread them over 70 nats and round accordingly
    assert family_of(model).batching == "together"
