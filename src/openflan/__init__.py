"""openflan: labelled datasets in, an instruction-following model out, and proof that it generalises.

    import openflan
    run = openflan.Run("starter", settings={"training.steps": 20})
    run.mix(), run.tune(), run.measure()
    run.model().rank("Is this happy or sad?", ["happy", "sad"], text="The sun came out.")

docs/python.md shows the whole. Names are imported when first used, so that `import openflan` costs milliseconds.
Invariant: whatever type a name here takes, returns or holds is a name here too (tests/test_api.py).
"""

TYPE_CHECKING = False  # as typing's, which takes longer to import than all of this

if TYPE_CHECKING:
    from openflan.errors import UserError as UserError
    from openflan.evaluation.audit import TaskAudit as TaskAudit
    from openflan.evaluation.audit import audit_tokenizer as audit_tokenizer
    from openflan.evaluation.comparison import Comparison as Comparison
    from openflan.evaluation.evaluate import Evaluation as Evaluation
    from openflan.evaluation.evaluate import evaluate as evaluate
    from openflan.evaluation.harness import HarnessExport as HarnessExport
    from openflan.evaluation.harness import HarnessTask as HarnessTask
    from openflan.evaluation.harness import export_tasks as export_tasks
    from openflan.evaluation.model import Model as Model
    from openflan.evaluation.model import RankedOptions as RankedOptions
    from openflan.evaluation.scores import as_score as as_score
    from openflan.evaluation.task_results import TaskResult as TaskResult
    from openflan.mixture.mixture import Mixture as Mixture
    from openflan.mixture.planning import ClusterPlan as ClusterPlan
    from openflan.mixture.planning import MixPlan as MixPlan
    from openflan.mixture.planning import Speed as Speed
    from openflan.mixture.planning import TaskPlan as TaskPlan
    from openflan.prompts.render import Prompt as Prompt
    from openflan.prompts.task import Task as Task
    from openflan.prompts.task import Tasks as Tasks
    from openflan.ranks import is_first as is_first
    from openflan.recipes.recipe import Recipe as Recipe
    from openflan.report.write_comparison import write_comparison as write_comparison
    from openflan.report.write_study import write_study_page as write_study_page
    from openflan.runs.compare import Answers as Answers
    from openflan.runs.compare import compare as compare
    from openflan.runs.compare import rescore as rescore
    from openflan.runs.pipeline import Event as Event
    from openflan.runs.pipeline import Outcome as Outcome
    from openflan.runs.preview import MissingRows as MissingRows
    from openflan.runs.preview import MixturePreview as MixturePreview
    from openflan.runs.publish import Published as Published
    from openflan.runs.run import Run as Run
    from openflan.runs.stages import Stage as Stage
    from openflan.runs.stages import StageKind as StageKind
    from openflan.study.forecast import PACE as PACE
    from openflan.study.forecast import Forecast as Forecast
    from openflan.study.outcome import StudyOutcome as StudyOutcome
    from openflan.study.running import CellEvent as CellEvent
    from openflan.study.study import Study as Study

__version__ = "0.1.0"

_ROOMS = {
    "errors": "UserError",
    "evaluation.audit": "TaskAudit audit_tokenizer",
    "evaluation.comparison": "Comparison",
    "evaluation.evaluate": "Evaluation evaluate",
    "evaluation.harness": "HarnessExport HarnessTask export_tasks",
    "evaluation.model": "Model RankedOptions",
    "evaluation.scores": "as_score",
    "evaluation.task_results": "TaskResult",
    "mixture.mixture": "Mixture",
    "mixture.planning": "ClusterPlan MixPlan Speed TaskPlan",
    "prompts.render": "Prompt",
    "prompts.task": "Task Tasks",
    "ranks": "is_first",
    "recipes.recipe": "Recipe",
    "report.write_comparison": "write_comparison",
    "report.write_study": "write_study_page",
    "runs.compare": "Answers compare rescore",
    "runs.pipeline": "Event Outcome",
    "runs.preview": "MissingRows MixturePreview",
    "runs.publish": "Published",
    "runs.run": "Run",
    "runs.stages": "Stage StageKind",
    "study.forecast": "Forecast PACE",
    "study.outcome": "StudyOutcome",
    "study.running": "CellEvent",
    "study.study": "Study",
}
"""Where the names of the face stand."""

_HOME = {name: module for module, names in _ROOMS.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'openflan' has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"openflan.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__]
