//! `docs/verify-by-hand.md`: the commands of that page, exactly as they stand, on good files and on bad
//! ones. Each bad one must be refused in the section whose check it is for.

use std::fs;
use std::path::{Path, PathBuf};

use lockstep::model::Sha256;
use lockstep::trust::SigningKey;

use crate::forge::{Parts, sign};
use crate::world::{MP4, MP5, Outcome, Tested, World};

/// What is wrong, the section that refuses it, and how it comes about in the auditor's folder.
const BAD: &str = r"
another owner | The site file | sed -i 's/^owner .*/owner SHA256:x/' fingerprints
a cut site file | The site file | truncate -s -512 site.spr
a byte behind the end | The patch | printf x >> patch.spr
a block of zeros behind the end | The patch | head -c 512 /dev/zero >> patch.spr
two members of one name | The patch | tar -xf patch.spr patch.json && tar $PLAIN --format=ustar -rf patch.spr patch.json
headers that tar obeys and does not show | The patch | mkdir t && tar -xf patch.spr -C t && tar -tf patch.spr > n && tar $PLAIN --format=posix -b 1 -cf patch.spr -C t -T n
one approval too few | Who approved it | rm approvals/$(ls approvals | head -n 1)
one approval twice | Who approved it | cd approvals && rm $(ls | tail -n 1) && cp $(ls) b.sig
an approval of another patch | Who approved it | cp ../usb/1.*.sig approvals
the preparer's approval | Who approved it | tar -xOf patch.spr patch.json > p && rm approvals/$(ls approvals | head -n 1) && ssh-keygen -q -Y sign -f ../keys/desk -n lockstep-approval p && mv p.sig approvals
another node's key | Whose state it answers | sed -i 's/^PROD .*/PROD SHA256:x/' fingerprints
a receipt taken away | The receipts | rm receipts/$(ls receipts | sed -n 2p)
the first receipt taken away | The receipts | rm receipts/$(ls receipts | head -n 1)
a file edited in the tree | The installed tree | cp -a ../PROD tree && ln -sfn tree root && echo x >> tree/lib/core.jar
a file gone from the tree | The installed tree | cp -a ../PROD tree && ln -sfn tree root && rm tree/api/restapi.jar
a recipe edited in the tree | The installed tree | cp -a ../PROD tree && ln -sfn tree root && chmod u+w tree/.lockstep/installed/* && for f in tree/.lockstep/installed/*; do echo >> $f; done
";

/// A section's heading and a block of commands in it.
struct Block {
    heading: String,
    commands: String,
}

/// Every block of the page, in its order.
fn blocks() -> Outcome<Vec<Block>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/verify-by-hand.md");
    let page = fs::read_to_string(path)?;
    let mut blocks = Vec::new();
    let mut heading = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut heading);
        } else if line == "```sh" {
            let commands: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                heading: heading.clone(),
                commands: commands.join("\n") + "\n",
            });
        } else if line.starts_with("```") {
            return Err(format!("a block that nobody runs: {line}").into());
        }
    }
    Ok(blocks)
}

/// Where python-tuf is; nothing where it is not, which continuous integration does not accept.
fn python() -> Outcome<Option<PathBuf>> {
    let python = std::env::var_os("LOCKSTEP_PYTHON").map(PathBuf::from);
    let folder = python.as_deref().and_then(Path::parent).map(Path::to_owned);
    if folder.is_none() {
        if std::env::var_os("CI").is_some() {
            return Err("LOCKSTEP_PYTHON is not set".into());
        }
        eprintln!(
            "not checked: the vendor's chain; LOCKSTEP_PYTHON names no python with tuf installed"
        );
    }
    Ok(folder)
}

/// What the page came to: every section went well, or this one did not.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Well,
    RefusedIn(String),
}

struct Audit {
    world: World,
    blocks: Vec<Block>,
    python: Option<PathBuf>,
}

impl Audit {
    /// An environment after two patches, with a config file that the customer changed, and an
    /// auditor's folder `good`.
    fn new() -> Outcome<Self> {
        let world = World::with_policy("approvals = 2\n")?;
        world.init("PROD")?;
        let patched = |from: &str, to: &str, name: &str| -> Tested {
            world.ok(&format!("lockstep prepare usb/{from}.spr --to {to} --whole --desk desk --site site.spr --key keys/desk --source repository --output usb/{name}.patch.spr"))?;
            for who in ["anna", "ben"] {
                world.ok(&format!(
                    "lockstep approve usb/{name}.head.spr --key keys/{who}"
                ))?;
            }
            world.apply(
                "PROD",
                &format!("usb/{name}.patch.spr"),
                &format!("usb/{name}.receipt.spr"),
            )?;
            world.ok(&format!(
                "lockstep receive usb/{name}.receipt.spr --desk desk"
            ))?;
            Ok(())
        };
        patched("PROD.snapshot", MP4, "1")?;
        world.ok("echo mine > PROD/conf/a.properties && lockstep snapshot --root PROD --output usb/2.spr")?;
        patched("2", MP5, "2")?;
        world.ok("mkdir -p good/approvals good/receipts && cp usb/2.patch.spr good/patch.spr && cp usb/2.*.sig good/approvals && cp site.spr good && ln -s ../PROD good/root")?;
        world.ok("lockstep receipt --all --root PROD --output good/receipts")?;
        world.ok("tar -xOf usb/2.spr snapshot.json | jq -r .node.key > node.pub && { ssh-keygen -lf keys/owner.pub | sed 's/^[0-9]* \\([^ ]*\\).*/owner \\1/'; ssh-keygen -lf node.pub | sed 's/^[0-9]* \\([^ ]*\\).*/PROD \\1/'; } > good/fingerprints")?;
        Ok(Self {
            world,
            blocks: blocks()?,
            python: python()?,
        })
    }

    /// A copy of the good folder, changed by these commands.
    fn lay_out(&self, change: &str) -> Tested {
        let plain = "--owner=0 --group=0 --numeric-owner --mtime=@0 --mode=0644";
        self.world.ok(&format!(
            "PLAIN='{plain}'; rm -rf audit && cp -a good audit && cd audit && {{ {change}; }}"
        ))?;
        Ok(())
    }

    /// Runs the page in the auditor's folder.
    fn run(&self) -> Outcome<(Came, String)> {
        let path = self.python.as_ref().map_or_else(String::new, |folder| {
            format!("PATH={}:$PATH ", folder.display())
        });
        let mut said = String::new();
        for block in &self.blocks {
            if self.python.is_none() && block.commands.contains("python3") {
                continue;
            }
            self.world.write("block.sh", &block.commands)?;
            let ran = self
                .world
                .run(&format!("cd audit && {path}sh -eu ../block.sh"))?;
            said = said + &ran.out + &ran.err;
            let last = ran.out.lines().last().unwrap_or_default();
            if ran.code != 0 || !last.starts_with("ok: ") {
                return Ok((Came::RefusedIn(block.heading.clone()), said));
            }
        }
        Ok((Came::Well, said))
    }

    fn comes(&self, what: &str, expected: &Came) -> Tested {
        let (came, said) = self.run()?;
        if &came == expected {
            return Ok(());
        }
        Err(format!("{what}: {came:?}, {expected:?} was expected\n{said}").into())
    }

    fn refuses(&self, what: &str, heading: &str) -> Tested {
        if self.python.is_none() && heading == "The vendor's chain" {
            return Ok(());
        }
        self.comes(what, &Came::RefusedIn(heading.to_owned()))
    }

    /// Both approvers approve whatever is in the patch now, with OpenSSH alone.
    fn approved_anew(&self) -> Tested {
        self.world.ok("cd audit && rm approvals/* && tar -xOf patch.spr patch.json > p && for who in anna ben; do rm -f p.sig; ssh-keygen -q -Y sign -f ../keys/$who -n lockstep-approval p; mv p.sig approvals/$who.sig; done")?;
        Ok(())
    }
}

