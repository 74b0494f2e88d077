"""References that lose, in the normal form of a task's metric, what an answer may turn on.

SQuAD's form takes "1.5" for "15" and "C++" for "C". That is the data's own scorer and right on its questions; on a task
of one's own it is most likely a wrong choice of metric. So it is a remark with its share, and no fault.

Invariant: what is said depends on references and metrics alone. Cost: 20 µs a reference and metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from openflan.tasks.normal_forms import NORMAL_FORMS, what_is_lost

__all__ = ["ReferenceCheck"]

_SHOWN = 3


@dataclass(kw_only=True)
class ReferenceCheck:
    """Counts references as rows go by."""

    metrics: Sequence[str]
    """Metrics of generated answers, of which none need be one."""
    seen: int = 0
    lost: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By normal form: a reference and what it loses."""

    def look(self, references: Sequence[str]) -> None:
        """Take in a row's references."""
        self.seen += len(references)
        forms = {NORMAL_FORMS[metric].name: metric for metric in self.metrics if metric in NORMAL_FORMS}
        for reference in references:
            for name, metric in forms.items():
                if what := what_is_lost(reference, metric):
                    self.lost.setdefault(name, []).append((reference, what))

    @property
    def remarks(self) -> list[str]:
        """A line for each normal form in which something is lost."""
        return [self._remark(name, lost) for name, lost in self.lost.items()]

    def _remark(self, name: str, lost: Sequence[tuple[str, str]]) -> str:
        by = " and ".join(m for m in self.metrics if m in NORMAL_FORMS and NORMAL_FORMS[m].name == name)
        first = ", ".join(f"{reference!r} loses {what}" for reference, what in list(dict.fromkeys(lost))[:_SHOWN])
        share = f"{len(lost):,} of {self.seen:,} references ({len(lost) / self.seen:.1%})"
        return f"{by} can't tell {share} from others, for they compare in {name} form: {first}"
