"""Which model answered: a hash of what it computes with.

Every weight counts, whatever folder, hub revision or adapter it came from, for two models of one name and shape must
never share answers. Cost: as long as reading the weights from memory takes, a fifth of a second a GB. Rejected: names,
paths and time stamps, and hashes of a file's ends, which two checkpoints of one run can share; SHA-256, which takes
five times as long and withstands forgers, whom nobody keeps answers from.
"""

import json
from typing import Any

import xxhash

__all__ = ["hash_of_model"]

_IRRELEVANT = {"_name_or_path", "transformers_version", "_attn_implementation_internal", "use_cache"}


def hash_of_model(model: Any) -> str:
    """Hash of a loaded model's weights, buffers and configuration: 16 letters, XXH3 of 128 bits cut in half."""
    import torch

    digest = xxhash.xxh3_128()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _IRRELEVANT}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()[:16]
