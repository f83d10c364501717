"""The notebooks that are committed are those that their sources make, and a source that breaks a rule is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

MASK = '''# %% [markdown]
# # Title

# %% [markdown]
# <details><summary>Hint</summary>
#
# Look at the sign.
#
# </details>


# %%
def is_positive(x):
    """Whether x is above zero."""
    # --- solution
    return x > 0
    # --- stub
    # >>> # your line
    # >>> raise NotImplementedError("write me")
    # --- end


# %%
is_positive(3)
'''


@pytest.fixture(scope="module")
def maker(tool: Callable[[str], ModuleType]) -> ModuleType:
    return tool("make_notebooks")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder of notebooks with one chapter."""
    (tmp_path / "src").mkdir()
    write(tmp_path, MASK)
    return tmp_path


def write(folder: Path, text: str, name: str = "03_mask.py") -> None:
    (folder / "src" / name).write_text(text, encoding="utf-8")


def cells(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def run(maker: ModuleType, folder: Path, *flags: str) -> int:
    return maker.main(["--folder", str(folder), *flags])


def faults(maker: ModuleType, folder: Path, text: str) -> list[str]:
    write(folder, text)
    return maker.make_all(folder)[1]


def test_the_committed_notebooks_are_what_their_sources_make(
    maker: ModuleType, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(maker, repository / "notebooks", "--check") == 0, capsys.readouterr().err


def test_a_folder_without_sources_is_a_fault(
    maker: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(maker, tmp_path) == run(maker, tmp_path, "--check") == 1
    assert "holds no chapter" in capsys.readouterr().err


def test_the_student_gets_the_stub_and_the_solved_notebook_the_solution(maker: ModuleType, course: Path) -> None:
    assert run(maker, course) == 0
    head = 'def is_positive(x):\n    """Whether x is above zero."""\n'
    student = head + '    # your line\n    raise NotImplementedError("write me")'
    assert cells(course / "03_mask.ipynb")[2] == student
    assert cells(course / "solutions" / "03_mask.ipynb")[2] == head + "    return x > 0"


def test_what_is_not_marked_is_the_same_in_both(maker: ModuleType, course: Path) -> None:
    run(maker, course)
    student, solved = (cells(course / place / "03_mask.ipynb") for place in (".", "solutions"))
    assert (
        student[:2] == solved[:2] == ["# Title", "<details><summary>Hint</summary>\n\nLook at the sign.\n\n</details>"]
    )
    assert student[3:] == solved[3:] == ["is_positive(3)"]


def test_a_cell_can_be_for_one_of_the_two_only(maker: ModuleType, course: Path) -> None:
    write(course, MASK + '\n# %% tags=["solution-only"]\n"answer"\n\n# %% tags=["student-only"]\n"question"\n')
    assert run(maker, course) == 0
    assert cells(course / "03_mask.ipynb")[4:] == ['"question"']
    assert cells(course / "solutions" / "03_mask.ipynb")[4:] == ['"answer"']


def test_the_notebooks_hold_nothing_that_running_adds(maker: ModuleType, course: Path) -> None:
    run(maker, course)
    for path in (course / "03_mask.ipynb", course / "solutions" / "03_mask.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata == {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        assert {(c.execution_count, *c.outputs) for c in notebook.cells if c.cell_type == "code"} == {(None,)}
        assert all(cell.metadata == {} for cell in notebook.cells)


def test_the_same_source_gives_the_same_bytes_as_jupyter_writes_them(maker: ModuleType, course: Path) -> None:
    run(maker, course)
    first = (course / "03_mask.ipynb").read_bytes()
    run(maker, course)
    assert (course / "03_mask.ipynb").read_bytes() == first
    assert nbformat.writes(nbformat.reads(first.decode(), as_version=4)) + "\n" == first.decode()


def test_a_new_cell_changes_the_id_of_no_other(maker: ModuleType, course: Path) -> None:
    def ids() -> list[str]:
        run(maker, course)
        return [cell["id"] for cell in json.loads((course / "03_mask.ipynb").read_text(encoding="utf-8"))["cells"]]

    before = ids()
    write(course, MASK.replace("# %%\nis_positive(3)", "# %%\n1\n\n# %%\nis_positive(3)\n\n# %%\nis_positive(3)"))
    after = ids()
    assert after[:3] + after[4:5] == before
    assert len(set(after)) == 6  # also where two cells have the same text
    assert all(key.startswith("03-") for key in after)


WRONG = {
    "a long cell": ("is_positive(3)\n", "x = 1\n" * 16, "cell 4 (x = 1): has 16 lines in the student notebook"),
    "a stub that passes": (
        "raise NotImplementedError",
        "pass  #",
        "cell 3 (def is_positive(x):): has a stub that does",
    ),
    "a stub outside a function": (
        "is_positive(3)",
        "# --- solution\n1\n# --- stub\n# >>> raise NotImplementedError()\n# --- end",
        "inside a function",
    ),
    "a bare stub line": ("# >>> # your line", "# your line", "stub line '# your line', which does not begin with"),
    "an exercise without a hint": ("Hint", "More", "cell 3 (def is_positive(x):): is an exercise without a hint"),
    "no end": ("    # --- end\n", "", "has '# --- solution' out of place"),
    "no stub": ("    # --- stub\n", "", "has '# --- solution' out of place"),
    "a misspelt marker": ("# --- solution", "# --- Solution", "has '# --- Solution' out of place"),
    "a misspelt tag": ("# %%\nis_pos", '# %% tags=["solution_only"]\nis_pos', "has the tag 'solution_only'; known are"),
    "two titles": ("# # Title", "# # Title\n#\n# # Another", "the student notebook has 2 titles"),
    "no title": ("# # Title", "# ## Title", "the solution notebook has 0 titles"),
    "an empty cell": ("is_positive(3)\n", "", "cell 4 (empty): is empty; remove it"),
    "a raw cell": ("# %%\nis_positive(3)", "# %% [raw]\n# text", "is a raw cell"),
    "a magic": ("is_positive(3)", "# %matplotlib inline", "cell 4 (%matplotlib inline): is not plain Python"),
    "an await": ("is_positive(3)", "await is_positive(3)", "is not plain Python in the student notebook"),
    "a solution that is not Python": ("return x > 0", "return x >", "is not plain Python in the solution notebook"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_source_that_breaks_a_rule_is_refused_with_file_and_cell(
    case: tuple[str, str, str], maker: ModuleType, course: Path
) -> None:
    old, new, sentence = case
    assert old in MASK
    found = faults(maker, course, MASK.replace(old, new))
    assert any(sentence in fault for fault in found), found
    assert all(fault.startswith("03_mask.py") for fault in found)
    assert run(maker, course) == 1
    assert not (course / "03_mask.ipynb").exists()


def test_a_cell_of_15_lines_is_allowed(maker: ModuleType, course: Path) -> None:
    assert faults(maker, course, MASK.replace("is_positive(3)\n", "x = 1\n" * 15)) == []


def test_a_comment_in_a_code_block_is_no_title(maker: ModuleType, course: Path) -> None:
    assert faults(maker, course, MASK.replace("# # Title", "# # Title\n#\n# ```\n# # run this\n# ```")) == []


def test_a_source_with_another_kind_of_name_is_refused(maker: ModuleType, course: Path) -> None:
    write(course, MASK, "extra.py")
    assert maker.make_all(course)[1] == ["extra.py: call it like 03_weight_pruning.py"]


DAMAGE = {
    "an edited cell": (
        lambda text: text.replace("is_positive(3)", "is_positive(4)"),
        "cell 4: 'is_positive(4)' instead",
    ),
    "an output": (lambda text: text.replace('"outputs": []', '"outputs": [1]', 1), "cell 3: it holds outputs"),
    "a lost cell": (
        lambda text: json.dumps({"cells": json.loads(text)["cells"][:3]}),
        "cell 4: missing (is_positive(3))",
    ),
    "another cell": (
        lambda text: json.dumps({"cells": [*json.loads(text)["cells"], {"source": ["1"]}]}),
        "cell 5: too many (1)",
    ),
    "another kernel": (lambda text: text.replace('"Python 3"', '"Python 2"'), "only its metadata"),
    "half a file": (lambda text: text[:100], "is not a notebook"),
}


@pytest.mark.parametrize("case", DAMAGE.values(), ids=DAMAGE)
def test_a_notebook_that_differs_is_named_with_its_first_differing_cell(
    case: tuple, maker: ModuleType, course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, sentence = case
    run(maker, course)
    path = course / "solutions" / "03_mask.ipynb"
    path.write_text(damage(path.read_text(encoding="utf-8")), encoding="utf-8")
    capsys.readouterr()
    assert run(maker, course, "--check") == 1
    (fault,) = capsys.readouterr().err.splitlines()
    assert fault.startswith("solutions/03_mask.ipynb")
    assert sentence in fault


def test_a_missing_notebook_is_named(maker: ModuleType, course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(maker, course)
    (course / "solutions" / "03_mask.ipynb").unlink()
    assert run(maker, course, "--check") == 1
    assert "solutions/03_mask.ipynb is missing" in capsys.readouterr().err


def test_a_notebook_whose_source_is_gone_is_named(maker: ModuleType, course: Path) -> None:
    (course / "07_gone.ipynb").write_text("{}", encoding="utf-8")
    (fault,) = maker.make_all(course)[1]
    assert "07_gone.ipynb" in fault


def test_checking_writes_nothing(maker: ModuleType, course: Path) -> None:
    assert run(maker, course, "--check") == 1
    assert [path.name for path in course.rglob("*.ipynb")] == []
