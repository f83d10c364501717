"""Reading YAML so that every complaint names the file, the line and what would be right.

A `Part` is one place in a file. It is asked for what it should be (`fields`, `items`, `text`, `number`, `flag`,
`plain`) and raises where it is something else. Nothing but numbers, text, true/false, lists and mappings is
understood, so a file cannot run code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import yaml

Plain: TypeAlias = bool | int | float | str | list["Plain"] | None

_NAMES = {"str": "text", "int": "a number", "float": "a number", "bool": "true/false", "null": "empty"}


class QuestionsError(ValueError):
    """A question file is not in the form that it must have; one sentence with file and line."""


@dataclass(frozen=True)
class Part:
    """One node of a file: `what` is the question that it belongs to, `name` the field that it is."""

    node: yaml.Node
    file: str
    what: str = ""
    name: str = "the file"

    def error(self, sentence: str) -> QuestionsError:
        """The exception that says where in the file this is."""
        place = f"{self.file}, line {self.node.start_mark.line + 1}: "
        return QuestionsError(place + (f"{self.what}: " if self.what else "") + sentence)

    def called(self, what: str) -> Part:
        """The same place, named in its complaints as, for instance, "quiz 'nnz'"."""
        return replace(self, what=what)

    def fields(self, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Part]:
        """The entries of a mapping by key: all `required` ones, and none but those and `optional`."""
        found = self.mapping()
        known = [*required, *optional]
        for key, part in found.items():
            if key not in known:
                raise part.error(f"unknown key {key!r}; known here: {', '.join(known)}")
        missing = [key for key in required if key not in found]
        if missing:
            raise self.error(f"{', '.join(missing)} is missing from {self.name}")
        return found

    def mapping(self) -> dict[str, Part]:
        """The entries of a mapping whose keys are free, in their order."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self._not("a mapping (key: value)")
        found: dict[str, Part] = {}
        for key_node, value_node in self.node.value:
            key = self._part(key_node, "a key").text()
            if key in found:
                raise self._part(key_node, key).error(f"{key!r} is given twice")
            found[key] = self._part(value_node, key)
        return found

    def items(self) -> list[Part]:
        """The items of a list that is not empty."""
        if not isinstance(self.node, yaml.SequenceNode) or not self.node.value:
            raise self._not("a list with at least one item")
        return [self._part(node, f"{self.name}, item {i + 1}") for i, node in enumerate(self.node.value)]

    def text(self) -> str:
        """A text that is not empty."""
        value = self.plain()
        if not isinstance(value, str) or not value.strip():
            raise self._not('text (put "quotes" around numbers, yes and no)')
        return value.strip()

    def number(self) -> float:
        """A finite number."""
        value = self.plain()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._not("a finite number (such as 0.5, or 1.0e-6 with its point)")
        return value

    def flag(self) -> bool:
        """True or false."""
        value = self.plain()
        if not isinstance(value, bool):
            raise self._not("true or false")
        return value

    def plain(self) -> Plain:
        """A number, text, true/false, nothing, or a list of these."""
        if isinstance(self.node, yaml.SequenceNode):
            return [self._part(node, self.name).plain() for node in self.node.value]
        return self.scalar()

    def scalar(self) -> bool | int | float | str | None:
        """A number, text, true/false or nothing."""
        kind = self.node.tag.removeprefix("tag:yaml.org,2002:")
        if kind not in _NAMES or not isinstance(self.node, yaml.ScalarNode):
            raise self._not("a number, text, true/false or a list of these")
        value: bool | int | float | str | None = yaml.constructor.SafeConstructor().construct_object(self.node)
        return value

    def is_mapping(self) -> bool:
        """Whether this is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    def is_list(self) -> bool:
        """Whether this is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    def _part(self, node: yaml.Node, name: str) -> Part:
        return replace(self, node=node, name=name)

    def _not(self, wanted: str) -> QuestionsError:
        if isinstance(self.node, yaml.ScalarNode):
            kind = self.node.tag.removeprefix("tag:yaml.org,2002:")
            got = f"{_NAMES.get(kind, kind)} {self.node.value!r}" if self.node.value else "empty"
        else:
            got = "a mapping" if self.is_mapping() else "a list" if self.node.value else "an empty list"
        return self.error(f"{self.name} must be {wanted}, and is {got}")


def parse(path: Path, label: str) -> Part:
    """The root of a file; `label` is how complaints name it.

    Raises:
        QuestionsError: the file is empty, is not UTF-8 text or is not YAML.
    """
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise QuestionsError(f"{label} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise QuestionsError(f"{label}, line {line}: this is not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise QuestionsError(f"{label} is not YAML: {error}") from error
    if node is None:
        raise QuestionsError(f"{label}, line 1: the file is empty; it must ask something")
    return Part(node, label)


def unique(parts: Collection[Part], key_of: Callable[[Part], Part]) -> None:
    """Refuse the second of two parts with the same key."""
    seen: set[str] = set()
    for part in parts:
        key = key_of(part)
        if key.text() in seen:
            raise key.error(f"{key.name} {key.text()!r} is used twice; each must be its own")
        seen.add(key.text())
