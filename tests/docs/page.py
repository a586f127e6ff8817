"""A page as a program: its blocks, run from top to bottom in the folder where this is started.

    python page.py PAGE [KAFKA POSTGRES]

A page is run as its reader would follow it: in one folder, in one interpreter and one shell, block after block.

P1  A `python` block runs in the page's one module. Where its first line is a file's name, as `# bank.py`, it is that file.
P2  A `sh` block runs in bash and stops at the first command that fails; what it exports holds for the blocks after it.
    Where its last line is a worker, `eventcore … run`, that one says that it runs, runs beside the rest of the page, is
    told to end at the end of it, and must then end well.
P3  A `text` block is what the block before it prints, `…` standing for anything: within a line, or for whole lines.
    A `python` block without one prints nothing.
P4  Lines of a `sh` block that are in ELSEWHERE are left out. There are no other exceptions.
P5  Addresses of Kafka and Postgres stand for the servers given: each page uses one of each.
P6  A block without a language is a picture. `looks_like_code` tells those that are not.

It knows nothing but the standard library, so that it puts nothing of the tree onto the import path of what it runs.
"""

import ast
import contextlib
import io
import itertools
import re
import signal
import subprocess
import sys
import time
import traceback
import types
from pathlib import Path
from typing import NamedTuple

# Commands that a page shows and that no page's run repeats: why, and the test that runs them.
ELSEWHERE = {
    "make demo": (
        "it installs the environment first",
        "tests/integration/examples/test_bank.py::test_the_demonstration_tells_the_same_story_each_time",
    ),
    "make test": (
        "it is what runs this",
        "tests/docs/test_pages.py::test_the_integration_script_runs_what_the_readme_says",
    ),
    "make servers": (
        "it starts what this is given",
        "tests/servers/test_servers.py::test_the_program_prints_addresses_for_the_shell_until_it_is_told_to_end",
    ),
}

FENCE = re.compile(r"^ {0,3}(```+|~~~+)\s*(\S*)\s*$")
FILE = re.compile(r"# ([a-z_]+\.py)")
KAFKA = re.compile(r"kafka://([\w.,:-]+)(?:\?prefix=([\w.-]+))?")
POSTGRES = re.compile(r"postgresql://[^\s'\")]+")
WORKER = re.compile(r"eventcore\b.* run( --health [\w.:]+| --supervise)?")
WORKER_S = 60  # for a worker to start on topics and tables that it makes, and to end
RUNS = b"parts stand ready"  # what a worker logs when its lanes, relays and projections have begun


class Block(NamedTuple):
    """A block of a page: its language (empty for a picture), the line of its first line, its text."""

    language: str
    line: int
    text: str


class Servers(NamedTuple):
    """What the addresses of a page stand for: `kafka` is `host:port?prefix=…`."""

    kafka: str
    postgres: str


