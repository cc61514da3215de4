"""Distribution functions that gates need, typed, from scipy, which loads where it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mesh_assets.analyses.gates.bins import Floats

Numbers = npt.NDArray[Any]


def normal(z: Floats) -> Floats:
    """The chance of `z` or less."""
    return cast("Any", import_module("scipy.special")).ndtr(z)


def binomial(met: Numbers, drawn: Numbers, rate: Numbers) -> Floats:
    """The chance to meet `met` or fewer among `drawn`, each with the chance `rate`; `met` need not be whole."""
    special = cast("Any", import_module("scipy.special"))
    return np.where(met >= drawn, 1.0, special.betainc(np.maximum(drawn - met, 1e-9), met + 1, 1 - rate))


def hypergeometric(met: Numbers, drawn: Numbers, marked: Numbers, rows: Numbers) -> Floats:
    """The chance to meet `met` or fewer of `marked` among `drawn` of `rows`, without putting back."""
    return cast("Any", import_module("scipy.stats")).hypergeom.cdf(met, rows, marked, drawn)
