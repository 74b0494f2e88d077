"""Muon: torch's own weights in bfloat16, and truly orthogonal updates in float32."""

import pytest
import torch

from openflan.training.muon import Muon, MuonWithAdamW, orthogonalised


def _matrices():
    random = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(size, generator=random)) for size in ((16, 40), (40, 16), (24, 24))]


def test_in_bfloat16_it_makes_torchs_own_weights():
    ours, theirs = _matrices(), _matrices()
    ours_steps = Muon(ours, lr=1e-2, weight_decay=0.05, dtype=torch.bfloat16)
    theirs_steps = torch.optim.Muon(theirs, lr=1e-2, weight_decay=0.05, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.sin(a.detach() * (step + 1))
            b.grad = a.grad.clone()
        ours_steps.step()
        theirs_steps.step()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_an_update_turns_and_hardly_stretches(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 1e-3
    values = torch.linalg.svdvals(orthogonalised(matrix, torch.float32))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_together_with_adamw_it_steps_the_blocks_matrices_alone():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    model = LlamaForCausalLM(config)
    optimizer = MuonWithAdamW(model, learning_rate=1e-2, matrix_rate=1e-2, weight_decay=0.0, dtype=torch.float32)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    muon, adamw = ([names[id(parameter)] for parameter in group["params"]] for group in optimizer.param_groups)
    assert all(".layers." in name and "norm" not in name for name in muon)
    assert len(muon) == 7
    assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= set(adamw)
