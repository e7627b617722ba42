"""GEM files: what is read, what is summed, and what is refused with one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from segapp.core.records import make_transcripts
from segapp.core.types import Cancelled, InputError
from segapp.io import gem_text
from segapp.io.gem import read_gem, write_gem

HEAD = "geneID\tx\ty\tMIDCount\n"


def write(path: Path, text: str) -> Path:
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def rows(transcripts):
    names = [transcripts.genes[g] for g in transcripts.gene]
    return list(
        zip(names, transcripts.x.tolist(), transcripts.y.tolist(), transcripts.counts["total"].tolist(), strict=True)
    )


# --- what is read ---------------------------------------------------------------------------------------------------


def test_records_are_sorted_by_row_then_column_then_gene(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", HEAD + "b\t2\t1\t1\nb\t1\t2\t2\na\t2\t1\t3\na\t1\t1\t4\n"))
    assert rows(t) == [("a", 1, 1, 4), ("a", 2, 1, 3), ("b", 2, 1, 1), ("b", 1, 2, 2)]
    assert t.x.dtype == t.y.dtype == t.gene.dtype == np.int32 and t.counts["total"].dtype == np.uint32
    assert not t.x.flags.writeable and not t.counts["total"].flags.writeable


def test_behaviour_22_gem_header_and_offsets_are_kept_and_never_added(tmp_path):
    head = "#FileFormat=GEMv0.1\n#SortedBy=None\n#BinType=Bin\n#BinSize=1\n#Omics=Transcriptomics\n"
    head += "#Stereo-seqChip=SS2\n#OffsetX=100\n#OffsetY=200\n"
    t = read_gem(write(tmp_path / "a.gem", head + HEAD + "a\t1\t2\t3\n"))
    assert t.header["OffsetX"] == "100" and t.header["Stereo-seqChip"] == "SS2" and t.header["BinSize"] == "1"
    assert t.bbox == (1, 2, 1, 2)


@pytest.mark.parametrize("name", ["MIDCount", "MIDCounts", "UMICount", "UMICounts", "midcount"])
def test_behaviour_22_gem_names_of_the_count_column(tmp_path, name):
    assert read_gem(write(tmp_path / "a.gem", f"geneID\tx\ty\t{name}\na\t1\t2\t3\n")).n_umis == 3


def test_behaviour_22_gem_columns_in_any_order_and_unknown_ones(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", "y\tUMICount\tnote\tx\tgeneID\n2\t3\thello\t1\ta\n"))
    assert rows(t) == [("a", 1, 2, 3)]


def test_behaviour_22_gem_duplicated_rows_sum(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", HEAD + "a\t1\t2\t3\nb\t1\t2\t1\na\t1\t2\t4\na\t1\t2\t5\n"))
    assert rows(t) == [("a", 1, 2, 12), ("b", 1, 2, 1)]


def test_behaviour_22_gem_exonic_and_intronic_are_spliced_and_unspliced(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", "geneID\tx\ty\tMIDCounts\tEXONIC\tINTRONIC\na\t1\t2\t5\t3\t2\n"))
    assert {k: v.tolist() for k, v in t.counts.items()} == {"total": [5], "spliced": [3], "unspliced": [2]}


def test_behaviour_22_gem_exon_count_is_exon_and_never_spliced(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", "geneID\tx\ty\tMIDCount\tExonCount\na\t1\t2\t5\t3\n"))
    assert set(t.counts) == {"total", "exon"} and t.counts["exon"].tolist() == [3]


@pytest.mark.parametrize("name", ["CellID", "label"])
def test_behaviour_22_gem_cell_ids_survive_and_an_empty_one_is_none(tmp_path, name):
    text = f"geneID\tx\ty\tMIDCount\t{name}\na\t1\t1\t1\t70001\na\t2\t1\t1\t\na\t3\t1\t1\t0\n"
    assert read_gem(write(tmp_path / "a.gem", text)).cell_id.tolist() == [70001, 0, 0]


def test_behaviour_22_gem_gene_name_goes_before_gene_id(tmp_path):
    text = "geneID\tgeneName\tx\ty\tMIDCount\nENS1\tActb\t1\t1\t1\nENS2\t\t2\t1\t1\n"
    assert read_gem(write(tmp_path / "a.gem", text)).genes == ("Actb", "ENS2")


def test_behaviour_22_gem_plain_and_gzip_and_any_row_order_have_one_digest(tmp_path):
    lines = ["a\t1\t2\t3\n", "b\t1\t2\t1\n", "a\t9\t2\t4\n"]
    plain = read_gem(write(tmp_path / "a.gem", "#BinSize=1\n" + HEAD + "".join(lines)))
    packed = read_gem(write(tmp_path / "a.gem.gz", "#BinSize=1\n" + HEAD + "".join(lines[::-1])))
    other = read_gem(write(tmp_path / "b.gem", "#BinSize=1\n" + HEAD + "".join(lines[:2])))
    assert plain.digest == packed.digest != other.digest
    # The content decides, not the name.
    (tmp_path / "c.gem").write_bytes((tmp_path / "a.gem.gz").read_bytes())
    assert read_gem(tmp_path / "c.gem").digest == plain.digest


def test_behaviour_06_counts_above_65535_do_not_wrap(tmp_path):
    t = read_gem(write(tmp_path / "a.gem", HEAD + "a\t1\t1\t70000\na\t1\t1\t4000000000\nb\t1\t1\t4294967295\n"))
    assert t.counts["total"].tolist() == [4000070000, 4294967295]
    assert t.n_umis == 4000070000 + 4294967295


def test_behaviour_06_a_sum_that_no_count_can_hold_is_refused(tmp_path):
    path = write(tmp_path / "a.gem", HEAD + "a\t1\t1\t4294967295\na\t1\t1\t1\n")
    with pytest.raises(InputError, match="4,294,967,296 UMIs"):
        read_gem(path)


def test_windows_line_ends_blank_lines_and_a_byte_order_mark(tmp_path):
    text = "\ufeff#BinSize=1\r\ngeneID\tx\ty\tMIDCount\r\na\t1\t2\t3\r\n\r\nb\t-4\t2\t1\r\n\r\n"
    t = read_gem(write(tmp_path / "a.gem", text))
    assert rows(t) == [("b", -4, 2, 1), ("a", 1, 2, 3)] and t.header == {"BinSize": "1"}


def test_a_last_line_without_line_end_and_a_gene_with_quotes(tmp_path):
    assert rows(read_gem(write(tmp_path / "a.gem", HEAD + 'a"b\t1\t2\t3'))) == [('a"b', 1, 2, 3)]


def test_blocks_do_not_show(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    body = "".join(f"g{g}\t{x}\t{y}\t1\n" for g, x, y in rng.integers(0, 30, (500, 3)))
    path = write(tmp_path / "a.gem.gz", "#BinSize=1\n" + HEAD + body)
    whole = read_gem(path)
    monkeypatch.setattr(gem_text, "_BLOCK", 37)
    blocks = []
    split = read_gem(path, tick=lambda done, total: blocks.append((done, total)))
    assert split.digest == whole.digest and split.n_umis == 500 and len(blocks) > 50
    assert all(done <= total for done, total in blocks)


def test_reading_stops_when_it_is_told_to(tmp_path):
    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        read_gem(write(tmp_path / "a.gem", HEAD + "a\t1\t2\t3\n"), tick=stop)


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.gem", "a.gem.gz"])
def test_round_trip(tmp_path, name):
    counts = {"total": [1, 70000, 3], "spliced": [1, 2, 0], "unspliced": [0, 1, 3], "exon": [1, 1, 1]}
    t = make_transcripts(
        [3, 1, -2], [5, 5, 9], [0, 1, 0], counts, ["a", "b"], header={"OffsetX": "7"}, cell_id=[0, 2, 9]
    )
    write_gem(t, tmp_path / name)
    back = read_gem(tmp_path / name)
    assert back.digest == t.digest and set(back.counts) == set(counts) and back.cell_id.tolist() == t.cell_id.tolist()
    assert (tmp_path / name).read_bytes()[:2] == (b"\x1f\x8b" if name.endswith("gz") else b"#O")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_gzip_files_of_equal_records_are_equal_bytes(tmp_path):
    t = make_transcripts([1], [2], [0], {"total": [3]}, ["a"])
    write_gem(t, tmp_path / "a.gem.gz")
    write_gem(t, tmp_path / "b.gem.gz")
    assert (tmp_path / "a.gem.gz").read_bytes() == (tmp_path / "b.gem.gz").read_bytes()


record = st.tuples(st.sampled_from("abc"), st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 1 << 20))


@settings(max_examples=25, deadline=None)
@given(st.lists(record, min_size=1, max_size=30))
def test_any_records_are_summed_by_gene_and_position(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("gem") / "a.gem"
    t = read_gem(write(path, HEAD + "".join("\t".join(map(str, r)) + "\n" for r in records)))
    expected: dict = {}
    for gene_name, x, y, n in records:
        expected[y, x, gene_name] = expected.get((y, x, gene_name), 0) + n
    assert {(y, x, g): n for g, x, y, n in rows(t)} == expected
    assert [(y, x, g) for g, x, y, _ in rows(t)] == sorted(expected)


# --- what is refused ------------------------------------------------------------------------------------------------

BAD = {
    "missing column": ("geneID\ty\tMIDCount\na\t1\t1\n", "has no column x; its columns are geneID, y, MIDCount"),
    "two columns missing": ("geneID\tx\nb\t1\n", "has no column y and no column MIDCount"),
    "commas": ("geneID,x,y,MIDCount\na,1,1,1\n", "not separated by tabs"),
    "empty": ("", "is empty"),
    "only header lines": ("#BinSize=1\n\n", "is empty"),
    "no record": (HEAD, "no UMI record"),
    "text in counts": (HEAD + "a\t1\t1\t1\nb\t1\t1\tmany\n", "line 3: MIDCount is 'many', but a whole number"),
    "fraction": (HEAD + "a\t1\t1\t1.5\n", "line 2: MIDCount is '1.5'"),
    "negative": (
        "#B=1\n" + HEAD + "a\t1\t1\t1\nb\t1\t1\t-2\n",
        "line 4: MIDCount is -2, but counts cannot",
    ),
    "too large": (HEAD + "a\t1\t1\t4294967296\n", "line 2: MIDCount is 4294967296, but at most 4,294,967,295"),
    "far away": (HEAD + "a\t3000000000\t1\t1\n", "line 2: x is 3000000000"),
    "larger than 64 bits": (HEAD + "a\t99999999999999999999\t1\t1\n", "line 2: x is 99999999999999999999"),
    "text in x": (HEAD + "a\tleft\t1\t1\n", "line 2: x is 'left'"),
    "cut line": (HEAD + "a\t1\t1\t1\nb\t1\n", "line 3, has 2 columns where the header names 4"),
    "long line": (HEAD + "a\t1\t1\t1\nb\t1\t1\t1\t9\n", "line 3, has 5 columns"),
    "no gene": (HEAD + "\t1\t1\t1\n", "line 2, has no gene name"),
    "text in cell id": ("geneID\tx\ty\tMIDCount\tCellID\na\t1\t1\t1\tc1\n", "line 2: CellID is 'c1'"),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["a.gem", "a.gem.gz"])
def test_bad_text_is_refused_with_one_sentence(tmp_path, name, text, reason):
    path = write(tmp_path / name, text)
    with pytest.raises(InputError) as error:
        read_gem(path)
    sentence = str(error.value)
    assert reason in sentence and str(path) in sentence and "\n" not in sentence


def test_the_line_is_right_in_a_later_block(tmp_path, monkeypatch):
    monkeypatch.setattr(gem_text, "_BLOCK", 64)
    path = write(
        tmp_path / "a.gem", "#BinSize=1\n" + HEAD + "a\t1\t1\t1\n" * 100 + "a\t1\t1\tx\n" + "a\t1\t1\t1\n" * 100
    )
    with pytest.raises(InputError, match="line 103: MIDCount"):
        read_gem(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read_gem(tmp_path / "none.gem")
    with pytest.raises(InputError, match="is a folder"):
        read_gem(tmp_path)


@pytest.mark.parametrize("kept", [0.5, 0.999])
def test_truncated_gzip_is_refused(tmp_path, kept):
    path = tmp_path / "a.gem.gz"
    rng = np.random.default_rng(0)
    data = gzip.compress((HEAD + "".join(f"g{i}\t{i}\t{i}\t1\n" for i in rng.integers(0, 9999, 3000))).encode())
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(InputError, match="cut short or damaged"):
        read_gem(path)


def test_damaged_gzip_is_refused(tmp_path):
    data = bytearray(gzip.compress((HEAD + "a\t1\t1\t1\n" * 1000).encode()))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.gem.gz").write_bytes(bytes(data))
    with pytest.raises(InputError, match="cut short or damaged"):
        read_gem(tmp_path / "a.gem.gz")


@pytest.mark.parametrize("packed", [False, True])
def test_a_stain_named_gem_is_refused(tmp_path, packed):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), dtype=np.uint8))
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.gem").write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(InputError, match="is a TIFF image, not a GEM"):
        read_gem(tmp_path / "a.gem")


@pytest.mark.parametrize(
    ("data", "reason"), [(b"\x89PNG\r\n\x1a\n", "PNG"), (b"\x89HDF\r\n", "HDF5"), (b"a\0b", "text")]
)
def test_other_files_named_gem_are_refused(tmp_path, data, reason):
    (tmp_path / "a.gem").write_bytes(data + bytes(100))
    with pytest.raises(InputError, match=reason):
        read_gem(tmp_path / "a.gem")
