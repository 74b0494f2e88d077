"""A study's account as its schema has it: a quantity along x with two series and a failed cell, or categories."""

from openflan.recipes.recipe import Recipe
from openflan.study.outcome import (
    STUDY_SCHEMA,
    AxisRecord,
    CellRecord,
    Finding,
    PlotRecord,
    Point,
    SeedPoint,
    StudyOutcome,
    ValueRecord,
)

CLUSTERS = ("natural_language_inference", "paraphrase")


def point(cell: str, tuned: float, *, x: float, label: str, series: str = "", cluster: str = "") -> Point:
    def around(score: float) -> tuple[float, float]:
        return score - 0.04, score + 0.05

    gain = tuned - 0.44
    seeds = [
        SeedPoint(seed=s, tuned=tuned, gain=gain, tuned_ci95=around(tuned), gain_ci95=around(gain)) for s in (0, 1, 2)
    ]
    return Point(
        cell=cell, series=series, x=x, x_label=label, cluster=cluster, role="held_out", tasks=["rte"],
        metric="accuracy", untuned=0.44, tuned=tuned, gain=gain, untuned_ci95=around(0.44), tuned_ci95=around(tuned),
        gain_ci95=around(gain), by_seed=seeds, chance=0.4, majority=0.45, n_rows=200, n_templates=9,
    )  # fmt: skip


def finding(verdict: str, difference: float | None) -> Finding:
    return Finding(
        claim="More clusters to tune on help on held-out ones", figure="Figure 6",
        paper="From 49.9 with one cluster to 63.8 with seven", measure="tuned", of="clusters 7", against="clusters 1",
        expect="higher", margin=0.0, verdict=verdict, difference=difference,
        ci95=None if difference is None else (difference - 0.02, difference + 0.03),
        by_seed={} if difference is None else {0: difference - 0.01, 1: difference, 2: difference + 0.01},
        by_cluster={} if difference is None else dict.fromkeys(CLUSTERS, difference),
        sentence="Not tested: clusters=7,tasks=3 is missing." if difference is None else "as the numbers say",
    )  # fmt: skip


def make_study(
    *, categories: bool = False, findings: list[Finding] | None = None, certificate: str = "Clean"
) -> StudyOutcome:
    labels = ("sentiment", "reading_comprehension_with_commonsense") if categories else ("1", "3", "7")
    xs = dict(zip(labels, (1.0, 3.0, 7.0), strict=False))
    first = AxisRecord(
        name="clusters", title="held out" if categories else "clusters", numeric=not categories,
        values=[ValueRecord(label=text, x=x, settings={"tasks.use": [f"only_{text}"] * 8}) for text, x in xs.items()],
    )  # fmt: skip
    second = AxisRecord(
        name="tasks", title="tasks a cluster", numeric=True,
        values=[ValueRecord(label=text, x=float(text), settings={"mixture.tasks": text}) for text in ("1", "3")],
    )  # fmt: skip
    grid = [(a, b) for a in labels for b in ("1", "3")]
    failed = (labels[-1], "3")
    cells = [
        CellRecord(
            name=f"clusters={a},tasks={b}", values={"clusters": a, "tasks": b},
            run="" if (a, b) == failed else f"more-clusters-{a}-{b}-1a2b3c4d", seeds=[0, 1, 2],
            status="failed" if (a, b) == failed else "ok",
            message="tasks.use: no rows left in retell; check its split" if (a, b) == failed else "",
            certificate="" if (a, b) == failed else f"{certificate}: 3 of 60 held-out items.",
            seconds=41.5, shared=[] if (a, b) == grid[0] else ["evaluation/untuned"],
        )
        for a, b in grid
    ]  # fmt: skip
    whole = [(a, b, 0.45 + 0.02 * n) for n, (a, b) in enumerate(grid) if (a, b) != failed]
    name = "clusters={},tasks={}".format
    return StudyOutcome(
        schema_version=STUDY_SCHEMA, name="clusters", title="More clusters to tune on",
        question="Does a model tuned on more clusters do better on clusters it never saw?", figure="Figure 6",
        setting="starter", paper_setting=["LaMDA-PT of 137 billion parameters", "one to seven clusters"],
        differs=["a model of 1.3 million parameters", "clusters of the embedded suite"], axes=[first, second],
        seeds=[0, 1, 2], base=Recipe(name="clusters").model_dump(mode="json"), cells=cells,
        points=[
            point(name(a, b), score, x=xs[a], label=a, series=b, cluster=cluster)
            for a, b, score in whole for cluster in CLUSTERS
        ],
        means=[point(name(a, b), score, x=xs[a], label=a, series=b) for a, b, score in whole],
        drawn=[point(f"clusters={a}", score, x=xs[a], label=a, series=b) for a, b, score in whole],
        plot=PlotRecord(
            kind="bar" if categories else "line", x="clusters", x_title="clusters tuned on", log_x=not categories,
            y=["untuned", "tuned"], y_title="mean score on held-out clusters", series="tasks",
            described="Scores by number of clusters.",
        ),
        findings=[finding("confirmed", 0.07)] if findings is None else findings,
        sentence="Of 2 claims 1 is confirmed.", command="openflan study clusters --setting starter",
        wall_seconds=412.0, versions={"openflan": "0.1.0", "python": "3.11.9", "torch": "2.13.0+cpu"},
        machine={"system": "Linux", "cores": "2"},
    )  # fmt: skip
