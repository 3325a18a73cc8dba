"""Setting up: which llama.cpp is built, and that a second run installs nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from rag import bootstrap

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("smi", "nvcc", "cmake"),
    [
        ("/usr/bin/nvidia-smi", "/usr/bin/nvcc", "-DGGML_CUDA=on"),
        ("/usr/bin/nvidia-smi", None, ""),
        (None, "/usr/bin/nvcc", ""),
        (None, None, ""),
    ],
)
def test_cuda_needs_both_the_driver_and_the_compiler(smi: str | None, nvcc: str | None, cmake: str) -> None:
    arguments, reason = bootstrap.llama_build({"nvidia-smi": smi, "nvcc": nvcc})
    assert arguments == cmake
    assert reason


def test_a_driver_without_a_compiler_is_told_what_to_install() -> None:
    assert "CUDA toolkit" in bootstrap.llama_build({"nvidia-smi": "x", "nvcc": None})[1]


@pytest.mark.parametrize(
    ("cmake", "built", "steps"),
    [
        ("", "", [("llama-cpp-python",)]),
        ("", "1.0 cpu", []),
        ("-DGGML_CUDA=on", "", [("--no-cache-dir", "llama-cpp-python")]),
        ("-DGGML_CUDA=on", "1.0 -DGGML_CUDA=on", []),
        (
            "-DGGML_CUDA=on",
            "1.0 cpu",
            [("--force-reinstall", "--no-deps", "--no-cache-dir", "llama-cpp-python")],
        ),
        ("-DGGML_CUDA=on", "unknown", [("--force-reinstall", "--no-deps", "--no-cache-dir", "llama-cpp-python")]),
        ("", "1.0 -DGGML_CUDA=on", [("llama-cpp-python",)]),  # what is there works without a card too
    ],
)
def test_llama_cpp_is_built_again_for_a_cuda_toolkit_that_came_later(
    cmake: str, built: str, steps: list[tuple[str, ...]]
) -> None:
    assert bootstrap.llama_steps(cmake, "1.0", built) == steps


def test_a_cuda_toolkit_that_came_later_sets_up_again() -> None:
    assert bootstrap._fingerprint("") != bootstrap._fingerprint("-DGGML_CUDA=on")
    assert bootstrap._fingerprint("") == bootstrap._fingerprint("")


def test_the_version_of_llama_cpp_is_that_of_the_constraints() -> None:
    assert f"llama-cpp-python=={bootstrap._llama_version()}" in (ROOT / "constraints.txt").read_text().split()


def test_a_wrong_call_is_status_two() -> None:
    done = subprocess.run([sys.executable, "-m", "rag.bootstrap", "fly"], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"usage" in done.stderr


def test_every_requirement_has_an_exact_version() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {r.split(">=")[0].lower().replace("_", "-") for r in wanted if not r.startswith("commonplace")}
    lines = (ROOT / "constraints.txt").read_text().split()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert names <= pinned, names - pinned
    assert all("==" in line and "/" not in line for line in lines)
