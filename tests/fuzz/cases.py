"""One case for every public function of `segapp.core`, under its name there."""

from tests.fuzz import cases_align, cases_images, cases_labels, cases_score, cases_tissue, cases_views, cases_windows
from tests.fuzz.harness import Case

CASES: dict[str, Case] = {
    **cases_images.CASES,
    **cases_labels.CASES,
    **cases_score.CASES,
    **cases_align.CASES,
    **cases_tissue.CASES,
    **cases_views.CASES,
    **cases_windows.CASES,
}
