//! The one tar header that exists for a name and a size.

use super::SprError;
use super::name::is_plain;

/// Bytes in a tar block.
pub(super) const BLOCK: usize = 512;
/// Largest member: eleven octal digits, what ustar holds without extensions.
pub(super) const SIZE_MAX: u64 = 0o777_7777_7777;

/// Encodes the header of a member.
pub(super) fn encode(name: &str, size: u64) -> Result<[u8; BLOCK], SprError> {
    if !is_plain(name) {
        return Err(SprError::Corrupt(format!("{name:?} is not a member name")));
    }
    if size > SIZE_MAX {
        return Err(SprError::Corrupt(format!("{name} is larger than 8 GiB")));
    }
    let mut header = tar::Header::new_ustar();
    header
        .set_path(name)
        .map_err(|e| SprError::Corrupt(format!("{name:?}: {e}")))?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(*header.as_bytes())
}

/// Decodes a header by reading name and size and encoding them again.
pub(super) fn decode(block: &[u8; BLOCK]) -> Result<(String, u64), SprError> {
    let header = tar::Header::from_byte_slice(block);
    let name = std::str::from_utf8(&header.path_bytes()).map(str::to_owned);
    let (Ok(name), Ok(size)) = (name, header.entry_size()) else {
        return Err(SprError::Foreign(
            "it is not a tar file of the form used here",
        ));
    };
    match encode(&name, size) {
        Ok(again) if &again == block => Ok((name, size)),
        Ok(_) | Err(_) => Err(SprError::Corrupt(format!(
            "the tar header of {name:?} is not in the one encoding used here"
        ))),
    }
}

/// Zero bytes that follow `size` bytes of content up to the next block.
pub(super) fn padding(size: u64) -> usize {
    let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
    let rest = size.checked_rem(block).unwrap_or(0);
    let fill = if rest == 0 {
        0
    } else {
        block.saturating_sub(rest)
    };
    usize::try_from(fill).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_encoding() {
        let block = encode("patch.json", 7).unwrap();
        assert_eq!(decode(&block).unwrap(), ("patch.json".to_owned(), 7));
        for at in 0..BLOCK {
            let mut changed = block;
            changed[at] ^= 0x20;
            assert!(decode(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn padding_fills_blocks() {
        for (size, fill) in [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)] {
            assert_eq!(padding(size), fill, "{size}");
        }
    }
}