class Wrong(Exception):
    """A block does not do what its page says; the message says where and what."""


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page in order, those set by indentation as well."""
    blocks: list[Block] = []
    fence, language, start = "", "", 0
    lines: list[str] = []
    previous, indented = "", False
    for number, line in enumerate(page.splitlines(), 1):
        match = FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and not match[2]:
                blocks.append(Block(language, start, "".join(f"{each}\n" for each in lines)))
                fence = ""
            else:
                lines.append(line)
        elif match:
            fence, language, start, lines = match[1], match[2], number + 1, []
        elif line.startswith("    ") and indented:
            blocks[-1] = blocks[-1]._replace(text=f"{blocks[-1].text}{line[4:]}\n")
        elif line.startswith("    ") and not previous.strip():
            blocks.append(Block("", number, f"{line[4:]}\n"))
            indented = True
            continue
        indented = indented and not fence and line.startswith("    ")
        previous = line
    if fence:
        raise Wrong(f"the block that begins at line {start} has no end")
    return blocks


def looks_like_code(text: str) -> bool:
    """Whether a picture is a program or a command that ought to have a language."""
    commands = ("$ ", "eventcore ", "make ", "pip ", "python ", "python3 ", ".venv/")
    if any(line.startswith(commands) for line in text.splitlines()):
        return True
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(not isinstance(node, ast.Expr) for node in tree.body)


def matches(expected: str, printed: str) -> bool:
    """Whether what was printed is what a `text` block says (P3)."""
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == "…":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n"
    return re.fullmatch(pattern, f"{printed.rstrip()}\n" if printed.strip() else "") is not None


class Run:
    """One run of one page, in the current folder."""

    def __init__(self, path: Path, servers: Servers | None) -> None:
        self._path = path
        self._page = path.read_text(encoding="utf-8")
        self._servers = servers
        self._module = types.ModuleType("__main__", self._page.partition("\n")[0])
        self._exports: list[str] = []
        self._workers: list[tuple[subprocess.Popen[bytes], Path]] = []

    def run(self) -> None:
        """Run every block. Raises Wrong at the first that fails or prints something else."""
        sys.modules["__main__"] = self._module
        blocks = blocks_of(self._page)
        try:
            for block, following in itertools.pairwise([*blocks, Block("", 0, "")]):
                said = following.text if following.language == "text" else None
                if block.language == "python":
                    self._compare(block, said if said is not None else "", self._python(block))
                elif block.language == "sh":
                    printed = self._shell(block)
                    if said is not None:
                        self._compare(block, said, printed)
            self._end_workers()
        finally:
            for worker, _ in self._workers:
                worker.kill()
                worker.wait()

    def _compare(self, block: Block, said: str, printed: str) -> None:
        if not matches(said, self._documented(printed)):
            raise Wrong(f"{self._path}:{block.line} prints\n\n{printed}\nand the page says\n\n{said}")

    def _python(self, block: Block) -> str:
        if (file := FILE.match(block.text)) is not None:
            Path(file[1]).write_text(self._served(block.text), encoding="utf-8")
            return ""
        source = "\n" * (block.line - 1) + self._served(block.text)  # so that tracebacks name the page's lines
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(compile(source, str(self._path), "exec", dont_inherit=True), self._module.__dict__)
        except BaseException as raised:
            raise Wrong(f"{printed.getvalue()}\n{''.join(traceback.format_exception(raised))}") from raised
        return printed.getvalue()

    def _shell(self, block: Block) -> str:
        lines = [line for line in self._served(block.text).splitlines() if line not in ELSEWHERE]
        worker = lines.pop() if lines and WORKER.fullmatch(lines[-1]) else None
        printed = self._bash(block, lines)
        self._exports += [line for line in lines if line.startswith("export ")]
        if worker is not None:
            output = Path(f"worker-{len(self._workers)}.txt").absolute()
            command = ["bash", "-euc", "\n".join([*self._exports, f"exec {worker}"])]
            with output.open("wb") as to:
                self._workers.append((subprocess.Popen(command, stdout=to, stderr=to), output))
            self._wait_for_worker()
        return printed

    def _wait_for_worker(self) -> None:
        worker, output = self._workers[-1]
        deadline = time.monotonic() + WORKER_S
        while RUNS not in output.read_bytes():
            if worker.poll() is not None or time.monotonic() > deadline:
                raise Wrong(f"a worker does not run:{self._of_workers()}")
            time.sleep(0.05)

    def _bash(self, block: Block, lines: list[str]) -> str:
        if not lines:
            return ""
        command = ["bash", "-euo", "pipefail", "-c", "\n".join([*self._exports, *lines])]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Wrong(f"{self._path}:{block.line} ends with {done.returncode}:\n{done.stdout}{self._of_workers()}")
        return done.stdout

    def _end_workers(self) -> None:
        for worker, _ in self._workers:
            worker.send_signal(signal.SIGTERM)
        for worker, _ in self._workers:
            try:
                code = worker.wait(WORKER_S)
            except subprocess.TimeoutExpired:
                raise Wrong(f"a worker does not end in {WORKER_S} s:{self._of_workers()}") from None
            if code != 0:
                raise Wrong(f"a worker ended with {code}:{self._of_workers()}")

    def _of_workers(self) -> str:
        return "".join(f"\na worker said:\n{output.read_text()}" for _, output in self._workers)

    def _served(self, text: str) -> str:
        """The text with the page's addresses replaced by those of the servers (P5)."""
        if self._servers is None:
            return text
        kafka, postgres = self._servers
        text = KAFKA.sub(lambda address: f"kafka://{kafka}{address[2] or ''}", text)
        return POSTGRES.sub(lambda _: postgres, text)

    def _documented(self, printed: str) -> str:
        """What was printed, with the addresses of the page."""
        if self._servers is not None:
            kafka, postgres = self._servers
            printed = _replaced(printed, rf"kafka://{re.escape(kafka)}[\w.-]*", KAFKA.search(self._page))
            printed = _replaced(printed, re.escape(postgres), POSTGRES.search(self._page))
        return printed


def _replaced(text: str, pattern: str, by: re.Match[str] | None) -> str:
    return text if by is None else re.sub(pattern, lambda _: by[0], text)


def main(arguments: list[str]) -> int:
    """Run the page that is named; 1, with the reason, where it does not do what it says."""
    servers = Servers(*arguments[1:]) if len(arguments) > 1 else None
    try:
        Run(Path(arguments[0]), servers).run()
    except Wrong as wrong:
        print(wrong)  # noqa: T201 - this is a program
        return 1
    return 0


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as for a script that lies in the reader's folder
    sys.exit(main(sys.argv[1:]))
