"""What a stage took."""

import ctypes
from types import SimpleNamespace

import pytest

from openflan import cost


class Counter:
    """A driver whose device has taken 5 kJ more at each look."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.joules = 0
        self.uuid: bytes | None = None

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByUUID(self, name: ctypes.c_char_p, _: object) -> int:
        self.uuid = name.value
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, _: object, millijoules) -> int:
        self.joules += 5_000
        millijoules._obj.value = 1_000 * self.joules
        return self.status


@pytest.fixture
def device(monkeypatch):
    """Pretend that there is a device; returns its counter."""
    cuda = SimpleNamespace(
        current_device=lambda: 0,
        get_device_properties=lambda _: SimpleNamespace(uuid="1a2b-3c"),
        max_memory_allocated=lambda: 3 << 20,
        reset_peak_memory_stats=lambda: None,
    )
    counter = Counter()
    monkeypatch.setattr(cost, "_cuda", lambda: cuda)
    monkeypatch.setattr(cost.ctypes, "CDLL", lambda _: counter)
    return counter


def test_without_a_device_time_and_memory_are_told():
    facts = cost.Meter(device=False, alone=True).facts()
    assert set(facts) == {"seconds", "peak_memory_mb"}
    assert facts["seconds"] >= 0
    assert facts["peak_memory_mb"] > 10


def test_energy_is_the_devices_own_counter_at_the_end_less_at_the_start(device):
    facts = cost.Meter(device=True, alone=True).facts()
    assert facts["energy_joules"] == 5_000
    assert facts["device_memory_mb"] == 3
    assert device.uuid == b"GPU-1a2b-3c"


def test_a_stage_that_another_process_began_tells_its_time_and_no_energy(device):
    facts = cost.Meter(device=True, alone=True).facts(seconds=1_000)
    assert facts["seconds"] == 1_000
    assert "energy_joules" not in facts


def test_with_other_processes_at_work_no_energy_is_told(device):
    assert "energy_joules" not in cost.Meter(device=True, alone=False).facts()


def test_a_device_that_does_not_count_is_not_asked_again(device):
    device.status = 3  # NVML_ERROR_NOT_SUPPORTED
    assert "energy_joules" not in cost.Meter(device=True, alone=True).facts()
