"""The canonical form of UMI records."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.records import make_transcripts, sort_order
from segapp.core.types import InputError


def test_genes_are_sorted_by_name_once_each_and_only_those_that_occur():
    t = make_transcripts([1, 1, 2], [1, 1, 1], [0, 2, 1], {"total": [1, 2, 3]}, ["b", "a", "b", "unused"])
    assert t.genes == ("a", "b") and t.gene.tolist() == [1, 0] and t.counts["total"].tolist() == [3, 3]


def test_arguments_stay_as_they_were():
    x, y, gene, total = (np.array(v, dtype=np.int32) for v in ([2, 1], [1, 1], [0, 0], [1, 1]))
    t = make_transcripts(x, y, gene, {"total": total}, ["a"])
    assert x.tolist() == [2, 1] and x.flags.writeable and total.flags.writeable
    ordered = make_transcripts(t.x.copy(), t.y.copy(), t.gene.copy(), {"total": total}, ["a"])
    assert ordered.digest == t.digest and not ordered.x.flags.writeable


def test_behaviour_06_sums_do_not_wrap():
    t = make_transcripts([1] * 3, [1] * 3, [0] * 3, {"total": np.array([250, 250, 250], dtype=np.uint8)}, ["a"])
    assert t.counts["total"].tolist() == [750]
    t = make_transcripts([1] * 3, [1] * 3, [0] * 3, {"total": np.full(3, 65535, dtype=np.uint16)}, ["a"])
    assert t.counts["total"].tolist() == [196605]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"total": [-1]}, "runs from -1"),
        ({"total": [1 << 32]}, "runs from 4294967296"),
        ({"total": [1.5]}, "fractions"),
        ({"total": [np.nan]}, "runs from nan"),
        ({"x": [1 << 31]}, "`x` runs"),
        ({"gene": [1]}, "gene code"),
    ],
)
def test_what_does_not_fit_is_refused(changed, reason):
    columns = {"x": [1], "y": [1], "gene": [0], "total": [1]} | changed
    with pytest.raises(InputError, match=reason):
        make_transcripts(columns["x"], columns["y"], columns["gene"], {"total": columns["total"]}, ["a"])


def test_no_record_is_refused():
    with pytest.raises(InputError, match="no UMI record"):
        make_transcripts([], [], [], {"total": []}, ["a"])


def test_the_highest_cell_id_of_duplicated_records_is_kept_in_any_order():
    kept = [
        make_transcripts([1, 1], [1, 1], [0, 0], {"total": [1, 1]}, ["a"], cell_id=ids).cell_id.tolist()
        for ids in ([0, 9], [9, 0])
    ]
    assert kept == [[9], [9]]


def test_the_digest_sees_every_part():
    base = {"x": [1], "y": [1], "gene": [0], "counts": {"total": [1]}, "genes": ["a"]}
    changes = [{}, {"x": [2]}, {"y": [2]}, {"genes": ["b"]}, {"counts": {"total": [2]}}, {"header": {"BinSize": "2"}}]
    changes += [{"cell_id": [0]}, {"counts": {"total": [1], "exon": [1]}}]
    assert len({make_transcripts(**(base | change)).digest for change in changes}) == len(changes)


integers = st.integers(-(1 << 31), (1 << 31) - 1)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(integers, st.integers(-2, 2), st.integers(0, 1 << 17)), min_size=1, max_size=40))
def test_sort_order_is_the_stable_order_of_the_keys(rows):
    keys = [np.array(column, dtype=np.int32) for column in zip(*rows, strict=True)]
    assert sort_order(*keys).tolist() == np.lexsort(keys[::-1]).tolist()
