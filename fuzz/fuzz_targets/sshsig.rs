//! Signatures: one that verifies was made by the key that it names, over these bytes, for this purpose.

#![no_main]

mod shared;

use libfuzzer_sys::fuzz_target;
use lockstep::model::PublicKey;
use lockstep::spr::SIGNATURE_MAX;
use lockstep::trust::sshsig;
use ssh_key::{HashAlg, SshSig};

use shared::Bytes;
use shared::dice::Dice;

const NAMESPACES: [&str; 4] = ["lockstep-patch", "lockstep-approval", "lockstep-site", "n"];

/// What was really signed, and what is asked for afterwards.
struct Case {
    key: u8,
    namespace: &'static str,
    message: Vec<u8>,
    armoured: Vec<u8>,
    asked: (&'static str, Vec<u8>),
    touched: bool,
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    if mode & 1 == 0 {
        noise(rest);
    } else {
        check(&case(&mut Bytes::new(rest)));
    }
});

/// Nothing signed these bytes: whatever the armour holds, no key of ours is found in it.
fn noise(armoured: &[u8]) {
    let found = sshsig::verify(armoured, "lockstep-fuzz", b"never signed");
    assert!(found.is_err(), "a signature out of nothing");
}

fn case(dice: &mut Bytes<'_>) -> Case {
    let key = u8::try_from(dice.below(3)).unwrap_or(0);
    let namespace = dice.pick(&NAMESPACES).copied().unwrap_or("n");
    let message = dice.bytes(40);
    let made = shared::key(key).sign(namespace, &message).expect("a signature");
    let mut asked = (namespace, message.clone());
    match dice.below(8) {
        0 => asked.0 = dice.pick(&NAMESPACES).copied().unwrap_or("n"),
        1 => asked.1 = dice.bytes(40),
        _ => {}
    }
    let mut armoured = made.clone();
    let mut touched = false;
    if dice.once_in(2) {
        armoured = rebuilt(&made, dice).unwrap_or(made.clone());
    }
    for _ in 0..dice.below(3) {
        edit(&mut armoured, dice);
    }
    touched |= armoured != made;
    Case {
        key,
        namespace,
        message,
        armoured,
        asked,
        touched,
    }
}

/// The parts of a signature put together again, some of them others.
fn rebuilt(made: &[u8], dice: &mut Bytes<'_>) -> Option<Vec<u8>> {
    let parsed = SshSig::from_pem(made).ok()?;
    let key = u8::try_from(dice.below(3)).unwrap_or(0);
    let other = shared::key(key).sign("n", b"m").ok()?;
    let other = SshSig::from_pem(&other).ok()?;
    let key = if dice.once_in(3) {
        other.public_key().clone()
    } else {
        parsed.public_key().clone()
    };
    let hash = [HashAlg::Sha256, HashAlg::Sha512];
    let hash = dice.pick(&hash).copied().unwrap_or(HashAlg::Sha512);
    let mut bytes = parsed.signature_bytes().to_vec();
    match dice.below(5) {
        0 => bytes = other.signature_bytes().to_vec(),
        1 => {
            let at = dice.below(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        2 => add_order(&mut bytes),
        _ => {}
    }
    let signature = ssh_key::Signature::new(parsed.algorithm(), bytes).ok()?;
    let namespaces = NAMESPACES;
    let namespace = if dice.once_in(4) {
        dice.pick(&namespaces).copied().unwrap_or("n")
    } else {
        parsed.namespace()
    };
    let made = SshSig::new(key, namespace, hash, signature).ok()?;
    made.to_pem(ssh_key::LineEnding::LF).ok().map(String::into_bytes)
}

/// The same scalar once around the group: what a lenient check takes for a second signature.
fn add_order(bytes: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (byte, add) in bytes.iter_mut().skip(32).zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap_or(0);
        carry = sum >> 8;
    }
}

fn edit(armoured: &mut Vec<u8>, dice: &mut Bytes<'_>) {
    let at = dice.below(armoured.len().max(1));
    match dice.below(5) {
        0 => armoured.truncate(at),
        1 => armoured.insert(at.min(armoured.len()), dice.byte()),
        2 => {
            if let Some(byte) = armoured.get_mut(at) {
                *byte = dice.byte();
            }
        }
        3 => armoured.extend(dice.bytes(64)),
        _ => {
            let text = String::from_utf8_lossy(armoured).replace('\n', "\r\n");
            *armoured = text.into_bytes();
        }
    }
}

fn check(case: &Case) {
    let (namespace, message) = &case.asked;
    let found = sshsig::verify(&case.armoured, namespace, message);
    let right = *namespace == case.namespace && *message == case.message;
    let public = |seed| -> PublicKey { shared::key(seed).public().expect("a public key") };
    match found {
        Ok(key) => {
            // Parts of a signature of "m" for "n", by any key, may have been put in.
            let others = *namespace == "n" && message == b"m";
            let signed = (right && key == public(case.key))
                || (others && (0..3).any(|seed| key == public(seed)));
            assert!(signed, "a signature that nobody made");
            assert!(case.armoured.len() as u64 <= SIGNATURE_MAX);
        }
        Err(why) => assert!(case.touched || !right, "a good signature is refused: {why}"),
    }
}
