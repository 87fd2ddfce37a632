"""Which number format to compute in, and why."""

from __future__ import annotations

import time

import torch

from samosa.errors import BadInput, NotReady

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
TRIAL_SIZE = 256  # a matmul this large takes about a millisecond in fp32 on one core
TRIAL_SECONDS = 0.01  # for each of the two formats
CLEARLY_FASTER = 1.2  # bf16 has to be worth its rounding


def choose_dtype(requested: str, device: torch.device | str) -> tuple[torch.dtype, str]:
    """(dtype, why). "auto": bf16 on GPUs that compute in it (SM80), on a CPU whichever matmul is faster here.

    Raises BadInput for an unknown name and NotReady for bf16 on a GPU without it.
    """
    device = torch.device(device)
    native = device.type != "cuda" or torch.cuda.get_device_capability(device) >= (8, 0)
    if requested in DTYPES:
        if requested == "bfloat16" and not native:
            raise NotReady(
                "this GPU does not compute in bfloat16 (it is older than SM80)", hint='set dtype = "float32"'
            )
        return DTYPES[requested], "asked for"
    if requested != "auto":
        raise BadInput(f"dtype {requested!r} is not known", hint=f"one of: auto, {', '.join(DTYPES)}")
    if device.type == "cuda":
        return (torch.bfloat16, "the GPU has it (SM80)") if native else (torch.float32, "the GPU is older than SM80")
    if device.type != "cpu":
        return torch.float32, f"the safe choice on {device.type}"
    fp32, bf16 = _matmul_seconds(torch.float32), _matmul_seconds(torch.bfloat16)
    timing = f"a matmul takes {fp32 * 1e3:.2f} ms in float32, {bf16 * 1e3:.2f} ms in bfloat16"
    return (torch.bfloat16 if bf16 * CLEARLY_FASTER < fp32 else torch.float32), timing


def _matmul_seconds(dtype: torch.dtype) -> float:
    """The best time of a small matmul, over about ten milliseconds."""
    a = torch.ones(TRIAL_SIZE, TRIAL_SIZE, dtype=dtype)
    _ = a @ a  # the first call sets up its kernel
    best, until = float("inf"), time.perf_counter() + TRIAL_SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        _ = a @ a
        best = min(best, time.perf_counter() - start)
    return best
