"""The command line: `efflab lab`, `efflab demo 03`, `efflab report`, `efflab class FOLDER`, `efflab doctor` and others.

Each command is one call of a function that works without it. What is heavy (torch, Jupyter) is imported or started by
the command that needs it, so that `efflab --help` answers at once.
"""

import io
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from efflab.cli import chapters

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """What the `efflab` command runs."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file on Windows lacks most letters: they come as \u0141 then
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="efflab")
    except (chapters.ChapterError, OSError) as error:
        typer.echo(f"efflab: {error}", err=True)
        raise SystemExit(1) from error


@app.callback()
def _efflab() -> None:
    """Learn how neural networks are made small and fast: live, measured, offline."""


@app.command()
def lab(
    folder: Annotated[
        Path | None, typer.Argument(help="Your own folder of notebooks; chapters that it lacks are copied there.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Ask nothing, show answers on a button, draw curves whole.")
    ] = False,
) -> None:
    """Open JupyterLab on the chapters."""
    place, n_copied = chapters.prepare(folder)
    typer.echo(f"JupyterLab opens on {place}" + (f"; {n_copied} new files were copied there." if n_copied else "."))
    raise typer.Exit(chapters.open_jupyter(place, browser=browser, teacher=teacher))


@app.command()
def start(
    chapter: Annotated[str, typer.Argument(help="The number of the chapter, such as 03.")],
    to: Annotated[Path, typer.Option(help="The folder for your copy.")] = Path("work"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again in a second copy.")] = False,
) -> None:
    """Copy one chapter into a folder of yours. A file that is there is never changed."""
    copy, is_new = chapters.start(chapter, to, fresh=fresh)
    if is_new:
        typer.echo(f"{copy} is yours now. Open it with: efflab lab {to}")
    else:
        typer.echo(f"{copy} is there already and was left as it is. A second copy: efflab start {chapter} --fresh")


@app.command("demo")
def demonstrate(
    chapter: Annotated[str, typer.Argument(help="The number of the chapter, such as 03.")],
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
) -> None:
    """Show one chapter's panel alone, in large type over the whole window, for a class.

    Nothing is asked, and nothing is written down.
    """
    from efflab.cli.demo import demo

    demo(chapter, browser=browser)


@app.command("report")
def report(
    name: Annotated[str, typer.Option(help="Your name, as it should stand in the report.")] = "",
    to: Annotated[Path | None, typer.Option(help="The file to write; efflab-report-NAME.html if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file of that name.")] = False,
) -> None:
    """Write a report on what you did, for your teacher: one HTML file."""
    from efflab.journal import Journal, JournalWarning
    from efflab.scoreboard.report import report_file, write_report

    journal = Journal()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", JournalWarning)  # a line of our source stands below a warning
            path = write_report(to or report_file(name), journal, name=name, overwrite=force)
    finally:
        for notice in journal.notices:
            typer.echo(f"efflab: {notice}", err=True)
    typer.echo(f"{path} is written. Open it in a browser.")


@app.command("class")
def summarise(
    folder: Annotated[Path, typer.Argument(help="The folder with your learners' reports, exports or journals.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for a program.")] = False,
    under: Annotated[int, typer.Option(min=1, help="Packed bytes that the best run must stay under.")] = 20_000,
) -> None:
    """Summarise what a class handed in: predictions, quizzes, runs."""
    from efflab.scoreboard.folder import summary

    found = summary(folder, under_bytes=under)
    typer.echo(found.as_json() if as_json else found.as_text())


@app.command("doctor")
def examine() -> None:
    """Check that everything works on this machine.

    The last line is for your teacher.
    """
    from efflab.cli import doctor
    from efflab.cli.findings import Examination

    findings = []
    for check in doctor.CHECKS:
        typer.echo(f"{check.name:12} ", nl=False)  # first, so that a crash inside a check names it
        findings.append(check())
        typer.echo(findings[-1].verdict)
    examination = Examination(tuple(findings))
    typer.echo(f"\nFor your teacher:\n{examination.line}")
    raise typer.Exit(0 if examination.is_ok else 1)
