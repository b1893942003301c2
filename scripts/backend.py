"""Which llama.cpp fits this machine: looks at what is here, then decides.

Knows programs, headers and GPUs. Installs and builds nothing: scripts/install.py does.
`probe` reads the machine, `choose` is pure: tests give it machines that nobody has.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CMAKE_FLAGS = {
    "cpu": (),
    "cuda": ("-DGGML_CUDA=on",),
    "rocm": ("-DGGML_HIP=on",),
    "vulkan": ("-DGGML_VULKAN=on",),
    "metal": ("-DGGML_METAL=on",),
}


@dataclass(frozen=True)
class Toolkit:
    """One way to use a GPU: the GPU that answers ("" for none), and what else building for it needs."""

    backend: str
    gpu: str
    missing: str


@dataclass(frozen=True)
class Choice:
    """The backend to build, why, and what the user could install to get a better one."""

    backend: str
    reason: str
    hints: tuple[str, ...] = ()


def choose(toolkits: list[Toolkit], wanted: str) -> Choice:
    """Take what the user wants, else the first GPU that can be built for, else the CPU."""
    if wanted:
        if wanted not in CMAKE_FLAGS:
            raise ValueError(f"LLAMA={wanted} is not known: choose one of {', '.join(CMAKE_FLAGS)}.")
        return Choice(wanted, f"LLAMA={wanted} asks for it")
    hints: list[str] = []
    for toolkit in toolkits:
        if toolkit.gpu and not toolkit.missing:
            return Choice(toolkit.backend, f"{toolkit.gpu} answers and its toolkit is here", tuple(hints))
        if toolkit.gpu:
            hints.append(
                f"{toolkit.gpu} answers, but to build for it this is missing: {toolkit.missing}. "
                "Install it and run `make llama`; until then oomph works without it."
            )
    return Choice("cpu", "no GPU can be used until something is installed" if hints else "no GPU answers", tuple(hints))


def probe() -> list[Toolkit]:
    """Look for GPUs and their toolkits here, the best kind of each first."""
    return [_metal(), _cuda(), _rocm(), _vulkan()]


def build_settings(backend: str) -> dict[str, str]:
    """Environment variables that building for this backend needs, beside its CMake flags."""
    if backend == "cuda" and (nvcc := _find("nvcc", *_cuda_roots())):
        return {"CUDACXX": nvcc}
    if backend == "rocm" and (hipconfig := _find("hipconfig", *_rocm_roots())):
        return {"HIPCXX": f"{_output(hipconfig, '-l').strip()}/clang", "HIP_PATH": _output(hipconfig, "-R").strip()}
    return {}


def amd_gpu(rocminfo: str) -> str:
    """The first GPU in what rocminfo prints, such as "gfx1100"; processors are listed there too."""
    found = re.search(r"Name:\s+(gfx[0-9a-f]+)", rocminfo)
    return found.group(1) if found else ""


def vulkan_gpu(vulkaninfo: str) -> str:
    """The first device in `vulkaninfo --summary` that is not a processor pretending to be one."""
    devices = re.findall(r"deviceType\s*=\s*(\S+)\s+deviceName\s*=\s*(.+)", vulkaninfo)
    return next((name.strip() for kind, name in devices if not kind.endswith("_CPU")), "")


def _metal() -> Toolkit:
    """Metal comes with macOS and with the compiler that we need anyway."""
    apple = platform.system() == "Darwin" and platform.machine() == "arm64"
    return Toolkit("metal", "the GPU of this Apple computer" if apple else "", "")


def _cuda() -> Toolkit:
    """nvcc alone is no toolkit: llama.cpp also needs cuBLAS, which some systems package apart."""
    gpu = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").strip().partition("\n")[0]
    nvcc = _find("nvcc", *_cuda_roots())
    roots = [*_cuda_roots(), *([Path(nvcc).resolve().parent.parent] if nvcc else [])]
    cublas = _any_file(roots, "include/cublas_v2.h", "targets/*/include/cublas_v2.h")
    missing = [] if nvcc else ["the CUDA toolkit (nvcc)"]
    missing += [] if cublas else ["cuBLAS with its headers (a part of the CUDA toolkit)"]
    return Toolkit("cuda", gpu, " and ".join(missing))


def _rocm() -> Toolkit:
    """hipcc without hipBLAS and rocBLAS stops at configure, so all are looked for."""
    gpu = amd_gpu(_output("rocminfo") or _output("/opt/rocm/bin/rocminfo"))
    missing = [] if _find("hipconfig", *_rocm_roots()) else ["the HIP compiler (hipconfig, hipcc)"]
    missing += [
        f"{library} with its headers"
        for library in ("hipblas", "rocblas")
        if not _any_file(_rocm_roots(), f"lib*/cmake/{library}", f"lib/*/cmake/{library}")
    ]
    return Toolkit("rocm", f"the AMD GPU {gpu}" if gpu else "", " and ".join(missing))


def _vulkan() -> Toolkit:
    """The names of what is missing are Debian's packages; other systems have similar ones."""
    gpu = vulkan_gpu(_output("vulkaninfo", "--summary"))
    sdk = [Path(os.environ[name]) for name in ("VULKAN_SDK",) if os.environ.get(name)]
    roots = [*sdk, Path("/usr"), Path("/usr/local")]
    parts = {
        "glslc": bool(_find("glslc", *sdk)),
        "libvulkan-dev": _any_file(roots, "include/vulkan/vulkan.h", "Include/vulkan/vulkan.h"),
        "spirv-headers": _any_file(roots, "include/spirv/unified1/spirv.hpp", "Include/spirv/unified1/spirv.hpp"),
    }
    return Toolkit(
        "vulkan", f"{gpu} (Vulkan)" if gpu else "", ", ".join(name for name, here in parts.items() if not here)
    )


def _cuda_roots() -> list[Path]:
    """Where a CUDA toolkit may lie when it is not on the PATH."""
    named = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    return [Path(root) for root in named if root]


def _rocm_roots() -> list[Path]:
    """Where ROCm may lie: llama.cpp's build looks in the same places, in this order."""
    named = [os.environ.get("ROCM_PATH", ""), "/opt/rocm", "/usr"]
    return [Path(root) for root in named if root]


def _find(program: str, *roots: Path) -> str:
    """Full path of a program on the PATH or in bin/ of one of these folders, or ""."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *(str(root / "bin") for root in roots)])
    return shutil.which(program, path=folders) or ""


def _any_file(roots: list[Path], *patterns: str) -> bool:
    """Whether one of these patterns matches under one of these folders."""
    return any(next(root.glob(pattern), None) for root in roots for pattern in patterns)


def _output(*command: str) -> str:
    """What the program prints, or "" where it is missing, fails or does not answer in time."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
