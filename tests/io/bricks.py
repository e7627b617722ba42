"""Files as other programs write them, with a pattern that no turn or mirroring leaves as it is."""

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

HEIGHT, WIDTH = 24, 40
CORNER = (6, 15)  # x, y of the corner of the L


def the_l():
    """x and y of an L: a long stroke down to the corner, a short one to the right of it."""
    x0, y0 = CORNER
    stroke = [(x0, y) for y in range(4, y0 + 1)] + [(x, y0) for x in range(x0 + 1, x0 + 6)]
    return np.array([x for x, _ in stroke]), np.array([y for _, y in stroke])


def picture():
    """The L as an image of two channels: the second is its frame."""
    image = np.zeros((2, HEIGHT, WIDTH), np.uint16)
    x, y = the_l()
    image[0, y, x] = 900
    image[1, [0, -1], :] = 7
    return image


def is_the_l(transcripts, shift=(0, 0)):
    """Whether the places of records are those of the L, and its corner is where it belongs."""
    x, y = the_l()
    found = set(zip(transcripts.x.tolist(), transcripts.y.tolist(), strict=True))
    return found == set(zip((x + shift[0]).tolist(), (y + shift[1]).tolist(), strict=True))


def bins(*, pitch=1.0, columns=False, layers=True):
    """Bins x genes as AnnData: two genes in every bin of the L."""
    x, y = the_l()
    counts = sparse.csr_matrix(np.stack([np.arange(len(x)) + 1, np.full(len(x), 2)], axis=1).astype(np.float32))
    table = AnnData(counts, obs=pd.DataFrame(index=[f"bin{i}" for i in range(len(x))]))
    table.var_names = ["Actb", "Malat1"]
    if columns:
        table.obs["array_row"], table.obs["array_col"] = y, x
    else:
        table.obsm["spatial"] = np.stack([x, y], axis=1) * pitch
    if layers:
        table.layers["unspliced"] = sparse.csr_matrix(np.stack([np.zeros(len(x)), np.ones(len(x))], axis=1))
    return table


def cell_bin_gef(path, *, borders=True):
    """Two cells as geftools writes them: ids from 0, borders of 32 corners around the centre, the rest 32767."""
    cell = np.dtype(
        [
            *((name, "<u4") for name in ("id",)),
            *((name, "<i4") for name in ("x", "y")),
            ("offset", "<u4"),
            *((name, "<u2") for name in ("geneCount", "expCount", "dnbCount", "area", "cellTypeID", "clusterID")),
        ]
    )
    with h5py.File(path, "w") as file:
        file.attrs["resolution"] = np.array([500], np.uint32)
        file.attrs["version"] = np.array([2], np.uint32)
        file["cellBin/cell"] = np.array([(0, 110, 210, 0, 2, 7, 5, 25, 0, 0), (1, 130, 205, 2, 1, 4, 3, 9, 0, 0)], cell)
        file["cellBin/cellExp"] = np.array([(0, 5), (1, 2), (1, 4)], [("geneID", "<u4"), ("count", "<u2")])
        file["cellBin/gene"] = np.array(
            [(b"ENSMUSG1", b"Actb", 0, 1), (b"ENSMUSG2", b"Malat1", 1, 2)],
            [("geneID", "S64"), ("geneName", "S64"), ("offset", "<u4"), ("cellCount", "<u4")],
        )
        if borders:
            border = np.full((2, 32, 2), 32767, np.int16)
            # an L whose corner is at the lower left: x - 2 .. x + 2, y - 4 .. y + 2
            border[0, :6] = [(-2, -4), (-1, -4), (-1, 1), (2, 1), (2, 2), (-2, 2)]
            border[1, :4] = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
            file["cellBin/cellBorder"] = border
    return path
