"""Questions: files are checked to the line, answers get their own sentence, and a learner's function is judged."""

import dataclasses
import math
import re
import sys
import types
from statistics import median

import pytest
import torch
from torch.nn.utils import prune

from efflab import shipped
from efflab.prune.masks import keep_largest
from efflab.prune.schedules import cubic_sparsity
from efflab.questions import QuestionsError, load
from efflab.questions.values import shown, shown_apart

GOOD = """\
chapter: "03"
predictions:
  - id: drop
    text: How much is left?
    number:
      low: 0
      high: 100
      step: 1
      unit: "%"
      tolerance: 5
      feedback:
        too_low: Guessed {predicted}, it is {measured}, so lower.
        close: Guessed {predicted}, it is {measured}, close.
        too_high: Guessed {predicted}, it is {measured}, so higher.
    seen: What did you see?
  - id: faster
    text: Which is faster?
    options:
      - {key: a, text: dense, feedback: About dense.}
      - {key: b, text: sparse, feedback: About sparse.}
    seen: What did you see?
quizzes:
  - id: nnz
    text: What is nnz?
    options:
      - {key: a, text: zeros, feedback: The others.}
      - {key: b, text: non-zeros, right: true, feedback: Yes.}
checks:
  - id: double
    text: Double x.
    misconceptions:
      squared: You squared it.
    cases:
      - inputs: {x: {tensor: [1.0, -3.0], dtype: float32}}
        expected: {tensor: [2.0, -6.0], dtype: float32}
        compare: close
        tolerance: 1.0e-6
        wrong:
          - {output: {tensor: [1.0, 9.0], dtype: float32}, misconception: squared}
      - inputs: {x: {tensor: [2.0], dtype: float32}}
        expected: {tensor: [4.0], dtype: float32}
        compare: close
        tolerance: 1.0e-6
"""


def loaded(folder, text, chapter="03"):
    (folder / "data" / "questions").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "questions" / f"{chapter}.yaml").write_text(text, encoding="utf-8")
    return load(chapter, folder=folder / "data")


@pytest.fixture
def questions(tmp_path):
    return loaded(tmp_path, GOOD)


# Files


def test_a_good_file_is_read_whole(questions):
    number = questions.prediction("drop").number
    assert (number.low, number.high, number.step, number.unit, number.tolerance) == (0, 100, 1, "%", 5)
    assert [o.key for o in questions.prediction("faster").options] == ["a", "b"]
    assert [(o.key, o.right) for o in questions.quiz("nnz").options] == [("a", False), ("b", True)]
    (check,) = questions.checks
    assert [name for name, _ in check.cases[0].inputs] == ["x"]
    assert torch.equal(check.cases[0].expected, torch.tensor([2.0, -6.0]))


def test_questions_cannot_be_changed(questions):
    with pytest.raises(dataclasses.FrozenInstanceError):
        questions.quiz("nnz").text = "other"


