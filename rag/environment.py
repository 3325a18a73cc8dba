"""The switches that libraries read from the environment when they are imported. Set them before importing any."""

import os


def prepare_environment() -> None:
    """Keep the libraries underneath from calling out, and their idle threads from spinning."""
    # Nothing leaves the machine: no model hub, no statistics.
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    # torch and llama.cpp share the cores. OpenMP threads that wait by spinning made a prompt five times slower to
    # read where both were loaded and cores were few (eval/LOG.md); whichever OpenMP loads first decides for both.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # it warns at every fork otherwise, and reading is parallel already
