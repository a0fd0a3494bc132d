//! Decompression of metadata and recipes, bounded. The digest of what comes out is checked by the
//! caller: nothing here is trusted.
//!
//! | attack | defence |
//! |---|---|
//! | a few bytes that decompress to gigabytes | output stops one byte past the limit; whoever reads a list stops where he has enough |
//! | a frame that asks for a window of gigabytes | [`METADATA_WINDOW_LOG`], [`LIST_WINDOW_LOG`]; a recipe has none, it is decompressed in one piece |
//! | further frames or other bytes behind the first | exactly one frame, to the last byte |

use std::io::Read;

use zstd::stream::read::Decoder;
use zstd::zstd_safe;

/// Largest window of a recipe, as a power of two: 128 MiB, what `zstd -d` takes without further
/// options.
pub const WINDOW_LOG_MAX: u32 = 27;
/// Largest window of a list that is read line by line: 8 MiB, what every level up to 19 stays within.
const LIST_WINDOW_LOG: u32 = 23;
/// Largest window of metadata: 16 MiB, as large as a whole file of it may be.
const METADATA_WINDOW_LOG: u32 = 24;

/// Bytes that do not decompress within the limit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnzstdError {
    /// Not one zstd frame, or one that needs another dictionary.
    #[error("it is not one zstd frame: {0}")]
    Unreadable(String),
    /// Larger than it may be.
    #[error("it decompresses to more than {0} bytes")]
    TooLarge(u64),
}

/// Decompresses one zstd frame of metadata, of at most `limit` bytes of content. `dictionary` is plain content,
/// as `zstd -D` takes it.
pub fn unzstd(bytes: &[u8], dictionary: Option<&[u8]>, limit: u64) -> Result<Vec<u8>, UnzstdError> {
    #[cfg(feature = "faulty")]
    let limit = if crate::model::faulty::has(crate::model::faulty::Fault::Bounds) {
        u64::MAX
    } else {
        limit
    };
    let unreadable = |e: std::io::Error| UnzstdError::Unreadable(e.to_string());
    let dictionary = dictionary.unwrap_or_default();
    let mut decoder = Decoder::with_dictionary(bytes, dictionary)
        .map_err(unreadable)?
        .single_frame();
    decoder
        .window_log_max(METADATA_WINDOW_LOG)
        .map_err(unreadable)?;
    let mut out = Vec::new();
    let read = (&mut decoder)
        .take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(unreadable)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit {
        return Err(UnzstdError::TooLarge(limit));
    }
    if decoder.finish().is_empty() {
        Ok(out)
    } else {
        Err(UnzstdError::Unreadable("bytes behind its end".to_owned()))
    }
}

/// Decompresses one zstd frame of exactly `size` bytes of content, which the caller has bounded.
/// Neither a window nor a copy of `dictionary` is held besides: of a large recipe and the one it is
/// compressed against, both are in memory once.
pub fn unzstd_exact(bytes: &[u8], dictionary: &[u8], size: usize) -> Result<Vec<u8>, UnzstdError> {
    check_one_frame(bytes)?;
    let mut context = zstd_safe::DCtx::create();
    context.ref_prefix(dictionary).map_err(unreadable_code)?;
    let mut out = Vec::with_capacity(size);
    let written = context
        .decompress(&mut out, bytes)
        .map_err(unreadable_code)?;
    if written == size {
        Ok(out)
    } else {
        Err(UnzstdError::Unreadable(format!(
            "it decompresses to {written} bytes, not to {size}"
        )))
    }
}

/// What one zstd frame yields, piece by piece and without a limit: a list is taken apart while it is read,
/// and the caller says where it has to end.
pub fn unzstd_list(bytes: &[u8]) -> Result<impl Read + '_, UnzstdError> {
    check_one_frame(bytes)?;
    let unreadable = |e: std::io::Error| UnzstdError::Unreadable(e.to_string());
    let mut decoder = Decoder::with_buffer(bytes)
        .map_err(unreadable)?
        .single_frame();
    decoder
        .window_log_max(LIST_WINDOW_LOG)
        .map_err(unreadable)?;
    Ok(decoder)
}

fn check_one_frame(bytes: &[u8]) -> Result<(), UnzstdError> {
    match zstd_safe::find_frame_compressed_size(bytes) {
        Ok(frame) if frame == bytes.len() => Ok(()),
        Ok(_) => Err(UnzstdError::Unreadable("bytes behind its end".to_owned())),
        Err(code) => Err(unreadable_code(code)),
    }
}

fn unreadable_code(code: usize) -> UnzstdError {
    UnzstdError::Unreadable(zstd_safe::get_error_name(code).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(bytes: &[u8], dictionary: &[u8]) -> Vec<u8> {
        let mut packer = zstd::bulk::Compressor::with_dictionary(9, dictionary).unwrap();
        packer.compress(bytes).unwrap()
    }

    #[test]
    fn there_and_back() {
        let plain = b"recipe ".repeat(100);
        let base = b"recipe.json of the version before".repeat(9);
        assert_eq!(unzstd(&pack(&plain, b""), None, 700), Ok(plain.clone()));
        let small = pack(&plain, &base);
        assert_eq!(unzstd(&small, Some(&base), 700), Ok(plain.clone()));
        assert_eq!(unzstd_exact(&small, &base, 700), Ok(plain));
    }

    fn listed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        unzstd_list(bytes).ok()?.read_to_end(&mut out).ok()?;
        Some(out)
    }

    #[test]
    fn a_window_larger_than_any_metadata_or_list_is_refused() {
        for (log, taken, in_list) in [
            (LIST_WINDOW_LOG, true, true),
            (LIST_WINDOW_LOG + 1, true, false),
            (METADATA_WINDOW_LOG + 1, false, false),
            (27, false, false),
        ] {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            encoder.window_log(log).unwrap();
            // Flushed before it ends, so that the frame states a window and not its size.
            std::io::Write::write_all(&mut encoder, b"metadata").unwrap();
            std::io::Write::flush(&mut encoder).unwrap();
            let frame = encoder.finish().unwrap();
            assert_eq!(
                unzstd(&frame, None, 100).is_ok(),
                taken,
                "window of 2^{log}"
            );
            assert_eq!(listed(&frame).is_some(), in_list, "window of 2^{log}");
        }
    }

    #[test]
    fn bombs_cuts_and_tails_are_refused() {
        let bomb = pack(&vec![0; 1 << 20], b"");
        assert_eq!(
            unzstd(&bomb, None, 1_000),
            Err(UnzstdError::TooLarge(1_000))
        );
        let good = pack(b"x", b"");
        let cut = &good[..good.len() - 1];
        let twice = [good.clone(), good.clone()].concat();
        for size in [0, 2] {
            assert!(unzstd_exact(&good, b"", size).is_err(), "{size}");
        }
        assert_eq!(listed(&good).unwrap(), b"x");
        for bad in [b"".as_slice(), b"x", cut, &twice] {
            assert_eq!(listed(bad), None, "{bad:?}");
            assert!(unzstd_exact(bad, b"", 1).is_err(), "{bad:?}");
            assert!(
                matches!(unzstd(bad, None, 9), Err(UnzstdError::Unreadable(_))),
                "{bad:?}"
            );
        }
    }
}
