"""A class at a glance, from a folder of what learners handed in: reports, exports of the journal, or journals.

Nothing that lies there is run, unpickled or changed. A file that cannot be read is named with the reason, and does not
keep the others from being read.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from efflab.costs.texts import plural, size
from efflab.journal import Entry
from efflab.journal.copies import CopyError, read_copy, read_lines
from efflab.questions import Questions
from efflab.scoreboard.embedded import extract
from efflab.scoreboard.gain import POST, PRE, class_gain, normalised_gain, share_right
from efflab.scoreboard.runs import Run
from efflab.scoreboard.story import Predicted, Story, questions_of, story_of

MOST_BYTES = 50_000_000
MOST_FILES = 1_000
UNDER_BYTES = 20_000
HEADS = ("learner", "predicted", "close", "quiz", "checks", "runs", "tests", "gain", "best run", "file")
NONE = "–"
_SQLITE = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal", ".lock")  # SQLite's and ours, beside a journal


@dataclass(frozen=True)
class Learner:
    """What one file says. `best`: by data, the run with the highest score whose packed bytes are under the limit.

    `pre` and `post` are the shares of the two quizzes that were right at first, and `gain` the normalised gain.
    """

    name: str
    file: str
    story: Story
    best: dict[str, Run]
    pre: float | None
    post: float | None

    @property
    def gain(self) -> float | None:
        """Of what could be gained, the fraction that was."""
        return normalised_gain(self.pre, self.post)

    @property
    def compared(self) -> tuple[Predicted, ...]:
        """The predictions that were made and measured."""
        return tuple(one for one in self.story.predictions if one.is_close is not None)


@dataclass(frozen=True)
class NotRead:
    """A file that says nothing, and why, as a clause."""

    file: str
    reason: str


@dataclass(frozen=True)
class _HandedIn:
    """What a file holds; name: that it says, or ""."""

    name: str
    file: str
    entries: tuple[Entry, ...]

    @cached_property
    def moments(self) -> dict[tuple[str, ...], None]:
        """What tells an entry from another, in their order."""
        return dict.fromkeys((one.at, one.chapter, one.kind, one.name) for one in self.entries)


@dataclass(frozen=True)
class Summary:
    """The learners of a folder, by name, and the files that could not be read."""

    learners: tuple[Learner, ...]
    not_read: tuple[NotRead, ...]
    under_bytes: int

    @property
    def gain(self) -> float | None:
        """The normalised gain of those who took both quizzes."""
        return class_gain((one.pre, one.post) for one in self.learners)

    def as_text(self) -> str:
        """A table for a terminal, and below it what could not be read."""
        rows = [HEADS, *(_row(one) for one in self.learners)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(HEADS))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        told = [
            f"{plural(len(self.learners), 'file')} read. Close: of the predictions that were measured. Quiz: right at "
            f"first. Best run: highest score under {size(self.under_bytes)} packed.",
            f"Normalised gain of the class: {NONE if self.gain is None else f'{self.gain:.2f}'}.",
        ]
        missed = [_plain(f"Not read: {one.file}: {one.reason}.") for one in self.not_read]
        return "\n".join([*lines, "", *told, *missed])

    def as_json(self) -> str:
        """Everything, for a program, in ASCII: shares and scores are fractions, sizes bytes."""
        found = {
            "under_bytes": self.under_bytes,
            "gain": self.gain,
            "learners": [_plain_learner(one) for one in self.learners],
            "not_read": [{"file": one.file, "reason": one.reason} for one in self.not_read],
        }
        return json.dumps(found, indent=2)  # ASCII: a name may hold letters that the terminal or file cannot


def summary(folder: str | os.PathLike[str], *, under_bytes: int = UNDER_BYTES) -> Summary:
    """What the files in a folder, and in the folders in it, say; of a learner's earlier copies only the last.

    A file is an earlier copy if all its entries are in another one, too, and the two do not say different names.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: `under_bytes` is less than 1.
    """
    if under_bytes < 1:
        raise ValueError(f"under_bytes must be 1 or more, not {under_bytes}")
    root = Path(folder)
    if not root.exists():
        raise FileNotFoundError(f"there is no folder {root}: name the one with your learners' reports or journals")
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is a file: name the folder that it lies in")
    found, not_read, questions = list[_HandedIn](), list[NotRead](), dict[str, Questions]()
    for number, path in enumerate(_files(root, not_read)):
        file = path.relative_to(root).as_posix()
        try:
            if number >= MOST_FILES:
                raise CopyError(f"there are more than {MOST_FILES:,} files")
            name, entries = _read(path)
            questions |= questions_of(one for one in entries if one.chapter not in questions)
            found.append(_HandedIn(name, file, entries))
        except CopyError as error:
            not_read.append(NotRead(file, str(error)))
        except OSError as error:
            not_read.append(NotRead(file, _denied(error)))
    copies = _earlier_copies(found)
    not_read += [NotRead(file, f"all of it is in {other}, too") for file, other in copies.items()]
    learners = [_learner(one, questions, under_bytes) for one in found if one.file not in copies]
    learners.sort(key=lambda one: (one.name.casefold(), one.file))
    return Summary(tuple(learners), tuple(not_read), under_bytes)


def _files(root: Path, not_read: list[NotRead]) -> list[Path]:
    """The files that somebody put there, in order; hidden ones and SQLite's own are not.

    A folder that the system does not let us look into is added to `not_read`.
    """
    found: list[Path] = []

    def miss(error: OSError) -> None:
        not_read.append(NotRead(Path(error.filename).relative_to(root).as_posix(), _denied(error)))

    for place, folders, names in os.walk(root, onerror=miss):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [name for name in folders if Path(place, name).is_symlink()]  # which are not followed
        found += [Path(place, name) for name in (*names, *links) if not name.startswith(".")]
    return sorted(path for path in found if not path.name.endswith(_SIDE_FILES))


def _denied(error: OSError) -> str:
    return f"the system does not give it ({error.strerror or error})"


def _read(path: Path) -> tuple[str, tuple[Entry, ...]]:
    """The name that the file says, or "", and its entries."""
    if path.is_symlink() or not path.is_file():
        raise CopyError("it is a link or no ordinary file")
    with path.open("rb") as file:
        begin = file.read(len(_SQLITE))
        found = begin + file.read(MOST_BYTES)
    if len(found) > MOST_BYTES:
        raise CopyError(f"it has more than {size(MOST_BYTES)}")
    if begin == _SQLITE:
        return "", read_copy(path)
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CopyError("it is neither a report nor an export nor a journal of efflab") from None
    if text.lstrip()[:1] == "<":
        return extract(text)
    entries = read_lines(text)
    if not entries:
        raise CopyError("it is empty")
    return "", entries


def _earlier_copies(found: Sequence[_HandedIn]) -> dict[str, str]:
    """The files that are earlier copies, each with the one that holds all of it; of twins, one that says no name."""
    alike: dict[object, list[_HandedIn]] = {}
    for one in sorted(found, key=lambda one: (-len(one.entries), not one.name)):
        alike.setdefault(next(iter(one.moments), one.file), []).append(one)  # a journal only grows at its end
    copies: dict[str, str] = {}
    for group in alike.values():
        for i, one in enumerate(group):
            for other in group[:i]:
                is_same_learner = not (one.name and other.name) or one.name == other.name
                if other.file not in copies and is_same_learner and one.moments.keys() <= other.moments.keys():
                    copies[one.file] = other.file
                    break
    return copies


def _learner(one: _HandedIn, questions: dict[str, Questions], under_bytes: int) -> Learner:
    name, file = one.name or PurePosixPath(one.file).stem, one.file
    story, best = story_of(one.entries, questions), dict[str, Run]()
    for run in story.runs:
        data = run.data or run.network or "not said"
        if run.packed_bytes < under_bytes and (data not in best or run.score > best[data].score):
            best[data] = run
    return Learner(name, file, story, best, *(share_right(story, questions, chapter) for chapter in (PRE, POST)))


def _row(one: Learner) -> tuple[str, ...]:
    story = one.story
    n_made = sum(each.predicted is not None for each in story.predictions)
    best = ", ".join(f"{data} {100 * run.score:.1f} % ({size(run.packed_bytes)})" for data, run in one.best.items())
    texts = (
        one.name,
        f"{n_made}/{len(story.predictions)}",
        f"{sum(each.is_close is True for each in one.compared)}/{len(one.compared)}",
        f"{sum(each.is_right_first for each in story.answers)}/{len(story.answers)}",
        f"{sum(each.passed for each in story.tried)}/{len(story.tried)}",
        str(len(story.runs)) + (f" (+{len(story.unread)} not read)" if story.unread else ""),
        str(len(story.opened)),
        NONE if one.gain is None else f"{one.gain:.2f}",
        best or NONE,
        one.file,
    )
    return tuple(map(_plain, texts))


def _plain_learner(one: Learner) -> dict[str, object]:
    story = one.story
    names = ("chapter", "id", "predicted", "measured", "is_close")
    return {
        "name": one.name,
        "file": one.file,
        "predictions": [{name: getattr(each, name) for name in names} for each in story.predictions],
        "quiz": [
            {"chapter": each.chapter, "id": each.id, "right_first": each.is_right_first, "n_tries": len(each.keys)}
            for each in story.answers
        ],
        "checks": [{"chapter": each.chapter, "id": each.id, "passed": each.passed} for each in story.tried],
        "n_runs": len(story.runs),
        "n_runs_not_read": len(story.unread),
        "n_test_openings": len(story.opened),
        "best": {
            data: {"recipe": run.recipe, "score": run.score, "packed_bytes": run.packed_bytes}
            for data, run in one.best.items()
        },
        "pre": one.pre,
        "post": one.post,
        "gain": one.gain,
    }


def _plain(text: str) -> str:
    """A text that moves no cursor and changes no colour of the terminal that it is printed to."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
