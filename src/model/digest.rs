//! Digests: SHA-256 names documents, BLAKE3 hashes whole installations.
//!
//! Any machine can check the first; the second is what makes a scan of gigabytes bearable. A
//! recipe holds both for every file ([`ContentId`]), and whoever writes a file checks both.

use std::fmt;
use std::str::FromStr;

use sha2::Digest as _;

use super::wire::string_serde;

/// Bytes in either digest.
pub const LENGTH: usize = 32;

/// A digest that is not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct DigestError;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; LENGTH]);

        impl $name {
            /// The digest with these raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; LENGTH] {
                &self.0
            }

            /// The first 12 hexadecimal digits: enough to tell two apart in a message.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string().chars().take(12).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = digits(&self.0);
                f.write_str(std::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                parse_hex(text).map(Self)
            }
        }

        string_serde!($name);
    };
}

digest! {
    /// SHA-256: names documents, members and recipes.
    Sha256
}
digest! {
    /// BLAKE3: names file contents in a scan and in the blob store.
    Blake3
}

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl Blake3 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

/// Both digests and the size of one content, as a recipe states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// BLAKE3 of the content.
    pub blake3: Blake3,
    /// Bytes in the content.
    pub size: u64,
}

impl ContentId {
    /// The identity of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ContentHasher::default();
        hasher.update(bytes);
        hasher.finish()
    }
}

/// Computes a [`ContentId`] in one pass.
#[derive(Default)]
pub struct ContentHasher {
    sha256: sha2::Sha256,
    blake3: blake3::Hasher,
    size: u64,
}

impl ContentHasher {
    /// Takes in the next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.blake3.update(bytes);
        self.size = self
            .size
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    /// The identity of all that was taken in.
    #[must_use]
    pub fn finish(self) -> ContentId {
        ContentId {
            sha256: Sha256(self.sha256.finalize().into()),
            blake3: Blake3(*self.blake3.finalize().as_bytes()),
            size: self.size,
        }
    }
}

/// Computes a [`Sha256`] in one pass.
#[derive(Default, Clone)]
pub struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Sha256 {
        Sha256(self.0.finalize().into())
    }
}

/// Written in one piece: a recipe has three for each file.
fn digits(bytes: &[u8; LENGTH]) -> [u8; LENGTH * 2] {
    let mut out = [0; LENGTH * 2];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            [*high, *low] = pair_of(*byte);
        }
    }
    out
}

fn pair_of(byte: u8) -> [u8; 2] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    [byte >> 4, byte & 0xf].map(|half| DIGITS.get(usize::from(half)).copied().unwrap_or_default())
}

/// Bytes of any length in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let pairs = bytes.iter().flat_map(|byte| pair_of(*byte));
    pairs.map(char::from).collect()
}

fn parse_hex(text: &str) -> Result<[u8; LENGTH], DigestError> {
    let mut out = [0_u8; LENGTH];
    let digits = text.as_bytes();
    if digits.len() != LENGTH.saturating_mul(2) {
        return Err(DigestError);
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else {
            return Err(DigestError);
        };
        *byte = (nibble(*high)? << 4) | nibble(*low)?;
    }
    Ok(out)
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(DigestError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(
            Sha256::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            Blake3::of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn bytes_of_any_length_are_written_as_digests_are() {
        assert_eq!(hex(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
        let digest = Sha256::of(b"abc");
        assert_eq!(hex(digest.as_bytes()), digest.to_string());
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length() {
        let good = Sha256::of(b"x").to_string();
        assert_eq!(good.parse::<Sha256>().unwrap().to_string(), good);
        for bad in [
            "",
            "00",
            &good.to_uppercase(),
            &format!("{good}0"),
            &good.replace('a', "g"),
        ] {
            if *bad != good {
                assert_eq!(bad.parse::<Sha256>(), Err(DigestError), "{bad}");
            }
        }
    }
}
