#!/usr/bin/env python3
"""Counts what the arm64 kernels cost, without a board, and fails when they cost more.

usage: bench-arm.py [--write]

Two kinds of figures, lower is better in all:
  instructions per product (weight and vector) or value, exactly as executed under qemu;
  cycles that llvm-mca predicts for a kernel's loops, everything in the nearest cache.
    neoverse-n1 stands for Cortex-A76 and A78AE, cortex-a57 for A72 (LLVM has no models
    of their own). SDOT peaks at 32 products a cycle on neoverse-n1: one cycle for 32.

They are compared with bench-arm.json beside this file; more than 5 % above is a failure.
--write replaces that file. Needs go, gcc, qemu-user (the -static build has no plugins)
and llvm-19: the predictions depend on the version.
"""
import json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "bench-arm.json")
TOLERANCE = 1.05
CALLS = 10  # of each benchmark
WEIGHTS = 64 * 2048  # of BenchmarkPacked's strip; sizes below are those of the other benchmarks


def run(*command, **options):
    r = subprocess.run(command, capture_output=True, text=True, **options)
    if r.returncode:
        sys.exit(f"{' '.join(command)}: exit {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}")
    return r.stdout


def build(work):
    """The test binary of package kernels, and the counting plugin."""
    binary, plugin = os.path.join(work, "kernels.test"), os.path.join(work, "count.so")
    env = dict(os.environ, GOOS="linux", GOARCH="arm64", CGO_ENABLED="0")
    run("go", "test", "-c", "-o", binary, "./kernels", cwd=os.path.dirname(HERE), env=env)
    run("gcc", "-O2", "-shared", "-fPIC", "-o", plugin, os.path.join(HERE, "bench-arm.c"))
    return binary, plugin


def executed(work, binary, plugin, cpu, benchmarks):
    """Instructions by function."""
    out = os.path.join(work, cpu)
    env = dict(os.environ, GOMAXPROCS="1", GOGC="off", GODEBUG="asyncpreemptoff=1")
    run("qemu-aarch64", "-cpu", cpu, "-plugin", f"{plugin},out={out}", binary, "-test.run", "^$",
        "-test.bench", benchmarks, "-test.benchtime", f"{CALLS}x", env=env)
    total = {}
    with open(out) as f:
        for line in f:
            count, symbol = line.split(" ", 1)
            m = re.search(r"kernels/neon\.(\w+)", symbol)
            if m:
                total[m[1]] = total.get(m[1], 0) + int(count)
    return total


def count(work, binary, plugin):
    figures = {}
    for cpu, tier in ("cortex-a76", "Dot"), ("cortex-a72", ""), ("max", "MM"):
        start = executed(work, binary, plugin, cpu, "^$")  # the self-check
        total = executed(work, binary, plugin, cpu, "^Benchmark(Packed|WKV6|LowRank|Attention|Vector)$")
        def put(name, symbol, units):
            if symbol not in total:
                sys.exit(f"{cpu}: {symbol} did not run")
            figures[f"instructions {cpu} {name}"] = (total[symbol] - start.get(symbol, 0)) / (CALLS * units)
        for t in (8, 12) if tier == "MM" else (1, 2, 3, 4, 8, 12):
            put(f"int8 t={t}", f"mulP8x{t}{tier}", WEIGHTS * t)
            if tier != "MM":
                put(f"int4 t={t}", f"mulP4x{t}{tier}", WEIGHTS * t)
        if tier == "Dot":
            put("unpack int4", "unpackP4", WEIGHTS)
            put("quantize", "quantizeRow", 2048 * (1 + 2 + 3 + 4 + 8 + 12))
            put("wkv6, per element", "wkv6Head", (1 + 64) * 12 * 64 * 64)
            put("low-rank", "sumRows", 768 * 160)
            put("attention scores", "attentionScores", 16 * 256 * 64)
            put("attention values", "attentionValues", 16 * 256 * 64)
            put("layer norm", "layerNorm", 2048)
            put("sigmoid", "sigmoid", 2048)
            put("gelu", "gelu", 2048)
    return figures


