"""sentence-transformers alone, in a process of its own: what embedding would cost without the program around it.

Reads `{"model", "precision", "passages", "questions"}` from standard input and prints seconds by the clock and of the
processor: to import and load, to embed all passages at its own default batch, and milliseconds of each question.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    """Run one job from standard input."""
    job = json.loads(sys.stdin.buffer.read())
    started, worked = time.perf_counter(), time.process_time()
    import torch
    from sentence_transformers import SentenceTransformer

    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    model: Any = SentenceTransformer(
        job["model"], local_files_only=True, model_kwargs={"dtype": types[job["precision"]]}
    )
    model.encode(["warm"])
    loaded, loaded_cpu = time.perf_counter(), time.process_time()
    if job["passages"]:
        model.encode(job["passages"], show_progress_bar=False)
    embedded, embedded_cpu = time.perf_counter(), time.process_time()
    ms = []
    for question in job["questions"]:
        asked = time.perf_counter()
        model.encode(question, show_progress_bar=False)
        ms.append((time.perf_counter() - asked) * 1000)
    result = {
        "load": {"seconds": loaded - started, "cpu_seconds": loaded_cpu - worked},
        "embed": {"seconds": embedded - loaded, "cpu_seconds": embedded_cpu - loaded_cpu},
        "question_ms": ms,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
