"""A command line called in this process, as its own would be: arguments, environment, output and exit status.

A process of its own takes seconds to import what it needs; the tests whose point it is start one.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner


class Said(NamedTuple):
    status: int
    stdout: str
    stderr: str


def call(program: Callable[[], object], *arguments: str | Path, env: Mapping[str, str]) -> Said:
    """What `program`, which reads `sys.argv` and ends with `SystemExit`, says with `env` over the environment."""
    with CliRunner().isolation(env=env) as (out, err, _), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["program", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            program()
        sys.stdout.flush()
        return Said(int(ended.value.code or 0), out.getvalue().decode(), err.getvalue().decode())
