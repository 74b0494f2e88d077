"""Checkpoints: whole or absent, and enough to go on with bit-identical results.

    checkpoints/step-00000500/  weights.safetensors  optimizer.safetensors  manifest.json
                                trained weights      state by parameter     step, identity, hashes of both files

A checkpoint is a stage (stage.py), so a kill at any moment leaves the one before. There is no data position to save
but the step: order is arithmetic. State is kept by parameter name and whole, so any number of ranks goes on from it.

Invariant: what is restored was made by the same mixture, tokenizer, model and training settings, and hashes as it was
written. Cost: weights and optimizer state once every `training.checkpoint_every` steps. Rejected: `torch.save`, whose
pickle can run code; sharded files, which only the same number of ranks can read.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from openflan.errors import UserError
from openflan.models.head import unwrapped
from openflan.ranks import is_first, wait
from openflan.stage import commit_folder, hash_file, partial_folder, read_manifest, user_file_errors

__all__ = ["Progress", "refuse_other", "restore_newest", "save_checkpoint"]

_WEIGHTS, _STATE = "weights.safetensors", "optimizer.safetensors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far training has come."""

    step: int = 0
    """Optimizer steps done."""
    seconds: float = 0.0
    """Time they took, over all attempts."""
    micro_batch_tokens: int | None = None
    """What memory allowed, where that was less than the recipe says."""


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    *,
    identity: Mapping[str, str],
    keep: int,
) -> None:
    """Write a checkpoint into `folder/step-<n>` and remove all but the newest `keep`.

    Args:
        identity: hashes of what made it, by name.

    Raises:
        UserError: the disk is full or not writable; earlier checkpoints stay.
    """
    weights = {name: _whole(tensor) for name, tensor in _trained(model).items()}
    state, plain = _state_of(model, optimizer)
    if is_first():
        name = f"step-{progress.step:08d}"
        partial = partial_folder(folder / name, key=name)
        try:
            with user_file_errors(partial):
                save_file(weights, partial / _WEIGHTS)
                save_file(state, partial / _STATE, metadata={"plain": json.dumps(plain)})
                facts = {
                    "step": progress.step,
                    "seconds": progress.seconds,
                    "micro_batch_tokens": progress.micro_batch_tokens,
                    "identity": dict(identity),
                }
                commit_folder(partial, folder / name, key=name, facts=facts)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        whole = _whole_ones(folder)
        for old in folder.iterdir():
            if old not in whole[-keep:]:
                shutil.rmtree(old)
    wait()


def restore_newest(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    identity: Mapping[str, str],
    say: Callable[[str], None] = lambda _text: None,
) -> Progress:
    """Load the newest whole checkpoint into model and optimizer; `Progress()` where there is none.

    Args:
        say: told of a checkpoint that is damaged and passed over.

    Raises:
        UserError: it was made from something else, or every checkpoint is damaged.
    """
    refuse_other(folder, identity)
    whole = _whole_ones(folder)
    for path in reversed(whole):
        manifest = read_manifest(path)
        assert manifest is not None
        if damaged := [name for name, digest in manifest["files"].items() if not _intact(path / name, digest)]:
            say(f"{path / damaged[0]} is damaged: going on from the checkpoint before")
            continue
        _load(path, model, optimizer)
        return Progress(
            step=int(manifest["step"]),
            seconds=float(manifest["seconds"]),
            micro_batch_tokens=manifest.get("micro_batch_tokens"),
        )
    if whole:
        raise UserError("every checkpoint is damaged", where=str(folder), how="delete the folder to begin anew")
    return Progress()


def refuse_other(folder: Path, identity: Mapping[str, str]) -> None:
    """See to it that checkpoints in a folder, if any, are of this very training.

    Raises:
        UserError: they are not; what differs is named.
    """
    for path in _whole_ones(folder)[-1:]:
        made_from = (read_manifest(path) or {}).get("identity", {})
        if other := sorted(name for name in {*identity, *made_from} if identity.get(name) != made_from.get(name)):
            raise UserError(
                f"a checkpoint made with another {' and another '.join(other)}",
                where=str(path),
                how=f"put that back as it was, or delete {folder.parent} to begin anew",
            )


def _whole_ones(folder: Path) -> list[Path]:
    """Whole checkpoints, the oldest first."""
    return [path for path in sorted(folder.glob("step-*")) if read_manifest(path) is not None]


def _intact(path: Path, digest: str) -> bool:
    return path.is_file() and hash_file(path) == digest


def _trained(model: nn.Module) -> dict[str, Tensor]:
    """What training changes: trainable parameters, shared ones once, and buffers that are saved with a model."""
    inner = unwrapped(model)
    named = dict(inner.named_parameters())
    every = {name for name, _ in inner.named_parameters(remove_duplicate=False)}
    trained = {name: value for name, value in named.items() if value.requires_grad}
    return trained | {name: value for name, value in inner.state_dict().items() if name not in every}


def _whole(tensor: Tensor) -> Tensor:
    """A tensor on the CPU, put together where ranks hold parts of it."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return full.detach().cpu().contiguous()


def _state_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The optimizer's state: tensors by `parameter|key`, and plain numbers by the same names."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, Any] = {}
    for name, parameter in _trained(model).items():
        for key, value in optimizer.state.get(parameter, {}).items():
            place = f"{name}|{key}"
            if isinstance(value, Tensor):
                tensors[place] = _whole(value)
            elif value is not None:
                plain[place] = value
    return tensors, plain


def _load(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    named = _trained(model)
    try:
        with safe_open(path / _WEIGHTS, framework="pt") as file, torch.no_grad():
            for name, target in named.items():
                target.copy_(_alike(file.get_tensor(name), target))
        with safe_open(path / _STATE, framework="pt") as file:
            plain = json.loads(file.metadata()["plain"])
            for place in (*file.keys(), *plain):
                name, key = place.rsplit("|", 1)
                parameter = named[name]
                value = plain[place] if place in plain else _alike(file.get_tensor(place), parameter)
                optimizer.state[parameter][key] = value
    except (SafetensorError, KeyError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"a checkpoint of another model ({first})", where=str(path), how="delete it") from error


def _alike(whole: Tensor, parameter: Tensor) -> Tensor:
    """A saved tensor on a parameter's device, cut among ranks as the parameter is."""
    if not hasattr(parameter, "placements") or whole.shape != parameter.shape:
        return whole.to(parameter.device) if whole.ndim else whole
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(parameter, DTensor)
    return distribute_tensor(whole.to(parameter.device), parameter.device_mesh, parameter.placements)
