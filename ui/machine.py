"""The facts of the machine that the Models page shows, from the standard library and psutil only."""

import os
import platform

import psutil


def machine_facts() -> list[tuple[str, str]]:
    memory = psutil.virtual_memory()
    return [
        ("System", f"{platform.system()} {platform.release()}"),
        ("Processor", f"{platform.machine()}, {os.cpu_count() or 1} cores"),
        ("Memory", f"{memory.total / 2**30:.0f} GiB, {memory.available / 2**30:.0f} GiB free"),
        ("Python", platform.python_version()),
    ]
