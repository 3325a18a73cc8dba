"""Nothing leaves the machine: the switches that keep the libraries underneath from calling out."""

import os


def deny_network() -> None:
    """Tell the libraries underneath never to call out: no model hub, no statistics. Before they are imported."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ[name] = "1"
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # it warns at every fork otherwise, and reading is parallel already
