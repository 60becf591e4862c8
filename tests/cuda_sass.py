#!/usr/bin/env python3
"""Instructions a cell of the kernels' hot loops, by pipe, and the bound on clocks that follows.

    tests/cuda_sass.py FOLDER [--arch sm_90a]

FOLDER holds the objects that nvcc wrote (build/release/kernels/cuda). Needs cuobjdump and nvdisasm, of a
CUDA toolkit or of the wheels in launch/requirements-cuda-compiler.txt, on PATH or in CUDA_TOOLS.

Of each kernel the hot loop is the innermost one with most products (HMMA, IMMA or FFMA); the loop around
it goes once for each tile. Counted is, of the ways through both with all products, the one with fewest
instructions: what dropout, saturated cells and copies of the last tile add is left out, so the figures are
bounds. They are
clocks of one multiprocessor for one cell (or edge), per pipe and, at most four instructions a clock, for
the issue slots. Pipes, in lanes a clock of a multiprocessor: FMA 128 (IMAD 64), ALU 64, MUFU and
conversions 16, shared memory and shuffles 128 bytes; m16n8k16 bf16 and m16n8k32 u8 take one clock at the
dense peak of sm_90 (two of sm_80).
"""
import argparse
import os
import re
import subprocess
import sys

# Kernel, what one pass of the hot loop works on (by one warp), passes a tile, what it is called.
KERNELS = [
    (r"attention_dense_forward<.*bfloat16, 32>", 32 * 64, 1, "cell"),
    (r"attention_dense_forward<.*bfloat16, (64|128)>", 32 * 32, 2, "cell"),
    (r"attention_dense_backward<.*bfloat16, 32, 32, .*Side\)0", 32 * 16, 4, "cell"),
    (r"attention_dense_backward<.*bfloat16", 16 * 16, 4, "cell"),
    (r"draw_tiles<", 16 * 32, 2, "cell"),
    (r"edge_forward_kernel<.*bfloat16, 32>", 32, 1, "edge"),
    (r"edge_forward_kernel<.*bfloat16, 64>", 16, 1, "edge"),
    (r"edge_forward_kernel<.*bfloat16, 128>", 8, 1, "edge"),
    (r"edge_backward_kernel<.*bfloat16, 32,", 32, 1, "edge"),
    (r"edge_backward_kernel<.*bfloat16, 64,", 16, 1, "edge"),
    (r"edge_backward_kernel<.*bfloat16, 128,", 8, 1, "edge"),
]


def pipe_of(opcode):
    name = opcode.split(".")[0]
    if name in ("HMMA", "IMMA"):
        return "tensor"
    if name == "IMAD":
        # Moves and shifts by IMAD go to the wide half of the pipe as any other.
        return "imad"
    if name in ("FFMA", "FMUL", "FADD", "HFMA2", "HADD2", "HMUL2", "FSWZADD"):
        return "fma"
    if name in ("MUFU", "I2F", "F2I", "I2FP", "F2F", "POPC", "FLO", "BREV", "I2I"):
        return "mufu"
    if name in ("LDS", "STS", "LDSM", "SHFL", "LDG", "STG", "LDGSTS", "ATOMS", "ATOMG", "RED", "ATOM"):
        return "memory"
    if name in ("LDC", "LDL", "STL", "S2R", "CS2R", "S2UR") or name.startswith("U") or name in ("R2UR", "VOTEU"):
        return "other"
    if name in ("BRA", "BSSY", "BSYNC", "BAR", "EXIT", "NOP", "WARPSYNC", "DEPBAR", "LDGDEPBAR", "CALL", "RET",
                "BRX", "YIELD", "BREAK", "ERRBAR", "MEMBAR", "BMOV", "JMP"):
        return "other"
    return "alu"


def memory_clocks(opcode):
    """Clocks of the multiprocessor's 128 bytes for a warp, without bank conflicts."""
    if opcode.startswith("LDSM"):
        return int(opcode.split(".")[-1]) if opcode.split(".")[-1].isdigit() else 1
    for width, clocks in ((".128", 4), (".64", 2)):
        if width in opcode:
            return clocks
    return 1


class Function:
    def __init__(self, name, lines):
        self.name = name
        self.code = []  # (address, opcode, target or None, conditional)
        for line in lines:
            match = re.match(r"\s*/\*([0-9a-f]{4,})\*/\s+(@!?U?P[0-9T]\s+)?([A-Z0-9_.]+)\s*([^;]*);", line)
            if not match:
                continue
            opcode, operands = match.group(3), match.group(4)
            target = None
            if opcode.startswith("BRA"):
                found = re.search(r"(0x[0-9a-f]+)", operands)
                target = int(found.group(1), 16) if found else None
            conditional = bool(match.group(2)) or (opcode.startswith("BRA") and operands.count(",") > 0)
            self.code.append((int(match.group(1), 16), opcode, target, conditional))
        self.index = {address: i for i, (address, _, _, _) in enumerate(self.code)}

    def loops(self):
        found = {}
        for i, (address, _, target, _) in enumerate(self.code):
            if target is not None and target <= address and target in self.index:
                head = self.index[target]
                found[head] = max(found.get(head, 0), i)
        return [(head, tail) for head, tail in found.items() if tail > head + 3]

    def way(self, loop, product):
        """Of the ways through the loop with most products the one with fewest instructions."""
        head, tail = loop
        best = {head: (0, 0, None)}  # products, minus instructions, where from
        for i in range(head, tail):
            if i not in best:
                continue
            _, opcode, target, conditional = self.code[i]
            nexts = []
            if (target is None and not opcode.startswith(("EXIT", "RET"))) or conditional:
                nexts.append(i + 1)
            if target is not None and self.index.get(target, 0) > i:
                nexts.append(self.index[target])
            value = (best[i][0] + opcode.startswith(product), best[i][1] - 1)
            for j in nexts:
                if j <= tail and (j not in best or value > best[j][:2]):
                    best[j] = (*value, i)
        if tail not in best:
            return None
        path, i = [], tail
        while i is not None:
            path.append(i)
            i = best[i][2]
        return path[::-1]


