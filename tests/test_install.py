"""What scripts/install.py decides, for machines that nobody has here."""

import install
import pytest
from backend import CMAKE_FLAGS, Toolkit, amd_gpu, build_settings, choose, vulkan_gpu

NOTHING = [
    Toolkit("metal", "", ""),
    Toolkit("cuda", "", "nvcc"),
    Toolkit("rocm", "", "hipcc"),
    Toolkit("vulkan", "", ""),
]


def machine(**found: tuple[str, str]) -> list[Toolkit]:
    """A machine with these GPUs, each with what its toolkit lacks, and nothing else."""
    return [Toolkit(kind.backend, *found.get(kind.backend, ("", "everything"))) for kind in NOTHING]


def test_without_a_gpu_the_cpu_is_used_and_nothing_is_asked_of_the_user() -> None:
    choice = choose(NOTHING, "")
    assert (choice.backend, choice.hints) == ("cpu", ())


@pytest.mark.parametrize("backend", ["metal", "cuda", "rocm", "vulkan"])
def test_a_gpu_with_its_whole_toolkit_is_used(backend: str) -> None:
    choice = choose(machine(**{backend: ("the GPU", "")}), "")
    assert (choice.backend, choice.hints) == (backend, ())
    assert "the GPU" in choice.reason


@pytest.mark.parametrize("backend", ["cuda", "rocm", "vulkan"])
def test_a_toolkit_without_its_gpu_is_not_used(backend: str) -> None:
    assert choose(machine(**{backend: ("", "")}), "").backend == "cpu"


@pytest.mark.parametrize("backend", ["cuda", "rocm", "vulkan"])
def test_a_gpu_without_its_toolkit_means_cpu_and_says_what_to_install(backend: str) -> None:
    choice = choose(machine(**{backend: ("NVIDIA or other", "cuBLAS")}), "")
    assert choice.backend == "cpu"
    (hint,) = choice.hints
    assert "NVIDIA or other" in hint
    assert "cuBLAS" in hint
    assert "make llama" in hint


def test_vulkan_stands_in_for_a_missing_cuda_toolkit_and_the_hint_stays() -> None:
    choice = choose(machine(cuda=("RTX 3060", "nvcc"), vulkan=("RTX 3060 (Vulkan)", "")), "")
    assert choice.backend == "vulkan"
    assert len(choice.hints) == 1


def test_the_vendors_own_backend_goes_before_vulkan() -> None:
    assert choose(machine(cuda=("RTX 3060", ""), vulkan=("RTX 3060 (Vulkan)", "")), "").backend == "cuda"
    assert choose(machine(rocm=("gfx1100", ""), vulkan=("RX 7900 (Vulkan)", "")), "").backend == "rocm"


@pytest.mark.parametrize("backend", CMAKE_FLAGS)
def test_what_the_user_asks_for_is_taken_whatever_the_machine_has(backend: str) -> None:
    assert choose(machine(cuda=("RTX 3060", "")), backend).backend == backend
    assert choose(NOTHING, backend).backend == backend


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="cpu, cuda, rocm, vulkan, metal"):
        choose(NOTHING, "cude")


def test_the_cpu_needs_no_settings() -> None:
    assert CMAKE_FLAGS["cpu"] == ()
    assert build_settings("cpu") == {}


def test_rocminfo_lists_the_processor_first_and_the_gpu_is_found_behind_it() -> None:
    printed = """
*******
Agent 1
*******
  Name:                    AMD Ryzen 9 7950X 16-Core Processor
  Device Type:             CPU
*******
Agent 2
*******
  Name:                    gfx1100
  Marketing Name:          Radeon RX 7900 XTX
  Device Type:             GPU
    ISA 1
      Name:                    amdgcn-amd-amdhsa--gfx1100
"""
    assert amd_gpu(printed) == "gfx1100"
    assert amd_gpu(printed.partition("Agent 2")[0]) == ""
    assert amd_gpu("") == ""


def test_a_processor_that_plays_a_vulkan_device_is_no_gpu() -> None:
    software = "deviceType = PHYSICAL_DEVICE_TYPE_CPU\n\tdeviceName = llvmpipe (LLVM 15.0.6, 256 bits)\n"
    real = "deviceType         = PHYSICAL_DEVICE_TYPE_DISCRETE_GPU\n\tdeviceName         = AMD Radeon RX 6600\n"
    assert vulkan_gpu(software) == ""
    assert vulkan_gpu(software + real) == "AMD Radeon RX 6600"
    assert vulkan_gpu("") == ""


@pytest.mark.parametrize("system", ["linux", "win32"])
def test_torch_is_asked_for_by_the_name_that_only_the_cpu_build_has(system: str) -> None:
    assert install.torch_source("torch==2.13.0", system)[-1] == "torch==2.13.0+cpu"


def test_macos_takes_torch_from_pypi_where_it_has_no_other_name() -> None:
    assert install.torch_source("torch==2.13.0", "darwin") == ["torch==2.13.0"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Collecting anyio==4.16.0 (from -r requirements.lock (line 10))", "Collecting anyio"),
        ("  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)", "Downloading llama_cpp_python-0.3.36.tar.gz"),
        ("Installing collected packages: anyio, brotli", "Installing collected packages"),
        ("  Installing build dependencies: started", "Installing build dependencies"),
        ("  [12/140] /usr/bin/g++ -c a.cpp", "12/140"),
        ("  [  7%] Building CXX object a.o", "7%"),
    ],
)
def test_what_moves_is_shown(line: str, shown: str) -> None:
    found = install.MOVING.search(line)
    assert found
    assert shown in (found["pip"], found["built"])


def test_the_rest_of_a_log_is_not_shown() -> None:
    assert not install.MOVING.search("  Requirement already satisfied: anyio in [12/140]")


def test_the_cause_of_a_failed_build_is_its_first_error_and_not_the_compilers_options() -> None:
    log = ["g++ -Werror=implicit-int -Wno-error a.cpp", "a.cpp:1:10: fatal error: cublas_v2.h: no such file", "stop"]
    assert install.cause("\n".join(log * 20)).splitlines()[0] == log[1]
    assert len(install.cause("\n".join(log * 20)).splitlines()) == install.LINES_OF_CAUSE


def test_a_log_without_an_error_is_quoted_from_its_end() -> None:
    assert install.cause("only\nwords") == "only\nwords"
    assert install.cause("") == ""
