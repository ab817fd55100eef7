#!/usr/bin/env python3
"""Counts what inference costs on arm64, without a board, and fails when it costs more.

usage: bench-arm.py [--write]

Three kinds of figures, lower is better in all:
  whole: instructions of a process that runs a model with random weights (`edged bench`,
    one thread), per weight and token, product or start, exactly as executed under qemu;
  instructions of a kernel, per product (weight and vector) or value, likewise;
  cycles that llvm-mca predicts for a kernel's loops, everything in the nearest cache.
    neoverse-n1 stands for Cortex-A76 and A78AE, cortex-a57 for A72 (LLVM has no models
    of their own). SDOT peaks at 32 products a cycle on neoverse-n1: one cycle for 32.

They are compared with bench-arm.json beside this file: more than 5 % above is a failure,
and so is any above LIMITS. --write replaces that file. Needs go, gcc, qemu-user (the
-static build has no plugins) and llvm-19: the predictions depend on the version. The
models, 500 MB, are made in the folder where `edged bench` keeps its own.
"""
import concurrent.futures, json, os, re, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BASELINE = os.path.join(HERE, "bench-arm.json")
TOLERANCE = 1.05
CALLS = 10  # of each benchmark
WEIGHTS = 64 * 2048  # of BenchmarkPacked's strip; sizes below are those of the other benchmarks

# What a whole model may cost at most, whatever is committed (docs/benchmarks.md, "ARM:
# counted and predicted"), and the loops that this rests on.
LIMITS = {
    "whole cortex-a76 decode int8, per weight": 0.20,
    "whole cortex-a76 decode int4, per weight": 0.25,
    "whole cortex-a72 decode int8, per weight": 0.5,
    "whole cortex-a72 decode int4, per weight": 0.5,
    "whole cortex-a76 prefill int8, per weight": 0.11,
    "whole cortex-a76 prefill int4, per weight": 0.11,
    "whole cortex-a76 vision int8, per product": 0.15,
    "cycles neoverse-n1 mulP8x12Dot block": 1 / 0.85,
    "cycles neoverse-n1 wkv6 step, per element": 0.75,
}

# What `edged bench` runs: weights of shape 0b1 read per token, and products of siglip-b:
# 12 blocks of 196 patches, and the patches.
MODEL_WEIGHTS = 146.6e6
LONG = 9  # tokens of a run, compared with one of 1
CHUNK = 64  # tokens of a prompt that are computed together
TOWER_PRODUCTS = 12 * (196 * (4 * 768 + 2 * 3072) * 768 + 2 * 196 * 196 * 768) + 196 * 768 * 768


def run(*command, **options):
    r = subprocess.run(command, capture_output=True, text=True, **options)
    if r.returncode:
        sys.exit(f"{' '.join(command)}: exit {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}")
    return r.stdout


def build(work):
    """The test binary of package kernels, edged for here and there, and the counting plugin."""
    kernels, edged, here, plugin = (os.path.join(work, name) for name in ("kernels.test", "edged.arm64", "edged", "count.so"))
    root, env = os.path.dirname(HERE), dict(os.environ, GOOS="linux", GOARCH="arm64", CGO_ENABLED="0")
    run("go", "test", "-c", "-o", kernels, "./kernels", cwd=root, env=env)
    run("go", "build", "-o", edged, "./cmd/edged", cwd=root, env=env)
    run("go", "build", "-o", here, "./cmd/edged", cwd=root)
    run("gcc", "-O2", "-shared", "-fPIC", "-o", plugin, os.path.join(HERE, "bench-arm.c"))
    return kernels, edged, here, plugin


def executed(plugin, cpu, *command):
    """Instructions by function."""
    env = dict(os.environ, GOMAXPROCS="1", GOGC="off", GODEBUG="asyncpreemptoff=1", EDGED_KERNELS="")
    total = {}
    with tempfile.NamedTemporaryFile("r") as f:
        run("qemu-aarch64", "-cpu", cpu, "-plugin", f"{plugin},out={f.name}", *command, env=env)
        for line in f:
            instructions, symbol = line.rstrip("\n").split(" ", 1)
            total[symbol] = total.get(symbol, 0) + int(instructions)
    return total


