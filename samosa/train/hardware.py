"""What this machine has, found without torch: cores, GPUs and their peak rates."""

import os
import shutil
import subprocess
from importlib import metadata

PEAK_BF16_FLOPS = {
    "H200": 989.4e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989.4e12,
    "B200": 2250e12,
    "A100": 312e12,
    "A10G": 70e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165.2e12,
}
"""Dense bf16 tensor-core FLOP/s with fp32 accumulation, no sparsity, from NVIDIA's data sheets; first match wins."""


def cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus() -> list[str]:
    """Names of the CUDA GPUs torch can use here, as nvidia-smi gives them; empty with a CPU build of torch."""
    if metadata.version("torch").endswith("+cpu") or not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = listed.stdout.split("\n")[:-1] if listed.returncode == 0 else []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return names if visible is None else names[: len([part for part in visible.split(",") if part.strip()])]


def peak_flops(name: str) -> float | None:
    """Peak dense bf16 FLOP/s of a GPU by its name, None where it is not in the table (CPUs never are)."""
    return next((rate for key, rate in PEAK_BF16_FLOPS.items() if key in name), None)
