"""Who may include whom in include/attend, and a few lines of style that a compiler does not see.

  layering.py FOLDER       checks FOLDER (an include/attend), lists what breaks a rule, exits with 1 if anything does
  layering.py --self-test  plants one violation of each rule and demands that it is found
"""

import pathlib
import re
import sys
import tempfile

# A room and the rooms it may include, besides itself. `face` is what lies in include/attend itself.
ROOMS = {
    "core": set(),
    "select": {"core"},
    "cpu/engine": {"core"},
    "cpu": {"core", "select", "cpu/engine"},
    "api": {"core", "select", "cpu"},
    "cuda/arch": {"core"},
    "cuda/tile": {"core", "cuda/arch"},
    "cuda/block": {"core", "cuda/arch", "cuda/tile"},
    "cuda/kernel": {"core", "cuda/arch", "cuda/tile", "cuda/block"},
    "cuda/launch": {"core", "select", "cuda/arch", "cuda/tile", "cuda/block", "cuda/kernel"},
    "cuda": {"core", "select", "api", "cuda/launch"},
}
MACRO_HOMES = {"core/config.hpp", "version.hpp"}
MAX_LINES = 500


def room_of(path):
    """The room of a header, given relative to include/attend; None where no room is known."""
    folder = path.parent.as_posix()
    if folder == ".":
        return "face"
    return folder if folder in ROOMS else None


def may_include(room, other, target):
    if other == "face":  # everyone may read the version; the rest of the face is above all rooms
        return room == "face" or target.name == "version.hpp"
    if target.as_posix() == "cpu/element.hpp" and room == "cpu/engine":
        return True  # Eigen's half types, which the engines convert
    return room in ("face", other) or other in ROOMS[room]


def without_comments(text):
    """The code with comments, and the contents of string literals, blanked; lines stay."""
    pattern = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    blank = lambda match: match[0] if match[0][0] == '"' else re.sub(r"[^\n]", " ", match[0])
    return re.sub(pattern, blank, text, flags=re.S)


def check_includes(path, room, code, root):
    for line, (opening, name) in matches(r'^\s*#\s*include\s*([<"])([^>"]+)', code):
        if opening == '"' or name.startswith("attend/"):
            base = root if name.startswith("attend/") else (root / path).parent
            target = (base / name.removeprefix("attend/")).resolve()
            if not target.is_file():
                yield line, f"includes {name}, which is not there"
                continue
            target = target.relative_to(root.resolve())
            other = room_of(target)
            if other is None or not may_include(room, other, target):
                yield line, f"{room} must not include {target}"
        elif re.match(r"(unsupported/)?Eigen/", name) and room not in ("cpu", "cpu/engine", "api", "face"):
            yield line, f"{room} must not include Eigen"
        elif re.search(r"intrin\.h$|^arm_neon\.h$|^cpuid\.h$", name) and room != "cpu/engine":
            yield line, f"{name} belongs into cpu/engine"
        elif name.startswith("cuda") and room.split("/")[0] not in ("cuda", "face"):
            yield line, f"{room} must not include CUDA"


def check_lines(path, room, code, root):
    allowed = "" if room != "cpu/engine" else r"""(?!\s*\(\s*"")"""  # there, where it holds no instruction
    if room != "cuda/arch":
        yield from ((line, "asm belongs into cuda/arch")
                    for line, _ in matches(r"\b(?:asm|__asm__)\b" + allowed + "()()", code))
    if room != "cuda/launch":
        for line, _ in matches(r"<<<()()", code):
            yield line, "<<< belongs into cuda/launch"
    for line, _ in matches(r"\busing\s+namespace\b()()", code):
        yield line, "using namespace in a header"
    for line, (name, _) in matches(r"^\s*#\s*define\s+(\w+)()", code):
        if name == "EIGEN_USE_THREADS":  # Eigen's switch, which has to be set before its header
            continue
        if not name.startswith("ATTEND_"):
            yield line, f"macro {name} is not called ATTEND_*"
        elif path.as_posix() not in MACRO_HOMES:
            yield line, f"macro {name} belongs into core/config.hpp"
    if path.suffix != ".inl" and not code.lstrip().startswith("#pragma once"):
        yield 1, "does not begin with #pragma once"
    lines = code.count("\n")
    if lines > MAX_LINES:
        yield lines, f"is {lines} lines long; past {MAX_LINES} a file has more than one job"


def matches(pattern, code):
    for match in re.finditer(pattern, code, flags=re.M):
        yield code.count("\n", 0, match.start(1)) + 1, match.groups()


