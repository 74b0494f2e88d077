"""The body of a Llama in few passes is the model's own, forward and back, however a call is laid out."""

import copy

import pytest
import torch

from openflan.models.attention import additive_mask
from openflan.models.flat import flat_row
from openflan.models.head import logits_at, states_at
from openflan.models.llama import _KEPT, llama_body

SIZES = (5, 9, 2, 17)


def small_llama(**changes):
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 6}
    config = LlamaConfig(vocab_size=97, initializer_range=0.3, **{**sizes, "num_key_value_heads": 2, **changes})
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    return model


def own(model):
    """The same model, going its own way."""
    other = copy.deepcopy(model)
    vars(other)[_KEPT] = None
    return other


def padded():
    generator = torch.Generator().manual_seed(1)
    ids = torch.zeros(len(SIZES), max(SIZES), dtype=torch.int64)
    for row, size in enumerate(SIZES):
        ids[row, :size] = torch.randint(1, 97, (size,), generator=generator)
    return ids


def last_of_each(ids, *, flat):
    """Three tokens at the end of each sequence, as many as it has, in no order."""
    pairs = [(row, token) for row, size in enumerate(SIZES) for token in range(max(0, size - 3), size)][::-1]
    rows, tokens = (torch.tensor(side) for side in zip(*pairs, strict=True))
    starts = torch.tensor([0, *SIZES]).cumsum(0)
    return (torch.zeros_like(rows), starts[rows] + tokens) if flat else (rows, tokens)


def trained(model, *, flat):
    """States and gradients of a call."""
    ids = padded()
    where = last_of_each(ids, flat=flat)
    if flat:
        inputs = {
            "input_ids": torch.cat([row[:size] for row, size in zip(ids, SIZES, strict=True)])[None],
            "position_ids": torch.cat([torch.arange(size) for size in SIZES])[None],
        }
        with flat_row(model, [0, *torch.tensor(SIZES).cumsum(0).tolist()]):
            states, _ = states_at(model, where, **inputs)
    else:
        states, _ = states_at(model, where, input_ids=ids)
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("shape", [{}, {"num_key_value_heads": 6}, {"tie_word_embeddings": True, "head_dim": 16}])
def test_states_and_gradients_are_the_models_own(shape, flat):
    model = small_llama(**shape)
    expected, grads = trained(own(model), flat=False)
    assert llama_body(model) is not None
    states, ours = trained(model, flat=flat)
    torch.testing.assert_close(states, expected, rtol=1e-4, atol=1e-5)
    assert ours.keys() == grads.keys()
    for name, grad in grads.items():
        torch.testing.assert_close(ours[name], grad, rtol=1e-3, atol=1e-4 * float(grad.abs().max()))


def test_a_row_that_forks_is_read_as_its_mask_and_positions_say():
    model = small_llama()
    ids = torch.arange(1, 13)[None]
    sees = torch.ones(1, 12, 12, dtype=torch.bool).tril()
    sees[0, 8:, 4:8] = False
    call = {
        "input_ids": ids,
        "position_ids": torch.tensor([[*range(8), *range(4, 8)]]),
        "attention_mask": additive_mask(sees),
    }
    where = (torch.tensor([0, 0]), torch.tensor([7, 11]))
    with torch.inference_mode():
        torch.testing.assert_close(
            logits_at(model, where, **call), logits_at(own(model), where, **call), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("kin", [2, 6])
def test_long_sequences_are_asked_as_the_model_does(kin):
    model = small_llama(num_key_value_heads=kin)
    ids = torch.arange(430).view(2, 215) % 97
    where = (torch.tensor([0, 1, 1]), torch.tensor([214, 7, 200]))
    with torch.inference_mode():
        ours, expected = (logits_at(one, where, input_ids=ids) for one in (model, own(model)))
    assert llama_body(model) is not None
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_that_is_added_later_is_not_left_out():
    from peft import LoraConfig, inject_adapter_in_model

    model = small_llama()
    where = (torch.tensor([0]), torch.tensor([6]))
    with torch.inference_mode():
        before = logits_at(model, where, input_ids=torch.arange(1, 8)[None])
    assert llama_body(model) is not None
    inject_adapter_in_model(LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False), model)
    with torch.inference_mode():
        after = logits_at(model, where, input_ids=torch.arange(1, 8)[None])
        expected = model(input_ids=torch.arange(1, 8)[None], use_cache=False).logits[:, 6]
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(after, before)


def test_a_hook_that_is_added_later_is_called():
    model = small_llama()
    assert llama_body(model) is not None
    seen = []
    handle = model.model.layers[1].register_forward_hook(lambda *_: seen.append(1))
    where = (torch.tensor([0]), torch.tensor([6]))
    with torch.inference_mode():
        logits_at(model, where, input_ids=torch.arange(1, 8)[None])
    handle.remove()
    assert seen == [1]


def test_weights_that_are_trained_between_calls_count():
    model = small_llama()
    where = (torch.tensor([0]), torch.tensor([6]))
    with torch.inference_mode():
        before = logits_at(model, where, input_ids=torch.arange(1, 8)[None])
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight.mul_(1.5)
    with torch.inference_mode():
        after = logits_at(model, where, input_ids=torch.arange(1, 8)[None])
        expected = logits_at(own(model), where, input_ids=torch.arange(1, 8)[None])
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after, before)


@pytest.mark.parametrize(
    "other",
    [
        lambda: small_llama().bfloat16(),
        lambda: small_llama(attention_bias=True),
        lambda: small_llama(hidden_act="gelu"),
        lambda: small_llama(attention_dropout=0.1),
    ],
)
def test_what_is_no_plain_llama_in_float32_goes_its_own_way(other):
    assert llama_body(other()) is None


def test_a_layer_that_computes_another_thing_is_found_out(monkeypatch):
    from transformers.models.llama import modeling_llama

    mlp = modeling_llama.LlamaMLP.forward
    monkeypatch.setattr(modeling_llama.LlamaMLP, "forward", lambda self, x: mlp(self, x) * 1.1)
    assert llama_body(small_llama()) is None


def test_frozen_weights_and_autocast_go_the_models_own_way():
    model = small_llama()
    body = llama_body(model)
    inputs = {"input_ids": torch.arange(1, 8)[None]}
    assert body is not None
    assert body.takes(inputs)
    assert not body.takes({"input_ids": torch.ones(1, 400, dtype=torch.int64)})
    assert not body.takes({**inputs, "attention_mask": torch.ones(1, 7)})
    with torch.autocast("cpu", torch.bfloat16):
        assert not body.takes(inputs)
    model.model.layers[0].mlp.up_proj.weight.requires_grad_(False)
    assert not body.takes(inputs)
    with torch.no_grad():
        assert body.takes(inputs)
        assert body.takes({"input_ids": torch.ones(1, 400, dtype=torch.int64)})


@pytest.mark.parametrize("shape", [{}, {"num_key_value_heads": 6, "tie_word_embeddings": True}])
def test_what_it_writes_is_what_whole_sequences_say_token_by_token(shape):
    model = small_llama(**shape).eval()
    prompts = [row[:size].tolist() for row, size in zip(padded(), SIZES, strict=True)]
    expected = []
    for number, prompt in enumerate(prompts):
        ids = list(prompt)
        with torch.inference_mode():
            for _ in range(2 + 3 * number):
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
        expected.append(ids[len(prompt) :])
    body = llama_body(model)
    assert body is not None
    assert body.writes
    assert body.write(prompts, most=11, ended=lambda ids: list(ids) in expected[:3]) == expected
