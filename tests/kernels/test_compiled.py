"""The Triton kernels compiled ahead of time: what the committed table promises still holds."""

from __future__ import annotations

import ast

import pytest

pytest.importorskip("triton", reason="triton is not installed")

from compiled import table  # noqa: E402

KERNELS = table.ROOT / "kernels"


def test_the_table_has_every_kernel_that_ships_for_every_target() -> None:
    held = {(operator(row), row["kernel"], row["target"]) for row in table.read()["builds"]}
    ships = shipping_kernels()
    # An operator may launch kernels of another.
    assert {kernel for _, kernel, _ in held} == {kernel for _, kernel in ships}
    own = {row for row in held if row[:2] in ships}
    assert own == {(*kernel, target) for kernel in ships for target in table.TARGETS}


def test_more_slots_need_no_other_kernels() -> None:
    builds = pytest.importorskip("compiled.builds")
    cases = {case.name for case in builds.CASES if case.name.endswith(("K=32", "K=64", "K=256"))}
    assert len(cases) == 12
    rows = [row for row in table.read()["builds"] if row["case"] in cases]
    assert {row["kernel"] for row in rows} <= {"backward_chunks_kernel"}


def operator(row: table.Row) -> str:
    """The first word of a case."""
    name: str = row["case"].split()[0]
    return name


def shipping_kernels() -> set[tuple[str, str]]:
    """Operator and name of every kernel in `kernels/*/device.py`."""
    return {
        (path.parent.name, node.name)
        for path in KERNELS.glob("*/device.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_kernel")
    }


def test_the_document_is_that_of_the_table() -> None:
    assert table.DOCUMENT.read_text(encoding="utf-8") == table.document(table.read())


@pytest.mark.slow
def test_what_ships_compiles_as_the_table_says() -> None:
    held, rows = table.read(), table.compile_all()
    assert table.worse(held["builds"], rows) == []
    if held["triton"] == table.version("triton"):
        again = "python tests/kernels/compiled/table.py --write"
        assert table.changed(held["builds"], rows) == [], f"other numbers: {again}"


@pytest.fixture(scope="module")
def planted() -> dict[str, table.Row]:
    """What the planted kernels became, by case."""
    rows = table.compile_all("compiled.planted", ["sm_90"])
    assert len(rows) == len({row["case"] for row in rows})
    return {row["case"]: row for row in rows}


def found(planted: dict[str, table.Row], before: str, after: str) -> list[str]:
    """What is said of a kernel that was `before` and is now `after`."""
    return table.worse([planted[before]], [{**planted[after], "case": before}])


@pytest.mark.slow
def test_planted_faults_are_noticed(planted: dict[str, table.Row]) -> None:
    kernel = "product_kernel for sm_90"
    assert found(planted, "good", "good") == []
    assert found(planted, "good", "no wgmma") == [
        f"good: {kernel} lost 4 HGMMA, has {planted['no wgmma']['products']['HMMA']} HMMA"
    ]
    assert found(planted, "good", "no pipeline") == [
        f"good: {kernel} lost its pipeline: copies in flight [], were [2]"
    ]
    spilled = planted["spills"]["spilled_bytes"]
    assert spilled > 0
    assert found(planted, "no wgmma", "spills") == [f"no wgmma: {kernel} spills {spilled} bytes"]
    # Nor may it if the table says so.
    assert found(planted, "spills", "spills") == [f"spills: {kernel} spills {spilled} bytes"]
    # The other way round nothing is lost.
    assert found(planted, "spills", "no wgmma") == found(planted, "no wgmma", "good") == []


@pytest.mark.slow
def test_what_does_not_compile_is_named(planted: dict[str, table.Row]) -> None:
    (said,) = found(planted, "good", "does not compile")
    assert said.startswith("good: product_kernel for sm_90 does not compile: CompilationError")
    assert "K >= 16" in said


@pytest.mark.slow
def test_a_compiler_that_ends_the_process_does_not_end_the_others(
    planted: dict[str, table.Row],
) -> None:
    assert planted["dies"]["error"].startswith("the process ended with -6")
    assert planted["spills"]["registers"] == 64


def test_builds_that_only_one_of_both_has_are_named() -> None:
    row = {"case": "a", "kernel": "b_kernel", "number": 1, "target": "sm_90"}
    assert table.worse([row], []) == ["a: b_kernel for sm_90 is in the table only"]
    assert table.worse([], [row]) == ["a: b_kernel for sm_90 is not in the table"]


def test_kernels_that_could_not_start_are_named() -> None:
    held = table.read()["builds"]
    assert not [said for said in table.worse(held, held) if "memory" in said]
    row = next(row for row in held if row["target"] == "sm_90")
    (said,) = table.worse([row], [{**row, "shared_bytes": 227 * 1024 + 1}])
    assert said.endswith("for sm_90 needs 232449 bytes of shared memory, there are 232448")


def test_groups_in_flight_are_those_of_each_loop() -> None:
    measure = pytest.importorskip("compiled.measure")
    assert measure.in_flight(TTGIR) == [3, 0]


TTGIR = """\
  %0 = ttg.async_wait %a {num = 9 : i32}
  %1 = scf.for %i = %c0 to %n step %c1 {
    %2 = scf.for %j = %c0 to %n step %c1 {
      %3 = ttg.async_wait %b {num = 2 : i32}
      %4 = ttg.async_wait %b {num = 3 : i32}
      scf.if %5 {
        %6 = tt.call @f()
      } else {
        %7 = tt.call @g()
      }
      scf.yield %4
    } {tt.scheduled_max_stage = 2 : i32}
    scf.yield %2
  }
  scf.for %i = %c0 to %n step %c1 {
    %8 = ttg.async_wait %a {num = 0 : i32}
  }
"""
