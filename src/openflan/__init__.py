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
    from openflan.evaluation.comparison import SideSpread as SideSpread
    from openflan.evaluation.comparison import TaskComparison as TaskComparison
    from openflan.evaluation.evaluate import Evaluation as Evaluation
    from openflan.evaluation.evaluate import evaluate as evaluate
    from openflan.evaluation.harness import HarnessExport as HarnessExport
    from openflan.evaluation.harness import HarnessTask as HarnessTask
    from openflan.evaluation.harness import export_tasks as export_tasks
    from openflan.evaluation.measure_comparison import MeasureComparison as MeasureComparison
    from openflan.evaluation.model import Model as Model
    from openflan.evaluation.model import PromptTokens as PromptTokens
    from openflan.evaluation.model import RankedOptions as RankedOptions
    from openflan.evaluation.reading import PromptReader as PromptReader
    from openflan.evaluation.reading import ReadPrompt as ReadPrompt
    from openflan.evaluation.reading import ReadToken as ReadToken
    from openflan.evaluation.scores import as_ends as as_ends
    from openflan.evaluation.scores import as_score as as_score
    from openflan.evaluation.standalone import EvaluationResults as EvaluationResults
    from openflan.evaluation.task_results import BestOnValidation as BestOnValidation
    from openflan.evaluation.task_results import CleanSplit as CleanSplit
    from openflan.evaluation.task_results import MeasureSpread as MeasureSpread
    from openflan.evaluation.task_results import TaskGain as TaskGain
    from openflan.evaluation.task_results import TaskResult as TaskResult
    from openflan.evaluation.task_results import TemplateSpread as TemplateSpread
    from openflan.importers.importing import TaskImport as TaskImport
    from openflan.importers.importing import import_tasks as import_tasks
    from openflan.importers.outcome import Imported as Imported
    from openflan.importers.outcome import Refused as Refused
    from openflan.links import links_out as links_out
    from openflan.mixture.certificate import Compared as Compared
    from openflan.mixture.certificate import Hits as Hits
    from openflan.mixture.certificate import ItemCounts as ItemCounts
    from openflan.mixture.certificate import LeakCertificate as LeakCertificate
    from openflan.mixture.certificate import LeakEdge as LeakEdge
    from openflan.mixture.certificate import LeakPair as LeakPair
    from openflan.mixture.difference import MixtureChange as MixtureChange
    from openflan.mixture.difference import TaskChange as TaskChange
    from openflan.mixture.export import Exported as Exported
    from openflan.mixture.holdout import Condemned as Condemned
    from openflan.mixture.holdout import HoldOut as HoldOut
    from openflan.mixture.holdout import LeaveReason as LeaveReason
    from openflan.mixture.holdout import hold_out as hold_out
    from openflan.mixture.holdout import kin_of as kin_of
    from openflan.mixture.ledger import Ledger as Ledger
    from openflan.mixture.ledger import LedgerTask as LedgerTask
    from openflan.mixture.ledger import LockedTask as LockedTask
    from openflan.mixture.ledger import MixtureLock as MixtureLock
    from openflan.mixture.mixture import Mixture as Mixture
    from openflan.mixture.own_rows import OwnRows as OwnRows
    from openflan.mixture.own_rows import own_rows as own_rows
    from openflan.mixture.planning import ClusterPlan as ClusterPlan
    from openflan.mixture.planning import Concern as Concern
    from openflan.mixture.planning import MixPlan as MixPlan
    from openflan.mixture.planning import Speed as Speed
    from openflan.mixture.planning import TaskPlan as TaskPlan
    from openflan.mixture.planning import Totals as Totals
    from openflan.mixture.tracing import Replayed as Replayed
    from openflan.mixture.tracing import Seen as Seen
    from openflan.own.initialising import Initialised as Initialised
    from openflan.own.initialising import holds_tables as holds_tables
    from openflan.own.initialising import init_folder as init_folder
    from openflan.own.making import OwnTask as OwnTask
    from openflan.own.making import draft_task as draft_task
    from openflan.own.questions import TableGuess as TableGuess
    from openflan.prompts.editing import DiffLine as DiffLine
    from openflan.prompts.editing import TaskEdit as TaskEdit
    from openflan.prompts.editing import edit_template as edit_template
    from openflan.prompts.engines import TokenEngine as TokenEngine
    from openflan.prompts.lint import Fault as Fault
    from openflan.prompts.lint import TaskCheck as TaskCheck
    from openflan.prompts.options import RowAnswer as RowAnswer
    from openflan.prompts.render import Prompt as Prompt
    from openflan.prompts.showing import ShownRow as ShownRow
    from openflan.prompts.task import Task as Task
    from openflan.prompts.task import Tasks as Tasks
    from openflan.prompts.text_format import TextFormat as TextFormat
    from openflan.prompts.text_format import TextFrame as TextFrame
    from openflan.prompts.trial import TemplateTrial as TemplateTrial
    from openflan.ranks import is_first as is_first
    from openflan.recipes.mixture_part import MixtureGroup as MixtureGroup
    from openflan.recipes.mixture_part import MixturePart as MixturePart
    from openflan.recipes.parts import EvaluationPart as EvaluationPart
    from openflan.recipes.parts import LoraPart as LoraPart
    from openflan.recipes.parts import MixedStyle as MixedStyle
    from openflan.recipes.parts import ModelPart as ModelPart
    from openflan.recipes.parts import OptimizerPart as OptimizerPart
    from openflan.recipes.parts import PromptsPart as PromptsPart
    from openflan.recipes.parts import SoftPromptPart as SoftPromptPart
    from openflan.recipes.parts import StylePart as StylePart
    from openflan.recipes.parts import TasksPart as TasksPart
    from openflan.recipes.parts import TrainingPart as TrainingPart
    from openflan.recipes.ready import list_recipes as list_recipes
    from openflan.recipes.recipe import Recipe as Recipe
    from openflan.recipes.writing import recipe_text as recipe_text
    from openflan.recipes.writing import write_recipe as write_recipe
    from openflan.report.plot_data import Drawing as Drawing
    from openflan.report.plot_data import PlotData as PlotData
    from openflan.report.run_plots import RunPlots as RunPlots
    from openflan.report.write_comparison import write_comparison as write_comparison
    from openflan.run import Run as Run
    from openflan.runs.asked_rows import run_row as run_row
    from openflan.runs.browsing import UNSURE as UNSURE
    from openflan.runs.browsing import AnswersPage as AnswersPage
    from openflan.runs.browsing import BrowsedAnswer as BrowsedAnswer
    from openflan.runs.browsing import BrowsedOption as BrowsedOption
    from openflan.runs.browsing import browse_answers as browse_answers
    from openflan.runs.compare import Answers as Answers
    from openflan.runs.compare import compare as compare
    from openflan.runs.compare import rescore as rescore
    from openflan.runs.leaks import LeakTexts as LeakTexts
    from openflan.runs.leaks import MarkedText as MarkedText
    from openflan.runs.leaks import leak_texts as leak_texts
    from openflan.runs.listing import EvaluationStatus as EvaluationStatus
    from openflan.runs.listing import ListedGain as ListedGain
    from openflan.runs.listing import RunStatus as RunStatus
    from openflan.runs.listing import list_evaluations as list_evaluations
    from openflan.runs.listing import list_runs as list_runs
    from openflan.runs.listing import run_status as run_status
    from openflan.runs.pipeline import Event as Event
    from openflan.runs.pipeline import Outcome as Outcome
    from openflan.runs.preview import MissingRows as MissingRows
    from openflan.runs.preview import MixturePreview as MixturePreview
    from openflan.runs.progress import StageProgress as StageProgress
    from openflan.runs.publish import Published as Published
    from openflan.runs.results import ClusterVerdict as ClusterVerdict
    from openflan.runs.results import MeasureVerdict as MeasureVerdict
    from openflan.runs.results import Results as Results
    from openflan.runs.results import SeedMeasure as SeedMeasure
    from openflan.runs.results import SeedVerdict as SeedVerdict
    from openflan.runs.results import StageCost as StageCost
    from openflan.runs.results import TaskVerdict as TaskVerdict
    from openflan.runs.results import Verdict as Verdict
    from openflan.runs.results import VerdictScores as VerdictScores
    from openflan.runs.stages import RunPlaces as RunPlaces
    from openflan.runs.stages import Stage as Stage
    from openflan.runs.stages import StageKind as StageKind
    from openflan.studio.app import make_app as make_app
    from openflan.studio.app import serve_studio as serve_studio
    from openflan.studio.folders import StudioFolders as StudioFolders
    from openflan.study.forecast import PACE as PACE
    from openflan.study.forecast import CellForecast as CellForecast
    from openflan.study.forecast import Forecast as Forecast
    from openflan.study.listing import StudyStatus as StudyStatus
    from openflan.study.listing import list_studies as list_studies
    from openflan.study.listing import study_status as study_status
    from openflan.study.outcome import NO_FIGURE as NO_FIGURE
    from openflan.study.outcome import AxisRecord as AxisRecord
    from openflan.study.outcome import CellRecord as CellRecord
    from openflan.study.outcome import Finding as Finding
    from openflan.study.outcome import PlotRecord as PlotRecord
    from openflan.study.outcome import Point as Point
    from openflan.study.outcome import SeedPoint as SeedPoint
    from openflan.study.outcome import StudyOutcome as StudyOutcome
    from openflan.study.outcome import ValueRecord as ValueRecord
    from openflan.study.page import write_study_page as write_study_page
    from openflan.study.progress import CellEvent as CellEvent
    from openflan.study.progress import CellProgress as CellProgress
    from openflan.study.study import Study as Study
    from openflan.tasks.apart import Apart as Apart
    from openflan.tasks.apart import SaidRoles as SaidRoles
    from openflan.tasks.catalog import Entry as Entry
    from openflan.tasks.delimited import TableForm as TableForm
    from openflan.tasks.errata import as_fidelity as as_fidelity
    from openflan.tasks.lineage import Descent as Descent
    from openflan.tasks.paging import PagedRows as PagedRows
    from openflan.tasks.paging import RowsPage as RowsPage
    from openflan.tasks.source_spec import Source as Source
    from openflan.tasks.sources import SourceRow as SourceRow
    from openflan.tasks.spec import Answer as Answer
    from openflan.tasks.spec import FewShot as FewShot
    from openflan.tasks.spec import TaskSpec as TaskSpec
    from openflan.tasks.spec import Template as Template
    from openflan.tasks.splits import official_rows as official_rows
    from openflan.warming import warm_up as warm_up