def count(function, path):
    pipes = dict.fromkeys(("all", "tensor", "fma", "imad", "alu", "mufu", "memory", "other", "shared clocks"), 0)
    for i in path:
        opcode = function.code[i][1]
        pipe = pipe_of(opcode)
        pipes["all"] += 1
        pipes[pipe] += 1
        if pipe == "memory":
            pipes["shared clocks"] += memory_clocks(opcode)
    return pipes


def analyse(function, passes):
    product = next((kind for kind in ("HMMA", "IMMA", "FFMA")
                    if any(opcode.startswith(kind) for _, opcode, _, _ in function.code)), None)
    loops = sorted(function.loops(), key=lambda loop: loop[1] - loop[0])
    if product is None or not loops:
        return None
    products = {loop: sum(opcode.startswith(product) for _, opcode, _, _ in function.code[loop[0]:loop[1] + 1])
                for loop in loops}
    # The innermost of those that have nearly all products.
    hot = next(loop for loop in loops if products[loop] >= 0.45 * max(products.values()))
    path = function.way(hot, product)
    if path is None:
        return None
    pipes = count(function, path)
    around = [loop for loop in loops if loop[0] <= hot[0] and loop[1] >= hot[1] and loop != hot]
    outer_path = function.way(around[0], product) if passes > 1 and around else None
    if outer_path is not None:
        outer = count(function, outer_path)
        for pipe in pipes:
            pipes[pipe] += max(0, outer[pipe] - pipes[pipe]) / passes
    return pipes


def functions_of(tools, path, arch):
    text = subprocess.run([tools("cuobjdump"), "-arch", arch, "-sass", path], check=True,
                          capture_output=True, text=True, env=tools.environment).stdout
    parts = re.split(r"\n\s*Function : (\S+)\n", text)
    for name, body in zip(parts[1::2], parts[2::2]):
        yield Function(name, body.splitlines())


class Tools:
    def __init__(self):
        folder = os.environ.get("CUDA_TOOLS", "")
        self.folder = folder
        self.environment = dict(os.environ, PATH=folder + os.pathsep + os.environ["PATH"])

    def __call__(self, name):
        return os.path.join(self.folder, name) if self.folder else name


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--arch", default="sm_90a")
    arguments = parser.parse_args()
    tools = Tools()
    rows = []
    for file in sorted(os.listdir(arguments.folder)):
        if not file.endswith(".o"):
            continue
        for function in functions_of(tools, os.path.join(arguments.folder, file), arguments.arch):
            name = subprocess.run(["c++filt", "-p", function.name], capture_output=True, text=True).stdout.strip()
            name = re.sub(r"sbm::kernels::(cuda::)?|\(anonymous namespace\)::|^void |dense::|__nv_", "", name)
            for pattern, cells, passes, unit in KERNELS:
                if re.search(pattern, name):
                    pipes = analyse(function, passes)
                    if pipes:
                        rows.append((name, unit, cells, pipes))
                    break
    if not rows:
        sys.exit("cuda_sass.py: no kernel of its list in " + arguments.folder)
    tensor_clocks = 1.0 if arguments.arch.startswith("sm_90") else 2.0
    print("| kernel | of | instructions | tensor | FMA | IMAD | ALU | MUFU | memory | issue | FMA + IMAD | ALU "
          "| MUFU | shared | tensor | bound |")
    print("|---|---|" + "---|" * 14)
    for name, unit, cells, pipes in sorted(rows):
        lanes = {pipe: 32.0 * number / cells for pipe, number in pipes.items()}
        clocks = {
            "issue": pipes["all"] / 4 / cells,
            "fma": (pipes["fma"] / 4 + pipes["imad"] / 2) / cells,
            "alu": pipes["alu"] / 2 / cells,
            "mufu": 2 * pipes["mufu"] / cells,
            "shared": pipes["shared clocks"] / cells,
            "tensor": tensor_clocks * pipes["tensor"] / cells,
        }
        worst = max(clocks, key=clocks.get)
        print("| `%s` | %s | %.1f | %.2f | %.1f | %.1f | %.1f | %.2f | %.2f | %s | **%.4f** %s |" % (
            name, unit, lanes["all"], lanes["tensor"], lanes["fma"], lanes["imad"], lanes["alu"], lanes["mufu"],
            lanes["memory"], " | ".join("%.4f" % clocks[c] for c in ("issue", "fma", "alu", "mufu", "shared", "tensor")),
            clocks[worst], worst))


if __name__ == "__main__":
    main()
