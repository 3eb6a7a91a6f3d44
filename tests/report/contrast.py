"""How far two colours stand apart, by the Web Content Accessibility Guidelines 2."""

import numpy as np

__all__ = ["contrast"]


def contrast(one: str, other: str) -> float:
    """From 1 to 21, of two colours in six hexadecimal digits after a `#`."""

    def luminance(colour: str) -> float:
        parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
