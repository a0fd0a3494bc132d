"""A small world, made through the program's own command line: a vendor, a site, a desk, and one
environment per place, with an image of it at each situation from which a sweep starts.
"""

import json
import shutil
from dataclasses import dataclass, replace

import place
import stand
from bench import Broken, clear, ok, product
from calls import first_after, kill_at, trace
from releases import RELEASES, STEP, fits, folder_of, lay

EDITED = "conf/server.properties"
EDIT = b"port=8080\nthreads=64\n# ours\n"
# Starts whose command changes no file of the product.
STAYS = ("snapshot", "trust", "rehome, moved", "rehome, copied", "rehome, restored")


@dataclass
class Start:
    """A situation, and the command that the sweep disturbs in it.

    Words of `command` may hold {root} and {out}. `again` is what must go through where the old
    state stands afterwards. `outcomes` are those that are allowed.
    """

    key: str
    place: place.Place
    image: object
    command: list
    again: list
    outcomes: tuple = ("old", "new")
    old: stand.Stand | None = None
    new: stand.Stand | None = None
    answered: str | None = None
    release: int | None = None
    faulty: str | None = None
    unwell: bool = False
    # Whether the product runs; where somebody else stops it, it is down already.
    running: bool = False

    @property
    def name(self):
        """For reports."""
        return f"{self.key}, {self.place.name}"


class World:
    """The vendor, the site and the desk; environments are made by [`Chain`]."""

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.work / "world"
        self.folder.mkdir()
        for name in ("keys", "usb"):
            (self.folder / name).mkdir()
        for name in ("owner", "desk"):
            ok(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f",
                self.folder / "keys" / name])  # fmt: skip
        self.publish("init")
        published = set()
        for number, components in RELEASES.items():
            for recipe, files in components.items():
                if recipe not in published:
                    published.add(recipe)
                    lay(self.folder / folder_of(recipe), files)
                    self.publish("component", "--recipe", recipe, "--files", folder_of(recipe),
                                 "--config", "conf/*")  # fmt: skip
            pins = [recipe.rsplit("/", 1)[1].rsplit("-", 1) for recipe in components]
            named = [word for name, version in pins for word in ("--component", f"{name}={version}")]
            self.publish("release", "--recipe", STEP.format(number), *named)
        self.do("site", "new", "--name", "acme",
                "--vendor", "stibo=repository/metadata/1.root.json",
                "--preparer", "keys/desk.pub", "--key", "keys/owner",
                "--output", "site.spr")  # fmt: skip
        self.do("site", "renew", "--from", "site.spr", "--key", "keys/owner",
                "--output", "site2.spr")  # fmt: skip

    def do(self, *words):
        """A command of the program that must succeed."""
        return ok([self.bench.program, *words], cwd=self.folder)

    def publish(self, what, *words):
        """`publish` with this vendor's repository and keys."""
        self.do("publish", what, "--repository", "repository", "--keys", "keys/vendor", *words)

    def prepare(self, statement, release, name):
        """A patch that answers a snapshot or receipt and leads to a release."""
        patch = self.folder / "usb" / f"{name}.patch.spr"
        said = self.do("prepare", statement, "--to", f"to:{STEP.format(release)}.spr",
                       "--desk", "desk", "--site", "site.spr", "--key", "keys/desk",
                       "--source", "repository", "--output", patch, "--json")  # fmt: skip
        deltas = json.loads(said.out)["contents"]["deltas"]
        if (deltas > 0) != (release == 2):
            raise SystemExit(f"the patch to release {release} has {deltas} deltas")
        return patch