#[test]
fn the_pages_commands_pass_what_is_good() -> Tested {
    let audit = Audit::new()?;
    assert!(audit.blocks.len() >= 12, "{}", audit.blocks.len());
    audit.lay_out("true")?;
    audit.comes("good files", &Came::Well)?;
    // As carried to a host that has the recipes: these are named by the auditor, as the page says.
    audit.world.ok("lockstep rollback --root PROD --environment PROD --receipt usb/back.spr && lockstep receive usb/back.spr --desk desk && lockstep prepare usb/back.spr --to to:core/9.1/core-9.1.0.spr --desk desk --source repository --output usb/3.patch.spr")?;
    audit.lay_out("cp ../usb/3.patch.spr patch.spr && mkdir bases && cp root/.lockstep/installed/*.spr bases && cp ../usb/back.spr receipts")?;
    audit.approved_anew()?;
    let (came, said) = audit.run()?;
    assert_eq!(
        came,
        Came::RefusedIn("Whether it was applied".to_owned()),
        "{said}"
    );
    assert!(said.contains("ok: 1 recipe(s)"), "{said}");
    assert!(
        said.contains("rollback"),
        "this patch was not applied yet:\n{said}"
    );
    Ok(())
}

#[test]
fn the_pages_commands_refuse_what_is_bad() -> Tested {
    let audit = Audit::new()?;
    let rows: Vec<&str> = BAD.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(rows.len(), 16);
    for row in rows {
        let [what, heading, change] = row.splitn(3, " | ").collect::<Vec<_>>()[..] else {
            return Err(format!("not a row: {row}").into());
        };
        audit.lay_out(change)?;
        audit.refuses(what, heading)?;
    }
    Ok(())
}

