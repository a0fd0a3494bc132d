//! python-tuf, a client that shares no code with this program.

use std::path::Path;
use std::process::Command;

use crate::vendor::Done;

/// What `scripts/tuf-check.py` prints, or nothing where there is no python-tuf. What the client trusts is
/// kept in `kept` from one call to the next, where that is given.
pub(crate) fn python_tuf(
    repository: &Path,
    kept: Option<&Path>,
    targets: &[&str],
) -> Done<Option<String>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one setting of this test: a python with tuf installed"
    )]
    let Some(python) = std::env::var_os("LOCKSTEP_PYTHON") else {
        return Ok(None);
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/tuf-check.py");
    let mut command = Command::new(python);
    command.arg(script);
    if let Some(kept) = kept {
        command.arg("--metadata").arg(kept);
    }
    let output = command.arg(repository).args(targets).output()?;
    if output.status.success() {
        Ok(Some(String::from_utf8(output.stdout)?))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}
