"""The programs that Lockstep's deltas are held against, and their command lines.

Each works in a folder with old/ and new/, whose files have the same numbers, and whole/, files
without a base, which every one of them leaves to zstd. One process for each file, one after another,
as their users run them; HDiffPatch, whose binding is a library, takes all files in one process.
`$p` is the folder of the patches, `$o` that of the files made from them.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

# A name for it in the command lines, which hold no path of this machine.
os.environ["HDIFF"] = str(Path(__file__).with_name("hdiff.py"))
EACH = 'for f in old/*; do n=${f#old/}; %s || exit 1; done'
WHOLE = 'for f in whole/*; do [ -e "$f" ] || break; zstd -q -19 "$f" -o "$p/whole-${f#whole/}" || exit 1; done'


class Peer:
    """A program: how it makes patches, how it applies them, how it tells its version."""

    def __init__(self, name, needs, version, create, apply):
        self.name, self.needs, self.version = name, needs, version
        self.create, self.apply = create, apply

    def there(self):
        return all(shutil.which(need) for need in self.needs)


def version(peer):
    """What the program says of itself, without who wrote it."""
    said = subprocess.run(["sh", "-c", peer.version], capture_output=True, text=True, check=True).stdout
    return re.sub(r", (by|Copyright).*", "", " ".join(said.replace("*", "").split()))


def xdelta(how, takes, gives):
    """With the whole of the old file as the window to look in, or the least that it takes."""
    window = 's=$(stat -c %s "$f"); b=1048576; while [ $b -lt $s ]; do b=$((b * 2)); done'
    return EACH % f'{{ {window}; xdelta3 -q {how} -B $b -s "$f" "{takes}" "{gives}"; }}'


def peers(python):
    """`python` is the interpreter that has HDiffPatch's binding, or None."""
    found = [
        Peer(
            "zstd --patch-from", ["zstd"], "zstd --version",
            EACH % 'zstd -q -19 --patch-from="$f" "new/$n" -o "$p/$n"',
            EACH % 'zstd -q -d --long=31 --patch-from="$f" "$p/$n" -o "$o/$n"',
        ),
        Peer(
            "bsdiff", ["bsdiff", "bspatch"], "dpkg-query -W -f '${Version}' bsdiff",
            EACH % 'bsdiff "$f" "new/$n" "$p/$n"',
            EACH % 'bspatch "$f" "$o/$n" "$p/$n"',
        ),
        Peer(
            "xdelta3", ["xdelta3"], "xdelta3 -V 2>&1 | head -1",
            xdelta("-e -9 -S lzma", "new/$n", "$p/$n"),
            xdelta("-d", "$p/$n", "$o/$n"),
        ),
        Peer(
            "rsync batch + zstd", ["rsync", "zstd"], "rsync --version | head -1",
            'rsync -rI --no-whole-file --only-write-batch="$p/batch" new/ old/; rm "$p/batch.sh"; '
            'zstd -q -19 --long=27 --rm "$p/batch"',
            'zstd -q -d "$p/batch.zst" -o "$o.batch"; rsync -rI --read-batch="$o.batch" "$o/"; rm "$o.batch"',
        ),
    ]
    if python:
        for codec in ("zstd", "lzma2"):
            found.append(
                Peer(
                    f"HDiffPatch, {codec}", [python],
                    '"$HDIFF_PYTHON" "$HDIFF" version',
                    f'"$HDIFF_PYTHON" "$HDIFF" create old new "$p" {codec}',
                    '"$HDIFF_PYTHON" "$HDIFF" apply old "$p" "$o"',
                )
            )
    return [peer for peer in found if peer.there()]
