"""What the doctor says of machines that are not here, from their recorded facts."""

from dataclasses import replace

import pytest

from rag.models.facts import Card, Facts, read_cards, read_driver_cuda
from rag.models.findings import Check, embedder_check, findings, generator_check, rebuild
from rag.records import Footprint, ModelState

MIB, GIB = 1 << 20, 1 << 30

LAPTOP = Facts(
    system="Linux",
    processor="x86_64",
    cores=8,
    memory_total=16 * GIB,
    memory_free=9 * GIB,
    disk_free=200 * GIB,
    home="/home/ada/.local/share/commonplace",
    python="/home/ada/commonplace/.venv/bin/python",
    torch="2.9.0",
    llama="0.3.36",
    torch_cuda="12.8",
)
RTX_4060 = replace(
    LAPTOP,
    cards=(Card("NVIDIA GeForce RTX 4060", 8188 * MIB, 7100 * MIB, "570.86"),),
    driver_cuda="12.8",
    compiler="/usr/local/cuda/bin/nvcc",
    torch_device="NVIDIA GeForce RTX 4060",
    llama_offload=True,
)
CPU_BUILD = replace(RTX_4060, llama_offload=False)
MAC = replace(
    LAPTOP, system="Darwin", processor="arm64", torch_cuda="", torch_device="Apple GPU", llama_offload=True, cores=10
)
WINDOWS = replace(CPU_BUILD, system="Windows", processor="AMD64", python=r"C:\cp\.venv\Scripts\python.exe")


def checks(facts: Facts) -> dict[str, Check]:
    return {check.name: check for check in findings(facts)}


def faults(facts: Facts) -> list[str]:
    return [check.name for check in findings(facts) if not check.ok]


@pytest.mark.parametrize("facts", [LAPTOP, RTX_4060, MAC], ids=["laptop", "RTX 4060", "Mac"])
def test_machines_on_which_all_is_well(facts: Facts) -> None:
    assert faults(facts) == []
    names = [check.name for check in findings(facts)]
    assert names == ["processor", "memory", "disk", "graphics card", "torch", "llama.cpp"]


def test_no_card_is_no_fault() -> None:
    found = checks(LAPTOP)
    assert found["graphics card"].finding == "none from NVIDIA: models run on the CPU"
    assert found["torch"].finding == "2.9.0 on the CPU, built for CUDA 12.8"
    assert found["llama.cpp"].finding == "0.3.36, built without GPU support"


def test_a_busy_machine_says_that_speeds_are_lower_now() -> None:
    assert checks(LAPTOP)["processor"].finding == "x86_64, 8 cores"
    found = checks(replace(LAPTOP, load=12.3))["processor"]
    assert found.ok
    assert found.finding == "x86_64, 8 cores; 12 threads want them, so that speeds are lower now"


def test_a_card_is_named_with_its_memory_and_driver() -> None:
    found = checks(RTX_4060)["graphics card"]
    assert found.finding == "NVIDIA GeForce RTX 4060 (6.9 GiB of 8.0 GiB free); driver 570.86 for CUDA 12.8"
    assert found.details["cards"] == [
        {"name": "NVIDIA GeForce RTX 4060", "total": 8188 * MIB, "free": 7100 * MIB},
    ]


def test_llama_cpp_without_cuda_beside_a_card_is_the_fault_that_is_found() -> None:
    assert faults(CPU_BUILD) == ["llama.cpp"]
    assert checks(CPU_BUILD)["llama.cpp"].remedy == (
        'run: CMAKE_ARGS="-DGGML_CUDA=on" "/home/ada/commonplace/.venv/bin/python" -m pip install --force-reinstall '
        "--no-cache-dir --no-deps llama-cpp-python==0.3.36"
    )


def test_without_the_cuda_compiler_that_comes_first() -> None:
    remedy = checks(replace(CPU_BUILD, compiler=""))["llama.cpp"].remedy
    assert remedy.startswith("install NVIDIA's CUDA toolkit, version 12.8 or older, so that nvcc is found, then run: ")


def test_the_command_is_one_for_powershell_on_windows() -> None:
    assert checks(WINDOWS)["llama.cpp"].remedy == (
        r'run: $env:CMAKE_ARGS = "-DGGML_CUDA=on"; & "C:\cp\.venv\Scripts\python.exe" -m pip install '
        "--force-reinstall --no-cache-dir --no-deps llama-cpp-python==0.3.36"
    )


def test_a_mac_is_built_for_metal() -> None:
    assert "-DGGML_METAL=on" in checks(replace(MAC, llama_offload=False))["llama.cpp"].remedy
    assert rebuild(replace(MAC, processor="x86_64")) == ""


def test_torch_without_cuda_beside_a_card() -> None:
    found = checks(replace(RTX_4060, torch="2.9.0+cpu", torch_cuda="", torch_device=""))["torch"]
    assert found.finding == "2.9.0+cpu on the CPU, built without CUDA"
    assert "for CUDA 12.8 or older" in found.remedy


def test_torch_for_a_newer_cuda_than_the_driver_runs() -> None:
    old = replace(RTX_4060, torch_cuda="13.0", torch_device="", driver_cuda="12.4")
    assert faults(old) == ["torch"]
    assert "built for CUDA 13.0 and the driver only runs 12.4: update the NVIDIA driver" in checks(old)["torch"].remedy


