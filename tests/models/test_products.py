"""Products of matrices, whichever library makes them."""

import pytest
import torch

from openflan.models import products
from openflan.models.products import product, product_added, sum_of_products


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("rows", [0, 1, 63, 64, 65, 1_000])
def test_products_are_those_of_float64(monkeypatch, onednn, rows):
    monkeypatch.setattr(products, "_by_onednn", lambda: onednn)
    torch.manual_seed(0)
    one, added, weights = torch.randn(rows, 24), torch.randn(rows, 40), torch.randn(40, 24)
    before = added.clone()
    rightly = one.double() @ weights.double().T
    for made, right in (
        (product(one, weights.T), rightly),
        (product_added(added, one, weights.T), rightly + added),
        (product(added, weights), added.double() @ weights.double()),
        (sum_of_products(one, added), one.double().T @ added.double()),
    ):
        assert made.shape == right.shape
        torch.testing.assert_close(made.double(), right, atol=1e-4, rtol=1e-5)
    assert torch.equal(added, before)
    assert torch.equal(product(one, weights.T), product(one, weights.T))
