//! Pure verification: bytes, keys, `now` and floors in, `Verified<T>` out.
