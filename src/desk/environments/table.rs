//! The list as a person reads it: one line for each environment, and lines below it for what does
//! not fit into one or has to be acted on.

use std::fmt::{Display, Formatter, Result};

use super::{Fork, Line, Node, Outcome, Prepared, Sums};

/// Columns of everything but the environment's name and the release.
const FIXED: usize = 45;
/// Least columns that a release is cut to.
const RELEASE_MIN: usize = 12;

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.environments.is_empty() {
            return write!(
                f,
                "no environment is enrolled here\n  next       lockstep enrol SNAPSHOT.spr"
            );
        }
        let widest = |of: fn(&Line) -> usize| self.environments.iter().map(of).max().unwrap_or(0);
        let name = widest(|line| line.name.len()).max("environment".len());
        let release = widest(|line| line.release().chars().count()).max("release".len());
        let room = self.columns.map_or(release, |columns| {
            columns.saturating_sub(FIXED.saturating_add(name))
        });
        let release = release.min(room.max(RELEASE_MIN));
        writeln!(
            f,
            "{:name$}  nodes     last  drift  {:release$}  prepared",
            "environment", "release"
        )?;
        for line in &self.environments {
            line.row(f, name, release)?;
        }
        self.sums.fmt(f)
    }
}

impl Line {
    fn row(&self, f: &mut Formatter<'_>, name: usize, release: usize) -> Result {
        let reported = self.nodes.iter().any(|node| node.sequence.is_some());
        writeln!(
            f,
            "{:name$}  {:>5} {:>8} {:>6}  {:release$}  {}",
            self.name,
            self.nodes.len(),
            age(reported, self.age_days),
            self.drift,
            cut(&self.release(), release),
            self.prepared_briefly()
        )?;
        let unlike = self
            .nodes
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.age_days != b.age_days));
        if unlike {
            let ages = self.nodes.iter().map(|n| format!("{} {}", n.name, n.age()));
            writeln!(f, "  nodes    {}", ages.collect::<Vec<_>>().join(", "))?;
        }
        // One patch that is good goes without saying more: its name follows from the environment.
        let told = self.prepared.len() > 1 || self.prepared.iter().any(|one| one.expired);
        for prepared in self.prepared.iter().filter(|_| told) {
            writeln!(f, "  patch    {prepared}")?;
        }
        for fork in &self.forks {
            writeln!(f, "  fork     {fork}")?;
        }
        Ok(())
    }

    fn release(&self) -> String {
        match self.releases.as_slice() {
            [] => "unknown".to_owned(),
            releases => releases.join(" | "),
        }
    }

    fn prepared_briefly(&self) -> String {
        let good = self.prepared.iter().filter(|one| !one.expired);
        let until = good.clone().map(|one| one.apply_before.as_str()).min();
        let expired = self.prepared.iter().filter(|one| one.expired).count();
        match (until, expired) {
            (None, 0) => "-".to_owned(),
            (None, expired) => format!("{expired} EXPIRED"),
            (Some(until), 0) => format!("{} until {until}", good.count()),
            (Some(_), expired) => format!("{} and {expired} EXPIRED", good.count()),
        }
    }
}

impl Node {
    fn age(&self) -> String {
        age(self.sequence.is_some(), self.age_days)
    }
}

impl Display for Fork {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            accepted,
            node,
            reason,
            sequence,
            what,
        } = self;
        write!(
            f,
            "node {node}, sequence {sequence} accepted {accepted}: {what}; {reason}"
        )
    }
}

impl Display for Prepared {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            file,
            created,
            apply_before,
            expired,
        } = self;
        let until = if *expired {
            "EXPIRED: was to be applied before"
        } else {
            "apply before"
        };
        write!(f, "{file}, made {created}, {until} {apply_before}")
    }
}

impl Display for Sums {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self {
            environments,
            nodes,
            silent,
            drifted,
            waiting,
            expired,
        } = self;
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        write!(
            f,
            "{}, {}: {drifted} drifted, {waiting} await a receipt, {expired} patches EXPIRED",
            plural(*environments, "environment"),
            plural(*nodes, "node")
        )?;
        if *silent > 0 {
            write!(f, ", {} silent", plural(*silent, "node"))?;
        }
        Ok(())
    }
}

/// How long ago a word came; one that came and cannot be read any more is of unknown age.
fn age(reported: bool, days: Option<u64>) -> String {
    match days {
        None if reported => "unknown".to_owned(),
        None => "never".to_owned(),
        Some(0) => "today".to_owned(),
        Some(days) => format!("{days} d"),
    }
}

/// Text of at most `width` characters: what is cut ends in an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Line {
        let node = |name: &str, age_days: Option<u64>| Node {
            name: name.to_owned(),
            sequence: age_days,
            age_days,
        };
        let prepared = |sequence: usize, expired: bool| Prepared {
            file: format!("SITE-{number:02}-{sequence:04}.patch.spr"),
            created: "2026-09-01".to_owned(),
            apply_before: if expired { "2026-10-01" } else { "2026-12-30" }.to_owned(),
            expired,
        };
        let prefix = ["PROD-EU", "TEST", "PROD-US-WEST-SECONDARY"][number % 3];
        Line {
            name: format!("{prefix}-{number:02}"),
            id: String::new(),
            nodes: match number % 7 {
                0 => vec![node("a", Some(3)), node("b", None)],
                1 => vec![node("a", Some(3)), node("b", Some(3))],
                2 => vec![node("a", None)],
                _ => vec![node("a", u64::try_from(number).ok())],
            },
            releases: match number % 5 {
                0 => vec!["nothing installed".to_owned()],
                1 => vec![
                    "step-trailblazer 9.0-mp4".to_owned(),
                    "step-trailblazer 9.1".to_owned(),
                ],
                _ => vec!["step-trailblazer 9.0-mp5-2026-11-01-12-00-00".to_owned()],
            },
            age_days: (number % 7 != 2).then_some(3),
            forks: Vec::new(),
            drift: if number.is_multiple_of(11) { 1_200 } else { 0 },
            prepared: match number % 6 {
                0 => vec![prepared(7, false)],
                1 => vec![prepared(6, true), prepared(7, false), prepared(8, false)],
                2 => vec![prepared(6, true)],
                _ => Vec::new(),
            },
        }
    }

    fn forty(columns: Option<usize>) -> Outcome {
        let environments: Vec<Line> = (1..=40).map(line).collect();
        Outcome {
            sums: Sums::of(&environments),
            environments,
            columns,
        }
    }

    #[test]
    fn forty_environments_fit_a_terminal() {
        let text = forty(Some(100)).to_string();
        for row in text.lines() {
            assert!(row.chars().count() <= 100, "{row}");
        }
        assert!(text.contains('…'));
        for words in [
            "PROD-EU-09                     1    never      0  ",
            "\n40 environments, 51 nodes: 3 drifted, 20 await a receipt, 14 patches EXPIRED, 11 nodes silent",
            "  nodes    a 3 d, b never\n",
            "2 and 1 EXPIRED\n",
            "  patch    SITE-01-0006.patch.spr, made 2026-09-01, EXPIRED: was to be applied before 2026-10-01\n",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }

    #[test]
    fn nothing_is_cut_without_a_terminal() {
        let outcome = forty(None);
        let json = serde_json::to_string(&outcome).unwrap();
        for text in [outcome.to_string(), json] {
            assert!(!text.contains('…'));
            assert!(text.contains("step-trailblazer 9.0-mp5-2026-11-01-12-00-00"));
        }
    }
}
