"""A candidate's folder to the embedder that searches with it. Needs no torch but for a query encoder, at first use."""

from collections.abc import Callable
from pathlib import Path

from rag.embed.query_side import QuerySideEmbedder
from rag.errors import TuneError
from rag.protocols import Embedder
from rag.tune.head import LinearHead
from rag.tune.home import Home
from rag.tune.memory import Memory
from rag.tune.records import Candidate

MODEL = "model"  # the folder of a query encoder, inside the run's

_QUERY_SIDE = {"memory", "linear", "home", MODEL}


def tuned_embedder(
    candidate: Candidate, folder: Path, base: Embedder, open_model: Callable[[Path], Embedder]
) -> Embedder:
    """`base` with the queries of a candidate whose parts are in `folder`; `base` itself where it has none.

    Args:
        base: the embedder that the candidate was made from; for one of tier 2 its own.
        open_model: a query encoder in a folder, its weights loaded when they are needed.

    Raises:
        TuneError: the candidate is for passages of another embedder, or a part is missing or broken.
        ModelNotFound: its query encoder is gone.
    """
    if candidate.embedder is None and candidate.base != base.fingerprint:
        raise TuneError(
            f"{candidate.name!r} was made from another embedder than {base.state.name!r}; train one for this"
        )
    if unknown := set(candidate.parts) - _QUERY_SIDE:
        raise TuneError(f"{candidate.name!r} has parts that this program does not know: {sorted(unknown)}; update it")
    has = set(candidate.parts) & _QUERY_SIDE
    if not has:
        return base
    home = Home.read(folder, base.dim, _threshold(candidate)) if "home" in has else None
    return QuerySideEmbedder(
        base,
        model=open_model(folder / MODEL) if MODEL in has else None,
        turn=LinearHead.read(folder, base.dim).apply if "linear" in has else None,
        is_home=home.is_home if home else None,
        remember=Memory.read(folder, base.dim).apply if "memory" in has else None,
    )


def _threshold(candidate: Candidate) -> float:
    if candidate.home_threshold is None:
        raise TuneError(f"nothing says what is at home for {candidate.name!r}; train again")
    return candidate.home_threshold