class Chain:
    """One environment in one place, from empty to its third release; an image at each step."""

    def __init__(self, bench, world, where, serviced=True):
        self.world = world
        self.bench = bench
        self.serviced = serviced
        self.place = where
        self.starts = {}
        self.kept = {}
        self.usb = world.folder / "usb"

    def build(self):
        """Its starts, each with what stands before and after."""
        self.place.found(self.bench)
        try:
            self.live()
        finally:
            self.place.unmount(self.bench.mount)
        return {name: learn(self.bench, start) for name, start in self.starts.items()}

    def host(self, *words):
        """A command on the host that must succeed."""
        return ok([self.bench.program, *words, "--root", self.bench.root])

    def live(self):
        """The life of the environment."""
        root, name, say = self.bench.root, self.place.name, self.usb / self.place.name
        root.mkdir(exist_ok=True)
        self.host("init", "--name", name.upper(), "--site", self.world.folder / "site.spr",
                  *self.service(), "--output", f"{say}.1.spr")  # fmt: skip
        self.world.do("enrol", f"{say}.1.spr", "--desk", "desk")
        first = self.world.prepare(f"{say}.1.spr", 1, f"{name}.1")
        self.keep("first", "first install", apply(first))
        self.host("apply", first, "--receipt", f"{say}.2.spr")
        self.world.do("receive", f"{say}.2.spr", "--desk", "desk")
        (root / EDITED).write_bytes(EDIT)
        (root / "notes").mkdir()
        (root / "notes/customer.txt").write_text("the customer's own\n")
        for number in (3, 4, 5):
            self.host("snapshot", "--output", f"{say}.{number}.spr")
        second = self.world.prepare(f"{say}.4.spr", 2, f"{name}.2")
        self.keep("update", "apply", apply(second))
        snapshot = ["snapshot", "--output", "{out}/s.spr"]
        self.keep("update", "snapshot", snapshot)
        site = str(self.world.folder / "site2.spr")
        self.keep("update", "trust", ["trust", site, "--receipt", "{out}/r.spr"])
        if self.serviced:
            self.keep("update", "product unwell", apply(second))
            unwell = self.starts["product unwell"]
            self.starts[unwell.key] = replace(unwell, unwell=True, outcomes=("old", "undone"))
        self.host("apply", second, "--receipt", f"{say}.6.spr")
        self.world.do("receive", f"{say}.6.spr", "--desk", "desk")
        third = self.world.prepare(f"{say}.6.spr", 3, f"{name}.3")
        self.keep("kinds", "change of kinds", apply(third))
        back = ["rollback", "--environment", name.upper(), "--receipt", "{out}/r.spr"]
        typed = back[:3]
        self.keep("kinds", "rollback", back)
        self.host("apply", third, "--receipt", f"{say}.7.spr")
        self.keep("third", "rollback of kinds", back)
        self.host(*typed, "--receipt", f"{say}.8.spr")
        self.keep("back", "forward again", back)
        if self.place.copies:
            self.displaced(name, say)

    def displaced(self, name, say):
        """The node's key is another file than it was: a copy, a move to another disk, or a backup."""
        enrolment = f"{say}.enrolment.spr"
        self.world.do("enrol", f"{say}.8.spr", "--desk", "desk", "--key", "keys/desk",
                      "--output", enrolment)  # fmt: skip
        key = self.bench.root / ".lockstep/key"
        other = key.with_name("other")
        shutil.copy2(key, other)
        other.replace(key)
        tail = ["--reason", "a sweep", "--environment", name.upper(), "--receipt", "{out}/r.spr"]
        for how, words in (
            ("moved", ["--moved"]),
            ("copied", ["--copy", "--name", f"{name.upper()}-2"]),
            ("restored", ["--restored", "--enrolment", enrolment]),
        ):
            self.keep("displaced", f"rehome, {how}", ["rehome", *words, *tail])

    def service(self):
        """Who stops and starts the product: the program, where it can."""
        if not self.serviced:
            return ["--service", "none"]
        command = ["sh", str(self.bench.work / "harness" / "product.sh")]
        text = "".join(
            f"[service.{name}]\ncommand = {json.dumps([*command, name, str(self.bench.out)])}\n"
            f"seconds = 20\n"
            for name in ("stop", "start", "health", "running")
        )
        file = self.world.folder / "service.toml"
        file.write_text(text)
        return ["--service", file]

    def keep(self, situation, name, command):
        """An image of now, and the start that begins with it."""
        if situation not in self.kept:
            self.kept[situation] = self.place.save(self.bench, situation)
        command = [*command, "--root", "{root}"]
        kept = self.kept[situation]
        runs = self.serviced and situation != "first"
        self.starts[name] = Start(name, self.place, kept, command, command, running=runs)


