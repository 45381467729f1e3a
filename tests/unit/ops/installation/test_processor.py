"""Processors that cannot run the libraries are told so before anything is installed."""

from __future__ import annotations

import importlib

from edge_agent.ops.installation.processor import NEEDED, missing_features

HASWELL = f"processor : 0\nflags\t\t: fpu sse sse2 {' '.join(NEEDED)} x2apic\nprocessor : 1\n"


def test_a_haswell_will_do() -> None:
    """Nothing is missing on the oldest kind that is served."""
    assert missing_features("x86_64", HASWELL) == ()


def test_an_older_one_is_named_by_what_it_lacks() -> None:
    """An Ivy Bridge has AVX, but neither AVX2 nor FMA."""
    older = HASWELL.replace(" avx2", "").replace(" fma", "")
    assert missing_features("x86_64", older) == ("avx2", "fma")


def test_an_empty_file_lacks_everything_and_arm_needs_nothing() -> None:
    """No flags line at all is no licence to crash later."""
    assert missing_features("x86_64", "") == NEEDED
    assert missing_features("aarch64", "") == ()


def test_the_list_is_that_of_the_polars_that_is_shipped() -> None:
    """Every feature that its library was compiled for is asked for."""
    flags = importlib.import_module("_polars_runtime_32.build_feature_flags").BUILD_FEATURE_FLAGS

    names = {flag.strip("+").replace(".", "_") for flag in flags.split(",")}
    # Linux calls lzcnt abm; every processor with AVX2 has the others.
    older = {"sse3", "ssse3", "sse4_1", "cmpxchg16b"}
    assert {"abm" if name == "lzcnt" else name for name in names} - older == set(NEEDED)
