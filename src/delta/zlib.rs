//! Stock zlib's deflate, called directly: the only way to name a memory level, which decides where
//! blocks end and so every byte of what comes out.
//!
//! | what could go wrong | defence |
//! |---|---|
//! | the library keeps the address of its stream | the stream lies in a box, and never moves |
//! | fields that are no valid Rust value before the library sets them | the stream is never made a value: it is zeroed, and reached by its address |
//! | lengths past what the library counts in | each step hands over at most [`STEP`] bytes |
//! | memory that is never given back | `Drop` ends the stream, once |
#![expect(
    unsafe_code,
    reason = "zlib is C, and the safe wrappers name no memory level"
)]

use std::mem::{MaybeUninit, size_of};
use std::os::raw::c_int;

use libz_sys::{
    Z_BUF_ERROR, Z_DEFAULT_STRATEGY, Z_DEFLATED, Z_FINISH, Z_NO_FLUSH, Z_OK, Z_STREAM_END, deflate,
    deflateEnd, deflateInit2_, z_stream,
};

use super::error::{DeltaError, Outcome, damaged};

/// The release whose output this is; a codec is named after it. Another release may deflate otherwise.
pub(super) const RELEASE: &core::ffi::CStr = c"1.3.2";
/// Raw deflate in a window of 32 KiB, as in zip: negative, for want of a header.
const WINDOW_BITS: c_int = -15;
/// Most bytes that one step takes or makes.
const STEP: usize = 1 << 20;

/// A deflater, from its first byte to its end.
pub(super) struct Deflater {
    stream: Box<MaybeUninit<z_stream>>,
}

/// What a step did.
pub(super) struct Step {
    /// Bytes taken.
    pub(super) taken: usize,
    /// Bytes made.
    pub(super) made: usize,
    /// Whether the last byte was made.
    pub(super) ended: bool,
}

impl Deflater {
    /// One of a level from 1 to 9, and a memory level from 1 to 9.
    pub(super) fn new(level: u8, memory: u8) -> Outcome<Self> {
        let mut stream = Box::new(MaybeUninit::<z_stream>::zeroed());
        let size = c_int::try_from(size_of::<z_stream>()).unwrap_or(0);
        // SAFETY: the address is that of a zeroed stream of the size given, which zlib asks for; it is
        // in a box that lives as long as this deflater. The release is a text that ends in a zero byte.
        let code = unsafe {
            deflateInit2_(
                stream.as_mut_ptr(),
                c_int::from(level),
                Z_DEFLATED,
                WINDOW_BITS,
                c_int::from(memory),
                Z_DEFAULT_STRATEGY,
                RELEASE.as_ptr(),
                size,
            )
        };
        match code {
            Z_OK => Ok(Self { stream }),
            libz_sys::Z_MEM_ERROR => Err(DeltaError::Io(std::io::ErrorKind::OutOfMemory.into())),
            _ => damaged("zlib takes no such level"),
        }
    }

    /// Takes some of `input` and makes some of `output`; `last` says that no input comes behind it.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8], last: bool) -> Outcome<Step> {
        let most_in = input.len().min(STEP);
        let most_out = output.len().min(STEP);
        let flush = if last && most_in == input.len() {
            Z_FINISH
        } else {
            Z_NO_FLUSH
        };
        let at = self.stream.as_mut_ptr();
        let (len_in, len_out) = (
            u32::try_from(most_in).unwrap_or(0),
            u32::try_from(most_out).unwrap_or(0),
        );
        // SAFETY: the stream was initialised by `new`. The two pointers are valid for as many bytes as
        // the two counts say, for the time of the call; zlib reads the first range and writes the second.
        let (code, left_in, left_out) = unsafe {
            (*at).next_in = input.as_ptr().cast_mut();
            (*at).avail_in = len_in;
            (*at).next_out = output.as_mut_ptr();
            (*at).avail_out = len_out;
            let code = deflate(at, flush);
            (code, (*at).avail_in, (*at).avail_out)
        };
        match code {
            Z_OK | Z_BUF_ERROR | Z_STREAM_END => Ok(Step {
                taken: count(len_in.saturating_sub(left_in)),
                made: count(len_out.saturating_sub(left_out)),
                ended: code == Z_STREAM_END,
            }),
            _ => damaged("zlib does not deflate"),
        }
    }
}

fn count(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Drop for Deflater {
    fn drop(&mut self) {
        // SAFETY: the stream was initialised by `new` and is ended only here. What it returns says
        // whether output was left, which is of no account any more.
        let _code = unsafe { deflateEnd(self.stream.as_mut_ptr()) };
    }
}
