"""How the workings of a formula write their numbers: three digits, decimal units."""

UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def size(n_bytes: float, n_digits: int = 3) -> str:
    """Bytes in the unit that suits them, as tiles write them: 13480000000 -> "13.5 GB", 524288 -> "524 kB"."""
    factor, unit = next((one for one in UNITS if n_bytes >= 0.9995 * one[0]), (1.0, "B"))
    return f"{significant(n_bytes / factor, n_digits)} {unit}"


def plural(n: int, noun: str) -> str:
    """A count and what is counted: 1 -> "1 token", 4096 -> "4,096 tokens"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def electricity(kwh: float) -> str:
    """Electricity in the unit that suits it: 0.0000916 -> "0.0916 Wh", 79200 -> "79.2 MWh"."""
    if kwh >= 1000:
        return f"{three(kwh / 1000)} MWh"
    return f"{three(kwh)} kWh" if kwh >= 0.1 else f"{three(kwh * 1000)} Wh"


def three(value: float) -> str:
    """Three significant digits without an exponent, up to 10^15: 0.01234 -> "0.0123", 184320 -> "184,000"."""
    return significant(value, 3)


def significant(value: float, n_digits: int) -> str:
    """As many significant digits as asked for, without an exponent, up to 10^15: 26.04, 4 -> "26.04"."""
    rounded = float(f"{value:.{n_digits}g}")
    if abs(rounded) >= 1e15:
        return power(value)
    if rounded == 0 or abs(rounded) >= 10 ** (n_digits - 1):
        return f"{rounded:,.0f}"
    return f"{rounded:,.12f}".rstrip("0").rstrip(".")


def power(value: float) -> str:
    """A very large number with its power of ten: 3.14e23 -> "3.14 x 10^23"."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} x 10^{int(exponent)}"