def benchmarks(plugin, cpu, binary, pattern):
    """Instructions by function of package kernels/neon."""
    all = executed(plugin, cpu, binary, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", f"{CALLS}x")
    names = {symbol: re.search(r"kernels/neon\.(\w+)", symbol) for symbol in all}
    return {m[1]: all[symbol] for symbol, m in names.items() if m}


def whole(edged, here, plugin):
    """Whole processes. What two runs of different length have in common cancels out."""
    for what, kind in ("decode,vision", "int8"), ("decode", "int4"):  # makes the models, without an emulator
        run(here, "bench", "-what", what, "-type", kind, "-tokens", "1", "-runs", "1", "-quiet")
    def bench(what, kind, tokens):
        return edged, "bench", "-what", what, "-type", kind, "-tokens", str(tokens), "-runs", "1", "-threads", "1", "-quiet"
    jobs = {}  # the longest first
    for cpu, kind in ("cortex-a76", "int8"), ("cortex-a76", "int4"), ("cortex-a72", "int8"), ("max", "int8"):
        jobs["prefill", cpu, kind] = cpu, *bench("prefill", kind, CHUNK)
    jobs["vision"] = "cortex-a76", *bench("vision", "int8", 1)
    for cpu in "cortex-a72", "cortex-a76", "max":
        for kind in "int8", "int4":
            jobs["long", cpu, kind] = cpu, *bench("decode", kind, LONG)
            jobs["short", cpu, kind] = cpu, *bench("decode", kind, 1)
    jobs["startup"] = "cortex-a76", *bench("startup", "int8", 1)
    jobs["nothing"] = "cortex-a76", edged, "version"
    # A thread of Go's runtime wakes up by the clock: what is short runs twice, the smaller counts.
    once = lambda job: sum(executed(plugin, *job).values())
    twice = lambda job: once(job) if "prefill" in job or "vision" in job else min(once(job), once(job))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        total = dict(zip(jobs, pool.map(twice, jobs.values())))
    figures, token = {}, {}
    for cpu, kind in [job[1:] for job in jobs if job[0] == "short"]:
        token[cpu, kind] = (total["long", cpu, kind] - total["short", cpu, kind]) / (LONG - 1)
        figures[f"whole {cpu} decode {kind}, per weight"] = token[cpu, kind] / MODEL_WEIGHTS
    # Before what is timed, decoding warms up with a token, a prompt with a chunk, the
    # tower with a picture. A prompt starts as decoding does.
    for cpu, kind in [job[1:] for job in jobs if job[0] == "prefill"]:
        start = total["short", cpu, kind] - 2 * token[cpu, kind]
        figures[f"whole {cpu} prefill {kind}, per weight"] = (total["prefill", cpu, kind] - start) / (2 * CHUNK) / MODEL_WEIGHTS
    # Half of the start is in the figure of the tower.
    figures["whole cortex-a76 vision int8, per product"] = total["vision"] / 2 / TOWER_PRODUCTS
    # "startup" opens the file as the daemon does, and then again as "decode" does.
    start = total["nothing"] + total["startup"] - total["short", "cortex-a76", "int8"] + token["cortex-a76", "int8"]
    figures["whole cortex-a76 start int8, millions"] = start / 1e6
    return figures


def count(binary, plugin):
    figures = {}
    for cpu, tier in ("cortex-a76", "Dot"), ("cortex-a72", ""), ("max", "MM"):
        start = benchmarks(plugin, cpu, binary, "^$")  # the self-check
        total = benchmarks(plugin, cpu, binary, "^Benchmark(Packed|WKV6|WKV7|LowRank|Attention|Vector)$")
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
            put("wkv7, per element", "wkv7Head", 64 * 64)
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
        for name, t, columns in ("sumHalfRows", 1, 32), ("sumHalfRows4", 4, 16):
            figures[f"cycles {cpu} low-rank f16 t={t} loop, per product"] = cycles(cpu, Function(binary, name).loop(0)) / (t * columns)
        # A head of 64: the bonus eight rows at a time, and two halves of 32 columns, four rows at a time.
        f = Function(binary, "wkv6Head")
        rows = cycles(cpu, f.loop(1))
        figures[f"cycles {cpu} wkv6 loop, per element"] = 32 * rows / 4096
        figures[f"cycles {cpu} wkv6 step, per element"] = (8 * cycles(cpu, f.loop(0)) + 2 * (16 * rows + cycles(cpu, f.rest(1)))) / 4096
        # Two halves, each of which reads the whole state first; what is around the rows has one turn of that.
        f = Function(binary, "wkv7Head")
        figures[f"cycles {cpu} wkv7 step, per element"] = 2 * (15 * cycles(cpu, f.loop(0)) + 16 * cycles(cpu, f.loop(1)) + cycles(cpu, f.rest(1))) / 4096
    return figures


def main():
    for tool, package in ("go", "go"), ("gcc", "gcc"), ("qemu-aarch64", "qemu-user"), ("llvm-mca-19", "llvm-19"), ("llvm-objdump-19", "llvm-19"):
        if not shutil.which(tool):
            sys.exit(f"bench-arm needs {tool} (Debian package {package})")
    with tempfile.TemporaryDirectory() as work:
        kernels, edged, here, plugin = build(work)
        figures = whole(edged, here, plugin)
        figures.update(count(kernels, plugin))
        figures.update(predict(kernels))
    figures = {k: float(f"{v:.4g}") for k, v in figures.items()}
    if sys.argv[1:] == ["--write"]:
        with open(BASELINE, "w") as f:
            json.dump(figures, f, indent=1)
            f.write("\n")
    with open(BASELINE) as f:
        committed = json.load(f)
    bad = [k for k in committed | LIMITS if k not in figures]
    for k in bad:
        print(f"{k}: not measured")
    for k, v in figures.items():
        was, limit = committed.get(k, v), LIMITS.get(k, v)
        worse, above = v > was * TOLERANCE, v > limit
        print(f"{k:52} {v:8.4g}" + (f"   was {was:.4g}" if was != v else "") + ("   WORSE" if worse else "") + (f"   ABOVE {limit:.4g}" if above else ""))
        if worse or above:
            bad.append(k)
    if bad:
        sys.exit(f"bench-arm: {len(bad)} figures are worse than committed, above a limit or missing")


if __name__ == "__main__":
    main()
