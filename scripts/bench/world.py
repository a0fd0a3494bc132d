"""The actors of a measured run: a vendor, a site owner, a desk, hosts.

Every command is measured; who does not want to know what it took drops the answer.
"""

import json
import shutil
import subprocess


class World:
    """A folder with a repository, a site file, a desk, and an installation for each environment."""

    def __init__(self, at, watch, program):
        self.at, self.watch, self.program = at, watch, program
        self.desk, self.site = at / "desk", at / "site.spr"
        at.mkdir(parents=True)
        for who in ("owner", "preparer"):
            keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", who, "-f", at / who]
            subprocess.run(keygen, check=True)
        self.lockstep("publish", "init", *self.vendor())
        root = at / "repository/metadata/1.root.json"
        self.lockstep(
            "site", "new", "--name", "acme", "--vendor", f"acme={root}",
            "--preparer", at / "preparer.pub", "--key", at / "owner", "--output", self.site,
        )

    def vendor(self):
        return "--repository", self.at / "repository", "--keys", self.at / "vendor"

    def lockstep(self, *words):
        """What it took, and the JSON document that it printed."""
        took, out = self.watch.run([self.program, *words, "--json", "--quiet"], cwd=self.at)
        return took, (json.loads(out) if out.strip() else None)

    def publish(self, recipe, files):
        return self.lockstep("publish", "component", *self.vendor(), "--recipe", recipe, "--files", files)[0]

    def release(self, recipe, pins):
        components = [word for pin in pins for word in ("--component", pin)]
        return self.lockstep("publish", "release", *self.vendor(), "--recipe", recipe, *components)[0]

    def environment(self, name):
        """A new installation, known to the desk; its root."""
        root, first = self.at / f"root-{name}", self.at / f"{name}.snapshot.spr"
        root.mkdir()
        self.lockstep(
            "init", "--root", root, "--name", name, "--site", self.site, "--service", "none",
            "--output", first,
        )
        self.lockstep("enrol", first, "--desk", self.desk)
        return root

    def prepare(self, environment, recipe, *more):
        """The patch file, what it took, and what the program says of it."""
        patch = self.at / f"{environment}.patch.spr"
        self.without(patch)
        took, said = self.lockstep(
            "prepare", "--environment", environment, "--desk", self.desk, "--site", self.site,
            "--key", self.at / "preparer", "--source", self.at / "repository",
            "--to", f"to:{recipe}.spr", "--output", patch, *more,
        )
        return patch, took, said

    def apply(self, environment, patch):
        receipt = self.at / "receipt.spr"
        took, said = self.lockstep("apply", patch, "--root", self.at / f"root-{environment}", "--receipt", receipt)
        self.receive(receipt)
        return took, said

    def roll_back(self, environment):
        receipt = self.at / "receipt.spr"
        self.lockstep(
            "rollback", "--root", self.at / f"root-{environment}", "--environment", environment,
            "--receipt", receipt,
        )
        self.receive(receipt)

    def receive(self, receipt):
        self.lockstep("receive", receipt, "--desk", self.desk)
        receipt.unlink()

    def forget_cache(self):
        """As a desk that has made no patch yet."""
        shutil.rmtree(self.desk / "cache", ignore_errors=True)


    @staticmethod
    def without(patch):
        patch.unlink(missing_ok=True)
        patch.with_name(patch.name.replace(".patch.spr", ".head.spr")).unlink(missing_ok=True)
