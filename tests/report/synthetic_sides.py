"""Two sides of a comparison, of the same synthetic run: its untuned model and its tuned ones."""

from openflan.evaluation.comparison import compare_models
from openflan.report.comparison_page import ComparisonMaterial
from openflan.report.page import ReportMaterial
from openflan.runs.sides import Side


def make_comparison(material: ReportMaterial, *, settings: dict[str, object] | None = None) -> ComparisonMaterial:
    """The untuned model is A; `settings` make B's recipe another one."""
    results = material.results
    other = results.model_copy(update={"recipe": {**results.recipe, **(settings or {})}})
    tuned = {name: own for name, own in material.examples.items() if name != "untuned"}
    a = Side(name="starter-1a untuned", answers={"model": material.examples["untuned"]}, results=results, tuned=False)
    b = Side(name="starter-1a", answers=tuned, results=other, tuned=True)
    return ComparisonMaterial(
        comparison=compare_models(a.matrices, b.matrices, names=("runs/a", "runs/b"), samples=200),
        a=a,
        b=b,
        score="sum",
        samples=200,
        command="openflan report --compare runs/a runs/b",
        versions={"openflan": "0.1.0", "python": "3.11.9"},
    )
