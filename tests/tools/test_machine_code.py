"""tools/machine_code: machine code is read, counted and modelled, from listings made up here and from real ones."""

from pathlib import Path

import numpy as np
import pytest

import sim
from cunet.kernels import KERNELS

sim.namespace_or_skip()

import kernel_report  # noqa: E402
from machine_code import compiling, report  # noqa: E402
from machine_code.listing import Listing, Loop  # noqa: E402
from machine_code.model import CHIPS, Work, fraction, instructions  # noqa: E402
from machine_code.report import Row  # noqa: E402
from recording.cases import chosen  # noqa: E402
from recording.trace import tracing  # noqa: E402

from sim import nvrtc  # noqa: E402

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.cpu_only

CODE = """
        .type           copy,@function
copy:
.text.copy:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P3 LDG.E.128 R20, desc[UR4][R32.64] ;
        /*0020*/                   WARPSYNC.ALL ;
        /*0030*/              @!P0 BRA.DIV UR4, `(.L_apart) ;
.L_main:
        /*0040*/                   LDG.E.64 R4, desc[UR4][R2.64] ;
        /*0050*/                   LDG.E.64.CONSTANT R6, desc[UR4][R2.64+0x8] ;
        /*0060*/                   STG.E.128 desc[UR4][R8.64], R4 ;
        /*0070*/               @P0 BRA `(.L_main) ;
.L_rest:
        /*0080*/                   LDG.E R4, desc[UR4][R2.64] ;
        /*0090*/               @P1 BRA `(.L_fine) ;
        /*00a0*/                   MOV R5, 0xb0 ;
        /*00b0*/                   CALL.REL.NOINC `($slow) ;
        /*00c0*/                   MOV R6, R5 ;
.L_fine:
        /*00d0*/                   STG.E desc[UR4][R8.64], R4 ;
        /*00e0*/              @!P0 BRA P1, `(.L_rest) ;
        /*00f0*/                   EXIT ;
.L_apart:
        /*0100*/                   SHFL.BFLY PT, R0, R1, 0x1, 0x1f ;
        /*0110*/                   BRA `(.L_main) ;
$slow:
        /*0120*/                   MUFU.RCP R0, R1 ;
        /*0130*/                   RET.REL.NODEC R32 `(copy) ;
.L_end:
        /*0140*/                   BRA `(.L_end) ;
        /*0150*/                   NOP;
.L_after:
"""


def test_a_listing_has_what_a_thread_usually_runs():
    code = Listing(CODE)
    assert [hex(one.at) for one in code.instructions] == [
        "0x0", "0x10", "0x20", "0x30", "0x40", "0x50", "0x60", "0x70", "0x80", "0x90", "0xd0", "0xe0", "0xf0",
    ]  # fmt: skip
    assert code.calls == 1 and code.widths() == [16, 8, 4] and code.widths("STG") == [16, 4]
    assert sorted(code.loops, key=lambda loop: loop.first) == [Loop(0x40, 0x70), Loop(0x80, 0xE0)]
    main, rest = sorted(code.loops, key=lambda loop: loop.first)
    assert (code.moved(main, "LDG"), code.moved(main, "STG")) == (16, 16)
    assert (code.moved(rest, "LDG"), code.moved(rest, "STG")) == (4, 4) and code.outer(rest) is None
    assert sum(1 for _ in code.body(None)) == 5
    assert Listing("nothing").instructions == []


@pytest.mark.parametrize(
    "share, wanted",
    [
        (1, 5 + 4),  # the remainder alone
        (4, 5 + 4),
        (6, 5 + 4 + 2 * 4),  # the main loop once, and twice the remainder
        (8, 5 + 2 * 4),
    ],
)
def test_loops_run_as_often_as_a_thread_s_elements_need(share, wanted):
    found = instructions(Listing(CODE), Work(1024 * share, 1024, 4.0, 4.0))
    assert found == pytest.approx(wanted / share)


def test_a_loop_inside_another_one_and_one_without_memory():
    text = "k:\n.A:\n/*0000*/ IADD R0, R0, R1 ;\n.B:\n/*0010*/ LDG.E R4, desc[UR4][R2.64] ;\n/*0020*/ @P0 BRA `(.B) ;\n"
    text += "/*0030*/ STG.E desc[UR4][R8.64], R4 ;\n/*0040*/ @P1 BRA `(.A) ;\n.C:\n/*0050*/ FADD R0, R0, R1 ;\n"
    code = Listing(text + "/*0060*/ @P1 BRA `(.C) ;\n/*0070*/ EXIT ;\n")
    inner = code.innermost(0x10)
    assert code.outer(inner) == Loop(0, 0x40) and code.innermost(0x30) == Loop(0, 0x40)
    # a window of 9 elements for each of the results: 4 bytes in, 4 / 9 out
    found = instructions(code, Work(9 * 1024, 1024, 4.0, 4 / 9))
    assert found == pytest.approx((1 + 3 + 2 + 9 * 2) / 9)


