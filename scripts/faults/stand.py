"""What stands under a root: its files, one by one, and the trusted state that counts.

Read here without the program under test.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass

# The program's own, at the top of the root and of each other mount.
OWN = (".lockstep", ".lockstep-mount")


def listing(top, own=False):
    """Every path with its kind, mode, owner, and content; the program's own where asked for."""
    found = {}
    pending = [""]
    while pending:
        folder = pending.pop()
        for entry in os.scandir(os.path.join(top, folder)):
            path = os.path.join(folder, entry.name)
            if entry.name in OWN and not own:
                continue
            if entry.name == "lost+found":
                continue
            about = entry.stat(follow_symlinks=False)
            found[path] = [stat.filemode(about.st_mode), about.st_uid, about.st_gid, text(entry)]
            if entry.is_dir(follow_symlinks=False):
                pending.append(path)
    return found


def text(entry):
    """What makes a path different from another of its kind."""
    if entry.is_symlink():
        return os.readlink(entry.path)
    if not entry.is_file(follow_symlinks=False):
        return ""
    with open(entry.path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@dataclass
class Stand:
    """The tree without the program's own, and the state that counts."""

    tree: dict
    state: dict

    @property
    def sequence(self):
        """The sequence number."""
        return self.state["sequence"]

    @property
    def challenges(self):
        """The open challenges."""
        return [open_one["challenge"] for open_one in self.state["challenges"]]

    @property
    def floors(self):
        """The floor of each role of each vendor."""
        floors = {}
        for group in self.state["floors"]:
            for role in group["roles"]:
                name, version = role.rsplit(" ", 1)
                floors[group["vendor"], name] = int(version)
        return floors


def read(root):
    """What stands under a root now."""
    return Stand(listing(root), state(root))


def state(root):
    """The trusted state that counts, as `current` names it."""
    own = os.path.join(root, ".lockstep")
    with open(os.path.join(own, "current"), "rb") as file:
        sequence = json.load(file)["sequence"]
    with open(os.path.join(own, "states", str(sequence), "state.json"), "rb") as file:
        found = json.load(file)
    if found["sequence"] != sequence:
        raise ValueError(f"state {sequence} says that it is {found['sequence']}")
    return found


def leftovers(root):
    """What recovery must not leave: a journal, anything in a stage, drafts, later states, other keys."""
    own = os.path.join(root, ".lockstep")
    counts = state(root)
    current = counts["sequence"]
    key = f"key.{counts['home']['since']}" if "home" in counts else "key"
    keys = [name for name in os.listdir(own) if name.split(".")[0] == "key"]
    found = [f".lockstep/{name}" for name in keys if name != key]
    if key not in keys:
        found.append(f".lockstep without its {key}")
    for path in listing(root, own=True):
        parts = path.split("/")
        name = parts[-1]
        if parts[0] == ".lockstep" and name == "journal" and len(parts) == 2:
            found.append(path)
        if len(parts) > 2 and parts[-2] == "stage" and parts[-3] in OWN:
            found.append(path)
        if any(part in OWN for part in parts) and name.startswith(".") and name.endswith(".tmp"):
            found.append(path)
    for name in os.listdir(os.path.join(own, "states")):
        if int(name) > current:
            found.append(f".lockstep/states/{name}")
    return found