def violations(root):
    root = pathlib.Path(root)
    files = sorted(p for p in root.rglob("*") if p.suffix in (".hpp", ".cuh", ".h", ".inl"))
    if not files:
        yield f"{root}: no headers"
    for file in files:
        path = file.relative_to(root)
        code = without_comments(file.read_text())
        room = room_of(path)
        if room is None:
            yield f"{path}: no such room"
            continue
        for check in (check_includes, check_lines):
            for line, message in check(path, room, code, root):
                yield f"{path}:{line}: {message}"


UNGUARDED = "struct Unguarded;"
# One planted violation per rule: file, text, what must be said of it.
PLANTED = [
    ("core/a.hpp", '#include "../select/b.hpp"', "core must not include select/b.hpp"),
    ("core/a.hpp", "#include <attend/attend.hpp>", "core must not include attend.hpp"),
    ("select/a.hpp", '#include "../cpu/b.hpp"', "select must not include cpu/b.hpp"),
    ("cpu/engine/a.hpp", '#include "../b.hpp"', "cpu/engine must not include cpu/b.hpp"),
    ("cpu/a.hpp", '#include "../api/b.hpp"', "cpu must not include api/b.hpp"),
    ("cpu/a.hpp", '#include "../cuda/launch/b.hpp"', "cpu must not include cuda/launch/b.hpp"),
    ("cuda/arch/a.hpp", '#include "../tile/b.hpp"', "cuda/arch must not include cuda/tile/b.hpp"),
    ("cuda/kernel/a.hpp", '#include "../launch/b.hpp"', "must not include cuda/launch/b.hpp"),
    ("core/a.hpp", '#include "missing.hpp"', "is not there"),
    ("core/a.hpp", "#include <Eigen/Core>", "core must not include Eigen"),
    ("cuda/block/a.hpp", "#include <unsupported/Eigen/CXX11/Tensor>", "must not include Eigen"),
    ("core/a.hpp", "#include <cuda_fp16.h>", "core must not include CUDA"),
    ("cpu/a.hpp", "#include <immintrin.h>", "belongs into cpu/engine"),
    ("cuda/tile/a.hpp", 'inline void f() { asm volatile(""); }', "asm belongs into cuda/arch"),
    ("cuda/kernel/a.cuh", "inline void f() { kernel<<<1, 1>>>(); }", "<<< belongs"),
    ("attend.hpp", "using namespace std;", "using namespace"),
    ("core/a.hpp", "#define HELPER 1", "HELPER is not called ATTEND_*"),
    ("cpu/a.hpp", "#define ATTEND_HELPER 1", "belongs into core/config.hpp"),
    ("core/a.hpp", "\n" * 501, "past 500"),
    ("core/a.hpp", UNGUARDED, "does not begin with #pragma once"),
    ("misc/a.hpp", "", "no such room"),
]
CLEAN = {
    "version.hpp": "#define ATTEND_VERSION_MAJOR 0",
    "attend.hpp": '#include <Eigen/Core>\n#include "api/b.hpp"\n#include "version.hpp"',
    "core/config.hpp": "#define ATTEND_HD",
    "core/b.hpp": '#include "config.hpp"  // not asm, and no <<< either',
    "select/b.hpp": '#include "../core/b.hpp"',
    "cpu/b.hpp": '#include <Eigen/Core>\n#include "../select/b.hpp"\n#include "engine/b.hpp"',
    "api/b.hpp": '#include <Eigen/Core>\n#include "../cpu/b.hpp"',
    "cpu/engine/b.hpp": '#include <immintrin.h>\n#include "c.inl"',
    "cpu/engine/c.inl": UNGUARDED,
    "cuda/arch/b.hpp": 'inline void f() { asm(""); }',
    "cuda/tile/b.hpp": '#include "../arch/b.hpp"',
    "cuda/launch/b.hpp": '#include "../tile/b.hpp"\n// launches\ninline int f() { return 1 <<\n1; }',
}


def self_test():
    holes = []
    for planted in [None] + PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            name, text, expected = planted or ("", "", "")
            for path, content in {**CLEAN, **({name: text} if planted else {})}.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                guard = "" if content == UNGUARDED else "#pragma once\n"
                (root / path).write_text(f"{guard}{content}\n")
            found = list(violations(root))
        if not planted and found:
            holes.append(f"a clean tree is not clean: {found}")
        elif planted and not any(v.startswith(name) and expected in v for v in found):
            holes.append(f"{name}: '{text.strip()}' was not found; found {found}")
    print(*holes, sep="\n", end="\n" if holes else "")
    print(f"{len(PLANTED)} planted violations, {len(holes)} holes")
    return bool(holes)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    broken = list(violations(sys.argv[1]))
    print(*broken, sep="\n", end="\n" if broken else "")
    sys.exit(bool(broken))
