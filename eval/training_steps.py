"""`python -m eval training-steps`: what a step of text training costs, and whether cheaper arithmetic says the same."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from rag.tune.canaries import load_canaries
from rag.tune.loss import info_nce
from rag.tune.records import Excerpt, Pair
from rag.tune.text_examples import examples_of
from rag.tune.text_model import TextModel
from rag.tune.text_objectives import Guide, TextObjective
from rag.tune.train_text import Plan, TextTraining

_SENTENCES = 6  # of the canaries, joined: about 200 tokens
_BATCH = 16

VARIANTS: dict[str, TextTraining | None] = {
    "bare loop: all texts at once, fp32, dropout": None,
    "fp32, dropout": TextTraining(precision="fp32", dropout=True),
    "fp32": TextTraining(precision="fp32"),
    "bf16, dropout": TextTraining(precision="bf16", dropout=True),
    "bf16": TextTraining(precision="bf16"),
    "bf16, in two passes": TextTraining(precision="bf16", hold=1),
    "bf16, LoRA": TextTraining(precision="bf16", method="lora"),
    "bf16, LoRA, queries alone": TextTraining(precision="bf16", method="lora", side="query"),
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step of 16 pairs with one mined passage each takes, in seconds of a CPU; the median of several.

    `agreement` is the cosine of its gradient with that of fp32 without dropout, None where other weights are trained.
    """

    variant: str
    seconds: float
    agreement: float | None


def measure(base: Path, steps: int, device: str = "cpu") -> list[Cost]:
    """The cost of each variant, in turn; the loss of a step is computed, and its gradient, but no weight is changed."""
    pairs = _pairs()
    guide = _guide(base, pairs, device)
    wanted = _gradient(_objective(base, pairs, guide, _set(TextTraining(precision="fp32"), device)), 0)
    found = []
    for name, training in VARIANTS.items():
        objective = _objective(base, pairs, guide, _set(training or TextTraining(precision="fp32"), device))
        run: Callable[[int], Tensor] = objective if training else _bare(objective, pairs)
        gradient = _gradient(objective, 0, run)
        same = training is not None and gradient.shape == wanted.shape
        agreement = torch.nn.functional.cosine_similarity(gradient, wanted, dim=0).item() if same else None
        times = sorted(_timed(objective, step, run) for step in range(1, steps + 1))
        found.append(Cost(name, times[len(times) // 2], agreement))
    return found


def print_costs(result: dict[str, Any], out: Console) -> None:
    costs = [Cost(**each) for each in result["steps"]]
    table = Table(title=f"A step of {_BATCH} pairs")
    for heading in ("variant", "CPU seconds", "of the bare loop", "gradient as fp32's"):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for cost in costs:
        agreement = "" if cost.agreement is None else f"{cost.agreement:.4f}"
        table.add_row(cost.variant, f"{cost.seconds:.2f}", f"{cost.seconds / costs[0].seconds:.2f}", agreement)
    out.print(table)


def as_result(costs: list[Cost]) -> dict[str, Any]:
    return {"steps": [asdict(cost) for cost in costs]}


def _set(training: TextTraining, device: str) -> TextTraining:
    return replace(training, batch=_BATCH, anchor=0.0, device=device)  # type: ignore[arg-type]  # checked by `place`


def _pairs() -> list[Pair]:
    """Questions about other subjects, with passages of about 200 tokens made of several."""
    canaries = load_canaries()

    def passage(first: int) -> Excerpt:
        chosen = [canaries[(first + i) % len(canaries)] for i in range(_SENTENCES)]
        return Excerpt(chosen[0].id, " ".join(each.text for each in chosen), chosen[0].id)

    return [
        Pair(each.id, each.questions[0], passage(i), "import", 0.0, (passage(i + len(canaries) // 2),))
        for i, each in enumerate(canaries)
    ]


def _guide(base: Path, pairs: list[Pair], device: str) -> Guide:
    model, examples = TextModel(base, device), examples_of(pairs)  # type: ignore[arg-type]  # checked by `place`
    queries, documents = model.embed(examples.queries, "query"), model.embed(examples.documents, "passage")
    there = torch.from_numpy(queries).to(model.device), torch.from_numpy(documents).to(model.device)
    return Guide(*there, replay=there[1][:0], library=there[1][:0])


def _objective(base: Path, pairs: list[Pair], guide: Guide, training: TextTraining) -> TextObjective:
    model = TextModel(base, training.device, training.precision)
    if training.method == "lora":
        model.add_lora(training.rank, training.seed)
    plan = Plan(len(pairs), training.batch, 100, 0, training.seed)
    return TextObjective(model, examples_of(pairs), (), guide, plan, training, {})


def _bare(objective: TextObjective, pairs: list[Pair]) -> Callable[[int], Tensor]:
    """The loop of a tutorial: every column of texts goes through the network in one piece."""

    def step(number: int) -> Tensor:
        chosen = [pairs[i % len(pairs)] for i in range(number * _BATCH, (number + 1) * _BATCH)]
        network = objective.model.train()
        longest = min(TextTraining().max_tokens, network.max_seq_length or TextTraining().max_tokens)
        columns = [
            [pair.query for pair in chosen],
            [pair.positive.text for pair in chosen] + [pair.negatives[0].text for pair in chosen],
        ]
        queries, documents = (
            network(
                {
                    name: value.to(network.device) if isinstance(value, Tensor) else value
                    for name, value in network.preprocess(column, max_length=longest).items()
                }
            )["sentence_embedding"]
            for column in columns
        )
        return info_nce(queries, documents)

    return step


def _gradient(objective: TextObjective, step: int, run: Callable[[int], Tensor] | None = None) -> Tensor:
    torch.manual_seed(0)
    objective.zero_grad()
    torch.autograd.backward((run or objective)(step))
    return torch.cat([each.grad.flatten() for each in objective.parameters() if each.grad is not None])


def _timed(objective: TextObjective, step: int, run: Callable[[int], Tensor]) -> float:
    """Seconds of the CPU rather than of the clock: what else runs on the machine then counts little."""
    began = time.process_time()
    _gradient(objective, step, run)
    return time.process_time() - began