#[test]
fn the_pages_commands_refuse_what_was_signed_anew() -> Tested {
    let audit = Audit::new()?;
    let (patch, desk) = (
        audit.world.path("audit/patch.spr"),
        audit.world.path("keys/desk"),
    );
    let fresh = || -> Outcome<Parts> {
        audit.lay_out("true")?;
        Parts::read(&patch)
    };
    // A pack changed, the list as it was.
    let mut parts = fresh()?;
    if let Some(byte) = parts
        .members
        .last_mut()
        .and_then(|(_, pack)| pack.last_mut())
    {
        *byte ^= 1;
    }
    parts.write(&patch)?;
    audit.refuses("a changed member", "The patch")?;
    // A statement that says one thing to the first reader and another to the last.
    let parts = fresh()?;
    let text = serde_json::to_string(&parts.statement)?;
    let twice = text.replacen("{\"accepted\":[],", "{\"accepted\":[],\"accepted\":[],", 1);
    assert_ne!(text, twice);
    let signature = sign(&desk, "lockstep-patch", twice.as_bytes())?;
    let name = format!("patch.json.{}.sig", signature.key);
    parts.put(&patch, twice.as_bytes(), &[(name, signature.armoured)])?;
    audit.refuses("a key that stands twice", "The patch")?;
    // Signed by a stranger, by an approver, and by the preparer for another purpose.
    for key in ["stranger", "anna"] {
        fresh()?.write_signed(&patch, &audit.world.path("keys").join(key))?;
        audit.refuses("a swapped signature", "Who prepared it")?;
    }
    let parts = fresh()?;
    let bytes = serde_json::to_vec(&parts.statement)?;
    let signature = sign(&desk, "lockstep-site", &bytes)?;
    let name = format!("patch.json.{}.sig", signature.key);
    parts.put(&patch, &bytes, &[(name, signature.armoured)])?;
    audit.refuses("a signature for another purpose", "Who prepared it")?;
    // A trusted desk, and approvers who sign what they are given: the vendor has the last word.
    let mut parts = fresh()?;
    swap_recipes(&mut parts)?;
    parts.write_signed(&patch, &desk)?;
    audit.approved_anew()?;
    audit.refuses(
        "one signed recipe in the place of another",
        "The vendor's chain",
    )?;
    // The host's own key, on a state that its lists do not have.
    fresh()?;
    forge_state(&audit)?;
    audit.refuses(
        "a state that is not the digest of its lists",
        "The state digest",
    )
}

