"""Steps that take dialogues apart (CoQA, QuAC)."""

from typing import Any

from openflan.tasks.rows.registry import Row, step, unroll

_UNANSWERABLE = "CANNOTANSWER"


@unroll
def quac_turns(row: Row) -> list[dict[str, Any]]:
    """One row a question, without the turns before it, as the paper's source has them (QuAC)."""
    shared = {key: row[key] for key in ("wikipedia_page_title", "background", "section_title", "context")}
    return [
        {**shared, "question": question, "answer": answer, "turn_id": turn}
        for question, answer, turn in zip(row["questions"], row["orig_answers"]["texts"], row["turn_ids"], strict=True)
    ]


@step
def drop_unanswerable_marker(row: Row) -> Row:
    """Take the marker CANNOTANSWER off the passage and put plain words in its place as an answer (QuAC)."""
    answer = "This can't be answered from the text." if row["answer"] == _UNANSWERABLE else row["answer"]
    return {**row, "answer": answer, "context": row["context"].removesuffix(_UNANSWERABLE).rstrip()}


@step
def keep_unanswerable_marker(row: Row) -> Row:
    """Leave the marker CANNOTANSWER in passage and answer, as the authors' code does (QuAC)."""
    return row


@step
def numbered_dialogue(row: Row) -> Row:
    """Add `numbered_questions` and `numbered_answers`, one line each, and `first_question` (CoQA)."""
    answers = row["answers"]["input_text"]
    return {
        **row,
        "numbered_questions": _numbered(row["questions"]),
        "numbered_answers": _numbered(answers),
        "first_question": row["questions"][0],
    }


def _numbered(texts: list[str]) -> str:
    return "\n".join(f"{number}. {text.strip()}" for number, text in enumerate(texts, start=1))
