"""Run in two processes: they measure a model together, then one whose work fails in one of them."""

import json
from pathlib import Path

import torch

from openflan.errors import UserError
from openflan.evaluation.answering import Keep, evaluate
from openflan.evaluation.protocol import ask_task
from openflan.models.load import find_model, load_model, load_tokenizer
from openflan.prompts.encoding import TextEncoder
from openflan.ranks import Team
from openflan.recipes.parts import EvaluationPart, ModelPart, PromptsPart
from openflan.tasks.catalog import open_catalog


def main(settings: Path) -> None:
    content = json.loads(settings.read_text())
    team = Team.gathered()
    source = find_model(ModelPart(path=content["model"]), Path(content["model"]))
    model = load_model(source, device=torch.device("cpu"))
    encoder = TextEncoder.of(load_tokenizer(source), PromptsPart(max_input_tokens=128, max_target_tokens=32))
    fed = [0]
    model.register_forward_pre_hook(
        lambda _m, _a, inputs: fed.append(fed.pop() + inputs["input_ids"].numel()), with_kwargs=True
    )
    entries = open_catalog([Path(content["tasks"])], collections=()).entries.values()
    reports = {}
    for name, changes in content["turns"].items():
        part = EvaluationPart.model_validate_json(json.dumps(changes))
        tasks = [ask_task(entry, encoder, part, limit=part.rows, data=None) for entry in entries]
        seen = []
        answers = evaluate(
            model,
            encoder,
            tasks,
            part,
            report=lambda done, total, seen=seen: seen.append((done, total)),
            keep=Keep(folder=Path(content["out"]) / name, model="m"),
            team=team,
        )
        reports[name] = {"answers": len(answers), "fed": fed[0], "seen": seen[-1]}

    def fails(*_: object) -> None:
        raise torch.OutOfMemoryError

    if not team.leads:
        model.register_forward_pre_hook(fails)
    try:
        evaluate(model, encoder, tasks, part, report=lambda _d, _t: None, team=team)
    except UserError as error:
        reports["failed"] = str(error)
    (Path(content["out"]) / f"told-{team.place}.json").write_text(json.dumps(reports))
    torch.distributed.destroy_process_group()
