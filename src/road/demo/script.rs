//! The steps of the demonstration, as a person would type them.

/// A step: something to read, or a command line with the exit code it must have.
pub(super) enum Step {
    /// A heading.
    Say(&'static str),
    /// A command.
    Run(i32, &'static str),
}

use Step::{Run, Say};

/// The road, in the folder of the demonstration.
#[rustfmt::skip]
pub(super) const ROAD: &[Step] = &[
    Say("the vendor publishes components, and two releases of the product"),
    Run(0, "lockstep publish init --repository repository --keys keys/vendor"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe core/9.0/core-9.0.0 --files vendor/core-9.0.0 --config 'conf/*'"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe core/9.1/core-9.1.0 --files vendor/core-9.1.0 --config 'conf/*'"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe restapi/7.0/restapi-7.0.39 --files vendor/restapi-7.0.39 --requires 'core >=9.0, <10'"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe restapi/7.0/restapi-7.0.40 --files vendor/restapi-7.0.40 --requires 'core >=9.0, <10' --hot"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe restapi/7.0/restapi-7.0.41 --files vendor/restapi-7.0.41 --requires 'core >=9.2'"),
    Run(0, "lockstep publish component --repository repository --keys keys/vendor --recipe customer/acme/portal/1.0/portal-1.0.0 --files vendor/portal-1.0.0 --requires 'restapi >=7.0'"),
    Run(0, "lockstep publish release --repository repository --keys keys/vendor --recipe step/trailblazer/step-trailblazer-9.0-mp4-2026-10-01-12-00-00 --component core=9.0.0 --component restapi=7.0.39"),
    Run(0, "lockstep publish release --repository repository --keys keys/vendor --recipe step/trailblazer/step-trailblazer-9.0-mp5-2026-11-01-12-00-00 --component core=9.1.0 --component restapi=7.0.40"),

    Say("the site owner says whom TEST and PROD trust; this key stays offline"),
    Run(0, "lockstep site new --name acme --vendor stibo=repository/metadata/1.root.json --preparer keys/desk.pub --key keys/owner --output site.spr"),

    Say("two isolated hosts: empty environments, and their first snapshots"),
    Run(0, "lockstep init --root test/step --name TEST --site site.spr --service none --output usb/TEST.snapshot.spr"),
    Run(0, "lockstep init --root prod/step --name PROD --site site.spr --service none --output usb/PROD.snapshot.spr"),

    Say("the desk gets to know both, and prepares the first patch of each: it brings everything"),
    Run(0, "lockstep enrol usb/TEST.snapshot.spr --desk desk"),
    Run(0, "lockstep enrol usb/PROD.snapshot.spr --desk desk"),
    Run(0, "lockstep prepare usb/TEST.snapshot.spr --desk desk --site site.spr --key keys/desk --source repository --to to:step/trailblazer/step-trailblazer-9.0-mp4-2026-10-01-12-00-00.spr,to:customer/acme/portal/1.0/portal-1.0.0.spr --output usb/TEST.patch.spr"),
    Run(0, "lockstep prepare usb/PROD.snapshot.spr --desk desk --to to:step/trailblazer/step-trailblazer-9.0-mp4-2026-10-01-12-00-00.spr,to:customer/acme/portal/1.0/portal-1.0.0.spr --output usb/PROD.patch.spr"),

    Say("anybody may look into a patch, and check it against the site file"),
    Run(0, "lockstep inspect usb/PROD.patch.spr"),
    Run(0, "lockstep verify usb/PROD.patch.spr --site site.spr"),

    Say("on the hosts: try it, then apply it"),
    Run(0, "lockstep apply usb/TEST.patch.spr --root test/step --receipt usb/TEST.receipt.spr"),
    Run(0, "lockstep apply usb/PROD.patch.spr --root prod/step --dry-run"),
    Run(0, "lockstep apply usb/PROD.patch.spr --root prod/step --receipt usb/PROD.receipt.spr"),
    Run(0, "lockstep status --root prod/step"),
    Run(0, "lockstep components --root prod/step"),

    Say("the receipts close the loop; the next snapshot is inside them"),
    Run(0, "lockstep receive usb/TEST.receipt.spr --desk desk"),
    Run(0, "lockstep receive usb/PROD.receipt.spr --desk desk"),
    Run(0, "lockstep environments --desk desk"),

    Say("next month: the second release, for PROD, after its administrator edited a config file"),
    Run(0, "echo threads=64 >> prod/step/conf/server.properties"),
    Run(0, "lockstep prepare usb/PROD.receipt.spr --desk desk --to to:step/trailblazer/step-trailblazer-9.0-mp5-2026-11-01-12-00-00.spr --output usb/PROD-2.patch.spr"),

    Say("PROD's patch tried on TEST: refused, from its first bytes"),
    Run(10, "lockstep apply usb/PROD-2.patch.spr --root test/step"),

    Say("on PROD it fits; the edited config file is kept"),
    Run(0, "lockstep apply usb/PROD-2.patch.spr --root prod/step --receipt usb/PROD-2.receipt.spr"),
    Run(0, "lockstep receive usb/PROD-2.receipt.spr --desk desk"),

    Say("the same patch a second time: refused"),
    Run(12, "lockstep apply usb/PROD-2.patch.spr --root prod/step"),

    Say("a snapshot, a patch for it, and then a file of the product changes: the patch is refused as moved"),
    Run(0, "lockstep snapshot --root prod/step --output usb/PROD-3.snapshot.spr"),
    Run(0, "lockstep prepare usb/PROD-3.snapshot.spr --desk desk --to to:restapi/7.0/restapi-7.0.39.spr --accept downgrade --reason 'the new one is slow' --output usb/PROD-3.patch.spr"),
    Run(0, "echo tampered >> prod/step/portal/welcome.txt"),
    Run(13, "lockstep apply usb/PROD-3.patch.spr --root prod/step --accept downgrade --reason 'the new one is slow'"),

    Say("a component that does not fit: refused on the desk, with the reason"),
    Run(31, "lockstep prepare --environment PROD --desk desk --to to:restapi/7.0/restapi-7.0.41.spr"),

    Say("a copy of PROD's folder is not PROD: it is refused as another machine"),
    Run(0, "cp -a prod copy-of-prod"),
    Run(11, "lockstep snapshot --root copy-of-prod/step --output usb/COPY.snapshot.spr"),

    Say("what was done here, with every signature and link checked"),
    Run(0, "lockstep history --check --root prod/step"),
];

/// Where the files lie.
#[rustfmt::skip]
pub(super) const FILES: &[(&str, &str)] = &[
    ("repository/", "the vendor's release repository"),
    ("site.spr", "whom the environments trust"),
    ("desk/", "what the desk remembers"),
    ("usb/PROD.snapshot.spr", "what PROD held at first: nothing"),
    ("usb/PROD.patch.spr", "the first patch for PROD"),
    ("usb/PROD-2.patch.spr", "the second release, for PROD"),
    ("usb/PROD-2.receipt.spr", "what PROD did with it"),
    ("prod/step/", "the installation PROD"),
    ("test/step/", "the installation TEST"),
];
