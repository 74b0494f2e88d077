"""Checkpoints: whole or absent, and enough to go on with bit-identical results.

Weights are safetensors, the optimizer's state is read with `weights_only`; a checkpoint is a stage (stage.py), so
a kill at any moment leaves the one before. There is no data position to save: order is arithmetic.

Cost: weights and optimizer state once every `training.checkpoint_every` steps; only the newest is kept.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import nn

from openflan.stage import commit_folder, partial_folder, read_manifest, user_file_errors

__all__ = ["Progress", "restore_newest", "save_checkpoint"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far training has come."""

    step: int = 0
    """Optimizer steps done."""
    seconds: float = 0.0
    """Time they took, over all attempts."""


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Write a checkpoint into `folder/step-<n>` and remove older ones."""
    name = f"step-{progress.step:08d}"
    partial = partial_folder(folder / name, key=name)
    try:
        with user_file_errors(partial):
            save_model(model, str(partial / "model.safetensors"))
            torch.save(optimizer.state_dict(), partial / "optimizer.pt")
            facts = {"step": progress.step, "seconds": progress.seconds}
            commit_folder(partial, folder / name, key=name, facts=facts)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in folder.iterdir():
        if old.name != name:
            shutil.rmtree(old)


def restore_newest(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Load the newest whole checkpoint into model and optimizer; `Progress()` where there is none."""
    whole = [path for path in sorted(folder.glob("step-*")) if read_manifest(path) is not None]
    if not whole:
        return Progress()
    newest = whole[-1]
    manifest = read_manifest(newest)
    assert manifest is not None
    load_model(model, str(newest / "model.safetensors"))
    optimizer.load_state_dict(torch.load(newest / "optimizer.pt", weights_only=True))
    return Progress(step=int(manifest["step"]), seconds=float(manifest["seconds"]))
