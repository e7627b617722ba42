"""Hostile but valid-looking inputs: hypothesis chooses their kind, a seeded generator fills the pixels."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from segapp.core.params import Params, classes, knobs, patch
from segapp.core.records import make_transcripts
from segapp.core.types import Grid, StainFile, Transcripts

UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
SIGNED = (np.int8, np.int16, np.int32, np.int64)
FLOATS = (np.float16, np.float32, np.float64, np.longdouble)
SWAPPED = (np.dtype(">u2"), np.dtype(">i4"), np.dtype(">f4"))
ANY = (np.bool_, *UNSIGNED, *SIGNED, *FLOATS, *SWAPPED)
INTEGERS = (*UNSIGNED, *SIGNED, SWAPPED[0], SWAPPED[1])
KINDS = ("sparse", "noise", "constant", "zero", "blobs", "hot", "saturated", "negative", "broken", "ramp", "binary")
LAYOUTS = ("plain", "plain", "read-only", "columns", "strided", "reversed", "window")


_integers = functools.lru_cache(4096)(st.integers)
_BOOLEANS = st.booleans()


@dataclass
class Fresh:
    """An argument that a call consumes, made anew for every call."""

    make: Callable[[], Any]


class Gen:
    """Draws the inputs of one example."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], largest: int = 64) -> None:
        self.draw = draw
        self.largest = largest
        self.rng = np.random.default_rng(self.int(0, 2**32 - 1))

    # numbers

    def int(self, low: int, high: int) -> int:
        return self.draw(_integers(low, high))

    def float(self, low: float, high: float) -> float:
        return self.draw(st.floats(low, high))

    def bool(self) -> bool:
        return self.draw(_BOOLEANS)

    def pick(self, choices: Sequence[Any]) -> Any:
        choices = tuple(choices)
        return choices[self.draw(_integers(0, len(choices) - 1))]

    def odd(self, high: int = 15) -> int:
        return 2 * self.int(0, high // 2) + 1

    def maybe(self, make: Callable[[], Any]) -> Any:
        return make() if self.bool() else None

    # arrays

    def shape(self, least: int = 1) -> tuple[int, int]:
        high = self.pick((min(8, self.largest), min(24, self.largest), self.largest))
        return self.int(least, max(high, least)), self.int(least, max(high, least))

    def values(self, shape: tuple[int, ...], kind: str) -> np.ndarray:
        """Float64 values; what does not fit a dtype is clipped by whoever casts."""
        rng = self.rng
        if kind == "zero":
            return np.zeros(shape)
        if kind == "constant":
            return np.full(shape, float(rng.integers(0, 300)))
        if kind == "sparse":
            return (rng.random(shape) < 0.03) * rng.integers(1, 4, shape).astype(float)
        if kind == "binary":
            return (rng.random(shape) < 0.5).astype(float)
        if kind == "ramp":
            return np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
        noise = rng.poisson(rng.choice([0.3, 4.0, 90.0]), shape).astype(float)
        if kind == "hot":
            noise.flat[rng.integers(noise.size)] = rng.choice([4e3, 7e4, 3e9])
        elif kind == "saturated":
            noise[rng.random(shape) < 0.6] = rng.choice([255.0, 65535.0, 4294967295.0])
        elif kind == "negative":
            noise -= noise.mean() + 1
        elif kind == "blobs":
            y, x = np.mgrid[: shape[0], : shape[1]]
            for _ in range(rng.integers(1, 5)):
                r = rng.uniform(1, 7)
                noise[(y - rng.uniform(0, shape[0])) ** 2 + (x - rng.uniform(0, shape[1])) ** 2 <= r * r] += 60
        elif kind == "broken":
            noise.flat[rng.integers(noise.size)] = rng.choice([np.nan, np.inf, -np.inf])
        return noise

    def laid_out(self, array: np.ndarray) -> np.ndarray:
        """The same values in another order in memory."""
        layout = self.pick(LAYOUTS)
        if layout == "columns":
            return np.asfortranarray(array)
        if layout == "strided":
            return np.repeat(array, 2, axis=-1)[..., ::2]
        if layout == "reversed":
            return np.ascontiguousarray(array[::-1])[::-1]
        if layout == "window":
            return np.pad(array, 1)[tuple(slice(1, -1) for _ in array.shape)]
        array = np.ascontiguousarray(array)
        if layout == "read-only":
            array.flags.writeable = False
        return array

    def image(self, shape: tuple[int, int], dtypes: Sequence[Any] = ANY, kinds: Sequence[str] = KINDS) -> np.ndarray:
        values, dtype = self.values(shape, self.pick(kinds)), np.dtype(self.pick(dtypes))
        if dtype.kind in "ui":
            limits = np.iinfo(dtype)
            values = np.clip(np.nan_to_num(values), limits.min, float(np.nextafter(float(limits.max), 0)))
        elif dtype == np.float16:
            values = np.clip(values, -6e4, 6e4)
        return self.laid_out(values.astype(dtype))

    def counts(self, shape: tuple[int, int]) -> np.ndarray:
        """UMIs, mostly as counts should be."""
        good = ("sparse", "noise", "constant", "zero", "blobs", "hot", "saturated", "binary")
        return self.image(shape, (*INTEGERS, np.float32, np.float64), good)

    def exact(self, shape: tuple[int, int], dtype: Any, kinds: Sequence[str] = ("noise", "blobs", "sparse")) -> Any:
        """What a function behind the door is given: C-contiguous, of one dtype, finite."""
        return np.ascontiguousarray(self.values(shape, self.pick(kinds)).astype(dtype))

    def mask(self, shape: tuple[int, int], dtypes: Sequence[Any] = (np.bool_, np.bool_, np.uint8)) -> np.ndarray:
        kind = self.pick(("empty", "full", "noise", "blobs", "dots", "lines"))
        mask = np.zeros(shape, bool)
        if kind == "full":
            mask[:] = True
        elif kind == "noise":
            mask = self.rng.random(shape) < 0.5
        elif kind == "dots":
            mask = self.rng.random(shape) < 0.03
        elif kind == "lines":
            mask[:: self.int(2, 5)] = True
        elif kind == "blobs":
            mask = self.values(shape, "blobs") > 50
        return self.laid_out(mask.astype(self.pick(dtypes)))

    def labels(self, shape: tuple[int, int], dtypes: Sequence[Any] = INTEGERS, huge: bool = True) -> np.ndarray:
        """Labels with gaps, pieces apart and huge ids."""
        kind = self.pick(("empty", "one", "blocks", "noise", "rows", "full"))
        dtype = np.dtype(self.pick(dtypes))
        labels = np.zeros(shape, np.int64)
        if kind == "one":
            labels.flat[self.int(0, labels.size - 1)] = 1
        elif kind == "full":
            labels[:] = self.int(1, 9)
        elif kind == "noise":
            labels = self.rng.integers(0, 6, shape)
        elif kind == "rows":
            labels += np.arange(1, shape[0] + 1)[:, None]
        elif kind == "blocks":
            side = self.int(1, 9)
            block = self.rng.integers(0, 7, (-(-shape[0] // side), -(-shape[1] // side)))
            labels = block.repeat(side, 0).repeat(side, 1)[: shape[0], : shape[1]]
        highest = min(np.iinfo(dtype).max, 2**31 - 1)
        spread = self.pick((1, 1, 7, 1000, 2**24 + 3)) if huge else self.pick((1, 1, 3))
        labels = np.minimum(labels * spread, highest)
        if huge and self.int(0, 9) == 0:
            labels[labels == labels.max()] = highest * bool(labels.max())
        return self.laid_out(labels.astype(dtype))

    def int32_labels(self, shape: tuple[int, int]) -> np.ndarray:
        return np.ascontiguousarray(self.labels(shape, (np.int32,), huge=False))

    # the product's own values

    def params(self, declared: Any, **limits: Any) -> Params:
        """Parameters within their bounds, at the bounds too; `limits` caps or fixes some of them."""
        kind = self.pick(classes(declared))
        changes = {}
        for knob in knobs(kind):
            cap = limits.get(knob.name)
            if callable(cap):
                changes[knob.name] = cap()
            elif knob.kind == "bool":
                changes[knob.name] = self.bool()
            elif knob.kind == "choice" and len(knob.choices) > 1:
                changes[knob.name] = self.pick(knob.choices)
            elif knob.words and self.bool():
                changes[knob.name] = self.pick(knob.words)
            elif knob.kind in ("int", "float"):
                soft = knob.soft if isinstance(knob.soft, tuple) else (knob.ge, knob.le)
                low = self.pick((knob.ge, soft[0]))
                high = min(cap if cap is not None else np.inf, self.pick((soft[1], min(knob.le, 4 * soft[1]))))
                if knob.kind == "float":
                    changes[knob.name] = self.float(low, max(high, low))
                elif knob.odd:
                    changes[knob.name] = 2 * self.int(int(low) // 2, max(int(high) - 1, int(low)) // 2) + 1
                else:
                    changes[knob.name] = self.int(int(low), max(int(high), int(low)))
        return patch(kind, kind(), changes)

    def grid(self, shape: tuple[int, int]) -> Grid:
        return Grid(self.int(-50, 50), self.int(-50, 50), *shape, self.pick((0.5, 2.0)))

    def transcripts(self, grid: Grid, *, genes: Sequence[str] = ("Actb", "MALAT1", "Neat1", "Gapdh")) -> Transcripts:
        n, rng = self.int(1, 200), self.rng
        x = rng.integers(grid.x0 - 2, grid.x0 + grid.width + 2, n)
        y = rng.integers(grid.y0 - 2, grid.y0 + grid.height + 2, n)
        total = rng.integers(0, self.pick((2, 9, 70_000)), n)
        layers = {"total": total}
        for name in self.pick(((), ("spliced", "unspliced"), ("exon",), ("unspliced",))):
            layers[name] = rng.integers(0, total + 1)
        header = self.pick(({}, {"BinSize": "1"}, {"BinSize": "50", "OffsetX": "7", "OffsetY": "-3"}, {"BinSize": "x"}))
        cell = self.maybe(lambda: rng.integers(0, 5, n))
        return make_transcripts(x, y, rng.integers(0, len(genes), n), layers, genes, header=header, cell_id=cell)

    def stain_file(self, shape: tuple[int, int]) -> StainFile:
        axes, extra = self.pick((("YX", ()), ("YXS", (3,)), ("CYX", (2,)), ("YX", (2,))))
        if not extra:
            return StainFile(self.image(shape), axes)
        dtypes = (self.pick(ANY),)
        stack = [self.image(shape, dtypes) for _ in range(extra[0])]
        image = np.stack(stack, 0 if axes == "CYX" else -1)
        return StainFile(image, axes, self.pick(((), ("DAPI", "RNA"))))

    def matrix(self) -> np.ndarray:
        """A 2 x 3 matrix that can be inverted and stays near the frame."""
        angle, scale = self.float(-3.0, 3.0), self.float(0.5, 2.0)
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        return np.array([[c, -s, self.float(-20, 20)], [s, c, self.float(-20, 20)]])
