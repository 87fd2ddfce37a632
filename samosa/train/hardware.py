"""What this machine has, found without torch: cores, GPUs and their peak rates."""

import os
import shutil
import subprocess
from importlib import metadata

PEAK_BF16_TFLOPS = {
    "GB200": 2500,
    "B200": 2250,
    "GH200": 989.4,
    "H200 NVL": 835.5,
    "H200": 989.4,
    "H100 PCIe": 756,
    "H100 NVL": 835.5,
    "H100": 989.4,
    "H20": 148,
    "A100": 312,
    "A40": 149.7,
    "A30": 165,
    "A10G": 70,
    "A10": 125,
    "L40S": 362,
    "L40": 181,
    "L4": 121,
    "RTX 4090": 165.2,
    "RTX 3090": 71,
}
"""Dense bf16 tensor-core TFLOP/s with fp32 accumulation, no sparsity, from NVIDIA's data sheets; first match wins."""
NOT_WHOLE = frozenset({"MIG", "Laptop", "Max-Q"})
"""Words in the names of parts of a GPU, and of slower ones that go by the same name."""


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
    words = set(name.replace("-", " ").split()) | set(name.split())
    if words & NOT_WHOLE:
        return None
    return next((rate * 1e12 for key, rate in PEAK_BF16_TFLOPS.items() if set(key.split()) <= words), None)
