"""Knobs: one declaration from which come a technique's checks, its controls, its JSON and its tests.

A technique is a function `(model, *, knobs) -> new model`. Each knob is a keyword-only argument whose annotation says
what values make sense:

    Sparsity = Annotated[float, Range(0.0, 1.0, 0.01, "fraction of weights removed")]

    @technique
    def prune_weights(model: nn.Module, *, sparsity: Sparsity = 0.5) -> nn.Module: ...

The declaration lives where Python already keeps it, in the signature; `@technique` only reads and enforces it.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, ParamSpec, get_args, get_origin, get_type_hints

from torch import nn

Value = float | int | str
P = ParamSpec("P")

RESERVED = ("data", "seed", "progress", "teacher")
"""Keyword-only inputs that the lab supplies; they are no knobs."""


@dataclass(frozen=True)
class Range:
    """A number between two ends, both allowed; integers when all three numbers are integers."""

    low: float
    high: float
    step: float
    label: str
    is_logarithmic: bool = False
    """Whether it spans so much that a slider moves by factors; `step` is then the factor from one stop to the next."""

    @property
    def is_integer(self) -> bool:
        """Whether only whole numbers are allowed."""
        return all(isinstance(number, int) for number in (self.low, self.high, self.step))

    @property
    def is_fraction(self) -> bool:
        """Whether its label says that it is a fraction; screens then show percent."""
        return self.label.startswith("fraction ") and self.high <= 1

    @property
    def ends(self) -> tuple[Value, Value]:
        """The lowest and the highest value."""
        return self.low, self.high

    def check(self, name: str, value: object) -> None:
        """Raise TypeError or ValueError, with the knob's name, unless `value` is a number in the range."""
        kind = "a whole number" if self.is_integer else "a number"
        wanted = f"{name} ({self.label}) must be {kind} from {self.low} to {self.high}"
        if isinstance(value, bool) or not isinstance(value, int if self.is_integer else (int, float)):
            raise TypeError(f"{wanted}, not {value!r}")
        if not self.low <= value <= self.high:  # which NaN fails too
            raise ValueError(f"{wanted}, not {value!r}")

    def bad_values(self) -> Iterator[object]:
        """Values that `check` must refuse; the tests of every technique use them."""
        yield from (
            self.low - self.step,
            self.high + self.step,
            math.nan,
            math.inf,
            None,
            "much",
            True,
            [self.low],
        )
        if self.is_integer:
            yield from (self.low + 0.5, float(self.low))


@dataclass(frozen=True)
class Choice:
    """One of a few named options."""

    options: tuple[str, ...]
    label: str

    @property
    def ends(self) -> tuple[Value, Value]:
        """The first and the last option."""
        return self.options[0], self.options[-1]

    def check(self, name: str, value: object) -> None:
        """Raise ValueError, with the knob's name, unless `value` is one of the options."""
        if not isinstance(value, str) or value not in self.options:
            options = ", ".join(repr(option) for option in self.options)
            raise ValueError(f"{name} ({self.label}) must be one of {options}, not {value!r}")

    def bad_values(self) -> Iterator[object]:
        """Values that `check` must refuse; the tests of every technique use them."""
        yield from ("".join(self.options) + "?", "", None, 0, [self.options[0]])


Knob = Range | Choice
Setting = Value | Mapping[str, Value]
"""What a knob can be set to: one value, or a mapping from layer name to value."""


def check_setting(knob: Knob, name: str, setting: object) -> None:
    """Raise TypeError or ValueError unless `setting` is a value of the knob or a mapping {layer name: value}."""
    if not isinstance(setting, Mapping):
        knob.check(name, setting)
        return
    if not setting:
        raise ValueError(f"{name} ({knob.label}) per layer must name at least one layer, not {{}}")
    for layer, value in setting.items():
        if not isinstance(layer, str):
            raise TypeError(f"{name} ({knob.label}) per layer must use layer names as keys, not {layer!r}")
        knob.check(f"{name}[{layer!r}]", value)


