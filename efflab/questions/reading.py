"""From a chapter's YAML file to its questions; every mistake in the file is named with its line.

The form, by example, is in data/questions/03.yaml; that of a check is explained in `cases.py`.
"""

import string
from pathlib import Path

from efflab import shipped
from efflab.questions.cases import read_check
from efflab.questions.chapter import Questions
from efflab.questions.form import Part, QuestionsError, parse, unique
from efflab.questions.kinds import Number, Option, Prediction, Quiz

_PLACEHOLDERS = {"predicted", "measured"}


def load(chapter: str, *, folder: Path | None = None) -> Questions:
    """The questions of a chapter.

    Args:
        chapter: its number as text, such as "03".
        folder: where `questions/<chapter>.yaml` lies; by default efflab's own files.

    Raises:
        QuestionsError: there is no such file, or it is not in the right form.
    """
    root = shipped.folder() if folder is None else Path(folder)
    there = {path.stem: path for path in sorted((root / "questions").glob("*.yaml"))}
    if chapter not in there:
        known = ", ".join(there) or "none"
        raise QuestionsError(f"there are no questions for chapter {chapter!r}; there are some for: {known}")
    return _questions(parse(there[chapter], f"{root.name}/questions/{chapter}.yaml"), chapter)


def _questions(root: Part, chapter: str) -> Questions:
    fields = root.fields(["chapter"], ["predictions", "quizzes", "checks"])
    if fields["chapter"].text() != chapter:
        raise fields["chapter"].error(f'chapter must be "{chapter}", as the name of the file')
    groups = {key: fields[key].items() for key in ("predictions", "quizzes", "checks") if key in fields}
    if not groups:
        raise root.error("nothing is asked; add predictions, quizzes or checks")
    unique([part for parts in groups.values() for part in parts], _id)
    return Questions(
        chapter,
        tuple(_prediction(part) for part in groups.get("predictions", [])),
        tuple(_quiz(part) for part in groups.get("quizzes", [])),
        tuple(read_check(part.called(f"check {_id(part).text()!r}")) for part in groups.get("checks", [])),
    )


def _id(part: Part) -> Part:
    found = part.mapping()
    if "id" not in found:
        raise part.error(f"id is missing from {part.name}")
    return found["id"]


def _prediction(part: Part) -> Prediction:
    part = part.called(f"prediction {_id(part).text()!r}")
    fields = part.fields(["id", "text", "seen"], ["number", "options"])
    if ("number" in fields) == ("options" in fields):
        raise part.error("it must have either number or options, and not both")
    return Prediction(
        fields["id"].text(),
        fields["text"].text(),
        fields["seen"].text(),
        number=_number(fields["number"]) if "number" in fields else None,
        options=_options(fields["options"], []) if "options" in fields else (),
    )


def _number(part: Part) -> Number:
    fields = part.fields(["low", "high", "step", "unit", "tolerance", "feedback"])
    low, high, step, tolerance = (fields[key].number() for key in ("low", "high", "step", "tolerance"))
    if low >= high:
        raise fields["high"].error(f"high is {high:g}; it must be more than low, {low:g}")
    if not 0 < step <= high - low:
        raise fields["step"].error(f"step is {step:g}; it must be more than 0 and at most {high - low:g}")
    if not 0 <= tolerance < high - low:
        raise fields["tolerance"].error(f"tolerance is {tolerance:g}; it must be from 0 to below {high - low:g}")
    told = {key: _filled(p) for key, p in fields["feedback"].fields(["too_low", "close", "too_high"]).items()}
    return Number(low, high, step, fields["unit"].text(), tolerance, **told)


def _filled(part: Part) -> str:
    text = part.text()
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        text.format(**dict.fromkeys(_PLACEHOLDERS, ""))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise part.error(f"{part.name} may hold {{predicted}} and {{measured}}, and no other brackets") from error
    if "measured" not in names:
        raise part.error(f"{part.name} must hold {{measured}}: the number comes from this machine")
    return text


def _options(part: Part, more: list[str]) -> tuple[Option, ...]:
    found = [(item, item.fields(["key", "text", "feedback"], more)) for item in part.items()]
    unique([item for item, _ in found], lambda item: item.mapping()["key"])
    if len(found) < 2:
        raise part.error("there is one option only; give at least two")
    return tuple(
        Option(f["key"].text(), f["text"].text(), f["feedback"].text(), "right" in f and f["right"].flag())
        for _, f in found
    )


def _quiz(part: Part) -> Quiz:
    part = part.called(f"quiz {_id(part).text()!r}")
    fields = part.fields(["id", "text", "options"])
    options = _options(fields["options"], ["right"])
    n_right = sum(option.right for option in options)
    if n_right != 1:
        raise part.error(
            f"{'no option is' if n_right == 0 else f'{n_right} options are'} marked right; mark exactly one"
        )
    return Quiz(fields["id"].text(), fields["text"].text(), options)
