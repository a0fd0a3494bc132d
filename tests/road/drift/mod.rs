//! `docs/drift.md`, run row by row: every cell of its tables, under every policy, on the whole road.
//!
//! Under one policy, cells that are refused come first, each by itself in an environment that is put
//! back afterwards; then all others together, in one patch. What the page says of a row must be what
//! happened, and no other word of the page may fit as well: so a wrong word cannot stand there.

mod cells;
mod judge;
mod page;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use crate::world::{Outcome, Ran, Tested, World};
use cells::Cell;
use judge::{At, Entry, fits, line_fits};
use page::{APPLY_REFUSES, POLICIES, PREPARE_REFUSES, Page, Row};
use place::{Applied, Place};

#[test]
fn every_row_of_the_page_is_what_happens() -> Tested {
    let started = Instant::now();
    let cells = cells::all();
    let names: BTreeSet<String> = cells.iter().map(|cell| cell.row.clone()).collect();
    assert_eq!(names.len(), cells.len(), "every row has a name of its own");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/drift.md");
    let page = Page::read(&std::fs::read_to_string(page)?, &names)?;
    let world = World::new()?;
    publish(&world, &cells)?;
    for (index, policy) in POLICIES.iter().enumerate() {
        let mut place = Place::install(&world, policy)?;
        let word = |cell: &Cell| page.rows[&cell.row].words[index].clone();
        let refused =
            |cell: &&Cell| [PREPARE_REFUSES, APPLY_REFUSES].contains(&word(cell).as_str());
        let mut reasons = 0;
        for cell in cells.iter().filter(refused) {
            let at = format!("{} under {policy}", cell.row);
            is_refused(&mut place, cell, &page.rows[&cell.row], &word(cell))
                .map_err(|e| format!("{at}: {e}"))?;
            reasons += 1;
        }
        let through: Vec<&Cell> = cells.iter().filter(|cell| !refused(cell)).collect();
        goes_through(&mut place, &page, &through, &word).map_err(|e| format!("{policy}: {e}"))?;
        println!(
            "{policy}: {reasons} refused, {} through, {} ms since the start",
            through.len(),
            started.elapsed().as_millis()
        );
    }
    Ok(())
}

/// Three releases of one component: the cells before, the cells afterwards, and one file more.
fn publish(world: &World, cells: &[Cell]) -> Tested {
    for (recipe, release) in [
        ("cells/1.0/cells-1.0", 0),
        ("cells/2.0/cells-2.0", 1),
        ("cells/3.0/cells-3.0", 1),
    ] {
        let mut files: Vec<_> = cells.iter().flat_map(|cell| cell.files(release)).collect();
        if recipe.contains("3.0") {
            files.push(("further.txt".to_owned(), "further".to_owned()));
        }
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(p, t)| (p.as_str(), t.as_str()))
            .collect();
        let globs: String = cells.iter().map(|cell| cell.globs(release)).collect();
        world.component(recipe, &files, &globs)?;
    }
    Ok(())
}

/// A cell by itself, refused by the desk or the host, with nothing changed.
fn is_refused(place: &mut Place<'_>, cell: &Cell, row: &Row, word: &str) -> Tested {
    place.keep_aside(cell)?;
    place.act(cell)?;
    let (patch, prepared) = place.prepare_second()?;
    if word == PREPARE_REFUSES {
        says_why(&prepared, cell, row)?;
        assert!(!place.stands_on_medium(&patch), "no patch is made");
    } else {
        if prepared.code != 0 {
            return Err(format!("prepare refuses: {}", prepared.err).into());
        }
        let before = place.tree()?;
        for more in ["--dry-run", "--receipt usb"] {
            says_why(&place.try_apply(&patch, more)?, cell, row)?;
            assert_eq!(place.tree()?, before, "a refusal changes nothing");
        }
    }
    place.put_back(cell)
}

/// The refusal is a conflict, and gives one of the row's reasons for the row's path.
fn says_why(ran: &Ran, cell: &Cell, row: &Row) -> Tested {
    let path = cell.path();
    let said: Vec<String> = ran
        .err
        .lines()
        .filter_map(|line| line.trim().strip_prefix(&path)?.strip_prefix(' '))
        .map(|reason| reason.trim().to_owned())
        .collect();
    let known = |said: &String| {
        row.reasons
            .iter()
            .any(|reason| line_fits(reason, said, &path))
    };
    if ran.code == 30 && !said.is_empty() && said.iter().all(known) {
        return Ok(());
    }
    let Ran { code, out, err } = ran;
    Err(format!("not a conflict for {:?}: {code}\n{out}{err}", row.reasons).into())
}

/// All cells that are not refused, in one patch; a further patch after it.
fn goes_through(
    place: &mut Place<'_>,
    page: &Page,
    cells: &[&Cell],
    word: &dyn Fn(&Cell) -> String,
) -> Tested {
    for cell in cells {
        place.act(cell)?;
    }
    let stood = stands(place, cells)?;
    let (patch, prepared) = place.prepare_second()?;
    if prepared.code != 0 {
        return Err(format!("prepare refuses: {}", prepared.err).into());
    }
    let done = place.apply(&patch)?;
    for cell in cells {
        judged(
            place,
            page,
            cell,
            stood[&cell.row].as_ref(),
            &done,
            &word(cell),
        )
        .map_err(|e| format!("{}: {e}", cell.row))?;
    }
    statements_agree(&done)?;
    place.apply_third()
}

fn stands(place: &Place<'_>, cells: &[&Cell]) -> Outcome<BTreeMap<String, Option<Entry>>> {
    let stands = cells
        .iter()
        .map(|cell| Ok((cell.row.clone(), place.stands(cell)?)));
    stands.collect()
}

/// The word of the row fits what happened to its path, and no other word of the page does.
fn judged(
    place: &Place<'_>,
    page: &Page,
    cell: &Cell,
    stood: Option<&Entry>,
    done: &Applied,
    word: &str,
) -> Tested {
    let seen = place.seen(cell, stood.cloned(), done)?;
    let known = page.word(word).ok_or("nobody explains the word")?;
    fits(known, &seen).map_err(|wrong| format!("not {word:?}: {wrong}\n{seen:#?}"))?;
    let others = page.words.iter().filter(|other| other.name != word);
    let also: Vec<&str> = others
        .filter(|other| fits(other, &seen).is_ok())
        .map(|other| other.name.as_str())
        .collect();
    assert!(
        also.is_empty(),
        "{}: {also:?} fit as well as {word:?}",
        cell.row
    );
    if let Some(mode) = cell.mode.filter(|_| known.at == At::New) {
        assert_eq!(
            seen.after.map(|entry| entry.mode),
            Some(mode),
            "{}",
            cell.row
        );
    }
    Ok(())
}

/// The receipt lists the config files that `apply` said it keeps, and the snapshot in it those that
/// `status` finds edited or deleted.
fn statements_agree(done: &Applied) -> Tested {
    let paths = |value: &serde_json::Value, field: &str| -> Outcome<BTreeSet<String>> {
        let list = value.as_array().ok_or("no list")?;
        let path = |item: &serde_json::Value| {
            let path = if field.is_empty() { item } else { &item[field] };
            path.as_str().map(str::to_owned)
        };
        Ok(list.iter().filter_map(path).collect())
    };
    assert_eq!(paths(&done.receipt["kept"], "")?, done.said_kept());
    assert_eq!(
        paths(&done.snapshot["config"], "path")?,
        done.status_config()
    );
    assert!(!done.said_kept().is_empty() && !done.status_config().is_empty());
    Ok(())
}