class Technique(Generic[P]):
    """A function that compresses a model, together with the knobs that its signature declares.

    Calling it checks the knobs and calls the function; nothing else happens. Two techniques are equal when they
    are the same function.
    """

    def __init__(self, function: Callable[P, nn.Module]) -> None:
        self.function = function
        _check_declaration(function)
        self.knobs, self.defaults = knobs_of(function), defaults_of(function)
        hints = get_type_hints(function, include_extras=True)
        self.per_layer = frozenset(name for name in self.knobs if _takes_mapping(hints[name]))
        self._model = next(iter(inspect.signature(function).parameters))
        self.inputs = tuple(name for name in inspect.signature(function).parameters if name in RESERVED)
        functools.update_wrapper(self, function)

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__

    @property
    def label(self) -> str:
        """The name as people say it: `prune_weights` becomes "prune weights"."""
        return self.name.replace("_", " ")

    @property
    def is_slow(self) -> bool:
        """Whether it trains: then it asks for `progress`, and a panel gives it a button to run it."""
        return "progress" in self.inputs

    def check(self, settings: Mapping[str, object]) -> None:
        """Raise TypeError or ValueError, naming the knob, unless all settings are knobs with values in range."""
        for name, setting in settings.items():
            if name not in self.knobs:
                known = ", ".join(self.knobs) or "none"
                raise TypeError(f"{self.name} has no knob {name!r}; its knobs are: {known}")
            if isinstance(setting, Mapping) and name not in self.per_layer:
                raise TypeError(f"{name} of {self.name} takes one value for the whole model, not a mapping {setting!r}")
            check_setting(self.knobs[name], name, setting)

    @property
    def source(self) -> str:
        """The source of the function, as it was written.

        Raises:
            ValueError: nobody kept it, as with a function that was typed at a prompt.
        """
        try:
            return inspect.getsource(self.function)
        except OSError as error:
            raise ValueError(
                f"the source of {self.name} is not known; define it in a notebook cell or a file"
            ) from error

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> nn.Module:
        """The new model, after the knobs were checked."""
        if not args and self._model not in kwargs:
            raise TypeError(
                f"{self.name} needs a model: {self.name}(model, ...); a step of a recipe is step({self.name}, ...)"
            )
        self.check({name: value for name, value in kwargs.items() if name in self.knobs})
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<technique {self.name}: {', '.join(self.knobs)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Technique) and self.function is other.function

    def __hash__(self) -> int:
        return hash(self.function)


def technique(function: Callable[P, nn.Module]) -> Technique[P]:
    """Declare that a function `(model, *, knobs) -> new model` is a technique.

    Raises:
        TypeError: a keyword-only argument has no kind (`Range` or `Choice`) or no default, or its default is
        out of
            range, or the function does not take exactly one model.
    """
    return Technique(function)


def knobs_of(function: Callable[..., object]) -> dict[str, Knob]:
    """The knobs that a function declares in its keyword-only arguments, in their order."""
    hints = get_type_hints(function, include_extras=True)
    declared = ((one.name, _knob_of(hints.get(one.name))) for one in _keywords(function))
    return {name: knob for name, knob in declared if knob is not None}


def defaults_of(function: Callable[..., object]) -> dict[str, Value]:
    """The default of each knob of a function, in their order.

    Raises:
        TypeError: a knob has no default.
    """
    knobs = knobs_of(function)
    defaults = {one.name: one.default for one in _keywords(function) if one.name in knobs}
    for name, default in defaults.items():
        if default is inspect.Parameter.empty:
            raise TypeError(f"{function.__name__}: {name} has no default")
    return defaults


def _keywords(function: Callable[..., object]) -> list[inspect.Parameter]:
    """The keyword-only arguments, without those that the lab supplies."""
    parameters = inspect.signature(function).parameters.values()
    return [one for one in parameters if one.kind is one.KEYWORD_ONLY and one.name not in RESERVED]


def _check_declaration(function: Callable[..., nn.Module]) -> None:
    """Raise TypeError or ValueError unless there is one model, and each keyword is a knob with a default in range."""
    name, knobs = function.__name__, knobs_of(function)
    parameters = inspect.signature(function).parameters.values()
    if [p.kind for p in parameters if p.kind is not p.KEYWORD_ONLY] != [inspect.Parameter.POSITIONAL_OR_KEYWORD]:
        raise TypeError(f"{name} must take one model first and keyword-only knobs after it: def {name}(model, *, ...)")
    for one in _keywords(function):
        if one.name not in knobs:
            raise TypeError(f"{name}: {one.name} has no kind; annotate it with Annotated[..., Range(...)] or Choice")
    for knob, default in defaults_of(function).items():
        check_setting(knobs[knob], f"{name}: the default of {knob}", default)


def _knob_of(annotation: Any) -> Knob | None:
    """The Range or Choice inside Annotated[...], or inside a union with a per-layer mapping."""
    if get_origin(annotation) is Annotated:
        return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, (Range, Choice))), None)
    return next((knob for knob in map(_knob_of, get_args(annotation)) if knob is not None), None)


def _takes_mapping(annotation: Any) -> bool:
    kinds = (annotation, *get_args(annotation))
    return any(get_origin(kind) in (dict, Mapping) for kind in kinds)
