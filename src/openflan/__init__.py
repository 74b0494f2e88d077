"""openflan: labelled datasets in, an instruction-following model out, and proof that it generalises.

    import openflan
    recipe = openflan.load_recipe(Path("recipes/starter.yaml"))
    outcome = openflan.run(recipe, runs=Path("runs"))

Names are imported when first used, so that `import openflan` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openflan.errors import UserError
    from openflan.evaluation.ranking import Question, rank_options
    from openflan.mixture.holdout import hold_out
    from openflan.mixture.store import TokenStore
    from openflan.prompts.encoding import TextEncoder
    from openflan.prompts.render import Prompt, TaskRenderer
    from openflan.recipes.recipe import Recipe, load_recipe
    from openflan.runs.pipeline import run
    from openflan.runs.results import Results
    from openflan.study.running import run_study
    from openflan.study.spec import load_study
    from openflan.tasks.catalog import open_catalog
    from openflan.tasks.sources import load_rows
    from openflan.tasks.spec import TaskSpec, load_task

__version__ = "0.1.0"

_HOME = {
    "Prompt": "openflan.prompts.render",
    "Question": "openflan.evaluation.ranking",
    "Recipe": "openflan.recipes.recipe",
    "Results": "openflan.runs.results",
    "TaskRenderer": "openflan.prompts.render",
    "TaskSpec": "openflan.tasks.spec",
    "TextEncoder": "openflan.prompts.encoding",
    "TokenStore": "openflan.mixture.store",
    "UserError": "openflan.errors",
    "hold_out": "openflan.mixture.holdout",
    "load_recipe": "openflan.recipes.recipe",
    "load_rows": "openflan.tasks.sources",
    "load_study": "openflan.study.spec",
    "load_task": "openflan.tasks.spec",
    "open_catalog": "openflan.tasks.catalog",
    "rank_options": "openflan.evaluation.ranking",
    "run": "openflan.runs.pipeline",
    "run_study": "openflan.study.running",
}

__all__ = [
    "Prompt",
    "Question",
    "Recipe",
    "Results",
    "TaskRenderer",
    "TaskSpec",
    "TextEncoder",
    "TokenStore",
    "UserError",
    "__version__",
    "hold_out",
    "load_recipe",
    "load_rows",
    "load_study",
    "load_task",
    "open_catalog",
    "rank_options",
    "run",
    "run_study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'openflan' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