__version__ = "0.1.0"

_ROOMS = {
    "errors": "UserError",
    "evaluation.audit": "TaskAudit audit_tokenizer",
    "evaluation.comparison": "Comparison SideSpread TaskComparison",
    "evaluation.evaluate": "Evaluation evaluate",
    "evaluation.harness": "HarnessExport HarnessTask export_tasks",
    "evaluation.measure_comparison": "MeasureComparison",
    "evaluation.model": "Model PromptTokens RankedOptions",
    "evaluation.reading": "PromptReader ReadPrompt ReadToken",
    "evaluation.scores": "as_ends as_score",
    "evaluation.standalone": "EvaluationResults",
    "evaluation.task_results": "BestOnValidation CleanSplit MeasureSpread TaskGain TaskResult TemplateSpread",
    "importers.importing": "TaskImport import_tasks",
    "importers.outcome": "Imported Refused",
    "links": "links_out",
    "mixture.certificate": "Compared Hits ItemCounts LeakCertificate LeakEdge LeakPair",
    "mixture.difference": "MixtureChange TaskChange",
    "mixture.export": "Exported",
    "mixture.holdout": "Condemned HoldOut LeaveReason hold_out kin_of",
    "mixture.ledger": "Ledger LedgerTask LockedTask MixtureLock",
    "mixture.mixture": "Mixture",
    "mixture.own_rows": "OwnRows own_rows",
    "mixture.planning": "ClusterPlan Concern MixPlan Speed TaskPlan Totals",
    "mixture.tracing": "Replayed Seen",
    "own.initialising": "Initialised holds_tables init_folder",
    "own.making": "OwnTask draft_task",
    "own.questions": "TableGuess",
    "prompts.editing": "DiffLine TaskEdit edit_template",
    "prompts.engines": "TokenEngine",
    "prompts.lint": "Fault TaskCheck",
    "prompts.options": "RowAnswer",
    "prompts.render": "Prompt",
    "prompts.showing": "ShownRow",
    "prompts.task": "Task Tasks",
    "prompts.text_format": "TextFormat TextFrame",
    "prompts.trial": "TemplateTrial",
    "ranks": "is_first",
    "recipes.mixture_part": "MixtureGroup MixturePart",
    "recipes.parts": (
        "EvaluationPart LoraPart MixedStyle ModelPart OptimizerPart PromptsPart "
        "SoftPromptPart StylePart TasksPart TrainingPart"
    ),
    "recipes.ready": "list_recipes",
    "recipes.recipe": "Recipe",
    "recipes.writing": "recipe_text write_recipe",
    "report.plot_data": "Drawing PlotData",
    "report.run_plots": "RunPlots",
    "report.write_comparison": "write_comparison",
    "study.page": "write_study_page",
    "runs.asked_rows": "run_row",
    "runs.browsing": "AnswersPage BrowsedAnswer BrowsedOption UNSURE browse_answers",
    "runs.compare": "Answers compare rescore",
    "runs.leaks": "LeakTexts MarkedText leak_texts",
    "runs.listing": "EvaluationStatus ListedGain RunStatus list_evaluations list_runs run_status",
    "runs.pipeline": "Event Outcome",
    "runs.preview": "MissingRows MixturePreview",
    "runs.progress": "StageProgress",
    "runs.publish": "Published",
    "runs.results": (
        "ClusterVerdict MeasureVerdict Results SeedMeasure SeedVerdict StageCost TaskVerdict Verdict VerdictScores"
    ),
    "run": "Run",
    "runs.stages": "RunPlaces Stage StageKind",
    "studio.app": "make_app serve_studio",
    "studio.folders": "StudioFolders",
    "study.forecast": "CellForecast Forecast PACE",
    "study.outcome": "AxisRecord CellRecord Finding NO_FIGURE PlotRecord Point SeedPoint StudyOutcome ValueRecord",
    "study.listing": "StudyStatus list_studies study_status",
    "study.progress": "CellEvent CellProgress",
    "study.study": "Study",
    "tasks.apart": "Apart SaidRoles",
    "tasks.catalog": "Entry",
    "tasks.delimited": "TableForm",
    "tasks.errata": "as_fidelity",
    "tasks.lineage": "Descent",
    "tasks.paging": "PagedRows RowsPage",
    "tasks.sources": "SourceRow",
    "tasks.source_spec": "Source",
    "tasks.spec": "Answer FewShot TaskSpec Template",
    "tasks.splits": "official_rows",
    "warming": "warm_up",
}
"""Where the names of the face stand."""

_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'openflan' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"openflan.{_HOME[name]}"), name)
    return value


def __dir__() -> list[str]:
    return [*__all__]