def apply(patch):
    """Applies a patch; the receipt goes to another medium."""
    return ["apply", str(patch), "--receipt", "{out}/r.spr"]


def words(bench, command, folder="first"):
    """A command of a start, with the folder for what it hands out."""
    out = bench.out / folder
    out.mkdir(exist_ok=True)
    return [bench.program, *(w.format(root=bench.root, out=out) for w in command)]


def disturbed(bench, start):
    """The command that is disturbed, and its environment; with a fault built in, as a control."""
    command = words(bench, start.command)
    if not start.faulty:
        return command, {}
    return [bench.faulty, *command[1:]], {"LOCKSTEP_FAULTY": start.faulty}


def learn(bench, start):
    """Runs the command of a start without a fault, and remembers what stands before and after."""
    with Mounted(bench, start, manifest=False):
        (bench.out / "unwell").unlink(missing_ok=True)
        old = stand.read(bench.root)
        ok(words(bench, start.command))
        new = stand.read(bench.root)
    here, there = release_of(start, old), release_of(start, new)
    if (start.key in STAYS) != (here == there):
        raise Broken(f"{start.name}: from release {here} to {there}")
    gone = set(old.challenges) - set(new.challenges)
    # Which of several a patch answers, the snapshot of the same state does not say: all are closed.
    answered = sorted(gone)[0] if gone else None
    return replace(start, old=old, new=new, release=there, answered=answered)


def release_of(start, here):
    """Which release stands, by the tables that the vendor's files were written from."""
    wrong = {n: fits(here.tree, n, edited=(EDITED,)) for n in RELEASES}
    found = [n for n, strange in wrong.items() if not strange]
    if found:
        return found[0]
    if all(mode[0] == "d" for mode, *_ in here.tree.values()):
        return 0
    nearest = min(wrong.values(), key=len)
    raise Broken(f"{start.name}: what stands is no release: {nearest[:5]}")


class Mounted:
    """A fresh copy of a start's image, mounted; the product runs where it does so in the start."""

    def __init__(self, bench, start, manifest=True):
        self.bench = bench
        self.start = start
        self.manifest = manifest

    def __enter__(self):
        clear(self.bench.out)
        if self.start.running:
            (self.bench.out / "running").touch()
        if self.start.unwell:
            (self.bench.out / "unwell").touch()
        if self.manifest:
            self.write_manifest()
        self.start.place.load(self.bench, self.start.image)
        return self

    def write_manifest(self):
        """What the product may be started on."""
        told = {"root": str(self.bench.root)}
        told |= {"old": self.start.old.tree, "new": self.start.new.tree}
        (self.bench.out / "manifest.json").write_text(json.dumps(told))

    def __exit__(self, *_):
        self.start.place.unmount(self.bench.mount)


def interrupted(bench, start, name, outcome, point):
    """The start that begins where a command was killed: recovery is disturbed there."""
    with Mounted(bench, start):
        ran, killed = kill_at(bench, words(bench, start.command), point)
        if not killed:
            raise Broken(f"{start.name}, {point}: it was not killed: {ran.words()}")
        running = product(bench, "running") == 0
        kept = start.place.save(bench, f"{start.key}.{name}".replace(" ", "-"))
    return replace(
        start,
        key=name,
        image=kept,
        command=["recover", "--root", "{root}"],
        outcomes=(outcome,),
        running=running,
    )


def interruptions(bench, start):
    """Recovery after a kill in mid-exchange, and after one just after the commit."""
    with Mounted(bench, start):
        calls = trace(bench, words(bench, start.command))
    renames = [c for c in calls if c.name in ("rename", "renameat2")]
    sealed = [n for n, c in enumerate(renames) if '/.lockstep/journal"' in c.text]
    committed = [n for n, c in enumerate(renames) if '/.lockstep/current"' in c.text]
    if not sealed or not committed or committed[0] - sealed[0] < 4:
        raise Broken(f"{start.name}: no exchange was seen")
    middle = renames[(sealed[0] + committed[0]) // 2]
    after = first_after(calls, renames[committed[0]])
    return [
        interrupted(bench, start, "recover, mid-exchange", "old", middle),
        interrupted(bench, start, "recover, committed", "new", after),
    ]
