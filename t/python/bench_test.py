"""bench_test.py - the bench's figures: repeats, tables, plots, the page"""

from __future__ import annotations

import io
import mmap
import os
import shutil
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from unittest import mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "bench"))
import bench        # noqa: E402
import figure       # noqa: E402
import guestroot    # noqa: E402
import kernel       # noqa: E402
import measure      # noqa: E402
import page         # noqa: E402
import peers        # noqa: E402
import plot         # noqa: E402
import process      # noqa: E402
import qemu         # noqa: E402
import sharing      # noqa: E402
import table        # noqa: E402
import tap          # noqa: E402

PROGRESS = measure.Progress(io.StringIO())


def bars() -> figure.Figure:
    f = figure.Figure("PAPER figure 9", "the time of it", "time", "ms",
                      "a 'peer' & more", note="a note")
    f.add({"usetl, kvm": [1.0, 2.0, 9.0], "a 'peer' & more": [8.0],
           "absent": measure.Missing("absent is not installed")})
    return f


def lines() -> figure.Figure:
    f = figure.Figure("PAPER figure 8", "by size", "time", "ms", "peer",
                      "size", "MB")
    for x in 1, 1024:
        f.add({"usetl, kvm": [0.5, 1.5], "peer": [2.0 * x]}, x)
    return f


class Groups(unittest.TestCase):
    def test_a_part_of_a_name_stands_for_all_that_have_it(self):
        self.assertEqual(bench.named("figure5"),
                         ["usetl-figure5", "hyperfork-figure5"])
        self.assertEqual(bench.named("hyperfork-figure2"),
                         ["hyperfork-figure2"])
        self.assertEqual(bench.named("figure"), [])

    def test_a_whole_name_stands_for_itself(self):
        self.assertEqual(bench.named("memory"), ["memory"])


class Sample(unittest.TestCase):
    def run_sample(self, contestants, rounds, budget=None):
        return measure.sample(contestants, rounds, PROGRESS, "", budget)

    def test_each_round_gives_one_value(self):
        values = iter([3.0, 1.0, 2.0])
        got = self.run_sample({"a": lambda: next(values),
                               "b": lambda: [5.0, 1.0, 2.0]}, 3)
        self.assertEqual(got, {"a": [3.0, 1.0, 2.0], "b": [2.0] * 3})

    def test_who_is_missing_runs_no_more(self):
        calls = []

        def absent():
            calls.append(1)
            raise measure.Missing("not here")

        got = self.run_sample({"a": lambda: 1.0, "b": absent}, 4)
        self.assertEqual((got["a"], str(got["b"]), len(calls)),
                         ([1.0] * 4, "not here", 1))

    def test_who_has_used_its_budget_stops_after_three(self):
        clock = iter(range(0, 1000, 5))
        with mock.patch("time.monotonic", lambda: next(clock)):
            got = self.run_sample({"a": lambda: 1.0}, 9, 4)
            longer = self.run_sample({"a": lambda: 1.0}, 9, 21)
        self.assertEqual((len(got["a"]), len(longer["a"])), (3, 5))


class Table(unittest.TestCase):
    def test_rows_are_named_after_the_figure(self):
        out = io.StringIO()
        figure.show(bars(), out)
        rows = [line.split("  ") for line in out.getvalue().splitlines()]
        rows = [[c.strip() for c in row if c] for row in rows]
        self.assertIn(["PAPER figure 9, usetl, kvm", "3", "2.00 ms",
                       "4.00 ms", "4.36 ms", "0.25x"], rows)
        self.assertIn(["PAPER figure 9, a 'peer' & more", "1", "8.00 ms",
                       "8.00 ms", "-", "1.00x"], rows)

    def test_a_row_without_values_says_why(self):
        out = io.StringIO()
        figure.show(bars(), out)
        self.assertRegex(out.getvalue(),
                         "figure 9, absent .* absent is not installed\n")

    def test_a_ratio_is_to_the_same_x(self):
        f = lines()
        self.assertEqual([f.ratio(m) for m in f.marks],
                         [0.5, 1.0, 1 / 2048, 1.0])
        self.assertEqual(f.row_name(f.marks[2]),
                         "PAPER figure 8, 1024 MB, usetl, kvm")

    def test_records_have_what_the_table_has(self):
        f = bars()
        got = [f.record(m, "here") for m in f.marks]
        self.assertEqual((got[0]["n"], got[0]["median"], got[0]["mean"],
                          got[0]["ratio"]), (3, 2.0, 4.0, 0.25))
        self.assertEqual((got[2]["median"], got[2]["missing"]),
                         (None, "absent is not installed"))


