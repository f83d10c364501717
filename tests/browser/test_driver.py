"""The net of the browser tests catches what it is there to catch."""

from collections.abc import Iterator

import pytest

from tests.browser.driver import Chromium, Lab, NotebookPage, find_chromium, write_notebook

pytestmark = pytest.mark.browser

OFFSITE = "https://offsite.invalid/picture.png"


@pytest.fixture
def broken(browser: Chromium, lab: Lab) -> Iterator[NotebookPage]:
    """A tab that may end with errors."""
    tab = NotebookPage(browser, lab)
    yield tab
    tab.close()


def run_html(tab: NotebookPage, lab: Lab, html: str) -> None:
    write_notebook(lab.root / "html.ipynb", f"from IPython.display import HTML\nHTML({html!r})")
    tab.open("html.ipynb")
    tab.run_all()


def test_a_request_that_leaves_this_machine_is_aborted_and_reported(broken: NotebookPage, lab: Lab) -> None:
    with broken.page.expect_event("requestfailed", lambda request: request.url == OFFSITE):
        run_html(broken, lab, f"<img src={OFFSITE} alt=''>")
    with pytest.raises(AssertionError, match=r"offsite\.invalid"):
        broken.check()


def test_an_error_in_the_console_is_reported(broken: NotebookPage, lab: Lab) -> None:
    with broken.page.expect_console_message(lambda message: message.text == "a broken widget"):
        run_html(broken, lab, "<img src='data:,' onerror='console.error(`a broken widget`)' alt=''>")
    with pytest.raises(AssertionError, match="a broken widget"):
        broken.check()


def test_an_exception_in_the_page_is_reported(broken: NotebookPage, lab: Lab) -> None:
    with broken.page.expect_event("pageerror"):
        run_html(broken, lab, "<img src='data:,' onerror='noSuchFunction()' alt=''>")
    with pytest.raises(AssertionError, match="noSuchFunction"):
        broken.check()


def test_a_cell_that_fails_fails_the_test_with_its_traceback(page: NotebookPage, lab: Lab) -> None:
    write_notebook(lab.root / "fails.ipynb", "1 / 0", "'never reached'")
    page.open("fails.ipynb")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        page.run_all()


def test_an_error_that_is_expected_must_happen(page: NotebookPage) -> None:
    with pytest.raises(AssertionError, match="expected an error like 'never'"):
        page.expect_error("never")


def test_the_chromium_of_the_environment_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "/opt/my/chromium")
    assert find_chromium() == "/opt/my/chromium"
