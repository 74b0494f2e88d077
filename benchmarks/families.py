"""Every family of models that transformers knows, beside its own forward: the table in docs/families.md.

Of each kind a tiny model is made from its configuration (tests/tiny_families.py), ranked and tuned for a step, and the
figures are held against one forward an option and an example (tests/family_checks.py). One model at a time is held;
all take ten minutes on one core.

    python benchmarks/families.py                 writes docs/families.md
    python benchmarks/families.py llama t5        prints these kinds' rows
"""

import gc
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

HEAD = """# Families of models

What openflan does with each kind of language model that transformers {version} can load, tried on a tiny random model
of it. Ranking is held against one forward an option, loss and gradients against one forward an example, each by the
family's own code; largest differences are in nats, and for gradients in shares of a parameter's norm.

| what may share a forward | meaning |
|---|---|
| together | prompts that start alike and all their options in one sequence |
| padded | a sequence an option, padded |
| equal | only sequences of one length |
| single | one sequence at a time |

`flat`: on CUDA, examples lie end to end in one row; others are trained in padded batches. Nothing here is a list in the
code: what a model can do is tried when it is loaded, on the model itself (`models/family.py`), so a kind that is not
below is tried the same way. A kind that is refused is refused by name, in one line, before anything is written.

{counts}
Made by `python benchmarks/families.py`; `pytest -m slow tests/models/test_families.py` checks the same.
"""
COLUMNS = "| kind | class | shares a forward | flat | ranking | loss | gradients |"


def main() -> None:
    """Check the kinds named, or all of them into docs/families.md."""
    import transformers

    from tiny_families import UNBUILT, kinds

    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    wanted = set(sys.argv[1:])
    rows: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for kind, halves in kinds():
        if wanted and kind not in wanted:
            continue
        state, row = ("not built", f"| {kind} | | {UNBUILT[kind]} | | | | |") if kind in UNBUILT else _row(kind, halves)
        rows[halves].append((state, row))
        print(row, flush=True)
        gc.collect()
    if wanted:
        return
    counts = "\n".join(
        f"Of {len(some)} {name} kinds {sum(s == 'right' for s, _ in some)} are right,"
        f" {sum(s == 'refused' for s, _ in some)} refused, {sum(s == 'not built' for s, _ in some)} not tried,"
        f" {sum(s == 'wrong' for s, _ in some)} wrong."
        for name, some in (("causal", rows[False]), ("sequence-to-sequence", rows[True]))
    )
    text = HEAD.format(version=transformers.__version__, counts=counts)
    for title, some in (("Causal", rows[False]), ("Sequence to sequence", rows[True])):
        table = [COLUMNS, "|---|---|---|---|---|---|---|", *(row for _, row in some)]
        text += "\n".join(["", f"## {title}", "", *table, ""])
    (ROOT / "docs" / "families.md").write_text(text, encoding="utf-8")


def _row(kind: str, halves: bool) -> tuple[str, str]:
    from family_checks import check
    from tiny_families import build

    try:
        model = build(kind, halves=halves)
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        return "refused", f"| {kind} | | refused: it has no class that reads and writes text alone | | | | |"
    checked = check(model, long=True)
    if checked.refused:
        what = checked.refused.removeprefix(checked.name).strip().replace("|", "/")
        return "refused" if checked.right else "wrong", f"| {kind} | {checked.name} | refused: {what} | | | | |"
    figures = " | ".join(f"{value:.0e}" for value in (checked.ranking, checked.loss, checked.gradient))
    flat = "flat" if checked.flat else ""
    row = f"| {kind} | {checked.name} | {checked.batching} | {flat} | {figures} |"
    return "right" if checked.right else "wrong", row


if __name__ == "__main__":
    main()
