"""Sets Commonplace up in `.venv` and starts it: `python3 -m rag.bootstrap run`, or `test`. Standard library only.

`make run` and `make test` call this; on Windows it is called as it is (`py -m rag.bootstrap run`).
"""

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "commonplace-installed"
LLAMA_STAMP = VENV / "commonplace-llama"
LLAMA = "llama-cpp-python"

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    # Two at a time; fixtures of a file are made once, and files come in the order of tests/conftest.py.
    ("pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"),
)


def main(arguments: Sequence[str]) -> int:
    """Run one of the commands below; the exit status is the started program's."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever starts this may have an older Python
        print("Commonplace needs Python 3.11 or newer; this is " + sys.version.split()[0], file=sys.stderr)  # noqa: T201
        return 2
    match list(arguments):
        case ["setup"]:
            install()
            return 0
        case ["run", *rest]:
            install()
            return _python("-m", "rag.cli", "serve", "--sample", str(ROOT / "corpus"), *rest)
        case ["test", *rest]:
            install()
            steps = [(*check, *rest) if check[0] == "pytest" else check for check in CHECKS]
            return next((code for step in steps if (code := _python("-m", *step))), 0)
        case _:
            _say("usage: python3 -m rag.bootstrap setup | run [rag serve's options] | test [pytest's options]")
            return 2


def install() -> None:
    """Make `.venv` what pyproject.toml and constraints.txt ask for; at once when it already is."""
    cmake, reason = llama_build({tool: shutil.which(tool) for tool in ("nvidia-smi", "nvcc")})
    wanted = _fingerprint(cmake)
    if PYTHON.is_file() and STAMP.is_file() and STAMP.read_text() == wanted:
        return
    if not PYTHON.is_file():
        _say(f"creating {VENV}")
        venv.create(VENV, with_pip=True)
    _check_compiler()
    _say("installing (the first time takes some minutes: torch is large, llama.cpp is compiled for this machine)")
    _install_llama(cmake, reason)
    _pip("--editable", f"{ROOT}[dev]")
    STAMP.write_text(wanted)


def llama_build(found: Mapping[str, str | None]) -> tuple[str, str]:
    """CMake arguments for llama.cpp and the reason, from where `nvidia-smi` and `nvcc` were found."""
    if found["nvidia-smi"] and found["nvcc"]:
        return "-DGGML_CUDA=on", "an NVIDIA driver and the CUDA compiler are here"
    if found["nvidia-smi"]:
        return "", "there is an NVIDIA driver but no nvcc; install the CUDA toolkit and set up again to use the GPU"
    return "", "no NVIDIA driver was found"


def llama_steps(cmake: str, version: str, built: str) -> list[tuple[str, ...]]:
    """What pip is called with for llama-cpp-python `version`, given what it was last `built` as ("" for never).

    pip regards what is installed as good whatever it was built for, and keeps a built wheel without regard to
    CMAKE_ARGS: another build must be forced, and a CUDA build must not come from its cache.
    """
    if built == _build_name(cmake, version):
        return []
    forced = ("--force-reinstall", "--no-deps") if built and cmake else ()
    return [((*forced, "--no-cache-dir") if cmake else ()) + (LLAMA,)]


def _install_llama(cmake: str, reason: str) -> None:
    """Build llama.cpp for what is here; at once where that is done."""
    unknown = "unknown" if STAMP.is_file() else ""  # set up before it was written down
    built = LLAMA_STAMP.read_text() if LLAMA_STAMP.is_file() else unknown
    _say(f"{LLAMA} is built for {'CUDA' if cmake else 'the CPU'}: {reason}")
    if cmake:
        os.environ["CMAKE_ARGS"] = f"{os.environ.get('CMAKE_ARGS', '')} {cmake}".strip()
    for arguments in llama_steps(cmake, _llama_version(), built):
        _pip(*arguments)
    LLAMA_STAMP.write_text(_build_name(cmake, _llama_version()))


def _build_name(cmake: str, version: str) -> str:
    return f"{version} {cmake or 'cpu'}"


def _llama_version() -> str:
    lines = (ROOT / "constraints.txt").read_text().split()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{LLAMA}=="))


def _check_compiler() -> None:
    if os.name != "nt" and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        _say(
            "no C++ compiler was found and llama.cpp needs one: install g++ (Debian: apt install g++) or Xcode's tools"
        )


def _fingerprint(cmake: str) -> str:
    """Of what is asked for; `cmake` is in it, so that a CUDA toolkit that came later is made use of."""
    digest = hashlib.sha256(f"{ROOT}{cmake}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def _pip(*arguments: str) -> None:
    constraints = str(ROOT / "constraints.txt")
    command = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--constraint", constraints)
    if code := _python(*command, *arguments):
        _say(f"installing failed: {' '.join(arguments)}; the reason stands above. Mend it and run this again")
        sys.exit(code)


def _python(*arguments: str) -> int:
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT, check=False).returncode


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
