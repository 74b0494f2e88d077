"""`openflan publish`: a finished run in hub layout, for a folder or the Hugging Face hub."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from openflan.cli.options import JsonOption, QuietOption
from openflan.models.load import is_hub_id

__all__ = ["publish"]

_BESIDE = {
    "results.json": "results.json",
    "report.html": "report.html",
    "recipe.yaml": "recipe.yaml",
    "mixture/lock.json": "mixture/lock.json",
    "mixture/ledger.json": "mixture/ledger.json",
    "mixture/leakage.json": "mixture/leakage.json",
}


def publish(
    run: Annotated[Path, typer.Argument(help="A finished run folder.")],
    to: Annotated[str, typer.Option("--to", help="A folder to write (./name or /name), or a hub id (owner/name).")],
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed; the recipe's first by default.")] = None,
    merge: Annotated[bool, typer.Option("--merge", help="Put an adapter into its base's weights.")] = False,
    public: Annotated[bool, typer.Option("--public", help="On the hub, for all to see; private by default.")] = False,
    quiet: QuietOption = False,
    json_: JsonOption = False,
) -> None:
    """Write model, card, results and mixture lock together, or upload them."""
    import tempfile

    hub = is_hub_id(to) and not Path(to).parent.is_dir()
    if hub:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work) / "published"
            _gather(run, folder, seed, merge=merge)
            place = _upload(folder, to, public=public)
    else:
        _gather(run, Path(to).expanduser(), seed, merge=merge)
        place = to
    if json_:
        sys.stdout.write(json.dumps({"published": place, "hub": hub}) + "\n")
    elif not quiet:
        sys.stdout.write(f"{place}\n")


def _gather(run: Path, target: Path, seed: int | None, *, merge: bool) -> None:
    """Everything of a run that others need, in one folder that is whole or absent."""
    import shutil

    from openflan.errors import UserError
    from openflan.runs.run_folder import plan_of
    from openflan.stage import new_folder
    from openflan.training.handover import copy_model, merge_model

    plan = plan_of(run)
    chosen = plan.recipe.seeds[0] if seed is None else seed
    tuned = run / "training" / f"seed-{chosen}" / "model"
    if not tuned.is_dir() or not (run / "results.json").is_file():
        what = f"the run has no tuned model of seed {chosen} with results"
        raise UserError(what, where=str(run), how="finish it with `openflan run`, or name another --seed")
    with new_folder(target, option="--to") as partial:
        whole = partial / "model"
        if merge:
            merge_model(tuned, plan.tuned_source(tuned), whole)
        else:
            copy_model(tuned, whole)
        for path in whole.iterdir():
            path.rename(partial / path.name)
        whole.rmdir()
        for source, name in _BESIDE.items():
            (partial / name).parent.mkdir(exist_ok=True)
            shutil.copy2(run / source, partial / name)
        if (run / "report").is_dir():
            shutil.copytree(run / "report", partial / "report")


def _upload(folder: Path, name: str, *, public: bool) -> str:
    """Upload a folder as a model of the hub.

    Raises:
        UserError: the hub can't be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from openflan.errors import UserError

    api = HfApi()
    try:
        api.create_repo(name, exist_ok=True, private=not public)
        return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message="Publish an openflan run"))
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        how = "log in with `hf auth login` and check the network, or give a folder (./name)"
        raise UserError(f"the hub did not take it ({first})", where=f"--to {name}", how=how) from error
