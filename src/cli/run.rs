//! From arguments to requests: each command to the room that does it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Accept, Approve, Command, Gc, Init, Receipt, Status};
use super::print::Printer;
use super::world;
use crate::audit;
use crate::host;
use crate::model::patch::Accepted;
use crate::model::{Refusal, RefusalName, Time};

/// Runs one command and prints what it did.
pub(super) fn run(command: Command, printer: &Printer) -> Result<ExitCode, Refusal> {
    let now = world::now();
    match command {
        Command::Init(args) => printer.outcome(&init(args, now)?),
        Command::Snapshot(args) => printer.outcome(&host::snapshot::run(
            &host::snapshot::Request {
                root: world::root(args.root.root)?,
                output: args.output,
                only: args.only,
                full: args.full,
            },
            now,
            printer,
        )?),
        Command::Apply(args) => printer.outcome(&host::apply::choose::run(
            &args.files,
            &host::apply::Request {
                root: world::root(args.root.root)?,
                file: std::path::PathBuf::new(),
                approvals: args.approval,
                accepted: accepted(args.accept),
                memory: args.memory,
                dry_run: args.dry_run,
                hot: args.hot,
                receipt: args.receipt,
                environment: args.environment,
            },
            now,
            printer,
        )?),
        Command::Recover(args) => {
            let root = world::root(args.root.root)?;
            if args.before_start {
                if let Some(outcome) = host::recover::before_start(&root, now, printer)? {
                    printer.outcome(&outcome);
                }
            } else {
                printer.outcome(&host::recover::run(&root, now, printer)?);
            }
        }
        Command::Rehome(args) => {
            printer.outcome(&host::rehome::run(&args.request()?, now, printer)?);
        }
        Command::Rollback(args) => printer.outcome(&host::rollback::run(
            &host::rollback::Request {
                root: world::root(args.root.root)?,
                to: args.to,
                environment: args.environment,
                accepted: accepted(args.accept),
                dry_run: args.dry_run,
                receipt: args.receipt,
            },
            now,
            printer,
        )?),
        Command::Gc(args) => gc(args, now, printer)?,
        Command::Status(args) => return status(args, now, printer),
        Command::Components(args) => {
            printer.outcome(&host::components::run(&world::root(args.root)?)?);
        }
        Command::History(args) => {
            printer.outcome(&host::history::run(
                &world::root(args.root.root)?,
                args.check,
            )?);
        }
        Command::Receipt(args) => receipt(args, printer)?,
        Command::Trust(args) => {
            let root = world::root(args.root.root)?;
            printer.outcome(&if args.site == Path::new("show") {
                host::trust::show(&root)?
            } else {
                let request = host::trust::Request {
                    root,
                    site: args.site,
                    receipt: args.receipt,
                };
                host::trust::run(&request, now, printer)?
            });
        }
        Command::Inspect(_) | Command::Verify(_) | Command::Approve(_) => {
            return audit(command, now, printer);
        }
        #[cfg(feature = "desk")]
        Command::Site(_)
        | Command::Enrol(_)
        | Command::Prepare(_)
        | Command::Receive(_)
        | Command::Environments(_)
        | Command::Compare(_) => return desk::run(command, now, printer),
        #[cfg(feature = "publish")]
        Command::Publish(command) => super::publish_args::run(command, now, printer)?,
        #[cfg(all(feature = "desk", feature = "publish"))]
        Command::Demo(args) => {
            let folder = args.folder.unwrap_or_else(world::temporary_folder);
            let demo = crate::road::demo::run(&world::program()?, &folder, printer)?;
            printer.outcome(&demo);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn init(args: Init, now: Time) -> Result<host::init::Outcome, Refusal> {
    let request = host::init::Request {
        root: args.root,
        name: args.name,
        node: args.node,
        site: args.site,
        fingerprint: args.fingerprint,
        adopt: args.adopt,
        service: args.service.map(|said| match said.as_str() {
            "none" => host::init::Service::None,
            file => host::init::Service::File(file.into()),
        }),
        program: program(),
        output: args.output,
    };
    host::init::run(&request, now)
}

fn status(args: Status, now: Time, printer: &Printer) -> Result<ExitCode, Refusal> {
    let request = host::status::Request {
        root: world::root(args.root.root)?,
        full: args.full,
        program: program(),
    };
    let outcome = host::status::run(&request, now, printer)?;
    printer.outcome(&outcome);
    let fault = outcome
        .fault()
        .filter(|_| args.check || outcome.needs_recovery);
    Ok(fault.map_or(ExitCode::SUCCESS, |fault| ExitCode::from(fault.name.code())))
}

/// This program's own file, or where that cannot be found out, what it is called: it is only shown.
fn program() -> PathBuf {
    world::program().unwrap_or_else(|_| "lockstep".into())
}

fn receipt(args: Receipt, printer: &Printer) -> Result<(), Refusal> {
    let root = world::root(args.root.root)?;
    let output = args.output.as_deref();
    if args.all {
        printer.outcome(&host::receipt::all(&root, output)?);
    } else {
        printer.outcome(&host::receipt::run(&root, args.sequence, output)?);
    }
    Ok(())
}

fn gc(args: Gc, now: Time, printer: &Printer) -> Result<(), Refusal> {
    let root = world::root(args.root.root)?;
    printer.outcome(&host::gc::run(
        &root,
        args.keep,
        args.environment.as_ref(),
        now,
        printer,
    )?);
    Ok(())
}

fn audit(command: Command, now: Time, printer: &Printer) -> Result<ExitCode, Refusal> {
    match command {
        Command::Inspect(args) => printer.outcome(&audit::inspect::run(&args.file)?),
        Command::Verify(args) => {
            let outcome = audit::verify::run(
                &audit::verify::Request {
                    files: args.files,
                    site: args.site,
                    fingerprint: args.fingerprint,
                    allowed_signers: args.allowed_signers,
                    approvals: args.approval,
                    recipes: args.recipe,
                },
                now,
                printer,
            )?;
            printer.outcome(&outcome);
            if let Some(code) = outcome.exit() {
                return Ok(ExitCode::from(code));
            }
        }
        Command::Approve(args) => printer.outcome(&approve(args, printer)?),
        _ => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn approve(args: Approve, printer: &Printer) -> Result<audit::approve::Outcome, Refusal> {
    use audit::approve::{By, Request};
    let by = match (args.key, args.signature) {
        (_, Some(signature)) => By::Signature(signature),
        (Some(key), None) => By::Key(key),
        (None, None) => {
            let refusal = Refusal::new(RefusalName::Usage, "an approval is signed by a key");
            return Err(refusal.next("lockstep approve FILE --key KEY"));
        }
    };
    let request = Request {
        file: args.file,
        by,
        site: args.site,
        output: args.output,
    };
    audit::approve::run(&request, printer)
}

fn accepted(args: Accept) -> Vec<Accepted> {
    let reason = args.reason.unwrap_or_default();
    args.accept
        .into_iter()
        .map(|name| Accepted {
            name,
            reason: reason.clone(),
        })
        .collect()
}

#[cfg(feature = "desk")]
mod desk {
    //! The desk's commands.

    use super::super::args::{Accept, Command, Site, SiteFile};
    use super::{ExitCode, Printer, Refusal, RefusalName, Time, accepted, world};
    use crate::desk;

    pub(super) fn run(command: Command, now: Time, printer: &Printer) -> Result<ExitCode, Refusal> {
        match command {
            Command::Site(Site::New(args)) => printer.outcome(&site(args, now, printer, false)?),
            Command::Site(Site::Renew(args)) => printer.outcome(&site(args, now, printer, true)?),
            Command::Enrol(args) => {
                return Ok(printer.told(&desk::enrol::run(
                    &world::desk(args.desk.desk)?,
                    &desk::enrol::Request {
                        places: args.places,
                        fingerprint: args.fingerprint,
                        replace: args.replace,
                        accept_forked: forked(args.accept)?,
                        output: args.output,
                        key: args.key,
                    },
                    now,
                    printer,
                )?));
            }
            Command::Prepare(args) => {
                return Ok(printer.told(&desk::prepare::many::run(
                    &world::desk(args.desk.desk)?,
                    &desk::prepare::many::Asked {
                        places: args.places,
                        environments: args.environment,
                        all: args.all,
                    },
                    &desk::prepare::Request {
                        to: args.to,
                        remove: args.remove,
                        adopt: args.adopt,
                        whole: args.whole,
                        effort: args.effort.into(),
                        explain: args.explain,
                        sources: args.source,
                        site: args.site,
                        fingerprint: args.fingerprint,
                        key: args.key,
                        output: args.output,
                        volume_size: args.volume_size,
                        accepted: accepted(args.accept),
                        ..desk::prepare::Request::default()
                    },
                    now,
                    printer,
                )?));
            }
            Command::Receive(args) => {
                return Ok(printer.told(&desk::receive::run(
                    &world::desk(args.desk.desk)?,
                    &desk::receive::Request {
                        places: args.places,
                        accept_forked: forked(args.accept)?,
                    },
                    now,
                    printer,
                )?));
            }
            Command::Environments(args) => {
                let desk = world::desk(args.desk)?;
                let columns = Printer::columns();
                printer.outcome(&desk::environments::run(&desk, columns, now)?);
            }
            Command::Compare(args) => {
                printer.outcome(&desk::compare::run(&args.first, &args.second)?);
            }
            _ => {}
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Why a fork is accepted; nothing else is lifted where a word is taken in.
    fn forked(args: Accept) -> Result<Option<String>, Refusal> {
        if let Some(other) = args
            .accept
            .iter()
            .find(|name| **name != RefusalName::Forked)
        {
            return Err(Refusal::new(
                RefusalName::Usage,
                "this refusal cannot be lifted by --accept here",
            )
            .value("asked for", other)
            .value("may be", RefusalName::Forked)
            .next("leave it out; what the file is refused for then says what to do"));
        }
        Ok(args.reason.filter(|_| !args.accept.is_empty()))
    }

    fn site(
        args: SiteFile,
        now: Time,
        printer: &Printer,
        renew: bool,
    ) -> Result<desk::site::Outcome, Refusal> {
        if renew != args.from.is_some() {
            return Err(Refusal::new(
                RefusalName::Usage,
                if renew {
                    "renew needs the site file before"
                } else {
                    "a new site file comes from none"
                },
            )
            .next("lockstep site renew --from SITE.spr --key KEY --output NEWER.spr ..."));
        }
        desk::site::run(
            &desk::site::Request {
                from: args.from,
                name: args.name,
                vendors: args.vendor,
                replace_roots: args.replace_root,
                prefixes: args.prefix,
                preparers: args.preparer,
                approvers: args.approver,
                remove: args.remove,
                policy: args.policy,
                key: args.key,
                output: args.output,
            },
            now,
            printer,
        )
    }
}
