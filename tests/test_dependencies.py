"""What gets installed: every version is pinned, and all of it can be had as wheels for a Raspberry Pi."""

import re

import pytest

from tools import lock


def pins() -> dict[str, str]:
    lines = lock.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_constraints_hold_names_and_versions_and_nothing_else():
    lines = lock.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)


def test_project_and_constraints_ask_for_the_same_versions():
    pinned = {normal(name): version for name, version in pins().items()}
    for machine in lock.MACHINES:
        for requirement in lock.requirements(machine):
            assert str(requirement.specifier) == f"=={pinned[normal(requirement.name)]}", requirement.name


@pytest.mark.e2e
@pytest.mark.parametrize("machine", lock.MACHINES)
def test_every_dependency_resolves_to_pinned_wheels_for_cpython_311(machine):
    try:
        resolved = lock.resolve(machine, constraints=lock.CONSTRAINTS)
    except lock.ResolutionError as error:
        if re.search(r"NameResolutionError|NewConnectionError|ConnectTimeout|ProxyError", str(error)):
            pytest.skip("no package index can be reached from here")
        raise
    pinned = {normal(name): version for name, version in pins().items()}
    assert {normal(name): version for name, version in resolved.items()}.items() <= pinned.items()
    assert ("lgpio" in resolved) == (machine == "aarch64")
    assert lock.BUILT_HERE in {normal(name) for name in resolved}
