"""Examples end to end in one row are computed as each alone; what can't be trained apart is refused by name."""

import pytest
import torch

from little_models import FAMILIES, make_tokenizer
from openflan.errors import UserError
from openflan.models import flat
from openflan.models.family import family_of
from openflan.models.flat import can_be_flat, flat_row
from openflan.models.head import logits_at
from openflan.models.load import find_model, load_model
from openflan.recipes.parts import ModelPart
from openflan.training.loss import collate, laid_out, target_loss

CPU = torch.device("cpu")


def loaded(folder):
    return load_model(find_model(ModelPart(path=str(folder)), folder), device=CPU)


def examples():
    random = torch.Generator().manual_seed(4)
    return [torch.randint(2, 300, (size,), generator=random) for size in (1, 40, 3, 210, 7)]


def everywhere(ids):
    return torch.zeros_like(ids), torch.arange(len(ids))


def flat_logits(model, rows):
    ends = [0, *torch.tensor([len(ids) for ids in rows]).cumsum(0).tolist()]
    places = torch.cat([torch.arange(len(ids)) for ids in rows])[None]
    with torch.inference_mode(), flat_row(model, ends):
        return logits_at(model, everywhere(torch.cat(rows)), input_ids=torch.cat(rows)[None], position_ids=places)


def test_a_row_of_examples_gives_the_logits_of_each_alone(any_model):
    model = loaded(any_model)
    rows = examples()
    with torch.inference_mode():
        alone = torch.cat([logits_at(model, everywhere(ids), input_ids=ids[None]) for ids in rows])
    torch.testing.assert_close(flat_logits(model, rows), alone, rtol=0, atol=5e-5)


def test_another_neighbour_changes_nothing(tiny_llama):
    model = loaded(tiny_llama)
    rows = examples()
    first = flat_logits(model, rows)
    second = flat_logits(model, [torch.full((1,), 5), *rows[1:]])
    torch.testing.assert_close(first[1:], second[1:], rtol=0, atol=2e-6)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_flat_row_has_the_gradients_of_padded_batches(any_model, checkpointing):
    step = [(ids.numpy().astype("int32"), max(1, len(ids) // 2)) for ids in examples()[1:]]
    grads = []
    for layout in ("padded", "flat"):
        model = loaded(any_model)
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
            model.train()
        batch = collate(step, CPU, layout=layout)
        with laid_out(model, batch):
            total, _ = target_loss(model, batch)
            (total / len(batch.targets)).backward()
        grads.append([p.grad for p in model.parameters() if p.grad is not None])
    for one, two in zip(*grads, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_every_family_at_hand_can_be_flat_and_halves_are_not(model_folder):
    assert [can_be_flat(loaded(model_folder(family)), reduced=True) for family in FAMILIES] == [True] * len(FAMILIES)
    assert not can_be_flat(loaded(model_folder("t5")))


def test_in_bfloat16_rotated_queries_reach_the_kernel_in_bfloat16(tiny_llama, monkeypatch):
    seen = []
    one = flat._one
    monkeypatch.setattr(flat, "_one", lambda *sides: seen.append({side.dtype for side in sides[:3]}) or one(*sides))
    with torch.autocast("cpu", torch.bfloat16):
        flat_logits(loaded(tiny_llama), examples())
    assert seen
    assert all(kinds == {torch.bfloat16} for kinds in seen)


def test_a_kernel_that_fails_in_bfloat16_is_found_out_before_training(tiny_llama, monkeypatch):
    one = flat._one

    def without_bfloat16(query, *rest):
        if query.dtype == torch.bfloat16:
            raise RuntimeError("FlashAttention forward only supports head dimension at most 256")
        return one(query, *rest)

    assert can_be_flat(loaded(tiny_llama), reduced=True)
    monkeypatch.setattr(flat, "_one", without_bfloat16)
    assert not can_be_flat(loaded(tiny_llama), reduced=True)
    assert can_be_flat(loaded(tiny_llama))


@pytest.mark.parametrize("family", FAMILIES)
def test_decoders_read_from_left_to_right(model_folder, family):
    assert family_of(loaded(model_folder(family))).batching == "together"


def test_a_model_that_sees_the_answer_is_refused_by_name(tmp_path):
    from transformers import BertConfig, BertLMHeadModel

    words = len(make_tokenizer(bos=False))
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with pytest.raises(UserError, match="BertLMHeadModel sees later tokens"):
        family_of(BertLMHeadModel(BertConfig(vocab_size=words, initializer_range=0.5, **sizes)).eval())