#[test]
fn the_pages_commands_check_volumes() -> Tested {
    let audit = Audit::new()?;
    let world = &audit.world;
    let line = |line: u64| format!("{}\n", Sha256::of(&line.to_be_bytes()));
    let big: String = (0..6_000).map(line).collect();
    world.component("big/1.0/big-1.0.0", &[("big.txt", &big)], "")?;
    world.ok("lockstep prepare --environment PROD --to to:big/1.0/big-1.0.0.spr --whole --volume-size 120K --desk desk --source repository --output usb/v.patch.spr")?;
    // As somebody carries them: in any order, under any names.
    let volumes = "rm patch.spr && mkdir volumes && n=9 && for v in ../usb/v.*of*.spr; do n=$((n - 1)); cp $v \"volumes/part $n.spr\"; done";
    let approve = "rm approvals/* && tar -xOf 'volumes/part 8.spr' patch.json > p && for who in anna ben; do rm -f p.sig; ssh-keygen -q -Y sign -f ../keys/$who -n lockstep-approval p; mv p.sig approvals/$who.sig; done";
    let lay_out = |more: &str| audit.lay_out(&format!("{volumes} && {approve} && {more}"));
    lay_out("true")?;
    let (came, said) = audit.run()?;
    let all = Came::RefusedIn("Whether it was applied".to_owned());
    assert_eq!(came, all, "not applied yet, and all else is well:\n{said}");
    assert!(said.contains(" volumes, joined"), "{said}");
    for (what, heading, change) in [
        (
            "one is missing",
            "A patch in volumes",
            "rm 'volumes/part 7.spr'",
        ),
        (
            "the last is missing",
            "A patch in volumes",
            "rm \"$(ls volumes/*.spr | head -n 1)\"",
        ),
        (
            "one twice",
            "A patch in volumes",
            "cp 'volumes/part 7.spr' volumes/b.spr",
        ),
        (
            "another statement",
            "A patch in volumes",
            "sed -i 's/\"kind\":\"patch\"/\"kind\":\"petch\"/' 'volumes/part 7.spr'",
        ),
        (
            "a byte behind the end",
            "A patch in volumes",
            "printf x >> 'volumes/part 7.spr'",
        ),
        (
            "one cut short",
            "A patch in volumes",
            "truncate -s -1024 'volumes/part 7.spr'",
        ),
        (
            "a pack changed",
            "The patch",
            "f='volumes/part 7.spr'; printf xyz | dd of=\"$f\" bs=1 conv=notrunc seek=$(($(stat -c %s \"$f\") - 1700)) 2> dd.log",
        ),
    ] {
        lay_out(change)?;
        audit.refuses(what, heading)?;
    }
    Ok(())
}

/// Each component gets the other one's recipe.
fn swap_recipes(parts: &mut Parts) -> Tested {
    let target = parts.statement["target"]
        .as_array_mut()
        .ok_or("no target")?;
    let lines: Vec<String> = target
        .iter()
        .filter_map(|t| t.as_str().map(str::to_owned))
        .collect();
    let digest = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let digests: Vec<String> = lines.iter().map(|line| digest(line)).collect();
    let [core, restapi, ..] = digests.as_slice() else {
        return Err("fewer than two components".into());
    };
    for entry in target.iter_mut() {
        let line = entry.as_str().ok_or("no line")?;
        let other = if digest(line) == *core { restapi } else { core };
        if [core, restapi].contains(&&digest(line)) {
            *entry = line.replacen(&digest(line), other, 1).into();
        }
    }
    Ok(())
}

/// The last receipt, whose snapshot and `after` say another state, signed by the node's own key.
fn forge_state(audit: &Audit) -> Tested {
    let world = &audit.world;
    let last = world.ok("cd audit && ls receipts/* | tail -n 1")?.out;
    let path = world.path("audit").join(last.trim());
    let key = world.path("PROD/.lockstep/key");
    let mut receipt = Parts::read(&path)?;
    let state = "0".repeat(64);
    let (_, bytes) = receipt.members.first_mut().ok_or("no snapshot")?;
    let mut snapshot: serde_json::Value = serde_json::from_slice(bytes)?;
    snapshot["state"] = state.clone().into();
    *bytes = serde_json::to_vec(&snapshot)?;
    let signed = sign(&key, "lockstep-snapshot", bytes)?.armoured;
    let (_, signature) = receipt.members.get_mut(1).ok_or("no signature")?;
    *signature = signed;
    receipt.statement["after"] = state.into();
    receipt.relist()?;
    fs::remove_file(&path)?;
    // The key is one that this program would take: the host itself lies.
    SigningKey::from_openssh(&fs::read(&key)?, None)?;
    receipt.write_signed(&path, &key)
}
