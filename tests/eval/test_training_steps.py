"""The benchmark of training steps: cheaper arithmetic is held against fp32's gradient."""

from pathlib import Path

import pytest
from rich.console import Console

from eval.training_steps import VARIANTS, as_result, measure, print_costs
from tests.tune.tiny_text import tiny_text_model


def test_every_variant_is_timed_and_held_against_fp32(tmp_path: Path) -> None:
    costs = {cost.variant: cost for cost in measure(tiny_text_model(tmp_path / "base"), steps=1)}
    assert list(costs) == list(VARIANTS)
    assert all(cost.seconds > 0 for cost in costs.values())
    assert costs["fp32"].agreement == pytest.approx(1, abs=1e-4)
    assert (costs["bf16"].agreement or 0) > 0.9
    assert costs["bf16, in two passes"].agreement == pytest.approx(costs["bf16"].agreement, abs=1e-3)
    assert costs["bf16, LoRA"].agreement is None  # other weights
    console = Console(record=True, width=120)
    print_costs(as_result(list(costs.values())), console)
    assert "bf16, LoRA, queries alone" in console.export_text()
