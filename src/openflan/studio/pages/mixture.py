"""Mixture: what a recipe would train on, changed by sliders, and written out as a recipe file.

The address holds every setting, so a changed plan is a link. A plan is made from sizes and known lengths, or
those of a task's first rows (`Run.plan(estimate="sampled")`), so no row is read while a slider moves.

`Count exactly` makes it from all rows at hand, in a process of its own (openflan.studio.counting).

Invariant: nothing is written but a recipe file in the user's folder. Cost: a plan of 62 datasets takes 15 ms.
"""

from __future__ import annotations  # so that what pages need is imported when they are asked for

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

import openflan
from openflan.studio.counting import ExactCounts, RecipeToCount
from openflan.studio.pages.certificate import certificate_routes
from openflan.studio.views import Studio

__all__ = ["routes"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")


@dataclass(frozen=True, kw_only=True)
class _Number:
    """A number of the recipe that the page changes."""

    name: str
    """In the form."""
    key: str
    """In the recipe, dotted."""
    label: str
    note: str
    low: float
    high: float
    step: float = 1
    whole: bool = True

    def value(self, recipe: openflan.Recipe) -> float:
        """What a recipe says."""
        part, _, field = self.key.partition(".")
        number: float = getattr(getattr(recipe, part), field)
        return number


_NUMBERS = (
    _Number(name="maximum", key="mixture.maximum", label="Cap", low=10, high=100_000,
            note="rows beyond it add nothing to a task's rate"),
    _Number(name="temperature", key="mixture.temperature", label="Temperature", low=0.5, high=10, step=0.1, whole=False,
            note="above 1, small tasks are drawn more often than their size says"),
    _Number(name="rows_per_task", key="mixture.rows_per_task", label="Rows of a task", low=10, high=1_000_000,
            note="at most so many are used"),
    _Number(name="steps", key="training.steps", label="Steps", low=1, high=1_000_000, note="of tuning, a seed"),
    _Number(name="input", key="prompts.max_input_tokens", label="Input tokens", low=16, high=8_192,
            note="longer inputs are cut"),
    _Number(name="target", key="prompts.max_target_tokens", label="Target tokens", low=4, high=4_096,
            note="longer targets are cut"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What an address or a form asks for."""

    recipe: str
    numbers: dict[str, str]
    """What stands in the fields, as it was typed."""
    hold_out: tuple[str, ...] | None
    """Clusters; None where the recipe's own stand."""
    lineage: str
    mine: bool
    """Whether the tasks of the user's folder are tuned on too."""

    @classmethod
    def of(cls, given: QueryParams | FormData) -> _Asked:
        """Read an address or a form."""
        hold_out = tuple(dict.fromkeys(str(one) for one in given.getlist("hold_out") if one))
        return cls(
            recipe=str(given.get("recipe") or "flan"),
            numbers={one.name: str(given[one.name]).strip() for one in _NUMBERS if given.get(one.name)},
            hold_out=hold_out if "held" in given or hold_out else None,
            lineage=str(given.get("lineage") or ""),
            mine=bool(given.get("mine")),
        )

    @property
    def address(self) -> str:
        """The same as a page's address has it."""
        pairs = [("recipe", self.recipe), *self.numbers.items()]
        if self.hold_out is not None:
            pairs += [("held", "1"), *(("hold_out", name) for name in self.hold_out)]
        others = {"lineage": self.lineage, "mine": "1" if self.mine else ""}
        pairs += [(name, value) for name, value in others.items() if value]
        return urlencode(pairs)

    def settings(self, given: openflan.Recipe, folder: Path | None) -> dict[str, Any]:
        """Changes to the recipe by dotted key; what it says already is none.

        Raises:
            UserError: a number is none.
        """
        changes: dict[str, Any] = {}
        for one in _NUMBERS:
            if one.name not in self.numbers:
                continue
            text = re.sub(r"[,_\s]", "", self.numbers[one.name])
            try:
                value: float = int(text) if one.whole else float(text)
            except ValueError:
                how = "write one such as 3000"
                raise openflan.UserError(f"'{text}' is no number", where=one.label, how=how) from None
            if value != one.value(given):
                changes[one.key] = value
        if self.hold_out is not None and set(self.hold_out) != set(given.tasks.hold_out):
            changes["tasks.hold_out"] = list(self.hold_out)
        if self.lineage and self.lineage != given.tasks.lineage:
            changes["tasks.lineage"] = self.lineage
        if self.mine and folder is not None:
            changes["tasks.folders"] = [*given.tasks.folders, str(folder.resolve())]
            changes["tasks.use"] = list(dict.fromkeys((*given.tasks.use, "mine")))
        if changes.keys() & {"mixture.maximum", "mixture.temperature"} and given.mixture.rule == "equal":
            changes["mixture.rule"] = "proportional"
        return changes


def routes(studio: Studio) -> list[Route]:
    """The pages of mixtures."""
    pages = _Pages(studio)
    return [
        Route("/mixture", pages.plan),
        Route("/mixture/save", pages.save, methods=["POST"]),
        Route("/mixture/count", pages.count, methods=["POST"]),
        Route("/mixture/count", pages.counted),
        *certificate_routes(studio),
    ]


class _Pages:
    """Plans and recipes."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._counter = ExactCounts()

    def plan(self, request: Request) -> Response:
        """The plan of a recipe, as changed; only that part of the page where htmx asks."""
        query = _Asked.of(request.query_params)
        part = request.headers.get("HX-Request") == "true"
        context: dict[str, Any] = {
            "asked": query,
            "recipes": list(self._recipes()),
            "saved": request.query_params.get("saved"),
        }
        try:
            context |= self._context(query)
        except openflan.UserError as error:  # the recipe itself can't be planned
            return self._studio.page(request, "mixture/none.html.j2", status=422, fault=error, **context)
        return self._studio.page(request, "mixture/_plan.html.j2" if part else "mixture/plan.html.j2", **context)

    async def count(self, request: Request) -> Response:
        """Begin to count the plan from the rows."""
        query = _Asked.of(await request.form())
        await run_in_threadpool(self._count, query)
        if request.headers.get("HX-Request") == "true":
            return await run_in_threadpool(self._exact, request, query)
        return RedirectResponse(f"/mixture?{query.address}#exact", status_code=303)

    def counted(self, request: Request) -> Response:
        """How far the count is, a part of the page."""
        return self._exact(request, _Asked.of(request.query_params))

    def _exact(self, request: Request, query: _Asked) -> Response:
        given = self._given(query)
        count = self._counter.look(self._key(query, given))
        context: dict[str, Any] = {"count": count, "fault": None, "address": query.address}
        if count is not None and count.plan is not None:
            context = self._context(query)
        return self._studio.page(request, "mixture/_exact.html.j2", asked=query, **context)

    def _count(self, query: _Asked) -> None:
        given = self._given(query)
        settings = query.settings(given.recipe, self._studio.folders.writable)
        path, data = self._recipes()[query.recipe], self._studio.folders.data
        self._counter.start(self._key(query, given), RecipeToCount(path=path, settings=settings, data=data))

    def _key(self, query: _Asked, given: openflan.Run) -> tuple[object, ...]:
        """What a count depends on: the recipe with its changes, and the user's task files."""
        settings = query.settings(given.recipe, self._studio.folders.writable)
        return query.recipe, given.recipe.to_yaml(), repr(sorted(settings.items())), self._studio.state()

    async def save(self, request: Request) -> Response:
        """Write the changed recipe into the user's folder."""
        form = await request.form()
        name = await run_in_threadpool(self._save, form)
        return RedirectResponse(f"/mixture?recipe={name}.yaml&saved=1", status_code=303)

    def _save(self, form: FormData) -> str:
        name = str(form.get("name") or "").strip().removesuffix(".yaml")
        folder = self._studio.folders.to_write()
        if not _NAME.match(name):
            how = "write small letters, digits and hyphens"
            raise openflan.UserError(f"'{name}' is no name of a recipe", where="name", how=how)
        query = _Asked.of(form)
        openflan.write_recipe(self._changed(self._given(query), query, name=name).recipe, folder / f"{name}.yaml")
        return name

    def _context(self, query: _Asked) -> dict[str, Any]:
        """All that the page shows; a fault of the settings stands beside the plan of the recipe as it is."""
        given = self._given(query)
        base = given.plan(estimate="sampled")
        fault: openflan.UserError | None = None
        run, plan = given, base
        try:
            run = self._changed(given, query)
            plan = run.plan(estimate="sampled")
        except openflan.UserError as error:
            run, plan, fault = given, base, error
        folder = self._studio.folders.writable
        settings = {} if fault else query.settings(given.recipe, folder)
        count = None if fault else self._counter.look(self._key(query, given))
        return {
            "numbers": _NUMBERS,
            "given": given.recipe,
            "recipe": run.recipe,
            "plan": plan,
            "mixture": plan.mixture,
            "was": {one.task: one for one in base.mixture.tasks},
            "cluster_was": {one.cluster: one for one in base.mixture.clusters},
            "fault": fault,
            "count": count,
            "estimates": {one.task: one for one in plan.mixture.tasks},
            "cluster_estimates": {one.cluster: one for one in plan.mixture.clusters},
            "address": query.address,
            "settings": settings,
            "changed": [one.name for one in _NUMBERS if one.key in settings],
            "clusters": self._clusters(base, plan),
            "held": given.recipe.tasks.hold_out if query.hold_out is None else query.hold_out,
            "text": openflan.recipe_text(run.recipe, folder=folder or Path.cwd()),
            "writable": folder,
        }

    def _recipes(self) -> dict[str, Path]:
        """Every recipe that may be opened, by what the address calls it."""
        folders = self._studio.folders
        recipes = openflan.list_recipes(folders.folders, links=False)
        return recipes | {f"run {path.parent.name}": path.parent for path in folders.in_runs("*/recipe.yaml")}

    def _given(self, query: _Asked) -> openflan.Run:
        """The recipe as it is.

        Raises:
            UserError: there is no such recipe, it can't be read, or what it plans with lies outside the folders.
        """
        recipes = self._recipes()
        if query.recipe not in recipes:
            raise openflan.UserError(f"no recipe '{query.recipe}'", how=f"there are {', '.join(recipes)}")
        folders, path = self._studio.folders, recipes[query.recipe]
        run = openflan.Run(path, data=folders.data)
        if not path.is_dir() and path not in openflan.list_recipes().values():  # a run stands by what it was made of
            for named in run.recipe.tasks.folders:
                folders.confined(run.recipe.find(named))
        for folder in folders.rows:
            folders.confined(folder)
        return run

    def _changed(self, given: openflan.Run, query: _Asked, *, name: str | None = None) -> openflan.Run:
        settings = query.settings(given.recipe, self._studio.folders.writable)
        return openflan.Run(given.recipe, settings=settings | ({} if name is None else {"name": name}))

    @staticmethod
    def _clusters(base: openflan.MixturePreview, plan: openflan.MixturePreview) -> list[str]:
        """Clusters that can be held out: those of the recipe's tasks, tuned on or not."""
        tuned = [one.cluster for one in (*base.mixture.clusters, *plan.mixture.clusters)]
        return sorted(dict.fromkeys((*tuned, *base.held_out_clusters, *plan.held_out_clusters)))
