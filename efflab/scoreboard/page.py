"""A page in one file: no script, no request, light or dark as the reader's system is; all text is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load: nothing; a browser keeps to it even if something should slip through."""
SHORT = 14
"""Letters of a cell that stays on one line on paper, such as a count with its commas; longer ones may break."""
STYLE = """
:root { color-scheme: light dark; --line: #767676; --blue: #0072b2; --back: #fff; --fore: #000; }
@media (prefers-color-scheme: dark) { :root { --line: #8f8f8f; --blue: #56b4e9; --back: #111; --fore: #eee; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--back); color: var(--fore); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.5rem 0; }
caption { text-align: left; }
th, td { border: 1px solid var(--line); padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
svg { max-width: 100%; height: auto; }
svg text { fill: var(--fore); font: 13px system-ui, sans-serif; }
svg .axis, svg .front { stroke: var(--fore); fill: none; }
svg .front { stroke: var(--blue); stroke-width: 2; }
svg circle { stroke: var(--blue); fill: none; stroke-width: 1.5; }
svg circle.best { fill: var(--blue); }
.blank { border: 1px solid var(--line); min-height: 5rem; margin: 0.3rem 0 1rem; }
@page { size: landscape; margin: 1.2cm; }
@media print {
  :root { --back: #fff; --fore: #000; --blue: #0072b2; }
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  .wide { overflow: visible; }
  table { font-size: 7.5pt; line-height: 1.3; }
  th, td { padding: 0.1rem 0.25rem; }
  tbody { overflow-wrap: anywhere; }
  .short { white-space: nowrap; }
  tr, svg, .blank { break-inside: avoid; }
}
"""


def page(title: str, parts: Iterable[str]) -> str:
    """A whole page. title: a text; parts: HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>\n<h1>{escape(title)}</h1>\n{''.join(parts)}</main></body></html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A heading, a text, and below it HTML."""
    return f"<section><h2>{escape(heading)}</h2>\n{''.join(parts)}</section>\n"


def paragraph(text: str) -> str:
    """A text."""
    return f"<p>{escape(text)}</p>\n"


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Texts in rows, the first column as the head of its row; a sentence where there is no row."""
    body = "".join(
        f"<tr><th scope='row'>{escape(first)}</th>{''.join(map(_cell, rest))}</tr>\n" for first, *rest in rows
    )
    if not body:
        return paragraph("None.")
    head = "".join(f"<th scope='col'>{escape(text)}</th>" for text in heads)
    return (
        f"<div class='wide'><table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table></div>\n"
    )


def _cell(text: str) -> str:
    return f"<td{' class=short' if len(text) <= SHORT else ''}>{escape(text)}</td>"
