#!/usr/bin/env python3
"""Puts known mistakes into the product and sees whether the simulator finds them: a check that finds nothing proves nothing.

mutations.txt lists the mistakes. Each is compiled into a simulator of its own, which plays seeds 1, 2, 3 ... (with `focus: DEEDS` of
histories that know these kinds of deeds only, or, with `sweep: K FIRST`, every K-th script of the exhaustive sweep) until a history fails that does not fail without the mistake, or the mistake's budget
of histories is used up.

  mutate.py [--only NAME[,NAME]] [--within N] [--sample K [--rotate R]] [--list] [--keep] [--budget N]
      --within N    those only that need N histories at most
      --sample K    every K-th of them, beginning with number R modulo K
      --budget N    so many seeds for each, whatever the list says
      --keep        leaves sources and binaries in $BUILD/sim/mutants
  BUILD and CC are the Makefile's.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

LIST = "tests/sim/mutations.txt"
BUILD = os.environ.get("BUILD", "build")
PLAY_SECONDS = 900


class Mutation:
    def __init__(self, name):
        self.name, self.rule, self.mistake, self.budget, self.sweep, self.focus = name, "", "", 0, "", ""
        self.changes = []  # [file, old text, new text]

    def add(self, kind, value):
        if kind == "file":
            self.changes.append([value, None, None])
        elif kind == "budget":
            self.budget = int(value)
        else:
            setattr(self, kind, value)

    def add_line(self, sign, text):
        at = 1 if sign == "-" else 2
        if at == 1 and self.changes[-1][2] is not None:  # another place in the same file
            self.changes.append([self.changes[-1][0], None, None])
        before = self.changes[-1][at]
        self.changes[-1][at] = text if before is None else before + "\n" + text


def read_list():
    found = []
    for number, line in enumerate(open(LIST), 1):
        line = line.rstrip("\n")
        word = re.match(r"(mutation|rule|mistake|budget|sweep|focus|file): (.*)$", line)
        if not line or line.startswith("#"):
            continue
        if word and word[1] == "mutation":
            found.append(Mutation(word[2]))
        elif word:
            found[-1].add(word[1], word[2])
        elif line[0] in "-+" and (len(line) == 1 or line[1] == " "):
            found[-1].add_line(line[0], line[2:])
        else:
            sys.exit(f"{LIST}:{number}: not understood: {line}")
    return found


def changed_sources(mutation):
    """file -> text with the mistake; each old text must be there exactly once."""
    texts = {}
    for path, old, new in mutation.changes:
        text = texts.get(path) or open(path).read()
        if text.count(old) != 1:
            raise ValueError(f"{path} holds the old text {text.count(old)} times: {old.strip()[:100]}")
        texts[path] = text.replace(old, new or "")
    return texts


def objects_of(path):
    """The objects, without .o, that a change of this source changes."""
    if path.endswith(".c"):
        return [path[:-2]]
    users = []
    base = f"{BUILD}/sim/obj/"
    for directory, _, names in os.walk(base):
        for name in names:
            full = os.path.join(directory, name)
            if name.endswith(".d") and re.search(rf"\s{re.escape(path)}\s", open(full).read()):
                users.append(full[len(base):-2])
    return users


def build(mutation, directory):
    objects = set()
    for path, text in changed_sources(mutation).items():
        full = os.path.join(directory, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        open(full, "w").write(text)
        objects.update(objects_of(path))
    command = ["make", "-s", "WARN=-w", f"BUILD={BUILD}", f"MUTANT={directory}", "MUTANT_OBJS=" + " ".join(sorted(objects)), directory + "/sim"]
    if "CC" in os.environ:
        command.append("CC=" + os.environ["CC"])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ValueError("does not build: " + done.stderr.strip()[-2000:])
    return directory + "/sim"


class Seeds:
    name, first, stride = "seeds", 1, 1

    def __init__(self, focus):
        self.focus = ["--focus", focus] if focus else []

    def range(self, first, count):
        return self.focus + ["--seeds", str(count), "--from", str(first)]

    def one(self, seed):
        return self.focus + ["--seed", str(seed)]


class Sweep:
    name = "scripts"

    def __init__(self, stride, first="0"):
        self.stride, self.first = int(stride), int(first)

    def range(self, first, count):
        return ["--sweep", str(self.stride), "--from", str(first)]

    def one(self, index):
        return ["--script", str(index)]


def play(binary, options):
    """Failures up to the first or a few more: whatever comes before the last of them was played."""
    done = subprocess.run([binary, "--first"] + options, capture_output=True, text=True, timeout=PLAY_SECONDS)
    failures = re.findall(r"^seed (\d+) failed at [\d.]+ s: ([^:]*)", done.stdout, re.M)
    if not re.search(r"^\d+ histories, \d+ failed$", done.stdout, re.M):
        raise ValueError("the simulator does not come to its end: " + done.stderr[-500:])
    return sorted((int(seed), invariant) for seed, invariant in failures)


def fails_anyway(options):
    return subprocess.run([f"{BUILD}/sim/sim"] + options, capture_output=True).returncode != 0


def hunt(binary, histories, budget):
    """(invariant, how many were played) at the first failure that the mistake is to blame for; None."""
    at, end = histories.first, histories.first + budget * histories.stride
    while at < end:
        failures = play(binary, histories.range(at, (end - at) // histories.stride))
        for number, invariant in failures:
            if number < end and not fails_anyway(histories.one(number)):
                return invariant, (number - histories.first) // histories.stride + 1
        at = failures[-1][0] + histories.stride if failures else end
    return None


def judge(mutation, options):
    budget = options.budget or mutation.budget
    histories = Sweep(*mutation.sweep.split()) if mutation.sweep else Seeds(mutation.focus)
    directory = f"{BUILD}/sim/mutants/{mutation.name}"
    begun = time.time()
    shutil.rmtree(directory, ignore_errors=True)
    try:
        caught = hunt(build(mutation, directory), histories, budget)
        verdict = f"caught by {caught[0]} after {caught[1]} {histories.name}" if caught else f"NOT CAUGHT in {budget}"
    except (ValueError, OSError, subprocess.TimeoutExpired) as problem:
        caught, verdict = None, f"NOT PLAYED: {problem}"
    if not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    print(f"mutation {mutation.name}: {verdict} ({time.time() - begun:.0f} s)", flush=True)
    return caught, verdict


def list_them(chosen):
    """False texts are found without building: 1 if there is one."""
    problems = 0
    for m in chosen:
        try:
            changed_sources(m)
            print(f"{m.name:34} {m.rule:10} {m.mistake}")
        except ValueError as problem:
            problems += 1
            print(f"{m.name:34} DOES NOT FIT: {problem}")
    return problems > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--within", type=int, default=sys.maxsize)
    parser.add_argument("--sample", type=int, default=1)
    parser.add_argument("--rotate", type=int, default=0)
    parser.add_argument("--budget", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    only = set(filter(None, options.only.split(",")))
    quick = [m for m in read_list() if m.budget <= options.within]
    chosen = [m for i, m in enumerate(quick) if i % options.sample == options.rotate % options.sample]
    if only:
        chosen = [m for m in read_list() if m.name in only]
    if options.list:
        return list_them(chosen)
    results = [(m, *judge(m, options)) for m in chosen]
    print(f"\n{'mutation':34} {'rule':10} {'verdict':52} mistake")
    for m, _, verdict in results:
        print(f"{m.name:34} {m.rule:10} {verdict:52} {m.mistake}")
    passed = sum(caught is not None for _, caught, _ in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
