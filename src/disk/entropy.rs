//! Random bytes: the seeds of keys, and challenges.

use zeroize::Zeroizing;

use super::DiskError;

/// 32 random bytes from the operating system, wiped when dropped.
pub fn random_bytes() -> Result<Zeroizing<[u8; 32]>, DiskError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|e| DiskError::Random(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_alike() {
        assert_ne!(random_bytes().unwrap(), random_bytes().unwrap());
    }
}