def test_the_model_is_a_copy_s_speed_where_nothing_is_computed():
    chip = CHIPS["90"]
    assert fraction(1, 8, chip) == pytest.approx(1, abs=1e-6)
    balance = 8 / chip.bandwidth * 32 * chip.rate  # instructions that take as long as the bytes
    assert fraction(balance, 8, chip) == pytest.approx(2**-0.25)
    assert fraction(100 * balance, 8, chip) == pytest.approx(0.01, rel=1e-6)


def disassembler():
    if compiling.nvdisasm() is None or nvrtc.unavailable_reason():
        pytest.skip(f"there is no {compiling.WHEEL}, or no NVRTC")


@pytest.mark.parametrize("arch", CHIPS)
def test_a_kernel_is_compiled_and_counted(arch):
    disassembler()
    text = 'extern "C" __global__ void copy(const float4* x, float4* y) { y[threadIdx.x] = x[threadIdx.x]; }'
    code, log = compiling.compiled(nvrtc.job(text, "copy", headers=False), arch)
    assert code.widths() == code.widths("STG") == [16] and not code.loops and not code.calls
    assert 5 <= len(code.instructions) <= 20
    assert kernel_report.parse({"log": log, "name": "copy", "arch": arch, "signature": ""})["registers"] > 0


@pytest.mark.slow
def test_rows_of_a_case():
    disassembler()
    forward, backward = report.rows(["float32"], ["90"], kernel_report.parse, chosen(("relu",)))
    assert (forward.kernel, forward.way, backward.kernel) == ("relu_forward", "forward", "relu_backward")
    assert (forward.bytes, backward.bytes, forward.widths, forward.spills) == (8, 12, (16,), 0)
    assert 5 < forward.instructions < 20 and forward.fraction > 0.99


def test_what_is_updated_in_place_is_read_and_written(simulated, monkeypatch):
    monkeypatch.setattr(report, "ELEMENTS", 1 << 12)
    library = report.Cunet(sim.namespace_or_skip(), report.FORMS["sim"])
    with tracing() as seen:
        ((_, _, _, launch),) = report._adam(library, seen)
    work = report.work_of(launch)
    assert launch.kernel == "adam" and (work.read, work.written) == (4 * 4, 3 * 4)


def test_the_page_begins_with_what_is_furthest_from_a_copy():
    row = ("float32", "80", 40, 0, (16, 4), 2, 10.4, 8.0, 0.5)
    slow = Row("a", "forward", "a_forward", *row)
    fast = Row("b", "forward", "b_forward", *row)
    found = [fast, slow]
    for one, share in ((fast, 0.9), (slow, 0.25)):
        found.append(Row(one.case, one.way, one.kernel, "float32", "90", 48, 0, (16, 4), 2, 10.6, 8.0, share))
    lines = report.page(found).splitlines()
    assert lines[-2:] == [
        "| a | forward | a_forward | float32 | 40 / 48 | 0 | 16 4 | 2 | 10 / 11 | 8.0 | 0.50 / 0.25 |",
        "| b | forward | b_forward | float32 | 40 / 48 | 0 | 16 4 | 2 | 10 / 11 | 8.0 | 0.50 / 0.90 |",
    ]
    assert report.page(found[:1]).splitlines()[-1].endswith("| 10 | 8.0 | 0.50 |")


def test_loads_of_one_byte_are_seen():
    assert Listing("/*0000*/ LDG.E.U8 R1, desc[UR4][R2.64] ;\n/*0010*/ EXIT ;").widths() == [1]
    assert np.isclose(instructions(Listing("/*0000*/ EXIT ;"), Work(32, 32, 4, 4)), 1)


def test_the_committed_table_is_of_kernels_that_there_are():
    text = (ROOT / "docs" / "machine-code.md").read_text()
    rows = [
        line.strip("| ").split(" | ") for line in text.splitlines() if " forward | " in line or " backward | " in line
    ]
    assert len(rows) > 100 and {row[2] for row in rows} <= KERNELS.keys()
    shares = [float(row[-1].split(" / ")[-1]) for row in rows]
    assert shares == sorted(shares)