EXPECTED = "expected: {tensor: [4.0], dtype: float32}"
CLOSE = "compare: close\n        tolerance: 1.0e-6\n        wrong"
CHOICE = "    options:\n      - {key: a, text: dense"
GIVEN = "          - {output: {tensor: [1.0, 9.0], dtype: float32}, misconception: squared}"
BAD = {
    "an unknown key": ("    seen: What", "    sen: What", 15, "prediction 'drop': unknown key 'sen'"),
    "a missing key": ("    text: What is nnz?\n", "", 23, "quiz 'nnz': text is missing"),
    "a key given twice": ("      high: 100", "      low: 100", 7, "'low' is given twice"),
    "a text where a number belongs": ("low: 0", "low: none", 6, "low must be a finite number .* text 'none'"),
    "a number that is not finite": ("high: 100", "high: .inf", 7, "high must be a finite number"),
    "a number where a text belongs": ("text: How much is left?", "text: 5", 4, "text must be text .* a number '5'"),
    "a list where a mapping belongs": (
        "    options:\n",
        "    options:\n      - [1]\n",
        19,
        "must be a mapping .* is a list",
    ),
    "a text where a flag belongs": ("right: true", 'right: "true"', 27, "right must be true or false"),
    "an empty text": ("text: Which is faster?", "text:", 17, "text must be text .* is empty"),
    "no right option": ("right: true, ", "", 23, "quiz 'nnz': no option is marked right; mark exactly one"),
    "two right options": ("text: zeros,", "text: zeros, right: true,", 23, "2 options are marked right"),
    "an option without feedback": (", feedback: About sparse.", "", 20, "prediction 'faster': feedback is missing"),
    "two options with one key": ("{key: b, text: sparse", "{key: a, text: sparse", 20, "key 'a' is used twice"),
    "one option only": ("      - {key: b, text: sparse, feedback: About sparse.}\n", "", 19, "one option only"),
    "an id used twice": ("  - id: nnz", "  - id: drop", 23, "id 'drop' is used twice"),
    "an absent id": ("  - id: nnz\n    text", "  - text", 23, "id is missing"),
    "ends in the wrong order": ("high: 100", "high: 0", 7, "high is 0; it must be more than low"),
    "a step of 0": ("step: 1", "step: 0", 8, "step is 0; it must be more than 0"),
    "a tolerance as wide as the range": ("tolerance: 5", "tolerance: 100", 10, "tolerance is 100"),
    "an unknown placeholder": ("{predicted}, it is {measured}, close", "{guess} {measured}", 13, "close may"),
    "no measurement in the feedback": ("{measured}, so higher", "no", 14, "too_high must hold {measured}"),
    "number and options at once": (CHOICE, "    number: {}\n" + CHOICE, 16, "either number or options"),
    "a chapter that is not the file's": ('chapter: "03"', 'chapter: "04"', 1, 'chapter must be "03"'),
    "a chapter without quotes": ('chapter: "03"', "chapter: 03", 1, "chapter must be text"),
    "text that is not YAML": ("quizzes:", "quizzes: [", 23, "not YAML"),
    "an object of Python": ("text: What is nnz?", "text: !!python/name:os.system x", 24, "text must be"),
    "an unknown dtype": (EXPECTED, EXPECTED.replace("32", "33"), 41, "dtype is 'float33'"),
    "rows of unequal length": ("[2.0, -6.0]", "[[1.0], [1.0, 2.0]]", 35, "rows of equal length"),
    "numbers in a bool tensor": ("[4.0], dtype: float32", "[4.0], dtype: bool", 41, "not of type bool"),
    "a fraction in a whole tensor": ("[4.0], dtype: float32", "[4.5], dtype: int64", 41, "not of type int64"),
    "an unknown comparison": ("compare: close", "compare: near", 36, "compare is 'near'"),
    "close without a tolerance": (CLOSE, "compare: close\n        wrong", 34, "must have a tolerance"),
    "a tolerance that is text": (CLOSE, CLOSE.replace("1.0e-6", "1e-6"), 37, "or 1.0e-6 with its point"),
    "a mask of no weight": (CLOSE, "compare: mask\n        wrong", 34, "it needs one tensor input"),
    "a wrong output that is right": ("[1.0, 9.0]", "[2.0, -6.0]", 39, "wrong, item 1 is a right answer"),
    "a wrong output given twice": (GIVEN, f"{GIVEN}\n{GIVEN}", 40, "wrong, item 2 has the output of an earlier one"),
    "a misconception that is not listed": ("misconception: squared", "misconception: cubed", 39, "'cubed' is not"),
    "a misconception that no case shows": ("      squared: You", "      cubed: You\n      squared: You", 32, "no case"),
    "other input names": ("{x: {tensor: [2.0]", "{y: {tensor: [2.0]", 40, "other names"),
    "no expected result": ("        expected: {tensor: [4.0], dtype: float32}\n", "", 40, "either expected or"),
    "code as a reference": (EXPECTED, "reference: os.system", 41, "public function"),
    "a private reference": (EXPECTED, "reference: efflab.shipped._find", 41, "publ"),
    "an absent reference": (EXPECTED, "reference: efflab.no.room", 41, "not exist"),
    "a reference to somebody else's code": (EXPECTED, "reference: efflab.journal.store.closing", 41, "of efflab"),
}


