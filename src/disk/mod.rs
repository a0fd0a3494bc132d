//! Everything that touches an installation or a key file; Unix calls live here alone.
