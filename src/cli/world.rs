//! The process's surroundings: its arguments, clock, environment and current folder.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::model::{Refusal, RefusalName, Time};

/// The process's arguments.
pub(super) fn arguments() -> Vec<OsString> {
    std::env::args_os().collect()
}

/// The moment, by this machine's clock.
pub(super) fn now() -> Time {
    #[expect(clippy::disallowed_methods, reason = "the clock is read here alone")]
    let now = jiff::Timestamp::now();
    Time::from_unix(now.as_second())
}

/// The current folder.
pub(super) fn current_folder() -> Result<PathBuf, Refusal> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is read here alone"
    )]
    std::env::current_dir().map_err(|e| {
        Refusal::new(
            RefusalName::Usage,
            format!("the current folder cannot be read: {e}"),
        )
        .next("change into a folder that exists")
    })
}

/// Builds in the fault that is asked for: the positive controls of the fault sweeps.
#[cfg(feature = "faulty")]
pub(super) fn fault() -> Result<(), Refusal> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is read here alone"
    )]
    let Ok(named) = std::env::var("LOCKSTEP_FAULTY") else {
        return Ok(());
    };
    let fault = named
        .parse()
        .map_err(|e: &str| Refusal::new(RefusalName::Usage, e).value("LOCKSTEP_FAULTY", &named))?;
    crate::model::faulty::build_in(Some(fault));
    Ok(())
}

/// The root: the one named, or the nearest parent of the current folder that holds an environment.
pub(super) fn root(named: Option<PathBuf>) -> Result<PathBuf, Refusal> {
    match named {
        Some(root) => Ok(root),
        None => Ok(crate::disk::root::Root::find(&current_folder()?)?
            .path()
            .to_owned()),
    }
}

/// The socket of the SSH agent that this session has.
pub(super) fn agent() -> Option<PathBuf> {
    variable("SSH_AUTH_SOCK")
}

/// The desk's folders: those under the one named, or the XDG ones.
#[cfg(feature = "desk")]
pub(super) fn desk(named: Option<PathBuf>) -> Result<crate::desk::Desk, Refusal> {
    if let Some(folder) = named {
        return Ok(crate::desk::Desk {
            state: folder.join("state"),
            cache: folder.join("cache"),
        });
    }
    let state = variable("XDG_STATE_HOME").or_else(|| home().map(|home| home.join(".local/state")));
    let cache = variable("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")));
    match (state, cache) {
        (Some(state), Some(cache)) => Ok(crate::desk::Desk {
            state: state.join("lockstep"),
            cache: cache.join("lockstep"),
        }),
        _ => Err(Refusal::new(
            RefusalName::Usage,
            "there is no home folder to keep the desk's state in",
        )
        .next("name one: --desk DIR")),
    }
}

#[cfg(feature = "desk")]
fn home() -> Option<PathBuf> {
    variable("HOME")
}

fn variable(name: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is read here alone"
    )]
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// A new folder for the demonstration, where temporary files go.
#[cfg(all(feature = "desk", feature = "publish"))]
pub(super) fn temporary_folder() -> PathBuf {
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is read here alone"
    )]
    std::env::temp_dir().join(format!("lockstep-demo-{}", uuid::Uuid::new_v4().simple()))
}

/// This program's own file.
pub(super) fn program() -> Result<PathBuf, Refusal> {
    std::env::current_exe().map_err(|e| {
        Refusal::new(
            RefusalName::Internal,
            format!("this program cannot be found: {e}"),
        )
    })
}