@pytest.mark.parametrize(("old", "new", "line", "said"), BAD.values(), ids=BAD)
def test_a_mistake_in_a_file_is_named_with_its_line(tmp_path, old, new, line, said):
    assert GOOD.count(old) >= 1
    with pytest.raises(QuestionsError, match=rf"^data/questions/03\.yaml, line {line}: .*{said}"):
        loaded(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(("text", "said"), [("", "empty"), ("# only this\n", "empty"), ('chapter: "03"', "nothing is")])
def test_a_file_that_asks_nothing_is_refused(tmp_path, text, said):
    with pytest.raises(QuestionsError, match=rf"line 1: .*{said}"):
        loaded(tmp_path, text)


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    loaded(tmp_path, GOOD)
    (tmp_path / "data/questions/03.yaml").write_bytes(b"chapter: \xff")
    with pytest.raises(QuestionsError, match=r"03\.yaml is not UTF-8 text \(byte 9\)"):
        load("03", folder=tmp_path / "data")


@pytest.mark.parametrize("chapter", ["04", "../03", "", 3])
def test_an_absent_chapter_names_the_ones_that_exist(tmp_path, chapter):
    loaded(tmp_path, GOOD)
    with pytest.raises(QuestionsError, match=r"no questions for chapter .*there are some for: 03$"):
        load(chapter, folder=tmp_path / "data")


def test_an_unknown_id_names_the_ones_that_exist(questions):
    with pytest.raises(ValueError, match="no quiz of chapter 03 called 'x'; there are: nnz"):
        questions.quiz("x")
    with pytest.raises(ValueError, match="no check of chapter 03 called 'x'; there are: double"):
        questions.check("x", abs)


MASK = """\
chapter: "03"
checks:
  - id: mask
    text: Write it.
    cases:
      - inputs: {w: {tensor: [1.0, -3.0], dtype: float32}, s: 0.5}
        expected: {tensor: [true, false], dtype: bool}
        compare: mask
"""


def test_an_expected_mask_that_removes_the_larger_weight_is_refused(tmp_path):
    with pytest.raises(
        QuestionsError, match="line 6: check 'mask': cases, item 1 expects a mask that removes a larger"
    ):
        loaded(tmp_path, MASK)
    assert loaded(tmp_path, MASK.replace("-3.0", "-1.0")).checks[0].id == "mask"


# Predictions and quizzes


@pytest.mark.parametrize(
    ("predicted", "measured", "said"),
    [
        (71, 90.123, "Guessed 71 %, it is 90.1 %, so lower."),
        (95, 90.0, "Guessed 95 %, it is 90.0 %, close."),
        (85, 90.0, "Guessed 85 %, it is 90.0 %, close."),
        (84.9, 90.0, "Guessed 85 %, it is 90.0 %, so lower."),
        (95.1, 90.0, "Guessed 95 %, it is 90.0 %, so higher."),
    ],
)
def test_a_predicted_number_gets_the_sentence_of_its_side(questions, predicted, measured, said):
    assert questions.prediction("drop").feedback_for(predicted, measured) == said


@pytest.mark.parametrize(
    ("predicted", "measured"), [(101, 5), (-1, 5), (math.nan, 5), (5, math.inf), ("5", 5), (5, True)]
)
def test_a_number_that_cannot_be_is_refused(questions, predicted, measured):
    with pytest.raises(ValueError, match=r"drop: (predicted|measured) is"):
        questions.prediction("drop").feedback_for(predicted, measured)


def test_a_choice_gets_the_sentence_of_the_option_that_was_chosen(questions):
    faster = questions.prediction("faster")
    assert faster.feedback_for("b", "b") == 'You chose "sparse", and so it was. About sparse.'
    assert faster.feedback_for("b", "a") == 'You chose "sparse", found here: "dense". About sparse.'
    with pytest.raises(ValueError, match="no option of faster called 'c'; there are: a, b"):
        faster.feedback_for("a", "c")


def test_a_learner_who_skipped_is_told_the_measurement_and_no_prediction(questions):
    assert questions.prediction("drop").feedback_for(None, 90.0) == "You made no prediction; found here: 90.0 %."
    said = questions.prediction("faster").feedback_for(None, "a")
    assert said == 'You made no prediction; found here: "dense". About dense.'


def test_a_quiz_knows_its_right_option(questions):
    right, wrong = questions.quiz("nnz").answer("b"), questions.quiz("nnz").answer("a")
    assert dataclasses.astuple(right) == (True, "Yes.", 1, 1)
    assert dataclasses.astuple(wrong) == (False, "The others.", 0, 1)


# Checks


WRONG = f"        wrong:\n{GIVEN}\n"


def verdict_of(questions, function):
    verdict = questions.check("double", function)
    return verdict.passed, verdict.n_passed, verdict.message


def test_a_right_function_passes_all_cases(questions):
    assert dataclasses.astuple(questions.check("double", lambda x: 2 * x)) == (True, "double passes all 2 cases.", 2, 2)


def test_a_misconception_is_told_in_its_own_words(questions):
    passed, n_passed, message = verdict_of(questions, lambda x: x**2)
    assert (passed, n_passed) == (False, 1)
    assert message == "You squared it. With x = [1.0, -3.0]: expected [2.0, -6.0], received [1.0, 9.0]."


def test_an_unknown_mistake_is_told_with_input_expected_and_received(questions):
    _, n_passed, message = verdict_of(questions, lambda x: 3 * x)
    assert n_passed == 0
    assert message == "double is not right yet. With x = [1.0, -3.0]: expected [2.0, -6.0], received [3.0, -9.0]."


def test_a_misconception_in_a_later_case_goes_before_an_unknown_mistake(tmp_path):
    text = GOOD.replace(WRONG, "")
    text += "        wrong:\n          - {output: {tensor: [8.0], dtype: float32}, misconception: squared}\n"
    message = loaded(tmp_path, text).check("double", lambda x: x**3).message
    assert message.startswith("You squared it. With x = [2.0]")


def test_the_wrong_shape_of_an_early_case_goes_before_a_misconception_in_a_later_one(tmp_path):
    text = GOOD.replace(WRONG, "")
    text += "        wrong:\n          - {output: {tensor: [2.0], dtype: float32}, misconception: squared}\n"
    message = loaded(tmp_path, text).check("double", lambda x: x[:1]).message
    assert "the shape (1,); (2,) is expected" in message


def raises(x):
    y = x + 1
    return y[7]


def stub(x):
    raise NotImplementedError


def changes(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raises, r"double raised IndexError \(index 7 .*\) in line \d+: `return y\[7\]`\. The call was with x = \[1"),
        (lambda x: 1 / 0, r"raised ZeroDivisionError \(division by zero\) in line \d+"),
        (lambda x: None, "double returned nothing: is there a `return`\\?"),
        (lambda x: [2.0, -6.0], "a value of type list; a tensor is expected"),
        (lambda x: 2.0, "it returned 2.0; a tensor is expected"),
        (lambda x: (2 * x)[None], r"the shape \(1, 2\); \(2,\) is expected"),
        (lambda x: (2 * x).double(), "type float64; float32 is expected"),
        (lambda x: (2 * x).to_sparse(), "sparse_coo tensor on cpu; an ordinary one"),
        (changes, "double changed its input `x`"),
        (lambda x: x.resize_(1) and x, "double changed its input `x`"),
        (lambda x, y: x, "double must take x, in this order; yours takes x, y"),
        (lambda: 1, "double must take x, in this order; yours takes nothing"),
        (2.0, "2.0 is not a function: give double itself"),
        (None, "There is no function to check: give double itself"),
        (stub, "double is not written yet: replace `raise NotImplementedError`"),
    ],
)
def test_each_way_to_fail_has_its_sentence(questions, function, said):
    passed, n_passed, message = verdict_of(questions, function)
    assert (passed, n_passed) == (False, 0)
    assert re.search(said, message)


