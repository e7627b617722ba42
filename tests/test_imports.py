"""What importing each floor brings with it, seen from a fresh interpreter."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

import grimp
import pytest

TORCH_MODULES = ("segapp.core.engines.stardist.keras_unet", "segapp.core.engines.stardist.unet")
"""Modules that define torch networks: imported by the functions that build one, and by no module."""

WIDGETS = ("IPython", "anywidget", "bokeh", "holoviews", "ipykernel", "ipywidgets", "jupyter_bokeh", "panel", "voila")

BLOCKED = """
import importlib, importlib.abc, pkgutil, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
for floor in map(importlib.import_module, {floors!r}):
    names = [module.name for module in pkgutil.walk_packages(floor.__path__, floor.__name__ + ".")]
    names = [name for name in names if name not in {late!r}]
    for name in names:
        importlib.import_module(name)
    print(len(names))
"""

LIGHT = """
import json, sys, time
before = set(sys.modules)
start = time.perf_counter()
import segapp
print(json.dumps({"seconds": time.perf_counter() - start, "modules": sorted(set(sys.modules) - before)}))
"""

HEAVY = (
    "anndata",
    "bokeh",
    "dask",
    "holoviews",
    "ipywidgets",
    "kornia",
    "matplotlib",
    "pandas",
    "polars",
    "pyro",
    "skimage",
    "spatialdata",
    "stardist",
    "tensorflow",
    "torch",
    "zarr",
)

# what each may import from outside, besides the standard library
ALLOWED = {
    "segapp.core": "numpy scipy skimage cv2 numba torch kornia pyro pydantic pydantic_core stardist csbdeep "
    "cellpose deepcell tensorflow onnxruntime",
    "segapp.io": "numpy scipy pandas cv2 polars h5py tifffile imagecodecs zarr anndata spatialdata safetensors "
    "numcodecs geopandas shapely xarray",  # codecs of zarr; what spatialdata takes as shapes and as images
    "segapp.cs": "numpy scipy pandas anndata",
    "segapp.pipeline": "numpy pydantic pydantic_core psygnal dask distributed",
    "segapp.views": "numpy IPython ipywidgets anywidget traitlets holoviews bokeh jupyter_bokeh matplotlib psygnal",
}


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_without(blocked: set[str], *floors: str, late: Iterable[str] = ()) -> list[int]:
    """Import every module of the floors where packages are missing; return how many there were of each."""
    return [int(n) for n in python(BLOCKED.format(blocked=blocked, floors=floors, late=late)).split()]


def test_every_module_below_the_views_imports_with_widgets_uninstalled():
    found = imported_without(set(WIDGETS), "segapp.core", "segapp.io", "segapp.pipeline", "segapp.cs")
    assert len(found) == 4 and min(found) > 0


def test_import_segapp_leaves_heavy_packages_alone(record_property):
    found = json.loads(python(LIGHT))
    record_property("import_seconds", found["seconds"])
    assert [name for name in HEAVY if name in found["modules"]] == []


def test_core_and_pipeline_import_without_torch_or_tables():
    """Heavy packages are imported inside the functions that need them."""
    late = {"torch", "kornia", "pyro", "stardist", "csbdeep", "tensorflow", "anndata", "polars", "dask", "matplotlib"}
    found = imported_without(late, "segapp.core", "segapp.pipeline", late=TORCH_MODULES)
    assert len(found) == 2 and min(found) > 0


@pytest.fixture(scope="module")
def graph() -> Iterator[grimp.ImportGraph]:
    return grimp.build_graph("segapp", include_external_packages=True, exclude_type_checking_imports=True)


@pytest.mark.parametrize("floor", sorted(ALLOWED))
def test_each_floor_imports_only_what_the_design_lists(graph, floor):
    allowed = set(ALLOWED[floor].split()) | set(sys.stdlib_module_names) | {"__future__"}
    inside = {floor} | graph.find_descendants(floor)
    strangers = {
        f"{module} imports {found}"
        for module in inside
        for found in graph.find_modules_directly_imported_by(module)
        if not found.startswith("segapp") and found.partition(".")[0] not in allowed
    }
    assert strangers == set()