class Function:
    """The disassembly of a function and its innermost loops."""

    def __init__(self, binary, name):
        symbol = f"github.com/visualrwkv/edged/kernels/neon.{name}.abi0"
        text = run("llvm-objdump-19", "-d", "--no-show-raw-insn", "--mattr=+dotprod,+i8mm,+fullfp16",
                   f"--disassemble-symbols={symbol}", binary)
        lines = [re.match(r"\s*([0-9a-f]+):\s+(\S.*)$", l) for l in text.splitlines()]
        self.code = [(int(m[1], 16), re.sub(r"<[^>]*>", "", m[2].split("//")[0]).strip()) for m in lines if m]
        if not self.code:
            sys.exit(f"{symbol} is not in the binary")
        index = {address: i for i, (address, _) in enumerate(self.code)}
        spans = []
        for i, (address, text) in enumerate(self.code):
            m = re.match(r"b(?:\.\w+)?\s+0x([0-9a-f]+)$", text)
            if m and index.get(int(m[1], 16), i + 1) <= i:
                spans.append((index[int(m[1], 16)], i + 1))
        inside = lambda a, b: a != b and b[0] <= a[0] and a[1] <= b[1]
        self.loops = [s for s in spans if not any(inside(o, s) for o in spans)]
        self.around = [min((o for o in spans if inside(s, o)), key=lambda o: o[1] - o[0], default=s) for s in self.loops]

    def loop(self, k):
        a, b = self.loops[k]
        return [text for _, text in self.code[a:b]]

    def rest(self, k):
        """The loop around loop k without it."""
        (a, b), (c, d) = self.loops[k], self.around[k]
        return [text for _, text in self.code[c:a] + self.code[b:d]]


def cycles(cpu, code):
    """Cycles of one iteration of code, in a steady state."""
    lines = [re.sub(r"0x[0-9a-f]+$", ".L0", t) if re.match(r"c?b", t) else t for t in code]
    n = 200
    out = run("llvm-mca-19", "-mtriple=aarch64", f"-mcpu={cpu}", "-mattr=+dotprod,+i8mm,+fullfp16",
              f"-iterations={n}", input=".L0:\n" + "\n".join(lines) + "\n")
    return int(re.search(r"Total Cycles:\s+(\d+)", out)[1]) / n


def predict(binary):
    figures = {}
    def tile(cpu, name, columns, passes, t):
        """Per 32 products: a block of 256 columns by 16 rows, its loop and what is around."""
        f = Function(binary, name)
        work = 16 * 256 * t / 32
        inner, rest = cycles(cpu, f.loop(0)), cycles(cpu, f.rest(0))
        figures[f"cycles {cpu} {name} loop"] = passes * 256 / columns * inner / work
        figures[f"cycles {cpu} {name} block"] = passes * (256 / columns * inner + rest) / work
    tile("neoverse-n1", "mulP8x1Dot", 32, 1, 1)
    tile("neoverse-n1", "mulP8x4Dot", 16, 1, 4)
    tile("neoverse-n1", "mulP8x8Dot", 16, 2, 8)
    tile("neoverse-n1", "mulP8x12Dot", 16, 2, 12)
    tile("neoverse-n1", "mulP4x1Dot", 64, 1, 1)
    tile("neoverse-n1", "mulP4x2Dot", 64, 1, 2)
    tile("neoverse-n1", "mulP4x4Dot", 64, 1, 4)
    tile("neoverse-n1", "mulP4x8Dot", 64, 2, 8)
    tile("neoverse-n2", "mulP8x12MM", 16, 2, 12)
    tile("cortex-a57", "mulP8x1", 32, 1, 1)
    tile("cortex-a57", "mulP8x12", 16, 6, 12)
    tile("cortex-a57", "mulP4x1", 64, 1, 1)
    tile("cortex-a57", "mulP4x4", 64, 2, 4)
    for cpu in "neoverse-n1", "cortex-a57":
        # A head of 64: the bonus once, and two halves of 32 columns, four rows at a time.
        f = Function(binary, "wkv6Head")
        rows = cycles(cpu, f.loop(1))
        figures[f"cycles {cpu} wkv6 loop, per element"] = 32 * rows / 4096
        figures[f"cycles {cpu} wkv6 step, per element"] = (16 * cycles(cpu, f.loop(0)) + 2 * (16 * rows + cycles(cpu, f.rest(1)))) / 4096
    return figures


def main():
    for tool, package in ("go", "go"), ("gcc", "gcc"), ("qemu-aarch64", "qemu-user"), ("llvm-mca-19", "llvm-19"), ("llvm-objdump-19", "llvm-19"):
        if not shutil.which(tool):
            sys.exit(f"bench-arm needs {tool} (Debian package {package})")
    with tempfile.TemporaryDirectory() as work:
        binary, plugin = build(work)
        figures = count(work, binary, plugin)
        figures.update(predict(binary))
    figures = {k: float(f"{v:.4g}") for k, v in figures.items()}
    if sys.argv[1:] == ["--write"]:
        with open(BASELINE, "w") as f:
            json.dump(figures, f, indent=1)
            f.write("\n")
    with open(BASELINE) as f:
        committed = json.load(f)
    bad = [k for k in committed if k not in figures]
    for k in bad:
        print(f"{k}: not measured")
    for k, v in figures.items():
        was = committed.get(k)
        worse = was is not None and v > was * TOLERANCE
        print(f"{k:52} {v:8.4g}" + (f"   was {was:.4g}" if was is not None and was != v else "") + ("   WORSE" if worse else ""))
        if worse:
            bad.append(k)
    if bad:
        sys.exit(f"bench-arm: {len(bad)} figures are worse than committed")


if __name__ == "__main__":
    main()
