"""A mixture to look at: what was drawn, what leaked, and the examples, as data frames.

    mixture = Mixture("runs/starter-1a2b3c4d")
    mixture.table()            # a line a task: rows, rate, tokens, epochs
    mixture.certificate        # what of the held-out tasks stands in the tuning set
    mixture.examples(limit=8)  # the first examples, in the order of training

Invariant: reads a folder that is whole, writes nothing. Cost: the tokens stay on disk, memory-mapped.
"""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openflan.errors import UserError
from openflan.mixture.certificate import LeakCertificate, read_certificate
from openflan.mixture.difference import MixtureChange, compare_mixtures
from openflan.mixture.ledger import Ledger, MixtureLock, read_ledger, read_lock
from openflan.mixture.store import TokenStore
from openflan.runs.stages import RunPlaces

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Mixture"]


class Mixture:
    """A tuning set on disk: token store, ledger, lock and leak certificate.

    Args:
        folder: a run's folder, or the mixture's own.

    Raises:
        UserError: there is no whole mixture.
    """

    def __init__(self, folder: str | Path) -> None:
        place = Path(folder)
        of_run = RunPlaces(place).mixture
        self.folder: Path = of_run if of_run.is_dir() else place
        """Where it is; `datasets.load_from_disk` opens it too."""
        self._lock = read_lock(self.folder)

    def __repr__(self) -> str:
        ledger = self.ledger
        return f"Mixture({len(ledger.tasks)} tasks, {ledger.tokens:,} tokens, {str(self.folder)!r})"

    @property
    def ledger(self) -> Ledger:
        """What was drawn: rows, rates, examples, tokens and epochs by task and seed.

        Raises:
            UserError: the file is damaged.
        """
        return read_ledger(self.folder)

    @property
    def lock(self) -> MixtureLock:
        """What it was made from: settings, sources and hashes, enough to make it again."""
        return self._lock

    @property
    def certificate(self) -> LeakCertificate:
        """What of the held-out tasks stands in the tuning set, or stood there and was dropped.

        Raises:
            UserError: it was changed by hand, or is of another mixture.
        """
        return read_certificate(self.folder, key=self._lock.key)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that it holds an order of examples for."""
        return tuple(sorted(int(path.stem.removeprefix("seed-")) for path in (self.folder / "order").glob("seed-*")))

    @property
    def dataset(self) -> Any:
        """All prompts as a `datasets.Dataset`: `input_ids`, `target_start`, task, row, template and where it was drawn.

        The prompts lie by task; `examples` has them in the order of training.
        """
        import datasets

        return datasets.load_from_disk(str(self.folder))

    def table(self) -> "pd.DataFrame":
        """A line a task, over all seeds: rows, rows dropped as leaks, rate, examples, tokens, epochs (mean), cut.

        Raises:
            UserError: the ledger is damaged.
        """
        import pandas as pd

        records = [
            {
                "task": name,
                "cluster": task.cluster,
                "rows": task.rows,
                "dropped": task.dropped,
                "rate": task.rate,
                "examples": sum(task.drawn.values()),
                "tokens": sum(task.tokens.values()),
                "epochs": sum(task.epochs.values()) / len(task.epochs),
                "cut": sum(task.cut.values()),
            }
            for name, task in self.ledger.tasks.items()
        ]
        return pd.DataFrame(records).set_index("task").sort_values(["cluster", "task"])

    def examples(self, seed: int | None = None, *, limit: int | None = None) -> "pd.DataFrame":
        """The examples that training reads, in its order: step (from 1), task, row, template, tokens, target tokens.

        Rows and templates count from 0; `Run.replay` has the texts of a step.

        Args:
            seed: whose order; the first by default.
            limit: so many at most, the first.

        Raises:
            UserError: there is no such seed, or the token store is damaged.
        """
        import pandas as pd

        chosen = self.seeds[0] if seed is None else seed
        if chosen not in self.seeds:
            raise UserError(f"no seed {chosen}", where=str(self.folder), how=f"it has {self.seeds}")
        store = TokenStore.open(self.folder)
        numbers = (
            (step, number) for step, prompts in enumerate(store.steps(chosen), start=1) for number in prompts.tolist()
        )
        records = []
        for step, number in islice(numbers, limit):
            prompt = store.prompt(number)
            records.append(
                {
                    "step": step,
                    "task": prompt.task,
                    "row": prompt.row,
                    "template": prompt.template,
                    "tokens": len(prompt.input_ids),
                    "target_tokens": len(prompt.input_ids) - prompt.target_start,
                }
            )
        return pd.DataFrame(records)

    def compare(self, other: "Mixture | str | Path") -> MixtureChange:
        """What changed from this mixture to another: rows, shares, epochs, templates, leaks.

        Args:
            other: a mixture, or its folder.

        Raises:
            UserError: there is no whole mixture in that folder, or a file is damaged.
        """
        right = other if isinstance(other, Mixture) else Mixture(other)
        return compare_mixtures(self.folder, right.folder)
