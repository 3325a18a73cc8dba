"""Which objects of a collection count? What makes several writes to Weaviate one atomic step.

Weaviate changes one object at a time. So each collection has one object that is no chunk, its state, and a reader
leaves out what the state says is not to be seen. Objects carry the number of the write that they came with, their
generation. A write goes like this, and is undone or finished by the next one if it is cut off anywhere:

1. the state hides the new generation;
2. the new objects are inserted beside the old ones, which differ in generation and so in UUID, and counted;
3. the state shows the new generation and hides what it replaces: this is the commit, one change of one object;
4. the old objects are deleted, and the state says that nothing is hidden any more.

A reader knows a state, asks with what it hides left out, and then looks whether the state is still the same; if not,
it asks again. So what it is told was true at one moment, whatever number of requests it took.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import TypeAdapter
from weaviate.classes.query import Filter as Where
from weaviate.collections.classes.filters import _Filters as Condition

from rag.store.weaviate_filters import all_of, is_one_of
from rag.store.weaviate_rows import key, marked

STATE_ID = uuid5(NAMESPACE_URL, "commonplace:state")


@dataclass(frozen=True, slots=True)
class Replaced:
    """Objects of these documents, or with these chunk ids, that are of another generation than this are replaced."""

    generation: int
    documents: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()

    def condition(self) -> Condition:
        """That an object is replaced."""
        other = Where.by_property("generation").not_equal(self.generation)
        return Where.any_of(
            [other & is_one_of(name, values) for name, values in self._stored().items() if values],
        )

    def holds(self, properties: Mapping[str, Any]) -> bool:
        stored = self._stored()
        return properties["generation"] != self.generation and any(properties[name] in stored[name] for name in stored)

    def _stored(self) -> dict[str, list[str]]:
        return {"document_id": [marked(name) for name in self.documents], "chunk_id": [key(name) for name in self.ids]}


@dataclass(frozen=True, slots=True)
class State:
    """What the collection, or tenant, `collection` holds and what of it is hidden. A change has another `revision`.

    `vectors` maps the names of vectors to their dimensions. `hidden` are the generations of writes that were not
    committed, the last of them at `hidden_at` (Unix time): kept for a while, since a request that was given up on may
    still arrive.
    """

    collection: str
    vectors: dict[str, int] = field(hash=False)
    revision: int = 0
    generation: int = 0
    hidden: tuple[int, ...] = ()
    hidden_at: float = 0.0
    replaced: Replaced | None = None

    @classmethod
    def from_json(cls, text: str) -> "State":
        return _STATE.validate_json(text)

    def to_json(self) -> str:
        return _STATE.dump_json(self).decode()

    def visible(self) -> Condition | None:
        """That an object counts; None: every one does, as between writes."""
        uncommitted = Where.not_(is_of_generations(self.hidden)) if self.hidden else None
        return all_of((uncommitted, Where.not_(self.replaced.condition()) if self.replaced else None))

    def shows(self, properties: Mapping[str, Any]) -> bool:
        """The same, of an object that was read with its `generation`, `document_id` and `chunk_id`."""
        if properties["generation"] is None or properties["generation"] in self.hidden:  # None: it is the state itself
            return False
        return self.replaced is None or not self.replaced.holds(properties)


_STATE = TypeAdapter(State)


def is_of_generations(generations: tuple[int, ...]) -> Condition:
    """That an object came with one of these writes, of which there is at least one."""
    return Where.by_property("generation").contains_any(list(generations))
