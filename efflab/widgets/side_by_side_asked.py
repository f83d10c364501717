"""What the controls of two trainings ask for: a recipe of the student alone, and one of it with its teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from efflab.knobs import Knob, Setting, Value
from efflab.lab.side_by_side import without_teacher
from efflab.recipe import AnyTechnique, Recipe, Step, check_recipe, step
from efflab.widgets.controls import Control, spoken


@dataclass(frozen=True)
class Asked:
    """One experiment, whose settings move.

    taught: the technique that trains with a teacher. controls: the knobs of it that can be moved; the others stay as in
    `start`, or at their defaults. student: the steps that make the student; student_controls: knobs of them that can be
    moved. alone: the steps that train the student alone; plain training of as many epochs if None.

    Raises:
        TypeError: `student` or `alone` is no recipe, or a setting of `start` is no knob.
        ValueError: there is no such control, or it is named twice; a setting is out of range.
    """

    taught: AnyTechnique
    controls: Sequence[str]
    student: Recipe
    student_controls: Sequence[str] = ()
    alone: Recipe | None = None
    start: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_recipe(self.student)
        check_recipe(self.alone or ())
        self.taught.check(self.start)
        _check_names(self.controls, list(self.taught.knobs))
        of_student = [name for one in self.student for name in one.technique.knobs]
        _check_names(self.student_controls, of_student, besides=self.controls)
        self.recipes({})  # what can never be trained is told now

    def recipes(self, settings: Mapping[str, Setting]) -> tuple[Recipe, Recipe]:
        """Both recipes: of the student alone, and of the one with its teacher.

        settings: of the controls; those that are not there stay as they begin.

        Raises:
            ValueError: plain training cannot last as many epochs, or no step asks for a teacher.
        """
        student = tuple(self._moved(one, settings) for one in self.student)
        moved = {name: value for name, value in settings.items() if name in self.controls}
        taught = (*student, step(self.taught, **{**self.start, **moved}))
        return without_teacher(taught) if self.alone is None else (*student, *self.alone), taught

    def make_controls(self) -> dict[str, Control]:
        """A control for each knob that can be moved, where it begins."""
        _, recipe = self.recipes({})
        steps = dict.fromkeys(self.controls, recipe[-1])
        steps |= {n: one for one in reversed(recipe[:-1]) for n in self.student_controls if n in one.technique.knobs}
        names = (*self.controls, *self.student_controls)
        return {name: Control(name, *_knob_and_value(steps[name], name)) for name in names}

    def checked(self, settings: Mapping[str, Value]) -> Mapping[str, Value]:
        """The same settings.

        Raises:
            ValueError, TypeError: one is no control, or no value for it.
        """
        _check_names(list(settings), [*self.controls, *self.student_controls])
        self.recipes(settings)
        return settings

    def told(self, recipe: Recipe) -> str:
        """The settings of the controls in words, as a recipe of the taught student has them."""
        values = {name: value for one in recipe[:-1] for name, value in one.values.items()}
        said = [(name, recipe[-1].values[name]) for name in self.controls]
        said += [(name, values[name]) for name in self.student_controls]
        return ", ".join(f"{spoken(name).lower()} {_text(value)}" for name, value in said)

    def _moved(self, one: Step, settings: Mapping[str, Setting]) -> Step:
        moved = {name: settings[name] for name in self.student_controls if name in settings and name in one.values}
        return step(one.technique, **{**one.values, **moved})


def _check_names(names: Sequence[str], offered: Sequence[str], besides: Sequence[str] = ()) -> None:
    for i, name in enumerate(names):
        if name not in offered:
            raise ValueError(f"there is no control {name!r}; there are: {', '.join(offered) or 'none'}")
        if name in (*besides, *names[:i]):
            raise ValueError(f"a control must be named once, but {name!r} is named twice")


def _knob_and_value(one: Step, name: str) -> tuple[Knob, Value]:
    value = one.values[name]
    if isinstance(value, Mapping):
        raise TypeError(f"{name} differs by layer in {one!r}, and one control cannot move that: leave it out")
    return one.technique.knobs[name], value


def _text(value: Setting) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
