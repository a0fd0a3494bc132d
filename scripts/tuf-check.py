#!/usr/bin/env python3
"""Reads a release repository with python-tuf, a client that shares no code with Lockstep.

usage: tuf-check.py [--metadata FOLDER] REPOSITORY [TARGET...]

Serves REPOSITORY on the loopback interface, trusts metadata/1.root.json and nothing else, and
downloads each TARGET. Prints one line for each: its SHA-256, two spaces, its path. Ends with a
message and exit code 1 where python-tuf refuses anything. With --metadata, what the client trusts is
kept in FOLDER from one call to the next, as a client that comes back does. Needs: pip install tuf.
"""

import contextlib
import functools
import hashlib
import http.server
import pathlib
import sys
import tempfile
import threading

from tuf.api.exceptions import RepositoryError
from tuf.ngclient import Updater


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def check(repository: pathlib.Path, targets: list[str], kept: str | None) -> None:
    handler = functools.partial(Quiet, directory=str(repository))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    folder = contextlib.nullcontext(kept) if kept else tempfile.TemporaryDirectory()
    with folder as metadata, tempfile.TemporaryDirectory() as downloads:
        updater = Updater(
            metadata_dir=metadata,
            metadata_base_url=f"{base}/metadata/",
            target_dir=downloads,
            target_base_url=f"{base}/targets/",
            bootstrap=(repository / "metadata" / "1.root.json").read_bytes(),
        )
        updater.refresh()
        for path in targets:
            info = updater.get_targetinfo(path)
            if info is None:
                raise RepositoryError(f"no such target: {path}")
            content = pathlib.Path(updater.download_target(info)).read_bytes()
            print(f"{hashlib.sha256(content).hexdigest()}  {path}")
    server.shutdown()


def main() -> int:
    arguments, kept = sys.argv[1:], None
    if arguments[:1] == ["--metadata"] and len(arguments) > 1:
        kept, arguments = arguments[1], arguments[2:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        check(pathlib.Path(arguments[0]), arguments[1:], kept)
    except RepositoryError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