class Peers(unittest.TestCase):
    """Who is not installed is Missing, and everybody else goes on."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="usetl-t.")
        self.addCleanup(tmp.cleanup)
        self.tmp = tmp.name

    def test_programs_that_are_not_installed_are_missing(self):
        for start in (
                lambda: peers.containers("image", self.tmp, "event", "log"),
                lambda: guestroot.initrd("image", "path"),
                lambda: qemu.Machine(None, "initrd", "tcg", self.tmp)):
            with mock.patch("shutil.which", lambda name: None), \
                    self.assertRaisesRegex(measure.Missing,
                                           "not installed; t/deps.sh bench"):
                start()

    def test_without_a_kernel_machines_are_missing(self):
        bench = mock.Mock(kept=self.tmp)
        with mock.patch("kernel.download",
                        side_effect=measure.Failed("no network")), \
                mock.patch("glob.glob", lambda *how, **more: []):
            vms = qemu.Microvms(bench, mock.Mock())
            for use in vms.create, vms.resume, vms.booted:
                with self.assertRaisesRegex(measure.Missing, "no network"):
                    use()
        self.assertEqual(vms.accel, "absent")

    def test_a_kernel_is_unpacked_once(self):
        path = os.path.join(self.tmp, "vmlinuz-1")
        with open(path, "wb") as f:
            f.write(b"MZ" + b"\xfd7zXZ\0" + b"packed")
        got = mock.Mock(stdout=b"\x7fELF and more")
        with mock.patch("shutil.which", lambda name: name), \
                mock.patch("subprocess.run", return_value=got) as run:
            one = kernel.unpacked(path, self.tmp)
            two = kernel.unpacked(path, self.tmp)
        self.assertEqual((one, run.call_count), (two, 1))
        self.assertEqual(run.call_args.args[0], ["xz", "-dc"])
        with open(one, "rb") as f:
            self.assertEqual(f.read(), got.stdout)

    def test_a_kernel_packed_otherwise_is_taken_as_it_is(self):
        path = os.path.join(self.tmp, "vmlinuz-2")
        with open(path, "wb") as f:
            f.write(b"MZ")
        self.assertEqual(kernel.unpacked(path, self.tmp), path)


class Memory(unittest.TestCase):
    SIZE = 16 << 20

    def held(self) -> int:
        return process.held_bytes([os.getpid()])

    def test_a_memory_file_counts_whole_and_once_mapped_or_not(self):
        before = self.held()
        fd = os.memfd_create("bench_test")
        self.addCleanup(os.close, fd)
        os.write(fd, bytes(self.SIZE))
        open_alone = self.held() - before
        with mmap.mmap(fd, self.SIZE) as view:
            view[::4096]                # all of it, by this process
            mapped = self.held() - before
        for got in open_alone, mapped:
            self.assertAlmostEqual(got, self.SIZE, delta=self.SIZE / 4)

    def test_a_mapping_counts_when_its_memory_file_is_closed(self):
        before = self.held()
        fd = os.memfd_create("bench_test")
        os.write(fd, bytes(self.SIZE))
        with mmap.mmap(fd, self.SIZE) as view:
            os.close(fd)
            with open("/proc/self/maps", encoding="ascii") as f:
                self.assertIn("/memfd:bench_test", f.read())
            view[::4096]
            got = self.held() - before
        self.assertAlmostEqual(got, self.SIZE, delta=self.SIZE / 4)

    def test_who_has_ended_holds_nothing(self):
        pid = os.spawnlp(os.P_NOWAIT, "true", "true")
        os.waitpid(pid, 0)
        self.assertEqual((process.family(pid), process.held_bytes([pid])),
                         ([], 0))

    def test_without_free_memory_many_functions_are_missing(self):
        with mock.patch("sharing.meminfo", lambda *keys: 1 << 30), \
                self.assertRaisesRegex(measure.Missing, "4 GB of memory"):
            sharing.Functions(mock.Mock(), 0).room("9 functions")


class Plot(unittest.TestCase):
    def test_a_bar_for_what_was_measured(self):
        text = plot.script(bars())
        self.assertIn("set ytics ('usetl, kvm' 2, 'a ''peer'' & more' 1)",
                      text)
        self.assertIn("set xlabel 'time, ms'", text)
        self.assertNotIn("absent", text)

    def test_whiskers_are_a_deviation_to_each_side(self):
        m = figure.Mark("a", "", [1.0, 3.0])
        low, high = plot.whisker(m, False)
        self.assertAlmostEqual(low, 2 - 2 ** .5)
        self.assertAlmostEqual(high, 2 + 2 ** .5)

    def test_a_logarithmic_axis_ends_above_0(self):
        m = figure.Mark("a", "", [0.1, 9.9])
        self.assertEqual(plot.whisker(m, True)[0], 0.5)

    def test_a_line_for_each_contestant_by_x(self):
        text = plot.script(lines())
        self.assertIn("set xlabel 'size, MB'", text)
        self.assertIn("set logscale y", text)
        self.assertIn("$d1 << EOD\n1 2 2 2\n1024 2048 2048 2048\nEOD", text)

    def test_nothing_measured_is_no_plot(self):
        f = figure.Figure("f", "t", "time", "ms", "a")
        f.add({"a": measure.Missing("not here")})
        with self.assertRaisesRegex(measure.Missing, "nothing was measured"):
            plot.draw(f)

    def test_without_gnuplot_it_says_what_to_install(self):
        with mock.patch("shutil.which", lambda name: None), \
                self.assertRaisesRegex(measure.Missing, "t/deps.sh bench"):
            plot.draw(bars())

    @unittest.skipUnless(shutil.which("gnuplot"), "no gnuplot")
    def test_gnuplot_draws_both_kinds(self):
        for f in bars(), lines():
            svg = plot.draw(f)
            root = xml.etree.ElementTree.fromstring(svg)
            text = " ".join(root.itertext())
            self.assertIn(f.title, text)
            self.assertIn("time, ms", text)
            self.assertIn("usetl, kvm", text)


class Page(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="usetl-t.")
        self.addCleanup(tmp.cleanup)
        self.path = os.path.join(tmp.name, "bench.html")
        self.folder = page.Folder(self.path)
        draw = mock.patch("plot.draw", lambda f: f"<svg>{f.name}</svg>")
        draw.start()
        self.addCleanup(draw.stop)

    def text(self, groups, failures=()):
        self.assertEqual(self.folder.compose(groups), list(failures))
        with open(self.path, encoding="utf-8") as f:
            return f.read()

    def test_tables_and_plots_are_on_it(self):
        row = table.Row("a row", 1.0, "ms", 2.0, "a < b")
        self.folder.save("one", "a machine", [row, bars()])
        text = self.text(["one", "never run"])
        self.assertIn("<svg>PAPER figure 9</svg>", text)
        self.assertIn("<td>a &lt; b</td>", text)
        self.assertIn("<td>absent is not installed</td>", text)
        self.assertIn("a machine", text)

    def test_a_plot_is_a_file_too(self):
        self.folder.save("one", "", [bars()])
        self.text(["one"])
        with open(os.path.join(self.folder.path, "paper-figure-9.svg"),
                  encoding="utf-8") as f:
            self.assertEqual(f.read(), "<svg>PAPER figure 9</svg>")

    def test_groups_of_earlier_runs_stay(self):
        self.folder.save("one", "", [bars()])
        self.text(["one", "two"])
        self.folder.save("two", "", [lines()])
        text = self.text(["one", "two"])
        self.assertLess(text.index("<svg>PAPER figure 9"),
                        text.index("<svg>PAPER figure 8"))

    def test_without_a_plot_the_page_says_why(self):
        why = "no plot of PAPER figure 9: not here"
        with mock.patch("plot.draw", side_effect=measure.Missing("not here")):
            self.folder.save("one", "", [bars()])
            self.assertIn(why, self.text(["one"], [why]))


if __name__ == "__main__":
    tap.main(__name__)
