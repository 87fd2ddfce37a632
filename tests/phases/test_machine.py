"""`samosa doctor` and the arguments of `samosa profile`."""

import json

import pytest

from samosa.cli import main
from samosa.config import Options
from samosa.errors import BadInput
from samosa.phases import profile
from samosa.train import selftest, switches
from samosa.train.selftest import Result


def test_doctor_tells_what_the_last_self_test_of_this_machine_found(samosa_home, capsys):
    assert main(["doctor"]) == 0
    assert "next: samosa doctor --selftest" in capsys.readouterr().err
    switches.write_record({"head": {"status": "failed", "figure": 0.5, "tolerance": 1e-5, "note": "", "seconds": 0.1}})
    assert main(["doctor", "--json"]) == 3
    out, err = capsys.readouterr()
    assert json.loads(out)["selftest"]["head"]["status"] == "failed"
    assert "off by 5.0e-01 at most, 1e-05 is allowed" in err and "leave alone what needs head" in err


@pytest.mark.parametrize(("status", "code"), [("passed", 0), ("skipped", 0), ("failed", 3)])
def test_the_self_test_ends_with_3_when_something_computes_wrong(samosa_home, monkeypatch, status, code):
    monkeypatch.setattr(selftest, "CHECKS", {"fp8": lambda device: Result(status, note="as told")})
    assert main(["doctor", "--selftest"]) == code
    assert switches.read_record()["checks"]["fp8"]["status"] == status


def test_only_what_is_trained_can_be_profiled():
    with pytest.raises(BadInput, match="dance is no kind of training"):
        profile.run(Options(), kind="dance")


def test_a_switch_without_a_self_test_ends_a_command_before_anything_is_made(samosa_home, capsys):
    assert main(["pretrain", "-r", "tiny", "--nproc", "1", "--set", "train.compile=true"]) == 3
    assert "hint: samosa doctor --selftest" in capsys.readouterr().err
    assert not (samosa_home / "stages").exists()
