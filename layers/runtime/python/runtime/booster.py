"""One row through XGBoost's C API: no NumPy, no SciPy, no Python package at import.

Source: XGBoost's C API (`c_api.h`): `XGBoosterPredictFromDense` for scores, `XGBoosterPredictFromDMatrix`
with ``type = 2`` for exact SHAP contributions. The functions take arrays as JSON in NumPy's array interface.
"""

import ctypes
import importlib.util
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["Booster", "BoosterError", "library_version"]


class BoosterError(RuntimeError):
    """XGBoost refused: a model it cannot read, or a row of the wrong length."""


class Booster:
    """A loaded model that scores one row at a time, in one thread.

    What cannot score in this way, such as a linear model or one of several classes, is refused when it is loaded
    rather than when it is asked: one row without any value is scored.

    Parameters
    ----------
    model : bytes
        In XGBoost's UBJSON format, and whole: on a part of a model XGBoost may end the process, or never return.
        `BundleStore` adds whole models only and checks their digest when it loads them.
    columns : int
        How many features a row has.

    Raises
    ------
    BoosterError
        If XGBoost cannot read the model or not score with it, or if it wants another number of features.

    Attributes
    ----------
    names : tuple of str
        The model's columns, in order; empty if they were not saved with it.
    """

    def __init__(self, model: bytes, columns: int) -> None:
        self._handle = ctypes.c_void_p()  # first: `__del__` runs however far this got
        self._library = _library()
        if not model:
            # XGBoost ends the whole process on an empty buffer; on every other one it reports an error.
            raise BoosterError("the model is empty")
        self._call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._handle))
        self._call("XGBoosterSetParam", self._handle, b"nthread", b"1")
        self._call("XGBoosterLoadModelFromBuffer", self._handle, model, ctypes.c_uint64(len(model)))
        wanted = ctypes.c_uint64()
        self._call("XGBoosterGetNumFeature", self._handle, ctypes.byref(wanted))
        if wanted.value != columns:
            raise BoosterError(f"the model takes {wanted.value} features, its manifest lists {columns}")
        self._columns = columns
        # The buffer and its description are made once: a row is then 4 bytes a feature to copy.
        self._row = (ctypes.c_float * columns)()
        interface = {
            "data": [ctypes.addressof(self._row), True],
            "shape": [1, columns],
            "typestr": "<f4",
            "version": 3,
        }
        self._interface = json.dumps(interface).encode()
        self._scores = _config(type=0, strict_shape=False)
        self._contributions = _config(type=2, strict_shape=False)
        self.names = self._names()
        self.predict([math.nan] * columns)

    def __del__(self) -> None:
        if self._handle.value:
            self._library.XGBoosterFree(self._handle)

    def predict(self, row: Sequence[float]) -> float:
        """The model's raw probability, as a 32-bit float; NaN in the row means missing."""
        self._fill(row)
        return self._run("XGBoosterPredictFromDense", self._interface, self._scores, 1)[0]

    def contributions(self, row: Sequence[float]) -> tuple[float, ...]:
        """Exact SHAP values in log-odds, one a feature, and the bias last; shape (columns + 1,)."""
        self._fill(row)
        matrix = ctypes.c_void_p()
        settings = b'{"missing": NaN, "nthread": 1}'
        self._call("XGDMatrixCreateFromDense", self._interface, settings, ctypes.byref(matrix))
        try:
            return self._run("XGBoosterPredictFromDMatrix", matrix, self._contributions, self._columns + 1)
        finally:
            self._library.XGDMatrixFree(matrix)

    def _names(self) -> tuple[str, ...]:
        count = ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_char_p)()
        out = (ctypes.byref(count), ctypes.byref(found))
        self._call("XGBoosterGetStrFeatureInfo", self._handle, b"feature_name", *out)
        return tuple(found[place].decode() for place in range(count.value))

    def _fill(self, row: Sequence[float]) -> None:
        if len(row) != self._columns:
            raise BoosterError(f"the model takes {self._columns} features, got a row of {len(row)}")
        self._row[:] = list(row)

    def _run(
        self, function: str, data: bytes | ctypes.c_void_p, config: bytes, expected: int
    ) -> tuple[float, ...]:
        shape = ctypes.POINTER(ctypes.c_uint64)()
        dimensions = ctypes.c_uint64()
        result = ctypes.POINTER(ctypes.c_float)()
        out = (ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(result))
        extra = (None,) if function.endswith("Dense") else ()
        self._call(function, self._handle, data, config, *extra, *out)
        size = math.prod(shape[axis] for axis in range(dimensions.value))
        if size != expected:
            raise BoosterError(f"expected {expected} numbers from {function}, got {size}")
        return tuple(result[:size])

    def _call(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            raise BoosterError(self._library.XGBGetLastError().decode().splitlines()[0])


def library_version() -> tuple[int, int, int]:
    """The version of XGBoost that scores.

    Raises
    ------
    BoosterError
        If the library is not there.
    """
    parts = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    _library().XGBoostVersion(*map(ctypes.byref, parts))
    major, minor, patch = (part.value for part in parts)
    return major, minor, patch


def _config(**settings: object) -> bytes:
    defaults = {"training": False, "iteration_begin": 0, "iteration_end": 0, "missing": math.nan, "cache_id": 0}
    return json.dumps(defaults | settings).encode()


@cache
def _library() -> ctypes.CDLL:
    # Found without importing: the package itself would pull NumPy and SciPy, which the layer leaves out.
    spec = importlib.util.find_spec("xgboost")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "lib" / "libxgboost.so"
        if path.exists():
            library = ctypes.CDLL(str(path))
            library.XGBGetLastError.restype = ctypes.c_char_p
            return library
    raise BoosterError("libxgboost.so is not on the path; the vendor layer carries it (package xgboost-cpu)")