def test_a_newer_minor_version_is_not_to_blame() -> None:
    odd = replace(RTX_4060, torch_cuda="12.8", torch_device="", driver_cuda="12.4")
    assert "restart the machine" in checks(odd)["torch"].remedy


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_cards_that_are_hidden(hidden: str) -> None:
    found = replace(RTX_4060, torch_device="", hidden=hidden)
    assert faults(found) == ["graphics card"]
    assert "unset it" in checks(found)["graphics card"].remedy


@pytest.mark.parametrize("shown", ["0", "1", "0,1", "GPU-1"])
def test_cards_that_are_chosen_are_not_hidden(shown: str) -> None:
    assert faults(replace(RTX_4060, hidden=shown)) == []


def test_a_card_that_others_have_filled() -> None:
    full = replace(RTX_4060, cards=(Card("NVIDIA GeForce RTX 4060", 8188 * MIB, 400 * MIB, "570.86"),))
    assert faults(full) == ["graphics card"]
    assert "nvidia-smi" in checks(full)["graphics card"].remedy


def test_a_driver_that_does_not_answer() -> None:
    broken = replace(LAPTOP, trouble="Failed to initialize NVML: Driver/library version mismatch")
    found = checks(broken)["graphics card"]
    assert not found.ok
    assert "version mismatch" in found.finding
    assert found.remedy.startswith("restart the machine")


def test_little_memory_and_disk() -> None:
    assert faults(replace(LAPTOP, memory_free=GIB // 2, disk_free=GIB)) == ["memory", "disk"]


# --- models ------------------------------------------------------------------------------------------------------


def state(device: str, footprint: Footprint | None) -> ModelState:
    return ModelState("generator", "Some 13B", device, "Q8_0", "because", True, footprint)


def examined(facts: Facts, footprint: Footprint | None, device: str = "cpu") -> Check:
    return generator_check(state(device, footprint), facts, reads=150.4, writes=20.2, context=4096)


def test_a_model_that_is_wholly_on_the_card() -> None:
    found = examined(RTX_4060, Footprint(4 * GIB, 512 * MIB, 300 * MIB, 4800 * MIB, 33, 33), "gpu")
    assert found.ok
    assert found.finding == (
        "Some 13B on gpu; 4.0 GiB of weights, 512 MiB of KV cache, 4.7 GiB of all this on the card; "
        "reads 150 tokens/s, writes 20 tokens/s (because)"
    )
    assert found.details["layers_on_gpu"] == found.details["layers"] == 33
    assert (found.details["read_tokens_per_second"], found.details["tokens_per_second"]) == (150.4, 20.2)
    assert found.details["kv_cache"] == 512 * MIB


def test_a_13_gb_model_on_an_8_gb_card() -> None:
    """13 GiB + 640 MiB + 360 MiB - 7,100 MiB of the card = 13,312 + 1,000 - 7,100 MiB = 7,212 MiB = 7.0 GiB."""
    found = examined(RTX_4060, Footprint(13 * GIB, 640 * MIB, 360 * MIB, 6000 * MIB, 18, 41), "gpu and cpu")
    assert not found.ok
    assert found.remedy.startswith("23 layers run on the CPU and hold the rest up: use a smaller model (7.0 GiB less)")


def test_a_cpu_build_is_blamed_once() -> None:
    assert examined(CPU_BUILD, Footprint(4 * GIB, 512 * MIB, 300 * MIB, 0, 0, 33)).ok


def test_weights_that_do_not_fit_what_is_free() -> None:
    found = examined(LAPTOP, Footprint(13 * GIB, 512 * MIB, 300 * MIB, 0, 0, 41))
    assert "read from the disk again and again" in found.remedy
    assert examined(replace(LAPTOP, memory_free=15 * GIB), Footprint(13 * GIB, 512 * MIB, 300 * MIB, 0, 0, 41)).ok


def test_a_model_elsewhere_has_no_memory_here() -> None:
    found = examined(LAPTOP, None, "server")
    assert found.ok
    assert "weights" not in found.details


def test_an_embedder() -> None:
    found = embedder_check(
        ModelState("embedder", "MiniLM", "cuda", "fp16", "why", True, Footprint(45 * MIB)), "texts", 9
    )
    assert found.finding == "MiniLM on cuda, fp16, 45 MiB of weights; 9 texts/s (why)"
    assert found.details["texts_per_second"] == 9


# --- nvidia-smi --------------------------------------------------------------------------------------------------


def test_cards_as_nvidia_smi_tells_them() -> None:
    told = "NVIDIA GeForce RTX 4060, 8188, 7100, 570.86\nNVIDIA A100-SXM4-80GB, 81920, 81000, 570.86\n[N/A], -, -, -\n"
    assert read_cards(told) == (
        Card("NVIDIA GeForce RTX 4060", 8188 * MIB, 7100 * MIB, "570.86"),
        Card("NVIDIA A100-SXM4-80GB", 81920 * MIB, 81000 * MIB, "570.86"),
    )
    assert read_cards("No devices were found") == read_cards("") == ()


def test_the_cuda_of_the_driver() -> None:
    line = "| NVIDIA-SMI 570.86.15    Driver Version: 570.86.15    CUDA Version: 12.8     |"
    assert read_driver_cuda(line) == "12.8"
    assert read_driver_cuda("| NVIDIA-SMI 570 |") == ""
