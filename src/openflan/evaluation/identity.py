"""Which model answered: a hash of what it computes with.

Every weight counts, whatever folder, hub revision or adapter it came from, for two models of one name and shape must
never share answers. Cost: reading the weights from memory, a tenth of a second a GB on two cores. Rejected: names,
paths and time stamps, and hashes of a file's ends, which two checkpoints of one run can share; SHA-256, which takes
five times as long and withstands forgers, whom nobody keeps answers from.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xxhash

from openflan.cores import thread_count

__all__ = ["hash_of_model"]

_IRRELEVANT = {"_name_or_path", "transformers_version", "_attn_implementation_internal", "use_cache"}

_PART = 16 << 20
"""Bytes of weights that are hashed on their own, so that threads can share the work."""


def hash_of_model(model: Any) -> str:
    """Hash of a loaded model's weights, buffers and configuration: 16 letters, XXH3 of 128 bits cut in half."""
    import torch

    digest = xxhash.xxh3_128()
    config = {name: value for name, value in model.config.to_dict().items() if name not in _IRRELEVANT}
    digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    with ThreadPoolExecutor(thread_count()) as pool:  # hashing lets go of the interpreter
        for name, tensor in sorted(model.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            whole = memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
            parts = [whole[start : start + _PART] for start in range(0, len(whole), _PART)]
            for part in pool.map(xxhash.xxh3_128_digest, parts):
                digest.update(part)
    return digest.hexdigest()[:16]
