"""The short way through a LoRA layer gives what peft's own gives, and is left where a layer is no plain one."""

import peft
import pytest
import torch
from peft.tuners.lora import Linear

from openflan.models.lora import LoraLinear, shorten
from tiny_families import build


def pair(family, dropout=0.0):
    """A model with LoRA in float64 as peft made it, and the same that goes the short way."""
    models = []
    for short in (False, True):
        torch.manual_seed(0)
        settings = peft.LoraConfig(
            r=4,
            lora_alpha=12,
            lora_dropout=dropout,
            target_modules="all-linear",
            task_type="SEQ_2_SEQ_LM" if family == "t5" else "CAUSAL_LM",
        )
        model = peft.get_peft_model(build(family, halves=family == "t5").to(torch.float64), settings).base_model.model
        torch.manual_seed(1)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.data = torch.randn(weight.shape, dtype=torch.float64) * 0.1
        if short:
            shorten(model)
        models.append(model.train())
    return models


def logits_and_gradients(model, *, autocast=False):
    """What a model answers, and the gradient of every adapter matrix."""
    ids = torch.arange(10, 34).view(2, 12)
    halves = {"decoder_input_ids": ids[:, :5]} if model.config.is_encoder_decoder else {}
    torch.manual_seed(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        logits = model(input_ids=ids, use_cache=False, **halves).logits
    factor = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits).sin()
    torch.autograd.backward((logits.log_softmax(-1) * factor).sum())
    return logits.detach(), {name: w.grad for name, w in model.named_parameters() if w.requires_grad}


@pytest.mark.parametrize("again", [False, True], ids=["kept", "computed-again"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3_text", "t5", "gpt_neox"])
def test_every_matrix_has_the_gradient_that_peft_s_way_gives(monkeypatch, family, again):
    plain, short = pair(family)
    if again:
        for model in (plain, short):
            model.activation_checkpointing_enable({"use_reentrant": False})
    logits, theirs = logits_and_gradients(plain)
    with monkeypatch.context() as patched:
        patched.setattr(Linear, "forward", lambda *_: pytest.fail("a plain layer went the long way"))
        ours_logits, ours = logits_and_gradients(short)
    assert sum(type(part) is LoraLinear for part in short.modules()) == sum(
        isinstance(part, Linear) for part in plain.modules()
    )
    torch.testing.assert_close(ours_logits, logits, rtol=1e-10, atol=1e-10)
    assert ours.keys() == theirs.keys()
    assert all(float(grad.norm()) > 0 for grad in ours.values())
    for name, grad in theirs.items():
        torch.testing.assert_close(ours[name], grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("way", ["dropout", "autocast", "trained base"])
def test_a_layer_that_is_not_plain_goes_peft_s_own_way_bit_for_bit(way):
    both = pair("llama", dropout=0.3 if way == "dropout" else 0.0)
    if way == "trained base":
        for model in both:
            for name, weight in model.named_parameters():
                weight.requires_grad_("norm" not in name)
    (logits, theirs), (ours_logits, ours) = (logits_and_gradients(model, autocast=way == "autocast") for model in both)
    assert torch.equal(logits, ours_logits)
    assert all(torch.equal(ours[name], grad) for name, grad in theirs.items())


def test_in_evaluation_dropout_is_no_reason_for_the_long_way_and_a_disabled_adapter_is():
    plain, short = (model.eval() for model in pair("llama", dropout=0.3))
    torch.testing.assert_close(logits_and_gradients(short)[0], logits_and_gradients(plain)[0], rtol=1e-10, atol=1e-10)
    for model in (plain, short):
        for part in model.modules():
            if isinstance(part, Linear):
                part.enable_adapters(False)
    ids = torch.arange(10, 22).unsqueeze(0)
    assert torch.equal(short(ids).logits, plain(ids).logits)