def test_an_operation_that_torch_lacks_is_not_taken_for_an_unwritten_function(questions):
    def lacking(x):
        return (x > 0).kthvalue(1)  # torch raises NotImplementedError: "kthvalue_cpu" not implemented for 'Bool'

    message = verdict_of(questions, lacking)[2]
    assert "double raised NotImplementedError" in message
    assert "not written yet" not in message


def test_a_line_is_told_for_a_function_that_was_typed_into_a_cell(questions):
    space = {}
    exec(compile("def double(x):\n    y = x\n    return y.nothing\n", "<cell 3>", "exec"), space)
    assert (
        "AttributeError ('Tensor' object has no attribute 'nothing') in line 3."
        in verdict_of(questions, space["double"])[2]
    )


def test_a_function_cannot_spoil_the_cases_for_the_next_one(questions):
    questions.check("double", changes)
    assert questions.check("double", lambda x: 2 * x).passed


def test_a_reference_function_gives_the_expected_result(tmp_path, monkeypatch):
    room = types.ModuleType("efflab.room_of_this_test")
    room.double = lambda x: 2 * x
    room.double.__module__ = room.__name__
    monkeypatch.setitem(sys.modules, room.__name__, room)
    text = GOOD.replace("expected: {tensor: [4.0], dtype: float32}", f"reference: {room.__name__}.double")
    assert torch.equal(loaded(tmp_path, text).checks[0].cases[1].expected, torch.tensor([4.0]))


