//! Brings the top-level metadata up to date: stage by stage, each stored as soon as it is trusted,
//! so that a failure later keeps what was learned before it.

use anyhow::{Context as _, Result, bail};
use lockstep::model::Time;
use lockstep::trust::vendor::client::{
    ClientError, ROOTS_MAX, Roles, Roots, Snapshots, Timestamps, Took, Wanted,
};

use crate::http::Site;
use crate::store::Store;

/// Refreshes all top-level roles.
pub(crate) fn refresh(store: &Store, site: &Site, now: Time) -> Result<Roles> {
    let mut roots = Roots::open(&store.root()?, store.floors()?, now).context("root.json")?;
    chain(&mut roots, store, site)?;
    let timestamps = roots.end()?;
    forget(&timestamps, store)?;
    let snapshots = timestamp(&timestamps, store, site)?;
    let targets = stored_or_fetched(
        store,
        site,
        &snapshots.wanted(),
        |bytes| snapshots.accept(bytes),
        |taken| store.move_floors(taken.floors()),
    )?;
    stored_or_fetched(
        store,
        site,
        &targets.wanted(),
        |bytes| targets.accept(bytes),
        |_| Ok(()),
    )
}

fn chain(roots: &mut Roots, store: &Store, site: &Site) -> Result<()> {
    for _ in 0..ROOTS_MAX {
        let wanted = roots.wanted();
        let Some(bytes) = site.get(&wanted.name, wanted.max)? else {
            return Ok(());
        };
        roots.accept(&bytes).with_context(|| wanted.name.clone())?;
        store.move_floors(roots.floors())?;
        store.keep("root", &bytes)?;
    }
    bail!("there are more than {ROOTS_MAX} new roots; those were taken, refresh again")
}

/// Removes what the root in force does not stand for; the floors that it reset go with that.
fn forget(timestamps: &Timestamps, store: &Store) -> Result<()> {
    for role in ["timestamp", "snapshot", "targets"] {
        if store
            .role(role)
            .is_some_and(|stored| !timestamps.stands(role, &stored))
        {
            store.remove(role)?;
        }
    }
    store.move_floors(timestamps.floors())
}

fn timestamp(timestamps: &Timestamps, store: &Store, site: &Site) -> Result<Snapshots> {
    let bytes = fetch(site, &timestamps.wanted())?;
    let stored = store.role("timestamp");
    let (snapshots, took) = timestamps.accept(stored.as_deref(), &bytes)?;
    store.move_floors(snapshots.floors())?;
    if took == Took::New {
        store.keep("timestamp", &bytes)?;
    }
    Ok(snapshots)
}

/// The stored file where it is taken, and else the one that the repository has.
pub(crate) fn stored_or_fetched<T>(
    store: &Store,
    site: &Site,
    wanted: &Wanted,
    mut accept: impl FnMut(&[u8]) -> Result<T, ClientError>,
    before: impl FnOnce(&T) -> Result<()>,
) -> Result<T> {
    let stored = store.role(&wanted.role);
    if let Some(Ok(taken)) = stored.map(|bytes| accept(&bytes)) {
        before(&taken)?;
        return Ok(taken);
    }
    let bytes = fetch(site, wanted)?;
    let taken = accept(&bytes)?;
    before(&taken)?;
    store.keep(&wanted.role, &bytes)?;
    Ok(taken)
}

fn fetch(site: &Site, wanted: &Wanted) -> Result<Vec<u8>> {
    site.get(&wanted.name, wanted.max)?
        .with_context(|| format!("the repository has no {}", wanted.name))
}
