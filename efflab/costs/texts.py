"""How the workings of a formula write their numbers: three digits, decimal units."""


def gb(n_bytes: float) -> str:
    """Bytes in GB or, below a tenth of it, in MB: 13480000000 -> "13.5 GB"."""
    return f"{three(n_bytes / 1e9)} GB" if n_bytes >= 1e8 else f"{three(n_bytes / 1e6)} MB"


def electricity(kwh: float) -> str:
    """Electricity in the unit that suits it: 0.0000916 -> "0.0916 Wh", 79200 -> "79.2 MWh"."""
    if kwh >= 1000:
        return f"{three(kwh / 1000)} MWh"
    return f"{three(kwh)} kWh" if kwh >= 0.1 else f"{three(kwh * 1000)} Wh"


def three(value: float) -> str:
    """Three significant digits without an exponent, up to 10^15: 0.01234 -> "0.0123", 184320 -> "184,000"."""
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 1e15:
        return power(value)
    if rounded == 0 or abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:,.12f}".rstrip("0").rstrip(".")


def power(value: float) -> str:
    """A very large number with its power of ten: 3.14e23 -> "3.14 x 10^23"."""
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{mantissa} x 10^{int(exponent)}"
