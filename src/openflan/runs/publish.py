"""A run given away: its tuned model, or model, card, results, report and mixture lock together.

Invariant: a folder appears whole or not at all; nothing is uploaded but what that folder holds. Rejected: uploading
the token store, which others make again from the lock.
"""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from openflan.errors import UserError
from openflan.models.load import is_hub_id
from openflan.runs.stored import StoredRun
from openflan.stage import new_folder

__all__ = ["Published", "export_model", "publish_run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Where a run was published."""

    place: str
    """A folder, or the address of the model on the hub."""
    hub: bool


def export_model(run: StoredRun, to: Path, *, seed: int, merge: bool = False) -> None:
    """Write a tuned model in Hugging Face layout, with its card, or as a GGUF file where the target is named so.

    Args:
        merge: put an adapter into its base's weights; in a GGUF file it is there anyway.

    Raises:
        UserError: there is no such model, it has no adapter to merge, there is something already, or the model can't
            be written as a GGUF file that reads as it does.
    """
    from openflan.training.handover import copy_model, merge_model  # imports torch

    tuned, source = run.tuned_model(seed), run.model_source(seed)
    if to.suffix.lower() == ".gguf":
        from openflan.models.gguf_export import write_gguf

        with tempfile.TemporaryDirectory() as work:
            whole = tuned
            if source.adapter is not None:
                whole = Path(work) / "merged"
                merge_model(tuned, source, whole)
            write_gguf(whole, to)
    elif merge:
        merge_model(tuned, source, to)
    else:
        copy_model(tuned, to)


def publish_run(run: StoredRun, to: str, *, seed: int, merge: bool = False, public: bool = False) -> Published:
    """Put everything of a run that others need into a folder, or on the hub.

    Args:
        to: a folder (`./name`, `/name`), or a hub id (`owner/name`).
        merge: put an adapter into its base's weights.
        public: on the hub, for all to see.

    Raises:
        UserError: the run is not finished, the folder is there already, or the hub refuses.
    """
    if not is_hub_id(to) or Path(to).parent.is_dir():
        _gather(run, Path(to).expanduser(), seed=seed, merge=merge)
        return Published(place=to, hub=False)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "published"
        _gather(run, folder, seed=seed, merge=merge)
        return Published(place=_upload(folder, to, public=public), hub=True)


def _gather(run: StoredRun, target: Path, *, seed: int, merge: bool) -> None:
    """Model, card, results, report and mixture lock in one folder that is whole or absent."""
    places = run.places
    if not places.model(seed).is_dir() or not places.results.is_file():
        what = f"the run has no tuned model of seed {seed} with results"
        raise UserError(what, where=str(run.folder), how="finish it with `openflan run`, or name another --seed")
    records = (places.mixture / f"{name}.json" for name in ("lock", "ledger", "leakage"))
    with new_folder(target, option="--to") as partial:
        whole = partial / "model"
        export_model(run, whole, seed=seed, merge=merge)
        for path in whole.iterdir():
            path.rename(partial / path.name)
        whole.rmdir()
        for path in (places.results, places.page, places.recipe, *records):
            copy = partial / path.relative_to(run.folder)
            copy.parent.mkdir(exist_ok=True)
            shutil.copy2(path, copy)
        if places.figures.is_dir():
            shutil.copytree(places.figures, partial / places.figures.name)


def _upload(folder: Path, name: str, *, public: bool) -> str:
    """Upload a folder as a model of the hub; its address.

    Raises:
        UserError: the hub can't be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi()
    try:
        api.create_repo(name, exist_ok=True, private=not public)
        return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message="Publish an openflan run"))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        how = "log in with `hf auth login` and check the network, or give a folder (./name)"
        raise UserError(f"the hub did not take it ({first})", where=f"--to {name}", how=how) from error
