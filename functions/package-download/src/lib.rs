//! Package bytes for devices, by short signed URL.
