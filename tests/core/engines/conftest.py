from pathlib import Path

import numpy as np
import pytest

from segapp.core.engines.options import StardistParams
from segapp.io.models import open_model

TINY = Path(__file__).parent / "fixtures" / "tiny"


@pytest.fixture(scope="session")
def tiny():
    """The architecture of the bundled network, small, trained on blobs (tests/extras/make_tiny_network.py)."""
    return open_model(StardistParams(model=str(TINY)))


@pytest.fixture(scope="session")
def stain():
    """Bright discs on a noisy background, some cut by the edge."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :277]
    image = np.zeros((300, 277))
    for row, column, radius in np.column_stack([rng.uniform(0, 300, (90, 2)), rng.uniform(4, 8, 90)]):
        near = np.sqrt((rows - row) ** 2 + (columns - column) ** 2)
        image = np.maximum(image, rng.uniform(90, 180) / (1 + np.exp(np.minimum(2 * (near - radius), 50))))
    return np.clip(image + rng.normal(20, 8, image.shape), 0, 255).astype(np.uint8)
