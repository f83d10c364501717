"""Colours can be seen on white and on dark, and every look is a template that plotly accepts."""

import itertools

import plotly.graph_objects as go
import pytest

from efflab.figures import theme

ROLES = {name: getattr(theme, name) for name in ("BASE", "NOW", "PREDICTED", "TUNED", "CONTROL")}
LOOKS = {"light": theme.WHITE, "dark": theme.DARK, "projector": theme.WHITE, "projector_dark": theme.DARK}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_our_contrast_formula_agrees_with_the_published_ends():
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("background", [theme.WHITE, theme.DARK])
@pytest.mark.parametrize("role", ROLES)
def test_the_colour_of_a_role_has_a_contrast_of_three_on_both_backgrounds(role, background):
    assert contrast(ROLES[role], background) >= 3


def test_no_two_roles_share_a_colour():
    assert len(set(ROLES.values())) == len(ROLES) == 5


@pytest.mark.parametrize("name", LOOKS)
def test_text_has_a_contrast_of_seven_on_its_background(name):
    assert contrast(theme.templates()[name]["layout"]["font"]["color"], LOOKS[name]) >= 7


@pytest.mark.parametrize("name", LOOKS)
def test_plotly_accepts_the_template(name):
    template = theme.templates()[name]
    accepted = go.layout.Template(template).to_plotly_json()
    assert accepted["layout"]["font"] == template["layout"]["font"]
    assert accepted["data"]["scatter"][0]["line"]["width"] == template["data"]["scatter"][0]["line"]["width"]


def test_there_are_four_looks_with_transparent_backgrounds():
    looks = theme.templates()
    assert set(looks) == set(LOOKS)
    assert {look["layout"]["paper_bgcolor"] for look in looks.values()} == {"rgba(0,0,0,0)"}


def test_the_projector_has_18_point_type_and_3_pixel_lines():
    for name in ("projector", "projector_dark"):
        look = theme.templates()[name]
        assert look["layout"]["font"]["size"] == 24  # pixels; 18 points
        assert look["data"]["scatter"][0]["line"]["width"] == 3


def test_a_figure_without_the_bench_stands_on_white():
    assert theme.standalone()["layout"]["paper_bgcolor"] == theme.WHITE


def test_whoever_changes_a_template_changes_only_a_copy():
    theme.templates()["light"]["layout"]["font"]["size"] = 99
    assert theme.templates()["light"]["layout"]["font"]["size"] == 13


def test_twenty_layers_differ_in_colour_or_dash():
    looks = [theme.layer_look(i)["line"] for i in range(20)]
    assert all(one != other for one, other in itertools.combinations(looks, 2))


def test_a_band_is_its_colour_made_translucent():
    assert theme.translucent("#0072B2", 0.2) == "rgba(0,114,178,0.2)"
