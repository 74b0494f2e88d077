"""One run's material, shared by the tests."""

import pytest
from synthetic_run import make_material

from openflan.report.page import ReportMaterial


@pytest.fixture(scope="session")
def material() -> ReportMaterial:
    return make_material()
