"""A recipe: one experiment, whole, as plain data.

Model, tasks, mixture, training and evaluation in one frozen, strict model that round-trips to YAML; its hash
names the run folder. No setting is silently ignored: an unknown key is an error that names the nearest known one.

Invariant: two recipes that mean the same have the same `fingerprint`, however they were written.
Rejected: Python configuration files, which can't be compared, hashed or trusted (docs/design/0001-architecture.md).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, PrivateAttr, ValidationError, model_validator

from openflan.cores import Threads
from openflan.errors import strict_error
from openflan.recipes.counting import NOTHING, ORDERS
from openflan.recipes.mixture_part import MixturePart
from openflan.recipes.part import Part
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart, TasksPart, TrainingPart
from openflan.recipes.safe_yaml import read_yaml
from openflan.recipes.settings import parse_setting, set_key
from openflan.stage import fingerprint_of

__all__ = ["Recipe", "load_recipe", "make_recipe"]


class Recipe(Part):
    """One experiment, whole."""

    name: Annotated[str, NOTHING] = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    model: ModelPart = ModelPart()
    tasks: TasksPart = TasksPart()
    prompts: PromptsPart = PromptsPart()
    mixture: MixturePart = MixturePart()
    training: TrainingPart = TrainingPart()
    evaluation: EvaluationPart = EvaluationPart()
    seeds: Annotated[tuple[int, ...], ORDERS] = Field(default=(0,), min_length=1)
    """One tuning run a seed; results are reported over all of them."""
    threads: Annotated[Threads, NOTHING] = "auto"
    """Threads that compute at once: so many, or one on each usable core (or what OMP_NUM_THREADS says)."""

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.threads != "auto" and self.threads < 1:
            raise ValueError(f"threads is {self.threads}; it must be auto or at least 1")
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError("seeds must be different and not negative")
        longest = self.prompts.max_input_tokens + self.prompts.max_target_tokens
        if self.training.tokens_per_batch < longest:
            raise ValueError(
                f"training.tokens_per_batch is {self.training.tokens_per_batch}, less than one example's"
                f" {longest} tokens (prompts.max_input_tokens + prompts.max_target_tokens)"
            )
        options = self.prompts.options if self.evaluation.options == "as_tuned" else self.evaluation.options
        if options == "hidden" and self.evaluation.option_order != "class":
            raise ValueError(
                f"evaluation.option_order is {self.evaluation.option_order}, but questions list no options"
                " (prompts.options: hidden; evaluation.options: shown asks otherwise)"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """Hash of every setting but the name and the threads, which are the machine's."""
        return fingerprint_of(self.model_dump(mode="json", exclude={"name", "threads"}))

    @property
    def folder(self) -> Path:
        """Where relative paths in the recipe start."""
        return self._folder

    @property
    def run_name(self) -> str:
        """Name of the run folder: the recipe's name and the start of its hash."""
        return f"{self.name}-{self.fingerprint[:8]}"

    def find(self, path: str) -> Path:
        """A path written in the recipe: absolute, else beside the recipe file, else under the working folder."""
        beside = self._folder / Path(path).expanduser()
        return beside if beside.exists() else Path(path).expanduser()

    def to_yaml(self) -> str:
        """The recipe as YAML; reading it back gives an equal recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe(path: Path, settings: Sequence[str] = (), *, folder: Path | None = None) -> Recipe:
    """Read a recipe file and apply `a.b=value` settings to it.

    Args:
        settings: as after `--set`; values are read as YAML.
        folder: where relative paths in it start; the file's own folder if None.

    Raises:
        UserError: the file is missing or no mapping, a key is unknown or a value is not allowed.
    """
    data = read_yaml(path, kind="recipe", how="`ls recipes/` shows the ready ones")
    for setting in settings:
        set_key(data, *parse_setting(setting))
    return make_recipe(data, where=str(path), folder=folder or path.parent)


def make_recipe(data: Mapping[str, Any], *, where: str, folder: Path) -> Recipe:
    """Plain data as a recipe.

    Args:
        where: what the data are from, for messages.
        folder: where relative paths in it start.

    Raises:
        UserError: a key is unknown or a value is not allowed.
    """
    try:
        recipe = Recipe.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise strict_error(error, where, Recipe) from None
    recipe._folder = folder.resolve()
    return recipe