PAIR = """\
chapter: "05"
checks:
  - id: scale
    text: Return scale and zero point.
    cases:
      - inputs: {bits: 8, name: w}
        expected: [0.5, 3, "w", true]
"""


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ((0.5, 3, "w", True), "passes all 1 cases"),
        ([0.5, 3, "w", True], "passes all 1 cases"),
        ((0.5, 3), "a list or tuple of 4 is expected"),
        ((0.5, 3.0, "w", True), "it returned 3.0; a whole number is expected"),
        ((True, 3, "w", True), "it returned True; a number is expected"),
        ((0.5, 3, "w", 1), "it returned 1; True or False is expected"),
        ((torch.tensor(0.5), 3, "w", True), "a tensor where a number is expected; `.item()`"),
        ((0.5, 4, "w", True), "expected (0.5, 3, 'w', True), received (0.5, 4, 'w', True)"),
    ],
)
def test_several_results_are_compared_one_by_one(tmp_path, result, said):
    assert said in loaded(tmp_path, PAIR, "05").check("scale", lambda bits, name: result).message


def test_a_long_value_is_shown_in_one_short_line():
    text = shown(torch.arange(10_000).float())
    assert text.startswith("[0.0, 1.0")
    assert text.endswith("...")
    assert len(text) == 90


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2147483648.0, "2,147,483,648.0"),
        (32768, "32,768"),
        (1e22, "1e+22"),
        (1 / 3, "0.333333333333333"),
        (torch.tensor([0.1, 2147483648.0]), "[0.1, 2147483648.0]"),
        (True, "True"),
        (float("nan"), "nan"),
    ],
)
def test_a_number_is_shown_in_full_with_its_thousands_apart(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (2147483648.0, 2147000000.0),
        (0.3, 0.1 + 0.2),
        (torch.tensor(0.1), torch.nextafter(torch.tensor(0.1), torch.tensor(1.0))),
        (torch.arange(100.0), torch.cat([torch.arange(99.0), torch.tensor([7.0])])),
    ],
)
def test_two_different_values_are_never_shown_alike(a, b):
    texts = shown_apart(a, b)
    assert texts[0] != texts[1]
    assert max(map(len, texts)) <= 90
    assert shown_apart(a, a) == (shown(a), shown(a))


@pytest.mark.parametrize(
    ("id", "wrong", "said"),
    [
        ("kv_cache_bytes", lambda n, h, d, c, b, bits: 2147000000.0, "2,147,483,648.0, received 2,147,000,000.0"),
        ("kv_cache_bytes", lambda n, h, d, c, b, bits: 2 * n * h * d * c * b * bits / 8 / 2**20, "2 ** 20"),
        ("tokens_per_second", lambda w, kv, batch, rate: batch * rate * 1e9 / w + kv, "Brackets"),
    ],
)
def test_the_mistakes_of_chapter_01_are_told_in_their_own_words_and_with_exact_numbers(id, wrong, said):
    assert said in load("01").check(id, wrong).message


# What is shipped


def test_every_shipped_file_is_in_form():
    files = sorted(shipped.folder("questions").glob("*.yaml"))
    assert {"00", "03"} <= {path.stem for path in files}
    for path in files:
        load(path.stem)


def test_chapter_03_asks_what_its_page_needs():
    questions = load("03")
    assert [p.id for p in questions.predictions] == ["accuracy_at_80", "faster_at_90", "layer_that_suffers"]
    assert (len(questions.quizzes), len(load("00").quizzes)) == (3, 1)
    assert [c.id for c in questions.checks] == ["magnitude_mask", "cubic_sparsity"]


def ranked(weight, n_removed, largest_first=False, key=torch.abs):
    mask = torch.ones(weight.numel(), dtype=torch.bool)
    mask[key(weight).flatten().argsort(descending=largest_first, stable=True)[:n_removed]] = False
    return mask.view_as(weight)


def by_torch(weight, sparsity):
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(weight.clone())
    prune.l1_unstructured(layer, "weight", amount=float(sparsity))
    return layer.weight_mask.bool()


def per_row(w, s):
    return (
        torch.stack([ranked(row, round(s * row.numel())) for row in w])
        if w.dim() == 2
        else ranked(w, round(s * w.numel()))
    )


def limit(w, s):
    return w.abs().flatten().sort().values[round(s * w.numel()) - 1] if round(s * w.numel()) else -1


MASKS = {
    "forgets_abs": lambda w, s: ranked(w, round(s * w.numel()), key=torch.clone),
    "keeps_small": lambda w, s: ranked(w, w.numel() - round(s * w.numel()), largest_first=True),
    "per_row": per_row,
    "not_bool": lambda w, s: ranked(w, round(s * w.numel())).float(),
    "pruned_weights": lambda w, s: w * ranked(w, round(s * w.numel())),
    "sparsity_as_limit": lambda w, s: w.abs() > s,
    "sparsity_as_kept": lambda w, s: ranked(w, w.numel() - round(s * w.numel())),
    "ties_all_removed": lambda w, s: w.abs() > limit(w, s),
    "ties_all_kept": lambda w, s: w.abs() >= w.abs().flatten().sort().values[min(round(s * w.numel()), w.numel() - 1)],
    "cuts_off": lambda w, s: ranked(w, int(s * w.numel())),
    "removes_one_at_zero": lambda w, s: ranked(w, max(1, round(s * w.numel()))),
    "keeps_one_at_one": lambda w, s: ranked(w, min(w.numel() - 1, round(s * w.numel()))),
}

CUBICS = {
    "linear": lambda t, n, f: f * t / n,
    "starts_at_final": lambda t, n, f: f * (1 - t / n) ** 3,
    "cubes_progress": lambda t, n, f: f * (t / n) ** 3,
    "squares": lambda t, n, f: f * (1 - (1 - t / n) ** 2),
    "whole_division": lambda t, n, f: f * (1 - (1 - t // n) ** 3),
    "forgets_final": lambda t, n, f: 1 - (1 - t / n) ** 3,
}


@pytest.mark.parametrize(
    ("check", "key", "function"),
    [
        (check, *pair)
        for check, wrong in (("magnitude_mask", MASKS), ("cubic_sparsity", CUBICS))
        for pair in wrong.items()
    ],
)
def test_each_misconception_of_chapter_03_is_recognised(check, key, function):
    questions = load("03")
    (asked,) = (c for c in questions.checks if c.id == check)
    sentences = {m.key: m.sentence for m in asked.misconceptions}
    verdict = questions.check(check, function)
    assert not verdict.passed
    assert verdict.message.startswith(sentences[key])
    assert sentences.keys() == (MASKS if check == "magnitude_mask" else CUBICS).keys()


def test_the_mask_of_torch_itself_passes():
    assert load("03").check("magnitude_mask", by_torch).message == "magnitude_mask passes all 7 cases."


def test_any_choice_among_equal_magnitudes_passes():
    def last_first(weight, sparsity):
        return ranked(weight.flatten().flip(0), round(sparsity * weight.numel())).flip(0).view_as(weight)

    assert load("03").check("magnitude_mask", last_first).passed


def test_the_right_count_of_the_wrong_weights_does_not_pass():
    def first_places(weight, sparsity):
        return (torch.arange(weight.numel()) >= round(sparsity * weight.numel())).view_as(weight)

    verdict = load("03").check("magnitude_mask", first_places)
    assert (verdict.passed, verdict.n_passed) == (False, 3)  # the ties and both ends are right by luck


def test_the_published_schedule_passes_in_its_own_form():
    def zhu_and_gupta(t, n, s_f, s_i=0.0, t_0=0):  # equation 1 of arXiv 1710.01878
        return s_f + (s_i - s_f) * (1 - (t - t_0) / n) ** 3

    assert load("03").check("cubic_sparsity", zhu_and_gupta).message == "cubic_sparsity passes all 5 cases."


def test_the_package_itself_passes_its_exercises():
    questions = load("03")
    mask = questions.check("magnitude_mask", lambda w, s: keep_largest(w.abs(), round(s * w.numel())))
    assert (mask.passed, mask.message) == (True, "magnitude_mask passes all 7 cases.")
    assert questions.check("cubic_sparsity", cubic_sparsity).passed


def test_none_where_a_number_is_expected_may_be_a_known_mistake_and_not_a_forgotten_return():
    def only_faster(base, again, now):
        speedup = median(base) / median(now)
        floor = max(0.02, abs(median(again) / median(base) - 1))
        return speedup if speedup - 1 > floor else None

    message = load("02").check("fair_speedup", only_faster).message
    assert message.startswith("Here the new network takes twice the time, and that can be measured")
    assert "returned nothing" in load("02").check("fair_speedup", lambda base, again, now: None).message
